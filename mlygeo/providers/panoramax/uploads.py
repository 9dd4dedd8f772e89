"""
Uploads to an instance: a folder becomes an upload set, which the instance cuts into sequences.

A set has a marker of ours in its metadata, and a picture an id that is made from the marker and the content; so what
was sent is found again, whatever answer was lost.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from urllib3.filepost import encode_multipart_formdata

from mlygeo.errors import FormatError, InputError, ServiceError
from mlygeo.net.answers import GoneError, NotFoundError, RefusedError, Trouble, parsed_json
from mlygeo.net.http import Client, Retry, StoppedError
from mlygeo.providers import Licence, Rules, SetFile, SetState, Terms
from mlygeo.providers.panoramax.answers import ConflictError
from mlygeo.providers.panoramax.service import EXAMPLE, Service, own

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    from mlygeo.net import http

Answer = TypeVar("Answer")

UPLOAD_RETRY = Retry(attempts=50, first_wait=2.0, longest_wait=16.0, rate_wait=10.0)
"""How failed uploads are tried again, unless a caller's service says otherwise."""

ENDINGS = (".jpg", ".jpeg")
"""Endings of the names that an instance accepts (geovisio, web/upload_set.py)."""

MARK = "mlygeo"
"""Key of our marker in the metadata of a set."""

MOST_SETS = 1_000
"""Sets of a user that are listed; more than that cannot be asked for."""

UNFINISHED = "dispatched = FALSE"
"""The sets that are listed: those that are not cut into sequences yet."""

DUPLICATES = frozenset({"capture_duplicate", "file_duplicate"})
"""Reasons of rejections that mean that the instance has the picture, or one like it."""

REASONS = {
    "capture_duplicate": "a duplicate: it shows the place and the heading of another picture",
    "file_duplicate": "a duplicate: the same file was uploaded before",
    "invalid_file": "not a JPEG that the instance can read",
    "invalid_metadata": "its metadata cannot be used",
    "in_excluded_area": "in an area that the instance excludes",
    "id_conflict": "its id is that of another picture",
    "other_error": "an error of the instance",
}
"""What reasons of rejections mean (geovisio, utils/upload_set.py)."""

RULES = Rules(split_distance_m=100, split_time_s=300, duplicate_distance_m=1, duplicate_angle=60)
"""The rules of geovisio 2.15 where an instance does not name others."""

PIECE = 1 << 16
"""Bytes sent at once: a piece has to get through within the time-out of one write."""

SLOWEST, SHORTEST_TIMEOUT_S = 50_000, 60.0
"""Bytes a second from which the time-out of an answer is computed, and the shortest time-out."""

LONGEST_ANSWER = 64 << 20
"""Bytes of an answer; a file of a set has some 400 in the list of a set."""

