"""Archives and videos uploaded, each as the one file that it is; and what any run of uploads did."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlygeo.errors import FileError, FormatError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net.answers import RefusedError
from mlygeo.uploads import archives
from mlygeo.uploads.older import TOOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlygeo.progress import Bar
    from mlygeo.providers import UploadSession
    from mlygeo.uploads.items import WholeFile
    from mlygeo.uploads.ledger import Known, Ready, UploadLedger
    from mlygeo.uploads.older import OlderUploads

log = logging.getLogger("mlygeo.upload")

FATAL = (TokenRejectedError, ThrottledError, NetworkError)
"""Errors after which everything else would fail too."""

OLDER = f"uploaded before by {TOOL}"
"""Why a file counts as uploaded that an older tool uploaded."""

MB = 1_000_000
"""Bytes in the unit of the bar."""


class FileUpload:
    """
    Uploads whole files, one after another.

    Parameters
    ----------
    finishing
        The service and the history.
    bar
        Shows how far it is, in megabytes.
    reupload
        Upload also what was uploaded before.
    older
        What older tools uploaded; None looks for nothing of that.
    """

    def __init__(
        self, finishing: Finishing, *, bar: Bar, reupload: bool = False, older: OlderUploads | None = None
    ) -> None:
        self._finishing, self._bar, self._reupload, self._older = finishing, bar, reupload, older
        self._ledger, self._outcome = finishing.ledger, finishing.outcome

    def upload(self, file: WholeFile) -> None:
        """Upload an archive or a video, unless it is up."""
        path, share = Path(file.path), Share(self._bar, file.size)
        try:
            held = list(archives.images_in(path)) if file.kind == "zip" else []
            md5 = archives.md5_of(path)
            known = self._ledger.find(md5=md5)
            if not self._reupload and self._is_there(file, md5, known, held):
                share.skip()
                return
            ready = self._left_ready(known)
            upload = self._sent(file, md5, share) if ready is None else ready
            if self._finishing.manual_done:
                self._outcome.ready.append(upload.number)
                return
            try:
                self._finishing.finish(upload, organization_key=file.organization_key, held=held)
            except RefusedError as error:
                if ready is None:
                    raise
                # The service forgets what was never finished.
                log.info("%s is sent anew: %s", path.name, error)
                self._ledger.dropped(ready.number, str(error))
                upload = self._sent(file, md5, share)
                self._finishing.finish(upload, organization_key=file.organization_key, held=held)
        except FATAL:
            raise
        except (ServiceError, OSError, FormatError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._outcome.failed[file.path] = reason
            self._ledger.failed(path=file.path, kind=file.kind, reason=reason)
            log.warning("%s: %s", path.name, reason)
            share.skip()
            return
        self._outcome.zips += file.kind == "zip"
        self._outcome.videos += file.kind == "video"
        self._outcome.images += len(held)

    def _is_there(self, file: WholeFile, md5: str, known: Known | None, held: list[tuple[str, int, str]]) -> bool:
        """Return whether a file was uploaded before, and count it."""
        if known is not None and known.status == "done":
            older = known.reason is not None
        elif known is None and self._older is not None and self._older.has(file, md5):
            self._ledger.found(path=file.path, kind=file.kind, md5=md5, size=file.size, reason=OLDER)
            older = True
        elif held and self._all_there(file, held):
            older = False
        else:
            return False
        if older:
            self._outcome.older += max(1, len(held))
        else:
            self._outcome.there += max(1, len(held))
        return True

    def _all_there(self, file: WholeFile, held: list[tuple[str, int, str]]) -> bool:
        """Return whether all images of an archive were uploaded before; some of them are an error."""
        known = [self._ledger.find(md5=md5, upload_md5=md5) for md5, _, _ in held]
        done = sum(each is not None and each.status in {"done", "ready"} for each in known)
        if 0 < done < len(held):
            raise FileError(
                f"{done} of the {len(held)} images in it were uploaded before",
                hint=f"upload {Path(file.path).stem} as images, or with --reupload",
            )
        return done == len(held)

    def _left_ready(self, known: Known | None) -> Ready | None:
        """Return the upload of a file that has only to be finished; with --reupload it is left, and another made."""
        if known is None or known.upload is None or self._reupload:
            return None
        return next(iter(self._ledger.waiting([known.upload])), None)

    def _sent(self, file: WholeFile, md5: str, share: Share) -> Ready:
        path = Path(file.path)
        ending: Literal["zip", "mp4"] = "zip" if file.kind == "zip" else "mp4"
        handle = self._finishing.uploads.send_file(path, md5=md5, ending=ending, what=path.name, came=share.at)
        self._ledger.sent(path=file.path, kind=file.kind, md5=md5, upload_md5=md5, size=file.size, handle=handle)
        self._outcome.bytes += file.size
        return self._finishing.ready(
            [md5], kind=file.kind, name=path.name, content=md5, file_type=file.file_type, handle=handle,
            organization_key=file.organization_key,
        )  # fmt: skip


# What a run did, and how the service is asked to finish an upload.


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
        A session with the upload service.
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
        uploads: UploadSession,
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
        file_type: str,
        handle: str,
        organization_key: str | None,
    ) -> Ready:
        """Note that all of an upload is there; see `UploadLedger.ready`."""
        return self.ledger.ready(
            md5s, kind=kind, name=name, content=content, file_type=file_type, handle=handle,
            organization_key=organization_key, user_key=self._user,
        )  # fmt: skip

    def finish(self, upload: Ready, *, organization_key: str | None, held: Iterable[tuple[str, int, str]] = ()) -> None:
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


# How much of the progress of a run one file is.


class Share:
    """
    The share of one file in a bar of megabytes.

    Parameters
    ----------
    bar
        The bar.
    size
        Bytes of the file.
    """

    def __init__(self, bar: Bar, size: int) -> None:
        self._bar, self._size, self._at = bar, size, 0

    def at(self, position: int) -> None:
        """Note that so many bytes are up; a position before the furthest one is nothing new."""
        position = min(position, self._size)
        if position > self._at:
            self._bar.advance((position - self._at) / MB, position - self._at)
            self._at = position

    def skip(self) -> None:
        """Note that the rest need not go up."""
        self._bar.advance((self._size - self._at) / MB)
        self._at = self._size
