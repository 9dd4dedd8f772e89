"""Whom photos are uploaded to: the one place that tells providers that take sequences from those that take sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options import Server
from mlygeo.pipelines.upload_sequences import NOT_FOR_SEQUENCES, run_upload
from mlygeo.pipelines.upload_sets import NOT_FOR_SETS, upload_as_sets

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.pipelines.job import Job
    from mlygeo.pipelines.options import Described, SignedIn, Uploading, User
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Destination:
    """
    Whom photos are uploaded to after they were processed.

    Parameters
    ----------
    who
        The provider.
    endpoint
        The address of its server; None for that of the environment, or of its one service.
    blurred
        Whether faces and number plates are blurred already.
    """

    who: Provider
    endpoint: str | None
    blurred: bool

    @classmethod
    def of(
        cls,
        *,
        provider: str | None,
        endpoint: str | None,
        blurred: bool,
        service: Service | None,
        used: Collection[str] = (),
    ) -> Destination:
        """
        Return what a caller means.

        Parameters
        ----------
        provider, endpoint, blurred, service
            The options of `upload`.
        used
            Options that the call has a use for beside its upload.

        Raises
        ------
        InputError
            If there is no such provider, or options have no effect for it.
        """
        who = Server(provider=provider, endpoint=endpoint).chosen(service)
        idle = NOT_FOR_SEQUENCES if who.upload_sets is None else NOT_FOR_SETS
        of_no_use([name for name in idle if name not in used], f"for {who.title}")
        return cls(who, endpoint, blurred)

    def upload(
        self,
        import_path: PathLike | Iterable[PathLike],
        *,
        described: Described,
        user: User,
        signed_in: SignedIn,
        uploading: Uploading,
        output: PathLike | None,
        dry_run: bool,
        progress: Progress | None,
        track: PathLike | None,
        video_start_time: int | None,
    ) -> Job[pd.DataFrame]:
        """
        Upload the images and files of folders; see `mlygeo.pipelines.uploads.upload`.

        Parameters
        ----------
        import_path
            The folders, or files of them.
        described
            Which images are used.
        user
            The owner of the images.
        signed_in
            The user who uploads them.
        uploading
            Other options of the upload.
        output
            File for the history of these files; None for one in the folder.
        dry_run
            Whether it is a dry run.
        progress
            Where progress is shown; None shows none.
        track, video_start_time
            The track of the videos, and when they start.
        """
        if self.who.upload_sets is not None:
            return upload_as_sets(
                import_path, self.who, endpoint=self.endpoint, described=described, user_name=user.user_name,
                signed_in=signed_in, uploading=uploading, blurred=self.blurred, output=output, dry_run=dry_run,
                progress=progress,
            )  # fmt: skip
        return run_upload(
            import_path, self.who, described=described, user=user, signed_in=signed_in, uploading=uploading,
            output=output, dry_run=dry_run, progress=progress, track=track, video_start_time=video_start_time,
        )  # fmt: skip

    def check_sign_in(self, user: User, signed_in: SignedIn, uploading: Uploading, *, dry_run: bool) -> None:
        """
        Check the user and the organization of an upload before any photo is changed.

        Raises
        ------
        CredentialsError
            If nobody has signed in, or there is no such organization.
        InputError
            If private images have no organization.
        """
        from mlygeo.pipelines.account import account_to_upload_with
        from mlygeo.uploads import owner

        if dry_run:
            return
        if self.who.upload_sets is not None:
            owner.account_at(
                self.who, endpoint=self.endpoint, service=signed_in.service, user_name=user.user_name,
                token=signed_in.token, token_file=signed_in.token_file, config_file=signed_in.config_file,
                max_attempts=uploading.max_attempts, retry=self.who.upload_sets.retry,
            )  # fmt: skip
            return
        account = account_to_upload_with(user, signed_in, max_attempts=uploading.max_attempts)
        organization = owner.organization_of(account, user.organization_key, user.organization_name)
        if user.private and organization is None:
            raise InputError("private images belong to an organization", hint="give `organization_key`")
