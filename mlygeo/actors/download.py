"""
Fetch the pictures of images into a folder: side by side, each whole or not at all, none twice.

Metadata comes many ids a request, bytes from their signed addresses. What fails is tried again
after a while, with a new address where the old one does not hold; what is gone is not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.actors import layouts, ledger, picture_check
from mlygeo.actors.ledger import Form, Ledger, Transfer, now_ms
from mlygeo.actors.picture_check import BombError
from mlygeo.actors.waiting_line import WaitingLine
from mlygeo.errors import (
    FileError,
    FormatError,
    InputError,
    NetworkError,
    ServiceError,
    ThrottledError,
    TokenRejectedError,
)
from mlygeo.service.graph import GONE, GoneError
from mlygeo.service.http import StoppedError
from mlygeo.service.pictures import ExpiredError, WaitError, expiry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mlygeo.actors.layouts import Layout
    from mlygeo.actors.picture_files import PictureFiles
    from mlygeo.progress import Bar
    from mlygeo.service.graph import Graph
    from mlygeo.service.http import Retry
    from mlygeo.service.pictures import Pictures

    Ids = npt.NDArray[np.int64]
    Record = Mapping[str, Any]

log = logging.getLogger("mlygeo.download")

EXIF_FIELDS = (
    "geometry",
    "computed_geometry",
    "altitude",
    "computed_altitude",
    "compass_angle",
    "computed_compass_angle",
    "camera_type",
    "camera_parameters",
    "is_pano",
    "make",
    "model",
    "width",
    "height",
    "creator",
    "organization",
)
"""Fields that are asked for where metadata goes into the files."""

SIDECAR_FIELDS = (*EXIF_FIELDS, "computed_rotation", "atomic_scale", "quality_score", "exif_orientation")
"""Fields that are asked for where metadata goes into files of its own."""

ITEMS_A_WORKER = 8
"""Images a worker in the line: those on their way, those waiting for another try, and the next ones."""

LEAVE_S = 1.2
"""Seconds that workers get to leave when the work is called off; Ctrl-C shall take two at most."""

FAILED_IN_A_ROW = 50
"""Images that fail one after another, none of them answered, until the run stops: the network is down."""

SOON_S = 60.0
"""An address that expires in less than so many seconds is asked for anew at once."""

LONGEST_REASON = 500


@dataclass
class Outcome:
    """What a run did: images fetched, found in files, gone and failed with their reasons, and bytes."""

    fetched: int = 0
    found: int = 0
    gone: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    bytes: int = 0


@dataclass
class _Item:
    """An image on its way."""

    number: int
    may_be_there: bool
    record: Record | None = None
    tries: int = 0
    renewed: bool = False
    reason: str = ""
    started_at: int = field(default_factory=now_ms)


class _FinalError(Exception):
    """The image cannot be had, however often it is tried."""


@dataclass(frozen=True)
class Wish:
    """
    What is wanted of each image.

    Parameters
    ----------
    form
        Size, format and layout.
    exif
        Write what Mapillary says of it into the file.
    computed
        Take the position after 3D reconstruction for that.
    quality
        Encode anew with this quality, 1 to 100; None leaves the image data as they came.
    """

    form: Form
    exif: bool = False
    computed: bool = False
    quality: int | None = None

    @property
    def thumb(self) -> str:
        """The field with the picture's address."""
        return f"thumb_{self.form.size}_url"

    @property
    def fields(self) -> list[str]:
        """The fields to ask for."""
        more = SIDECAR_FIELDS if self.form.layout == "flat" else EXIF_FIELDS if self.exif else ()
        return ["sequence", "captured_at", *more, self.thumb]


