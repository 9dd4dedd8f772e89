"""What a run of uploads did, and how the service is told that one of them is whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlygeo.errors import NetworkError, ThrottledError, TokenRejectedError
from mlygeo.uploads.older import TOOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlygeo.providers.mapillary.uploads import FileType, Uploads
    from mlygeo.uploads.ledger import Ready, UploadLedger

log = logging.getLogger("mlygeo.upload")

FATAL = (TokenRejectedError, ThrottledError, NetworkError)
"""Errors after which everything else would fail too."""

OLDER = f"uploaded before by {TOOL}"
"""Why a file counts as uploaded that an older tool uploaded."""


@dataclass
class Outcome:
    """
    What a run did; `failed` has the reason by path or by name of the sequence.

    Of the files that were uploaded before, `there` are those that we uploaded, and `older` those that an
    older tool did.
    """

    images: int = 0
    there: int = 0
    older: int = 0
    repeated: int = 0
    sequences: int = 0
    zips: int = 0
    videos: int = 0
    ready: list[int] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unfinished: int = 0
    bytes: int = 0


class Finishing:
    """
    Notes what is ready, and has the service finish it.

    Parameters
    ----------
    uploads
        The upload service.
    ledger
        The history.
    user_key
        Whose token it is, where that is known.
    manual_done
        Leave uploads ready, and finish none.
    """

    def __init__(
        self,
        *,
        uploads: Uploads,
        ledger: UploadLedger,
        user_key: str | None = None,
        manual_done: bool = False,
    ) -> None:
        self.outcome = Outcome()
        self.uploads, self.ledger, self.manual_done = uploads, ledger, manual_done
        self._user = user_key

    def ready(
        self,
        md5s: Sequence[str],
        *,
        kind: Literal["sequence", "zip", "video"],
        name: str,
        content: str,
        file_type: FileType,
        handle: str,
        organization_key: str | None,
    ) -> Ready:
        """Note that all of an upload is there; see `UploadLedger.ready`."""
        return self.ledger.ready(
            md5s, kind=kind, name=name, content=content, file_type=file_type, handle=handle,
            organization_key=organization_key, user_key=self._user,
        )  # fmt: skip

    def tell(self, upload: Ready, *, organization_key: str | None, held: Iterable[tuple[str, int, str]] = ()) -> None:
        """
        Tell the service that an upload is whole, and note what becomes of it.

        It is finished for the organization that this run uploads it for; where there is none, for the
        one that it was left ready for, and that is said.

        Parameters
        ----------
        upload
            The upload.
        organization_key
            The organization that this run uploads it for.
        held
            Files inside of an archive: MD5, size, and name.

        Raises
        ------
        ServiceError
            If the service does not finish it.
        """
        organization = organization_key
        if organization is None and upload.organization_key is not None:
            # Its images may be private to it: that is not dropped for want of a word.
            organization = upload.organization_key
            log.warning(
                "%s is finished for the organization %s, as it was left ready", short(upload.name), organization
            )
        cluster = self.uploads.finish(
            upload.handle,
            upload.file_type,
            organization_id=organization,
            what=f"finishing {short(upload.name)}",
        )
        self.ledger.done(upload.number, cluster, organization_key=organization, held=held)


def short(name: str) -> str:
    """Return a name, or the end of a long one."""
    return name if len(name) <= 60 else f"…{name[-59:]}"
