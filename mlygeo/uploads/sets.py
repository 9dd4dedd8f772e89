"""
A run of uploads to a service that takes folders as sets, and cuts them into sequences itself.

The files are sent as they are, and what is known better than they say goes with them. A set is in the history before
it is created, and a file as soon as the service has it; what it has is asked of the service itself wherever a run goes
on. So a run may be killed at any line, and the next one continues with the same set.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.degrees import short_way, turn
from mlygeo.errors import FormatError, InputError, ServiceError
from mlygeo.net.answers import GoneError
from mlygeo.net.http import StoppedError
from mlygeo.net.workers import WorkerPool
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags, local_time
from mlygeo.progress import counted
from mlygeo.providers import descriptions
from mlygeo.uploads.files import FATAL, PHOTOS, Share, short
from mlygeo.uploads.items import Claims, Photo, digest, known_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import geopandas as gpd

    from mlygeo.formats.identity import Identity
    from mlygeo.locks import NameLocks
    from mlygeo.progress import Bar, Progress
    from mlygeo.providers import SetFile, SetState, UploadSetSession
    from mlygeo.uploads.found import Import
    from mlygeo.uploads.ledger import OpenSet, UploadLedger

log = logging.getLogger("mlygeo.upload")

WAIT_S = 900.0
"""Seconds without any progress of the service after which a set is left to it."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
"""Seconds between two questions for the state of a set; they become longer."""

NEAR_DEGREES, NEAR_ANGLE, NEAR_M = 1e-7, 0.01, 0.01
"""Differences up to which a file says the same: a hundredth of a metre or of a degree."""

ALIKE = 1.0
"""Degrees up to which angles to the direction of travel are the same."""

SURE = ("gps", "offset")
"""Sources of a time in a file that everybody reads alike; others lack the zone."""


@dataclass(frozen=True)
class FolderPhoto:
    """
    A photo of a folder.

    Parameters
    ----------
    photo
        The photo.
    better
        What is known better than the file says; see `mlygeo.providers.UploadSetSession.send`.
    sequence
        Its sequence here; None if it has none.
    heading_derived
        Whether its heading was derived from the direction of travel: that is left to the service.
    """

    photo: Photo
    better: Mapping[str, Any] = field(default_factory=dict)
    sequence: str | None = None
    heading_derived: bool = False


@dataclass(frozen=True)
class Folder:
    """
    The photos of a folder, which become a set.

    Parameters
    ----------
    path
        The folder.
    photos
        The photos.
    relative_heading
        Where the camera looks, degrees clockwise from the direction of travel, if all headings were derived by it.
    """

    path: str
    photos: tuple[FolderPhoto, ...]
    relative_heading: int | None = None


@dataclass
class Outcome:
    """
    The result of a run; `failed` has the reason by path or by folder.

    `images` were sent and are at the service; `there` were uploaded before, `repeated` are in the folders more than
    once; `duplicates` are those that the service does not take since it has them, or pictures like them; `pending` are
    at the service and not processed yet; `sequences` are the ids of what they became.
    """

    images: int = 0
    there: int = 0
    repeated: int = 0
    edited: int = 0
    duplicates: int = 0
    pending: int = 0
    sets: int = 0
    ready: list[int] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unfinished: int = 0
    bytes: int = 0