class Download:
    """
    Downloads images into a folder; used once.

    Parameters
    ----------
    wish
        What is wanted.
    layout
        Where files go.
    files, ledger
        The folder and its ledger.
    graph, pictures
        Where metadata and bytes come from; they share `stop`.
    stop
        Ends everything when set.
    retry
        How failed requests for bytes are tried again; its `attempts` are tries in all.
    workers
        Pictures fetched at once.
    bar
        Shows how far it is.
    """

    def __init__(
        self,
        wish: Wish,
        *,
        layout: Layout,
        files: PictureFiles,
        ledger: Ledger,
        graph: Graph,
        pictures: Pictures,
        stop: threading.Event,
        retry: Retry,
        workers: int,
        bar: Bar,
    ) -> None:
        self.outcome = Outcome()
        self._wish, self._layout, self._files, self._ledger = wish, layout, files, ledger
        self._graph, self._pictures, self._stop, self._retry, self._bar = graph, pictures, stop, retry, bar
        self._workers = workers
        self._line: WaitingLine[_Item] = WaitingLine(capacity=workers * ITEMS_A_WORKER)
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._in_a_row = 0
        self._hold_until = 0.0

    def run(self, ids: Ids, standing: npt.NDArray[np.int8], *, overwrite: bool = False) -> Outcome:
        """
        Fetch images until all are settled.

        Parameters
        ----------
        ids
            The images, in the order wanted; shape (n,).
        standing
            What the ledger says of each; shape (n,).
        overwrite
            Fetch also what lies whole in the folder.

        Returns
        -------
        outcome
            What was done. It is there also where an error ends the run, as `outcome`.

        Raises
        ------
        TokenRejectedError, ThrottledError, NetworkError, ServiceError
            If the service refuses the token or the address, or is down.
        FileError
            If there is no room left.
        """
        # Of an image that is known in another form the file may lie under the same name.
        trusted = np.isin(standing, (ledger.OTHER,), invert=True) & (not overwrite)
        order = np.argsort(ids, kind="stable")
        by_id, trusted = ids[order], trusted[order]
        threads = [
            threading.Thread(target=self._work, name=f"mlygeo-download-{number}", daemon=True)
            for number in range(self._workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for batch in self._graph.images(ids, fields=self._wish.fields):
                self._note_missing(batch.missing, by_id, trusted)
                for number, record in sorted(batch.found.items()):
                    place = np.searchsorted(by_id, number)
                    if not self._line.put(_Item(number, bool(trusted[place]), record)):
                        break
                if self._error is not None:
                    break
            self._line.wait()
        except StoppedError:
            if self._error is None:
                raise
        finally:
            self._line.close()
            if any(thread.is_alive() for thread in threads) and (self._error is not None or self._line.unsettled):
                self._stop.set()
                self._pictures.interrupt()
            deadline = time.monotonic() + LEAVE_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        if self._error is not None:
            raise self._error
        return self.outcome

    def _note_missing(self, missing: Mapping[int, str], by_id: Ids, trusted: npt.NDArray[np.bool_]) -> None:
        gone = []
        for number, reason in missing.items():
            item = _Item(number, bool(trusted[np.searchsorted(by_id, number)]), reason=reason, tries=1)
            if reason == GONE:
                gone.append(self._settled(item, "gone", reason))
            elif reason.startswith("no image"):
                gone.append(self._settled(item, "failed", reason))
            else:
                self._line.put(item)
        if gone:
            self._ledger.record(*gone)

    def _work(self) -> None:
        """Take images from the line, until it is closed."""
        while (item := self._line.get()) is not None:
            try:
                self._wait_while_held()
                self._take_up(item)
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - it ends the run, in the thread that called it
                self._end(error)
                return

    def _take_up(self, item: _Item) -> None:
        """Try once to get an image; then it is settled, or back in the line."""
        item.tries += 1
        try:
            transfer = self._transfer(item)
        except GoneError:
            self._ledger.record(self._settled(item, "gone", GONE))
        except _FinalError as error:
            self._ledger.record(self._settled(item, "failed", str(error)))
        except WaitError as error:
            self._hold(error)
            self._try_again(item, error)
            return
        except (TokenRejectedError, ThrottledError):
            raise
        except ServiceError as error:
            if self._graph.ended is not None:
                raise self._graph.ended from None
            if not isinstance(error, NetworkError):
                item.record = None  # a new address may do better
            self._try_again(item, error)
            return
        else:
            self._ledger.record(transfer)
            with self._lock:
                self._in_a_row = 0
                if transfer.status == "found":
                    self.outcome.found += 1
                else:
                    self.outcome.fetched += 1
                    self.outcome.bytes += transfer.bytes or 0
                self._bar.advance(1, transfer.bytes or 0)
        self._line.done()

    def _transfer(self, item: _Item) -> Transfer:
        """Get an image's bytes, see that they are whole, and give them their name."""
        record = item.record
        if record is None:
            record = item.record = self._graph.entity(item.number, fields=self._wish.fields)
            item.renewed = True
        path = self._path(item.number, record)
        if item.may_be_there and (found := self._found(item, record, path)) is not None:
            return found
        item.may_be_there = False
        url = record.get(self._wish.thumb)
        if not isinstance(url, str) or not url:
            item.record = None
            raise ServiceError(f"image {item.number}: the service gives no address of its picture")
        if not item.renewed and (ends := expiry(url)) is not None and ends < time.time() + SOON_S:
            # Once only: where the clock of this machine is wrong, every address seems to have expired.
            item.record = None
            return self._transfer(item)
        body = self._pictures.get(url, what=f"image {item.number}")
        try:
            picture_check.check_picture(body)
        except BombError as error:
            raise _FinalError(f"what came is no picture to keep: {error}") from error
        except FormatError as error:
            raise ServiceError(f"image {item.number}: what came is no whole picture: {error}") from error
        content = self._finished(body, record)
        try:
            self._write_sidecar(item.number, record)
            self._files.write(path, content)
        except FileError:
            raise
        except OSError as error:
            raise _FinalError(f"{path}: {error.strerror or error}") from error
        return self._done(item, "done", record, path, content)

    def _path(self, number: int, record: Record) -> str:
        try:
            path = self._layout.path(number, record)
        except FormatError as error:
            raise _FinalError(str(error)) from error
        if self._wish.form.layout == "time" and self._ledger.owner(path) not in {None, number}:
            return layouts.with_id(path, number)
        return path

    def _found(self, item: _Item, record: Record, path: str) -> Transfer | None:
        """Return the transfer of a whole file that lies there although the ledger does not say so."""
        try:
            content = (self._files.folder / path).read_bytes()
            picture_check.check_picture(content, format=self._wish.form.format)
        except (FormatError, OSError):
            return None
        if (sidecar := self._layout.sidecar(item.number)) and not (self._files.folder / sidecar).exists():
            self._write_sidecar(item.number, record)
        return self._done(item, "found", record, path, content)

    def _finished(self, body: bytes, record: Record) -> bytes:
        """Return the bytes of the file: as they came, or with metadata, or encoded anew."""
        wish = self._wish
        if not wish.exif and wish.quality is None and wish.form.format == "jpg":
            return body
        from mlygeo.actors import exif_writer

        try:
            if wish.exif:
                body = exif_writer.insert(body, exif_writer.picture_tags(record, computed=wish.computed))
            if wish.quality is not None or wish.form.format != "jpg":
                body = exif_writer.recode(body, quality=wish.quality, format=wish.form.format)  # type: ignore[arg-type]
        except (FormatError, InputError) as error:
            raise _FinalError(f"it could not be written with its metadata: {error}") from error
        return body

    def _write_sidecar(self, number: int, record: Record) -> None:
        sidecar = self._layout.sidecar(number)
        if sidecar is None:
            return
        from mlygeo import frames

        kept = {name: value for name, value in record.items() if not name.startswith("thumb_")}
        told = {"id": str(number), **kept, "attribution": frames.MAPILLARY}
        self._files.write(sidecar, (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())

    def _done(self, item: _Item, status: str, record: Record, path: str, content: bytes) -> Transfer:
        sequence = record.get("sequence")
        return Transfer(
            item.number,
            status,
            self._wish.form,
            path=path,
            sequence_id=sequence if isinstance(sequence, str) else None,
            bytes=len(content),
            checksum=hashlib.sha256(content).hexdigest(),
            tries=item.tries,
            started_at=item.started_at,
            finished_at=now_ms(),
        )

    def _settled(self, item: _Item, status: str, reason: str) -> Transfer:
        """Note an image that is gone or failed, and return its transfer."""
        reason = reason[:LONGEST_REASON]
        with self._lock:
            (self.outcome.gone if status == "gone" else self.outcome.failed)[item.number] = reason
            self._bar.advance(1, 0)
        log.info("image %d: %s", item.number, reason)
        return Transfer(
            item.number,
            status,
            self._wish.form,
            tries=item.tries,
            reason=reason,
            started_at=item.started_at,
            finished_at=now_ms(),
        )

    def _try_again(self, item: _Item, error: Exception) -> None:
        """Put an image back into the line, or settle it where it was tried often enough."""
        retry = self._retry
        if item.tries < retry.attempts:
            if isinstance(error, ExpiredError) and item.renewed is False:
                wait = 0.0
            else:
                longest = min(retry.longest_wait, retry.first_wait * 2 ** min(item.tries - 1, 30))
                wait = random.uniform(0, longest)  # noqa: S311 - no secret hangs on it
            log.debug("%s; again in %.1f s", error, wait)
            self._line.again(item, after=wait)
            return
        reason = f"{error}, in {item.tries} {'try' if item.tries == 1 else 'tries'}"
        self._ledger.record(self._settled(item, "failed", reason))
        self._line.done()
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if isinstance(error, NetworkError | WaitError) else 0
            down = self._in_a_row >= FAILED_IN_A_ROW
        if down:
            raise NetworkError(
                f"the last {self._in_a_row} images could not be fetched, each in all its tries; {error}",
                hint="check the network connection; the same command then goes on from there",
            )

    def _hold(self, error: WaitError) -> None:
        """Let all workers wait, as a host asks."""
        seconds = max(self._retry.rate_wait, error.seconds or 0.0)
        if seconds > self._retry.patience:
            raise ThrottledError(f"{error}; it asks to wait {seconds:,.0f} s", hint="run the same command again then")
        log.warning("%s; all pictures wait %.0f s", error, seconds)
        with self._lock:
            self._hold_until = max(self._hold_until, time.monotonic() + seconds)

    def _wait_while_held(self) -> None:
        while (wait := self._hold_until - time.monotonic()) > 0:
            self._stop.wait(wait)
            if self._stop.is_set():
                raise StoppedError
        if self._stop.is_set():
            raise StoppedError

    def _end(self, error: Exception) -> None:
        """End the run with an error, which is raised in the thread that called it."""
        with self._lock:
            if self._error is None:
                self._error = error
        self._stop.set()
        self._line.close()
