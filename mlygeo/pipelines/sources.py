"""
Sources of times and positions as users name them: by name, or as the JSON objects of mapillary_tools.

Several can be named; a file takes the first that has its time and position.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mlygeo.errors import InputError
from mlygeo.readers.cameras import CAMERAS, FILE_TYPES, GeotagSource

if TYPE_CHECKING:
    from typing import TypeAlias

Sources: TypeAlias = "str | Mapping[str, object] | Source | Iterable[str | Mapping[str, object] | Source]"
"""What a call may name as sources; see `sources_named`."""

EXIFTOOL_XML, EXIFTOOL = "exiftool_xml", "exiftool_runtime"

ITSELF = frozenset({"exif", EXIFTOOL_XML, EXIFTOOL})
"""Sources that tell what a file says itself: there is no track to start with, or to be early or late on."""

NATIVE = "native"
"""What files say themselves: photos in EXIF and XMP, videos in their telemetry."""

ALIASES: dict[str, str] = {
    NATIVE: "exif",
    "exiftool": EXIFTOOL,
    **{
        name: camera.geotag_source
        for camera in CAMERAS.values()
        if camera.geotag_source is not None
        for name in camera.older_names
    },
}
"""Names of sources in today's mapillary_tools -> names here, which are those of 2019."""

KEYS = frozenset(
    {"source", "filetypes", "source_path", "pattern", "num_processes", "interpolation_offset_time",
     "interpolation_use_gpx_start_time"}
)  # fmt: skip
"""Keys of a source as a JSON object (mapillary_tools 0.14.7, geotag/options.py)."""


class Pattern(str):
    """
    The name of a source's file for each file: `%f` is the file's name, `%g` that without its ending, `%e` the ending.

    A relative one begins at the folder of the file.
    """

    __slots__ = ()

    def file_for(self, path: str | os.PathLike[str]) -> Path:
        """Return the source's file for a photo or video."""
        name = Path(path)
        text = self.replace("%f", name.name).replace("%g", name.stem).replace("%e", name.suffix)
        return Path(os.path.normpath(name.parent / Path(text).expanduser()))


@dataclass(frozen=True)
class Source:
    """
    A source of times and positions.

    Parameters
    ----------
    name
        Its name here.
    path
        Its file or folder, or a `Pattern`; None for that of the call.
    file_types
        Types of files that it is for; None for all.
    offset_time
        As `interpolation_offset_time` of a call; None for that.
    use_gps_start_time
        As in a call; None for that.
    """

    name: str
    path: str | None = None
    file_types: frozenset[str] | None = None
    offset_time: float | None = None
    use_gps_start_time: bool | None = None

    @property
    def for_photos(self) -> bool:
        """Whether it is for photos."""
        return self.file_types is None or "image" in self.file_types

    @property
    def for_videos(self) -> bool:
        """Whether it is for videos."""
        return self.file_types is None or bool(self.file_types - {"image", "zip"})


def sources_named(named: Sources | None, *, option: str = "geotag_source") -> tuple[Source, ...]:
    """
    Return the sources that a call names, in their order.

    Parameters
    ----------
    named
        A name; several with commas between; a JSON object of mapillary_tools, as text or as a mapping; or several
        of these.
    option
        The parameter, for errors.

    Raises
    ------
    InputError
        If a source has no such name, or an object other keys or values than mapillary_tools takes.
    """
    if named is None:
        return ()
    if isinstance(named, str):
        text = named.strip()
        if not text.startswith("{"):
            return tuple(Source(_name(word, option)) for word in text.split(","))
        try:
            named = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"`{option}` {text[:60]!r} is not a JSON object: {error}") from error
    if isinstance(named, Source):
        return (named,)
    if isinstance(named, Mapping):
        return (_of_object(named, option),)
    if not isinstance(named, Iterable):
        raise InputError(f"`{option}` names a source, not {repr(named)[:60]}")
    return tuple(source for each in named for source in sources_named(each, option=option))


def _of_object(given: Mapping[str, Any], option: str) -> Source:
    unknown = sorted(str(key) for key in given.keys() - KEYS)
    if unknown:
        raise InputError(f"a source in `{option}` has no key {unknown[0]!r}", hint=f"keys: {', '.join(sorted(KEYS))}")
    said = {key: value for key, value in given.items() if value is not None}

    def value(key: str, *kinds: type) -> Any:
        found = said.get(key)
        if found is not None and (not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds)):
            raise InputError(f"{key} of a source in `{option}` cannot be {found!r}")
        return found

    if not isinstance(said.get("source"), str):
        hint = 'such as {"source": "gpx", "source_path": "x.gpx"}'
        raise InputError(f"a source in `{option}` has no name", hint=hint)
    types = value("filetypes", list, tuple)
    if types is not None and (wrong := sorted({str(each) for each in types} - {*FILE_TYPES})):
        raise InputError(f"{wrong[0]!r} is not a type of file", hint=f"one of {', '.join(sorted(FILE_TYPES))}")
    value("num_processes", int)  # it changes nothing but the speed
    path, pattern = value("source_path", str, os.PathLike), value("pattern", str)
    return Source(
        _name(said["source"], option),
        Pattern(pattern) if path is None and pattern is not None else None if path is None else os.fspath(path),
        None if types is None else frozenset(map(str, types)),
        value("interpolation_offset_time", int, float),
        value("interpolation_use_gpx_start_time", bool),
    )


def _name(word: str, option: str) -> str:
    name = word.strip().replace("-", "_")
    name = ALIASES.get(name, name)
    if name not in (known := get_args(GeotagSource)):
        raise InputError(f"there is no source {word.strip()!r} (`{option}`)", hint=f"one of {', '.join(known)}")
    return name