def folders_of(found: Import, endings: tuple[str, ...], progress: Progress | None = None) -> list[Folder]:
    """
    Return the photos to upload by their folders, each with what is known better than its file says.

    Parameters
    ----------
    found
        What was found; photos that cannot be uploaded are added to its failures. Its photos without a description
        are included, if they have position and time.
    endings
        Endings of names that the service accepts.
    progress
        Where progress is shown.

    Raises
    ------
    InputError
        If images are marked as private: the service shows all pictures.
    """
    from mlygeo.readers.photos import read_photos

    private = sum(sequence.private for sequence in found.sequences)
    if private:
        raise InputError(
            f"{private:,} {'image is' if private == 1 else 'images are'} marked as private, and this service "
            "publishes all that it gets",
            hint="process them without `private`, or upload only the others",
        )
    described = [(photo, sequence.name) for sequence in found.sequences for photo in sequence.photos]
    paths = [photo.path for photo, _ in described] + found.plain
    if not paths:
        return []
    own = read_photos(paths, progress=progress)
    said = {str(row["path"]): row for row in _rows(own)}
    known = {} if found.images is None else {str(row["path"]): row for row in _rows(found.images)}
    photos = [
        FolderPhoto(
            photo, _better(known.get(photo.path, {}), said.get(photo.path, {})), name,
            known.get(photo.path, {}).get("heading_derived") is True,
        )
        for photo, name in described
    ]  # fmt: skip
    _say_headings(photos, known)
    for path in found.plain:
        if (reason := _unusable(said.get(path))) is not None:
            found.failed[path] = reason
        else:
            photos.append(FolderPhoto(Photo(path, os.stat(path).st_size)))  # noqa: PTH116 - many paths
    found.skipped["not processed"] = 0
    groups: dict[str, list[FolderPhoto]] = {}
    for one in photos:
        if not one.photo.path.lower().endswith(endings):
            found.failed[one.photo.path] = f"its name does not end in {' or '.join(endings)}"
            continue
        groups.setdefault(os.path.dirname(one.photo.path), []).append(one)  # noqa: PTH120 - many paths
    looks = _relative_headings(found.images)
    for path in [path for path, group in groups.items() if not all(one.heading_derived for one in group)]:
        if (angle := looks.pop(path, None)) is not None:
            # A set has one angle for all its headings, those that were measured included.
            log.warning(
                "%s: headings that were derived at %d° from the direction of travel are derived by the service without "
                "this angle, since other photos of the folder have measured ones", short(path), angle,
            )  # fmt: skip
    return [Folder(path, tuple(group), looks.get(path)) for path, group in groups.items()]


def title_of(folder: str) -> str:
    """Return the title of a folder's set, which everybody can see: its name, and nothing of the folders above."""
    return os.path.basename(folder)[:200] or "photos"  # noqa: PTH119 - a str


def content_of(photo: Photo, *, heading_derived: bool = False) -> tuple[bytes, bytes]:
    """
    Return the content of a photo, and the bytes to send.

    They differ if the image description inside names the owner, or private matters: those stay here. So does its
    heading if that was derived, for the service would take it as measured.

    Raises
    ------
    FormatError
        If it is not a JPEG, or its metadata is damaged where it has to be changed.
    InputError
        If it is marked as private.
    """
    content = Path(photo.path).read_bytes()
    if not content.startswith(b"\xff\xd8"):
        raise FormatError("it is not a JPEG")
    inside = descriptions().inside(io.BytesIO(content))
    if inside is None:
        return content, content
    if inside.get("MAPPrivate"):
        raise InputError("it is marked as private inside")
    public, owner = descriptions().parted(inside)
    if heading_derived:
        public = descriptions().without_heading(public)
        owner |= {name: value for name, value in inside.items() if name not in public}
    return content, insert(content, description_tags({}, description=public)) if owner else content


