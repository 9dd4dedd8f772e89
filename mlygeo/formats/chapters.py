"""
Names of videos: their endings, and the recording that they are a chapter of.

Cameras cut a long recording into files of 4 GB or some minutes. GoPros write the time of the whole recording into
each of them. Names of GoPros: https://community.gopro.com/s/article/GoPro-Camera-File-Naming-Convention.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS = frozenset(
    {".mp4", ".mov", ".m4v", ".360", ".insv", ".lrv", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".3gp", ".3g2",
     ".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".mxf", ".dv"}
)  # fmt: skip
"""Endings of videos when a folder is searched."""

_GOPRO = re.compile(r"(G[HXSL])(\d\d)(\d{4})", re.IGNORECASE)
"""HERO6 and later, MAX: the chapter, from 1, and the number of the recording."""

_OLDER_FIRST = re.compile(r"GO(P)R(\d{4})|GP(FR|BK)(\d{4})", re.IGNORECASE)
"""The first chapter of HERO5 and earlier, and of either side of the Fusion."""

_OLDER_NEXT = re.compile(r"G([PFB])(\d\d)(\d{4})", re.IGNORECASE)
"""Their further chapters, from 1."""

_NUMBER = re.compile(r"\d+")

_SIDE = re.compile(r"(.*\d_?[A-Z]?)([FRI])")
"""Dashboard cameras name the videos of their front, rear and inner camera so: 20240505_100000_NF."""

_PROXY = re.compile(r"G(?:L(\d{6})|OPR(\d{4}))|LRV_(\w+)", re.IGNORECASE)


class Chapter(NamedTuple):
    """The recording that a name tells, and the place of the file in it, from 0."""

    recording: str
    number: int


def named_chapter(stem: str) -> Chapter | None:
    """
    Return the chapter that a name tells alone: that of a GoPro; None for other names.

    Parameters
    ----------
    stem
        The file's name, without its ending.
    """
    if (match := _GOPRO.fullmatch(stem)) is not None:
        return Chapter(f"{match[1].upper()}{match[3]}", int(match[2]) - 1)
    if (match := _OLDER_FIRST.fullmatch(stem)) is not None:
        return Chapter(f"G{(match[1] or match[3])[0].upper()}{match[2] or match[4]}", 0)
    if (match := _OLDER_NEXT.fullmatch(stem)) is not None:
        return Chapter(f"G{match[1].upper()}{match[3]}", int(match[2]))
    return None


def possible_chapters(stem: str) -> Iterator[Chapter]:
    """
    Yield each way to read a name as a recording and a number: `VID_20240505_100000_00_002` and the like.

    Whether they are chapters, the times in the files tell.

    Parameters
    ----------
    stem
        The file's name, without its ending.
    """
    for match in _NUMBER.finditer(stem):
        if len(match[0]) <= 6:
            yield Chapter(f"{stem[: match.start()]}#{stem[match.end() :]}", int(match[0]))


def are_sides(stem: str, other: str) -> bool:
    """
    Return whether two videos are those of two lenses of one dashboard camera, by their names.

    Parameters
    ----------
    stem, other
        The files' names, without their endings.
    """
    one, two = _SIDE.fullmatch(stem), _SIDE.fullmatch(other)
    return one is not None and two is not None and one[1] == two[1] and one[2] != two[2]


def original_of(stem: str) -> tuple[str, ...]:
    """
    Return the names that the original of a low-resolution copy may have: that of `GL010042.LRV` is `GX010042`.

    Parameters
    ----------
    stem
        The copy's name, without its ending.
    """
    match = _PROXY.fullmatch(stem)
    if match is None:
        return (stem,)
    if match[1] is not None:
        return tuple(f"{kind}{match[1]}" for kind in ("GH", "GX", "GS"))
    return (stem,) if match[2] is not None else (f"VID_{match[3]}",)
