"""Whom photos are uploaded to after they were processed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options import Server

if TYPE_CHECKING:
    from mlygeo.net.http import Service
    from mlygeo.pipelines.options import SignedIn, Uploading, User
    from mlygeo.providers import Provider


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
    def of(cls, *, provider: str | None, endpoint: str | None, blurred: bool, service: Service | None) -> Destination:
        """Return what a caller means; raise InputError for options that have no effect for it."""
        who = Server(provider=provider, endpoint=endpoint).chosen(service)
        # Other options that such an upload has no use for are of use to process.
        idle = ("organization_key", "organization_name", "private") if who.upload_sets is not None else ("blurred",)
        of_no_use(idle, f"for {who.title}")
        return cls(who, endpoint, blurred)

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