class SetUpload:
    """
    Uploads folders as sets; used once.

    Parameters
    ----------
    uploads
        A session with the service.
    provider
        Name of the provider.
    ledger
        The history.
    locks
        Locks that exclude other runs from the same photos.
    stop
        Event that ends the run.
    threads
        Photos that are sent at once.
    bar
        The progress bar, in megabytes.
    user_key
        The owner of the token.
    reupload
        Upload also files that were uploaded before.
    manual_done
        Complete no set.
    blurred
        Whether faces and number plates are blurred already.
    wait_s
        Seconds without progress after which a set is left to the service; by default 15 minutes.
    """

    def __init__(
        self,
        *,
        uploads: UploadSetSession,
        provider: str,
        ledger: UploadLedger,
        locks: NameLocks,
        stop: threading.Event,
        threads: int,
        bar: Bar,
        user_key: str | None,
        reupload: bool = False,
        manual_done: bool = False,
        blurred: bool = False,
        wait_s: float | None = None,
    ) -> None:
        self._uploads, self._provider, self._ledger, self._locks = uploads, provider, ledger, locks
        self._stop, self._threads, self._bar, self._user = stop, threads, bar, user_key
        self._reupload, self._manual, self._blurred = reupload, manual_done, blurred
        self._wait_s = WAIT_S if wait_s is None else wait_s
        self.outcome = Outcome()
        self._lock = threading.Lock()
        self._claims = Claims()
        self._open: dict[int, OpenSet] = {}

    def send(self, folders: Iterable[Folder]) -> list[OpenSet]:
        """
        Send the photos of folders, and complete their sets; return the sets to wait for.

        Raises
        ------
        TokenRejectedError, ThrottledError, NetworkError
            If the service refuses the token or the address, or cannot be reached.
        """
        waiting: dict[int, OpenSet] = {}
        try:
            for folder in folders:
                with self._locks.of(PHOTOS):
                    self._open = {one.number: one for one in self._ledger.open_sets(self._user)}
                    for one in self._folder(folder):
                        waiting[one.number] = one
        except BaseException:
            self._stop.set()  # sending threads stop with their next piece
            raise
        return list(waiting.values())

    def wait(
        self,
        sets: Iterable[OpenSet],
        bar: Bar,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """
        Wait until the service has processed sets, and record what became of their photos.

        Parameters
        ----------
        sets
            The sets, completed.
        bar
            The progress bar, in pictures.
        clock, sleep
            Seconds that only grow; waits so many seconds.
        """
        left = {one.number: one for one in sets}
        settled: Counter[int] = Counter()
        sleep = sleep or self._stop.wait
        since, wait = clock(), FIRST_WAIT_S
        while left:
            for one in list(left.values()):
                try:
                    state = self._uploads.state(one.set_id)
                    if state.is_ready:
                        self._settle(one, state)
                except GoneError as error:
                    self._dropped(one, error)
                else:
                    bar.advance(max(0, state.settled - settled[one.number]))
                    if state.settled > settled[one.number] or state.is_ready:
                        since, wait = clock(), FIRST_WAIT_S
                        settled[one.number] = state.settled
                    if not state.is_ready:
                        continue
                del left[one.number]
            if left and clock() - since > self._wait_s:
                for one in left.values():
                    self._left(one)
                return
            if left:
                sleep(wait)
                wait = min(LONGEST_WAIT_S, wait * 1.5)
                if self._stop.is_set():
                    raise StoppedError

    def _folder(self, folder: Folder) -> list[OpenSet]:
        """Send the missing photos of a folder; return the sets that its photos are in, completed."""
        sets: dict[int, OpenSet] = {}
        facts = [self._facts(one) for one in folder.photos]
        todo = [one for one in facts if one is not None and self._is_missing(one, sets)]
        if todo:
            self._send_to(self._set_for(folder, sets), todo, sets, folder.relative_heading)
        return [self._completed(one) for one in sets.values()]

    def _facts(self, one: FolderPhoto) -> _Facts | None:
        """Return what has to be known of a photo before it is sent; None if it cannot be uploaded."""
        share = Share(self._bar, one.photo.size)
        try:
            content, body = content_of(one.photo, heading_derived=one.heading_derived)
            identity = known_by(content, one.photo.description, one.photo.recorded)
        except (OSError, FormatError, InputError) as error:
            self._failed(one, getattr(error, "strerror", None) or str(error), share)
            return None
        return _Facts(one, digest(content), digest(body), identity, share)

    def _is_missing(self, facts: _Facts, sets: dict[int, OpenSet]) -> bool:
        """Return whether a photo has to be sent; note the set that has it, and count it, if not."""
        path = facts.path
        if not self._claims.take(facts.identity, path):
            self.outcome.repeated += 1
        elif (known := self._ledger.find(md5=facts.md5, identity=facts.identity, path=path)) is None:
            return True
        elif known.status in {"done", "rejected"} and not self._reupload:
            self.outcome.edited += known.is_edited
            self.outcome.duplicates += known.status == "rejected"
            self.outcome.there += known.status == "done" and not known.is_edited
        elif known.upload in self._open:
            # The set itself says whether it has the photo.
            sets[known.upload] = self._open[known.upload]
            return True
        else:
            return True
        facts.share.skip()
        return False

    def _set_for(self, folder: Folder, sets: Mapping[int, OpenSet]) -> OpenSet | None:
        """Return the unfinished set of a folder, if there is one: that of its name, else that of its photos."""
        named = [one for one in self._open.values() if one.name == folder.path]
        return next(iter([*named, *sets.values()]), None) or self._opened(folder)

    def _opened(self, folder: Folder) -> OpenSet:
        return self._ledger.open_set(folder.path, uuid.uuid4().hex, provider=self._provider, user_key=self._user)

    def _send_to(
        self, chosen: OpenSet | None, todo: list[_Facts], sets: dict[int, OpenSet], relative_heading: int | None
    ) -> None:
        """Send photos to a set, which is created, or found, unless it is known."""
        while chosen is not None:
            try:
                chosen, there = self._created(chosen, relative_heading)
                break
            except GoneError as error:
                self._dropped(chosen, error)
                sets.pop(chosen.number, None)
                chosen = self._ledger.open_set(
                    chosen.name, uuid.uuid4().hex, provider=self._provider, user_key=self._user
                )
        if chosen is None:
            return
        sets[chosen.number] = self._open[chosen.number] = chosen
        others = {number: self._md5s(one) for number, one in sets.items() if number != chosen.number}
        missing = []
        for facts in todo:
            place = next((number for number, md5s in others.items() if facts.upload_md5 in md5s), None)
            listed = there.get(facts.upload_md5)
            # What was rejected for its metadata may have other ones now.
            if listed is not None and (listed.rejected is None or listed.is_duplicate):
                self._note(chosen, facts, listed)
            elif place is not None:
                self._note(sets[place], facts, others[place][facts.upload_md5])
            else:
                missing.append(facts)
        pool = WorkerPool[_Facts, None](
            lambda facts: self._photo(chosen, facts, sets), workers=max(1, min(self._threads, len(missing))),
            name="upload",
        )  # fmt: skip
        for _, result in pool.results(missing):
            if isinstance(result, Exception):
                raise result

    def _created(self, one: OpenSet, relative_heading: int | None) -> tuple[OpenSet, dict[str, SetFile]]:
        """Return a set with its id, and the files that it has, by their MD5."""
        if one.set_id:
            return one, self._files(one)
        set_id = self._uploads.find(one.marker) or self._uploads.create(
            title_of(one.name), marker=one.marker, relative_heading=relative_heading
        )
        self._ledger.set_created(one.number, set_id)
        one = replace(one, set_id=set_id)
        return one, self._files(one)

    def _files(self, one: OpenSet) -> dict[str, SetFile]:
        return {file.md5: file for file in self._uploads.files(one.set_id) if file.md5 is not None}

    def _md5s(self, one: OpenSet) -> dict[str, SetFile]:
        try:
            return self._files(one) if one.set_id else {}
        except GoneError:
            return {}

    def _photo(self, one: OpenSet, facts: _Facts, sets: dict[int, OpenSet]) -> None:
        """Send one photo."""
        name = os.path.basename(facts.path)  # noqa: PTH119 - a str
        try:
            body = _unchanged(facts)
            sent = self._uploads.send(
                one.set_id, body, name=name, picture_id=str(uuid.uuid5(uuid.UUID(one.marker), facts.upload_md5)),
                better=facts.one.better, blurred=self._blurred, what=name,
            )  # fmt: skip
        except (*FATAL, StoppedError, GoneError):
            raise
        except ServiceError as error:
            self._failed(facts.one, str(error), facts.share)
            return
        except (OSError, FormatError, InputError) as error:
            self._failed(facts.one, getattr(error, "strerror", None) or str(error), facts.share)
            return
        with self._lock:
            ours = next((each for each in self._open.values() if each.set_id and each.set_id in sent.elsewhere), None)
            if ours is not None and ours.number != one.number:
                sets[ours.number] = ours
        if ours is not None and ours.number != one.number:
            self._record(ours, facts, None)
            self._count(images=1)
            facts.share.at(facts.one.photo.size)
            return
        self._note(one, facts, sent)
        with self._lock:
            self.outcome.bytes += len(body)

    def _note(self, one: OpenSet, facts: _Facts, file: SetFile) -> None:
        """Record what the service has of a photo, or why it does not take it."""
        facts.share.at(facts.one.photo.size)
        if file.rejected is None:
            self._record(one, facts, file.picture_id)
            self._count(images=1)
        elif file.is_duplicate:
            self._rejected(facts, file.rejected)
        else:
            self._failed(facts.one, file.rejected, facts.share)

    def _record(self, one: OpenSet, facts: _Facts, picture_id: str | None) -> None:
        self._ledger.sent_to_set(
            one.number, path=facts.path, md5=facts.md5, upload_md5=facts.upload_md5, size=facts.one.photo.size,
            provider=self._provider, picture_id=picture_id, sequence_id=facts.one.sequence, identity=facts.identity,
        )  # fmt: skip

    def _rejected(self, facts: _Facts, reason: str) -> None:
        log.info("%s: %s", os.path.basename(facts.path), reason)  # noqa: PTH119 - a str
        self._ledger.rejected(
            path=facts.path, md5=facts.md5, size=facts.one.photo.size, reason=reason, provider=self._provider,
            sequence_id=facts.one.sequence, identity=facts.identity,
        )  # fmt: skip
        self._count(duplicates=1)

    def _failed(self, one: FolderPhoto, reason: str, share: Share) -> None:
        share.skip()
        with self._lock:
            self.outcome.failed[one.photo.path] = reason
        log.warning("%s: %s", os.path.basename(one.photo.path), reason)  # noqa: PTH119 - a str
        self._ledger.failed(
            path=one.photo.path, kind="image", reason=reason, sequence_id=one.sequence, provider=self._provider
        )

    def _count(self, **numbers: int) -> None:
        with self._lock:
            for name, number in numbers.items():
                setattr(self.outcome, name, getattr(self.outcome, name) + number)

    def _completed(self, one: OpenSet) -> OpenSet:
        """Complete a set, unless that is left to the user."""
        if self._manual:
            self.outcome.ready.append(one.number)
            return one
        self._ledger.set_complete(one.number)
        self._uploads.complete(one.set_id)
        return one

    def _settle(self, one: OpenSet, state: SetState) -> None:
        """Record what became of the photos of a set that the service is done with."""
        files = self._uploads.files(one.set_id)
        results: list[tuple[str, str, str | None]] = []
        for file in files:
            if file.md5 is None:
                continue
            if file.rejected is not None:
                results.append((file.md5, "rejected" if file.is_duplicate else "failed", file.rejected))
            elif state.broken and file.picture_id is not None and self._uploads.is_broken(file.picture_id):
                results.append((file.md5, "failed", "the service could not process the picture"))
        changed = self._ledger.set_done(one.number, results)
        for path, status, reason in changed:
            self.outcome.images -= 1
            self.outcome.duplicates += status == "rejected"
            if status == "failed":
                self.outcome.failed[path] = reason or "the service does not say why"
        self.outcome.sets += 1
        self.outcome.sequences += state.sequences
        log.info("%s: %d files, %d sequences", short(one.name), len(files), len(state.sequences))

    def _left(self, one: OpenSet) -> None:
        """Leave a set to the service, which is not done with it in time."""
        state = self._uploads.state(one.set_id)
        self.outcome.pending += state.pending
        self.outcome.unfinished += 1
        self.outcome.failed[one.name] = (
            f"the service still works on {state.pending:,} of its pictures after {self._wait_s / 60:,.0f} minutes "
            "without progress; they are there, and the same command goes on to wait for them"
        )

    def _dropped(self, one: OpenSet, error: ServiceError) -> None:
        log.warning("the upload set of %s is not there any more, and its photos are sent anew", short(one.name))
        self._ledger.dropped(one.number, str(error))
        self._open.pop(one.number, None)


class _Facts(NamedTuple):
    """What was read of a photo: the MD5 of the file and of what is sent, and what it is known by."""

    one: FolderPhoto
    md5: str
    upload_md5: str
    identity: Identity
    share: Share

    @property
    def path(self) -> str:
        """The file."""
        return self.one.photo.path


def _rows(images: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in images.to_dict("records")]


def _unchanged(facts: _Facts) -> bytes:
    """Return the bytes to send of a photo, which has to be the one that was looked at."""
    _, body = content_of(facts.one.photo, heading_derived=facts.one.heading_derived)
    if digest(body) != facts.upload_md5:
        raise FormatError("it was changed while it was uploaded; run the same command again")
    return body


def _unusable(row: Mapping[str, Any] | None) -> str | None:
    """Return why a photo without a description cannot be uploaded; None if it can."""
    from mlygeo import rows

    if row is None:
        return "it cannot be read"
    if (reason := rows.text_of(row, "error")) is not None:
        return reason
    lacks = ["position"] * (rows.position(row) is None) + ["time"] * (rows.time_ms(row) is None)
    return (
        f"it has no {' and no '.join(lacks)}; 'mlygeo process' gives {'both' if lacks[1:] else 'one'}"
        if lacks
        else None
    )


def _better(known: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a photo and differs from what its file says."""
    from mlygeo import rows

    better: dict[str, Any] = {}
    time_ms, place, own_place = rows.time_ms(known), rows.position(known), rows.position(own)
    if time_ms is not None and (time_ms != rows.time_ms(own) or rows.text_of(own, "time_source") not in SURE):
        time = rows.utc(time_ms)
        better |= {} if time is None else {"captured_at": local_time(time, place or own_place)}
    if place is not None and (own_place is None or np.abs(np.subtract(place, own_place)).max() > NEAR_DEGREES):
        better |= {"lon": place[0], "lat": place[1]}
    better |= _better_heading(known, rows.number(own, "compass_angle"))
    height, own_height = rows.altitude(known), rows.altitude(own)
    if height is not None and (own_height is None or abs(height - own_height) > NEAR_M):
        better["altitude"] = height
    accuracy, own_accuracy = rows.number(known, "gps_accuracy_m"), rows.number(own, "gps_accuracy_m")
    if accuracy is not None and (own_accuracy is None or abs(accuracy - own_accuracy) > NEAR_M):
        better["gps_accuracy_m"] = accuracy
    for name in ("make", "model"):
        if (text := rows.text_of(known, name)) is not None and text != rows.text_of(own, name):
            better[name] = text
    turned, own_turned = rows.number(known, "exif_orientation"), rows.number(own, "exif_orientation")
    if turned is not None and turned != (1 if own_turned is None else own_turned):
        better["exif_orientation"] = int(turned)
    return better


def _better_heading(known: Mapping[str, Any], own: float | None) -> dict[str, Any]:
    """
    Return the heading of a photo if the one in its file is another.

    One that was derived is left to the service, also where it replaced the one of the camera.
    """
    from mlygeo import rows

    heading = rows.number(known, "compass_angle")
    if heading is None:
        return {}
    if known.get("heading_derived") is True:
        return {} if own is None else {"compass_angle": None}
    return {} if own is not None and turn(heading, own) <= NEAR_ANGLE else {"compass_angle": heading % 360}


def _say_headings(photos: Iterable[FolderPhoto], known: Mapping[str, Mapping[str, Any]]) -> None:
    """Say which headings are left to the service, and which may not be measured."""
    derived = sum(one.heading_derived for one in photos)
    unsure = sum(
        one.better.get("compass_angle") is not None and known[one.photo.path].get("heading_derived") is not False
        for one in photos
    )
    if derived:
        log.info("%s derived from the direction of travel, and left to the service", counted(derived, "heading"))
    if unsure:
        log.warning(
            "%s as measured; nothing says whether the image descriptions have them from a compass",
            f"{counted(unsure, 'heading')} {'goes' if unsure == 1 else 'go'} up",
        )


def _relative_headings(images: gpd.GeoDataFrame | None) -> dict[str, int]:
    """
    Return where the camera looks in each folder, whole degrees clockwise from the direction of travel, if not forwards.

    It is the angle by which `process` turned the headings that it derived.
    """
    from mlygeo.spatial.sequences import interpolate_directions

    if images is None or "heading_derived" not in images:
        return {}
    derived = images[images["heading_derived"].fillna(value=False).astype(bool) & images["sequence_id"].notna()]
    if not len(derived):
        return {}
    travel = interpolate_directions(derived.assign(is_duplicate=False), overwrite=True)["compass_angle"]
    angles = short_way(derived["compass_angle"] - travel)
    looks = {}
    for folder, group in angles.groupby(derived["path"].map(os.path.dirname)):
        some = group.dropna().to_numpy()  # most of them: where a sequence was split, the last photo looks another way
        middle = 0.0 if not len(some) else _median_angle(some)
        if round(middle) and np.mean(turn(some, middle) <= ALIKE) > 0.5:
            looks[str(folder)] = round(middle)
    return looks


def _median_angle(angles: Any) -> float:
    """Return the median of angles that are near each other, -180 to 180 degrees."""
    around = np.median(short_way(angles - angles[0]))
    return float(short_way(angles[0] + around))
