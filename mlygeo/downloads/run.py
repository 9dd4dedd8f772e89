"""
Download the pictures of images into a folder: in parallel, each atomically, none twice.

Metadata is requested for many ids at once, bytes from their signed addresses. Failed images are tried
again after a while, with a new address if the old one has expired; deleted images are not.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import keys
from mlygeo.downloads import ledger
from mlygeo.downloads.files import FinalError, PictureSaver, RequestedForm
from mlygeo.downloads.ledger import Ledger, Transfer, now_ms
from mlygeo.errors import FileError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net import exchange, workers
from mlygeo.net.answers import GoneError, PendingError, tried
from mlygeo.net.http import StoppedError
from mlygeo.net.pictures import ExpiredError, WaitError
from mlygeo.net.workers import RetryQueue
from mlygeo.providers import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from mlygeo.arrays import Flags
    from mlygeo.downloads.files import PictureFiles
    from mlygeo.downloads.layouts import Layout
    from mlygeo.keys import Ids, Key
    from mlygeo.net.http import Retry
    from mlygeo.net.pictures import Pictures
    from mlygeo.progress import Bar
    from mlygeo.providers import Batch, Provider, Session

    Record = Mapping[str, Any]

__all__ = ["Download", "Outcome"]

log = logging.getLogger("mlygeo.download")

ITEMS_A_WORKER = 8
"""Images per worker in the queue: those in progress, those waiting for another try, and the next ones."""

LEAVE_S = 1.2
"""Seconds for workers to stop when the run is cancelled; Ctrl-C must take two at most."""

FAILED_IN_A_ROW = 50
"""After this many consecutive images without any answer, the run stops: the network is down."""

SOON_S = 60.0
"""An address that expires in fewer seconds is requested again at once."""

LONGEST_REASON = 500


class Download:
    """
    Downloads images into a folder; used once.

    Parameters
    ----------
    requested
        The requested form of images.
    layout
        The layout of the folder.
    files, ledger
        The folder and its ledger.
    provider
        The provider of the images.
    session, pictures
        The sources of metadata and bytes; they share `stop`.
    stop
        Event that ends the run.
    retry
        How to repeat failed requests for bytes; `attempts` includes the first try.
    workers
        Number of parallel downloads.
    bar
        The progress bar.
    """

    def __init__(
        self,
        requested: RequestedForm,
        *,
        layout: Layout,
        files: PictureFiles,
        ledger: Ledger,
        provider: Provider,
        session: Session,
        pictures: Pictures,
        stop: threading.Event,
        retry: Retry,
        workers: int,
        bar: Bar,
    ) -> None:
        self.outcome = Outcome()
        self._requested, self._ledger = requested, ledger
        self._saver = PictureSaver(requested, layout=layout, files=files, ledger=ledger, provider=provider)
        self._session, self._pictures, self._stop, self._retry, self._bar = session, pictures, stop, retry, bar
        self._provider = provider.name
        self._addresses = needed(provider.pictures, provider, "pictures")
        self._records = needed(provider.records, provider, "images by id")
        self._fields = self._addresses.fields(requested.form.size, metadata=requested.metadata)
        self._workers = workers
        self._queue: RetryQueue[_Item] = RetryQueue(capacity=workers * ITEMS_A_WORKER)
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._in_a_row = 0
        self._is_pending = False
        self._hold_until = 0.0

    def run(self, ids: Ids, states: npt.NDArray[np.int8], *, overwrite: bool = False) -> Outcome:
        """
        Download images until all are settled.

        Parameters
        ----------
        ids
            The images, in the order of download; shape (n,).
        states
            The state of each in the ledger; shape (n,).
        overwrite
            Download also images whose files are complete.

        Returns
        -------
        outcome
            The result. If an error ends the run, it is in the attribute `outcome`.

        Raises
        ------
        TokenRejectedError, ThrottledError, NetworkError, ServiceError
            If the service refuses the token or the address, or is down.
        FileError
            If the disk is full.
        """
        # An image that is there in another form may have its file under the same name.
        trusted = np.isin(states, (ledger.OTHER,), invert=True) & (not overwrite)
        order = keys.in_order(ids)
        place_of, trusted = keys.places_of(ids[order]), trusted[order]
        threads = [
            threading.Thread(target=self._work, name=f"mlygeo-download-{number}", daemon=True)
            for number in range(min(self._workers, max(len(ids), 1)))
        ]
        threads = [thread for thread in threads if workers.start(thread)]
        if not threads:
            raise FileError("the system gives no thread to download in", hint="end other programs, and run this again")
        try:
            for batch in self._session.images(ids, fields=self._fields):
                self._note_missing(batch, place_of, trusted)
                for number in keys.ordered(batch.found):
                    if not self._queue.put(_Item(number, bool(trusted[place_of(number)]), batch.found[number])):
                        break
                if self._error is not None:
                    break
            self._queue.wait()
        except StoppedError:
            if self._error is None:
                raise
        finally:
            self._queue.close()
            if any(thread.is_alive() for thread in threads) and (self._error is not None or self._queue.unsettled):
                self._stop.set()
                self._pictures.interrupt()
            deadline = time.monotonic() + LEAVE_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        if self._error is not None:
            raise self._error
        return self.outcome

    def _note_missing(self, batch: Batch, place_of: Callable[[Key], int], trusted: Flags) -> None:
        gone = []
        for number, reason in batch.missing.items():
            item = _Item(number, bool(trusted[place_of(number)]), reason=reason, tries=1)
            if reason == self._records.gone:
                gone.append(self._settled(item, "gone", reason))
            elif number in batch.final or self._retry.attempts <= 1:
                gone.append(self._settled(item, "failed", reason))
            else:
                self._queue.put(item)
        if gone:
            self._ledger.record(*gone)

    def _work(self) -> None:
        """Take images from the queue, until it is closed."""
        while (item := self._queue.get()) is not None:
            try:
                self._wait_while_held()
                self._take_up(item)
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - it ends the run, in the thread that called it
                self._end(error)
                return

    def _take_up(self, item: _Item) -> None:
        """Try once to download an image; then it is settled, or put back into the queue."""
        item.tries += 1
        try:
            transfer = self._transfer(item)
        except GoneError:
            self._ledger.record(self._settled(item, "gone", self._records.gone))
        except FinalError as error:
            self._ledger.record(self._settled(item, "failed", str(error)))
        except WaitError as error:
            self._hold(item, error)
            self._try_again(item, error)
            return
        except (TokenRejectedError, ThrottledError):
            raise
        except ServiceError as error:
            if self._session.ended is not None:
                raise self._session.ended from None
            if not isinstance(error, NetworkError):
                item.record = None  # a new address may work
            if isinstance(error, PendingError):
                self._say_pending(error)
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
                    self.outcome.in_doubt += transfer.reason is not None
                self._bar.advance(1, transfer.bytes or 0)
        self._queue.done()

    def _transfer(self, item: _Item) -> Transfer:
        """Download an image's bytes, check that they are complete, and write the file."""
        record = item.record
        if record is None:
            record = item.record = self._session.entity(item.number, fields=self._fields)
            item.renewed = True
        path = self._saver.path(item.number, record)
        if item.may_be_there and (content := self._saver.found(item.number, record, path)) is not None:
            return self._done(item, "found", record, path, content)
        item.may_be_there = False
        url = self._addresses.address(record, self._requested.form.size)
        if url is None:
            item.record = None
            raise ServiceError(f"image {item.number}: the service gives no address of its picture")
        if not item.renewed and (ends := self._addresses.expires(url)) is not None and ends < time.time() + SOON_S:
            # Only once: if the clock of this machine is wrong, every address seems to have expired.
            item.record = None
            return self._transfer(item)
        doubts: list[str] = []
        with exchange.keeping():
            body = self._pictures.get(url, what=f"image {item.number}")
            content = self._saver.save(item.number, record, path, body, doubts=doubts)
        return self._done(item, "done", record, path, content, doubt="; ".join(doubts) or None)

    def _done(
        self, item: _Item, status: str, record: Record, path: str, content: bytes, *, doubt: str | None = None
    ) -> Transfer:
        sequence = self._records.row_of(record).get("sequence_id")
        return Transfer(
            item.number,
            status,
            self._requested.form,
            path=path,
            sequence_id=sequence if isinstance(sequence, str) else None,
            bytes=len(content),
            checksum=hashlib.sha256(content).hexdigest(),
            tries=item.tries,
            reason=doubt,
            started_at=item.started_at,
            finished_at=now_ms(),
            provider=self._provider,
        )

    def _settled(self, item: _Item, status: str, reason: str) -> Transfer:
        """Record an image that is gone or failed, and return its transfer."""
        reason = reason[:LONGEST_REASON]
        with self._lock:
            (self.outcome.gone if status == "gone" else self.outcome.failed)[item.number] = reason
            self._bar.advance(1, 0)
        log.info("image %s: %s", item.number, reason)
        return Transfer(
            item.number,
            status,
            self._requested.form,
            tries=item.tries,
            reason=reason,
            started_at=item.started_at,
            finished_at=now_ms(),
            provider=self._provider,
        )

    def _try_again(self, item: _Item, error: Exception) -> None:
        """Put an image back into the queue, or settle it after the last try."""
        retry = self._retry
        if item.tries < retry.attempts:
            wait = 0.0 if isinstance(error, ExpiredError) and not item.renewed else retry.wait_after(item.tries)
            log.debug("%s; again in %.1f s", error, wait)
            self._queue.again(item, after=wait)
            return
        self._ledger.record(self._settled(item, "failed", tried(error, item.tries)))
        self._queue.done()
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if isinstance(error, NetworkError | WaitError) else 0
            down = self._in_a_row >= FAILED_IN_A_ROW
        if down:
            raise NetworkError(
                f"the last {self._in_a_row} images could not be fetched, each in all its tries; {error}",
                hint="check the network connection; the same command then goes on from there",
            )

    def _say_pending(self, error: PendingError) -> None:
        """Say once why the run waits: a picture is not ready."""
        with self._lock:
            is_first, self._is_pending = not self._is_pending, True
        if is_first:
            log.warning("%s; pictures that are not ready are asked for again, for some minutes", error)

    def _hold(self, item: _Item, error: WaitError) -> None:
        """Make all workers wait, as a host asks."""
        seconds = self._retry.hold_after(item.tries, asked=error.seconds)
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
        self._queue.close()


@dataclass
class Outcome:
    """
    The result of a run: images downloaded, found in files, gone and failed with their reasons, and bytes.

    Those downloaded whose metadata are `in_doubt` have the reason in the ledger.
    """

    fetched: int = 0
    found: int = 0
    in_doubt: int = 0
    gone: dict[Key, str] = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)
    bytes: int = 0


@dataclass
class _Item:
    """An image in progress."""

    number: Key
    may_be_there: bool
    record: Record | None = None
    tries: int = 0
    renewed: bool = False
    reason: str = ""
    started_at: int = field(default_factory=now_ms)