LONGEST_REASON = 300

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class UploadSets(Client):
    """
    Uploads folders as sets, from several threads at once; see `mlygeo.providers.UploadSetSession`.

    The parameters are those of `mlygeo.net.http.Client`; the service has the token of a user.
    """

    _service: Service

    def find(self, marker: str) -> str | None:
        """Return the id of the user's set with this marker; None for none."""
        query = f"limit={MOST_SETS}&filter={quote(UNFINISHED)}"
        listed = self._call("GET", f"/users/me/upload_sets?{query}", what="the list of upload sets", read=_sets)
        return next((_uuid(one.get("id")) for one in listed if _marker(one) == marker), None)

    def create(self, title: str, *, marker: str, relative_heading: int | None = None) -> str:
        """Create a set with a marker in its metadata; return its id. What was created already is found."""
        asked = False
        wanted: dict[str, Any] = {"title": title, "metadata": {MARK: marker}}
        if relative_heading is not None:
            wanted["relative_heading"] = relative_heading

        def once() -> str | Trouble:
            nonlocal asked
            # The answer to the first try may be all that was lost.
            if asked and (there := self.find(marker)) is not None:
                return there
            asked = True
            headers = {"Content-Type": "application/json"}
            body = json.dumps(wanted).encode()
            return self._once("POST", "/upload_sets", what="a new upload set", read=_id, headers=headers, body=body)

        return self._persist(once, what="a new upload set")

    def files(self, set_id: str) -> list[SetFile]:
        """Return the files of a set."""
        return self._call("GET", f"/upload_sets/{_uuid(set_id)}/files", what="the files of an upload set", read=_files)

    def send(
        self,
        set_id: str,
        content: bytes,
        *,
        name: str,
        picture_id: str,
        better: Mapping[str, Any],
        blurred: bool,
        what: str,
    ) -> SetFile:
        """Send a picture to a set; return what became of it."""
        fields = {**overrides(better), "isBlurred": "true" if blurred else "false"}
        try:
            return self._send(set_id, content, name, {**fields, "picture_id": picture_id}, what)
        except ConflictError as error:
            refused = error
        if _existing(refused.body) is None and not refused.body.get("upload_sets") and refused.is_conflict:
            # Another picture has this id: one that was sent before, and deleted since.
            try:
                return self._send(set_id, content, name, fields, what)
            except ConflictError as error:
                refused = error
        return self._settled(set_id, refused, name=name, picture_id=picture_id, content=content, what=what)

    def complete(self, set_id: str) -> None:
        """
        Say that all files of a set were sent; once, if only the answer was lost.

        Said again at the moment when an instance begins to cut the set, its own work and the request wait for each
        other (geovisio 2.15: for five minutes, and longer for each repetition).
        """
        path, what = f"/upload_sets/{_uuid(set_id)}", "completing an upload set"
        asked = False

        def once() -> bool | Trouble:
            nonlocal asked
            if asked and (known := self._once("GET", path, what=what, read=_is_complete)) is not False:
                return known
            asked = True
            made = self._once("POST", f"{path}/complete", what=what, read=_id)
            return made if isinstance(made, Trouble) else True

        self._persist(once, what=what)

    def state(self, set_id: str) -> SetState:
        """Return how far the instance is with a set."""
        return self._call("GET", f"/upload_sets/{_uuid(set_id)}", what="the state of an upload set", read=_state)

    def is_broken(self, picture_id: str) -> bool:
        """Return whether the instance could not process a picture: it then answers 500 for it, with its item."""
        path = f"{self._service.endpoints.api}/pictures/{_uuid(picture_id)}"
        came = self._ask("GET", path, what="a picture", headers=self._authorization(path), longest=LONGEST_ANSWER)
        if isinstance(came, Trouble) or came[0] != 500:
            return False
        try:
            said = parsed_json(came[2]).get("properties")
        except FormatError:
            return False
        return isinstance(said, dict) and said.get("geovisio:status") == "broken"

    def _send(self, set_id: str, content: bytes, name: str, fields: Mapping[str, str], what: str) -> SetFile:
        body, kind = encode_multipart_formdata([*fields.items(), ("file", (name, content, "image/jpeg"))])
        return self._call(
            "POST", f"/upload_sets/{_uuid(set_id)}/files", what=what, read=_file, headers={"Content-Type": kind},
            body=body,
        )  # fmt: skip

    def _settled(
        self, set_id: str, refused: ConflictError, *, name: str, picture_id: str, content: bytes, what: str
    ) -> SetFile:
        """Return what became of a picture that was refused."""
        import hashlib

        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        existing = _existing(refused.body)
        if existing == picture_id:
            return SetFile(name, md5, picture_id)
        listed = self.files(set_id)
        mine = next((one for one in listed if one.name == name), None)
        if mine is not None and mine.md5 in (md5, None):
            return mine
        others = refused.body.get("upload_sets")
        if others:
            elsewhere = tuple(str(one.get("upload_set_id")) for one in others if isinstance(one, dict))
            return SetFile(name, md5, None, REASONS["file_duplicate"], is_duplicate=True, elsewhere=elsewhere)
        if any(one.md5 == md5 for one in listed):
            return SetFile(name, md5, None, "a duplicate: the set has the same file by another name", is_duplicate=True)
        if existing is not None:
            raise RefusedError(
                f"{what}: the upload set has another picture of this name",
                hint="the file was changed since it was sent; give it another name",
            )
        if not refused.is_conflict:
            return SetFile(name, md5, None, str(refused)[:LONGEST_REASON])
        raise refused

    def _call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        what: str,
        read: Callable[[dict[str, Any]], Answer],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Make a request with the user's token, until it succeeds or fails for good; return what is read from it."""
        return self._persist(
            lambda: self._once(method, path, what=what, read=read, headers=headers, body=body), what=what
        )

    def _once(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        what: str,
        read: Callable[[dict[str, Any]], Answer],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer | Trouble:
        url = f"{self._service.endpoints.api}{path}"
        size = len(body or b"")
        pieces: Any = b"" if method == "POST" else None
        if body is not None:
            pieces = _Pieces(body, self._stop)
        came = self._ask(
            method, url, what=what, headers={**self._authorization(url), **(headers or {})}, longest=LONGEST_ANSWER,
            body=pieces, sending_s=2 * size / SLOWEST,
            # While bytes go out, the first of these is what holds for each piece.
            timeout=(max(self._service.connect_timeout, SHORTEST_TIMEOUT_S if size else 0),
                     max(SHORTEST_TIMEOUT_S, size / SLOWEST)),
        )  # fmt: skip
        if isinstance(came, Trouble):
            return came
        status, sent, content = came
        trouble = self._service.judge(status, sent, content, what=what, now=self._wall_clock())
        if trouble is None:
            try:
                return read(parsed_json(content))
            except FormatError as error:
                trouble = Trouble(ServiceError(f"{what}: {error}", hint="try again later"), "again")
        elif isinstance(trouble.error, ConflictError):
            trouble.error.is_conflict = status == 409
            return trouble
        return self._without_token(trouble)


class Uploads:
    """Uploads to instances; see `mlygeo.providers.UploadSets`."""

    retry = UPLOAD_RETRY
    rules = RULES
    endings: tuple[str, ...] = ENDINGS

    def open(self, service: http.Service, *, connections: int, stop: threading.Event) -> UploadSets:
        """Return a session."""
        return UploadSets(own(service), connections=connections, stop=stop)

    def terms(self, service: http.Service) -> Terms:
        """Return what an instance says of uploads to it."""
        return terms_of(own(service))

    def place(self, service: http.Service) -> str:
        """Return the name of an instance in the history of uploads: the address of its API."""
        return own(service).endpoints.api


def terms_of(service: Service) -> Terms:
    """
    Return what an instance says of uploads to it; see `mlygeo.providers.UploadSets.terms`.

    Parameters
    ----------
    service
        The instance.

    Raises
    ------
    InputError
        If it is the catalogue of all instances, or another server that takes no uploads.
    """
    hint = f"give `endpoint`: the address of an instance, such as {EXAMPLE}"
    if service.endpoints.is_catalogue:
        raise InputError("the catalogue of all instances takes no uploads", hint=hint)
    try:
        with Client(service) as client:
            content = client.get(
                f"{service.endpoints.api}/configuration", what="the configuration of the instance", check=parsed_json
            )
    except (GoneError, NotFoundError) as error:
        raise InputError(
            f"{service.endpoints.host} is not an instance that takes uploads ({error})", hint=hint
        ) from None
    said = parsed_json(content)
    called, licence, rules = (said.get(name) for name in ("name", "license", "defaults"))
    label = called.get("label") if isinstance(called, dict) else None
    named = licence.get("id") if isinstance(licence, dict) else None
    url = licence.get("url") if isinstance(licence, dict) else None
    return Terms(
        name=str(label) if label else service.endpoints.host,
        licence=Licence(named, url if isinstance(url, str) else None) if isinstance(named, str) and named else None,
        rules=_rules(rules if isinstance(rules, dict) else {}),
    )


def overrides(better: Mapping[str, Any]) -> dict[str, str]:
    """
    Return the fields of a request for what is known better than a file says.

    Parameters
    ----------
    better
        By columns of an images frame; see `mlygeo.providers.UploadSetSession.send`.

    Examples
    --------
    >>> overrides({"captured_at": datetime(2024, 6, 10, 6, 13, 20, 123000, tzinfo=UTC), "compass_angle": 12.5})
    {'override_capture_time': '2024-06-10T06:13:20.123000+00:00', 'override_Exif.GPSInfo.GPSImgDirection': '1250/100', \
'override_Exif.GPSInfo.GPSImgDirectionRef': 'T'}
    """
    fields: dict[str, str] = {}
    if "captured_at" in better:
        fields["override_capture_time"] = _moment(better["captured_at"]).isoformat(timespec="microseconds")
    if "lon" in better and "lat" in better:
        fields |= {"override_latitude": f"{better['lat']:.9f}", "override_longitude": f"{better['lon']:.9f}"}
    exif: dict[str, str] = {}
    if "compass_angle" in better:
        heading = better["compass_angle"]
        # The instance takes a tag without a value as missing.
        known = "" if heading is None else _ratio(heading % 360)
        exif |= {"GPSInfo.GPSImgDirection": known, "GPSInfo.GPSImgDirectionRef": "T"}
    if "altitude" in better:
        below = better["altitude"] < 0
        exif |= {
            "GPSInfo.GPSAltitude": _ratio(abs(better["altitude"])),
            "GPSInfo.GPSAltitudeRef": "1" if below else "0",
        }
    if "gps_accuracy_m" in better:
        exif["GPSInfo.GPSHPositioningError"] = _ratio(better["gps_accuracy_m"])
    for column, tag in (("make", "Make"), ("model", "Model"), ("exif_orientation", "Orientation")):
        if column in better:
            exif[f"Image.{tag}"] = str(better[column])
    return fields | {f"override_Exif.{name}": value for name, value in exif.items()}


class _Pieces:
    """A body that is sent piece by piece, of a known length, until the work is called off."""

    def __init__(self, body: bytes, stop: threading.Event) -> None:
        self._body, self._stop = body, stop

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        for place in range(0, len(self._body), PIECE):
            if self._stop.is_set():
                raise StoppedError
            yield self._body[place : place + PIECE]


def _moment(time: datetime) -> datetime:
    """
    Return a time as an instance takes it.

    It writes offsets west of Greenwich that are no whole hours one hour too far west (geopic-tag-reader 1.10,
    writer.py, format_offset), so those times are in UTC.
    """
    offset = time.utcoffset() or timedelta()
    return time.astimezone(UTC) if offset < timedelta() and offset % timedelta(hours=1) else time


def _ratio(value: float) -> str:
    return f"{round(value * 100)}/100"


def _rules(said: Mapping[str, Any]) -> Rules:
    def number(name: str, default: float) -> float:
        value = said.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            return default
        return float(value)

    return Rules(
        split_distance_m=number("split_distance", RULES.split_distance_m),
        split_time_s=number("split_time", RULES.split_time_s),
        duplicate_distance_m=number("duplicate_distance", RULES.duplicate_distance_m),
        duplicate_angle=number("duplicate_rotation", RULES.duplicate_angle),
    )


def _uuid(value: Any) -> str:
    """Return an id as the service writes it; anything else would be a path of its own."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise FormatError("the answer has no id")
    return value.lower()


def _id(answer: dict[str, Any]) -> str:
    return _uuid(answer.get("id"))


def _existing(body: Mapping[str, Any]) -> str | None:
    item = body.get("existing_item")
    found = item.get("id") if isinstance(item, dict) else None
    return found.lower() if isinstance(found, str) else None


def _sets(answer: dict[str, Any]) -> list[dict[str, Any]]:
    listed = answer.get("upload_sets")
    if not isinstance(listed, list):
        raise FormatError("the answer has no list of upload sets")
    return [one for one in listed if isinstance(one, dict)]


def _marker(one: Mapping[str, Any]) -> str | None:
    said = one.get("metadata")
    marker = said.get(MARK) if isinstance(said, dict) else None
    return marker if isinstance(marker, str) else None


def _files(answer: dict[str, Any]) -> list[SetFile]:
    listed = answer.get("files")
    if not isinstance(listed, list):
        raise FormatError("the answer has no list of files")
    return [_file(one) for one in listed]


def _file(one: Any) -> SetFile:
    name = one.get("file_name") if isinstance(one, dict) else None
    if not isinstance(name, str):
        raise FormatError("the answer has no name of a file")
    md5, picture = one.get("content_md5"), one.get("picture_id")
    refused = one.get("rejected")
    reason: str | None = None
    code = None
    if isinstance(refused, dict):
        code = refused.get("reason")
        said = " ".join(str(refused.get("message") or "").split())
        reason = REASONS.get(str(code), str(code))
        reason = reason if code in DUPLICATES or not said else f"{reason}: {said}"
    return SetFile(
        name, md5.replace("-", "").lower() if isinstance(md5, str) else None,
        None if picture is None or reason is not None else _uuid(picture),
        None if reason is None else reason[:LONGEST_REASON], is_duplicate=code in DUPLICATES,
    )  # fmt: skip


def _is_complete(answer: dict[str, Any]) -> bool:
    return answer.get("completed") is True


def _state(answer: dict[str, Any]) -> SetState:
    if not isinstance(answer.get("ready"), bool):
        raise FormatError("the answer does not say whether the upload set is ready")
    said = answer.get("items_status")
    counts = {name: value for name, value in said.items() if isinstance(value, int)} if isinstance(said, dict) else {}
    made = answer.get("associated_collections")
    broken = counts.get("broken", 0)
    return SetState(
        answer["ready"], counts.get("prepared", 0) + broken, counts.get("not_processed", 0), broken,
        tuple(_uuid(one.get("id")) for one in made if isinstance(one, dict)) if isinstance(made, list) else (),
    )  # fmt: skip
