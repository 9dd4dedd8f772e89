"""Files of pictures -> what their pixels tell, a row for each, in several processes."""

from __future__ import annotations

import logging
import os
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.errors import FileError, MlygeoError
from mlygeo.formats.exif import TABLE
from mlygeo.measuring import hashes, pixels
from mlygeo.processes import Processes
from mlygeo.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mlygeo.arrays import Flags, Floats
    from mlygeo.measuring.kept import Kept

log = logging.getLogger("mlygeo.measuring")

SIDE = 1024
"""Longest side, pixels, to which pictures are reduced before they are measured, unless all pixels are wanted."""

CONTRAST_THRESHOLD = 0.35
"""percept-vsvi-filter accepts pictures of a score above this (`filter_output.py --contrast-threshold`)."""

TONE_FLOOR = 0.8
"""Tone above this adds to contrast in that score (`--tone-mapping-floor`)."""

CHUNK = 16
"""Pictures that a process measures at a time: a second of work."""

ROUND = 1024
"""Pictures that are handed out together, and kept: half a minute of one process, whose tasks have the paths of all."""

MOST_WORKERS = 8
"""Most processes by default."""

_ORIENTATION = TABLE["Orientation"].number

NO_FILE = "there is no such file"

NO_PICTURE = "not a picture that can be decoded"

TOO_DEEP = "the picture has more than 8 bits a pixel and colour"

_DEEP = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
"""Modes of Pillow for grey pictures whose values would be cut off at 255."""


class Measured(NamedTuple):
    """
    What was measured of a picture; see `mlygeo.measuring.pixels`.

    Parameters
    ----------
    blur, contrast, tone, brightness, dark_share
        Of its pixels.
    phash
        Its perceptual hash.
    measured_width, measured_height
        Pixels of what was measured.
    picture_error
        Why nothing was; None where all was.
    """

    blur: float
    contrast: float
    tone: float
    brightness: float
    dark_share: float
    phash: str | None
    measured_width: int | None
    measured_height: int | None
    picture_error: str | None


def failed(reason: str | None) -> Measured:
    """Return the row of a picture that could not be measured."""
    unknown = float("nan")
    return Measured(unknown, unknown, unknown, unknown, unknown, None, None, None, reason)


def measure_picture(path: str, side: int | None = SIDE) -> Measured:
    """
    Measure a picture; what is wrong with its file is a row with `picture_error`.

    Parameters
    ----------
    path
        Its file, of any format that Pillow reads.
    side
        Pixels of the longest side to which larger ones are reduced: JPEG by the decoder, which saves most of its
        work, and then by the mean of areas. None measures all pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Of tags that are damaged, and of large panoramas, which are no bombs; twice that size is refused.
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                orientation = opened.getexif().get(_ORIENTATION, 1)
                longest = max(opened.size)
                size = opened.size
                if opened.mode in _DEEP:
                    return failed(TOO_DEEP)
                if side is not None and longest > side:
                    width, height = (max(1, round(each * side / longest)) for each in opened.size)
                    size = width, height
                    opened.draft("RGB", size)
                picture = opened.convert("RGB")
                if picture.size != size:
                    picture = picture.resize(size, Image.Resampling.BOX)
        found = pixels.measure(np.asarray(picture))
        shown = hashes.phash(picture, orientation)
    except FileNotFoundError:
        return failed(NO_FILE)
    except UnidentifiedImageError:
        return failed(NO_PICTURE)
    except (*_REFUSALS, Image.DecompressionBombError) as error:
        return failed(_reason(error))
    return Measured(
        found.blur, found.contrast, found.tone, found.brightness, found.dark_share, shown, *picture.size, None
    )


_REFUSALS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
    ZeroDivisionError, MemoryError, RuntimeError,
)  # fmt: skip
"""Errors of Pillow's plug-ins for damaged files."""


def _reason(error: Exception) -> str:
    """Return why a picture could not be measured, in one line."""
    said = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
    if "truncated" in said:
        return "the picture is cut off"
    return f"{NO_PICTURE} ({said or type(error).__name__})"


def default_workers(pictures: int) -> int:
    """Return how many processes measure so many pictures."""
    return max(1, min(os.cpu_count() or 1, MOST_WORKERS, pictures // (4 * CHUNK)))


def measure(
    paths: Sequence[str | None],
    *,
    side: int | None = SIDE,
    kept: Kept | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """
    Measure pictures.

    Parameters
    ----------
    paths
        Their files; None for rows without a picture.
    side
        Pixels of the longest side to which larger ones are reduced, see `measure_picture`.
    kept
        What was measured before with this side; what is new is added to it, round by round.
    workers
        How many processes; by default as many as there are processors, at most eight, and one for few pictures.
    progress
        Where progress is shown.

    Returns
    -------
    measured
        A row for each path, with the fields of `Measured`: numbers are float64, NaN where nothing was measured, sizes
        Int64, and texts str. `attrs["measured_before"]` counts the paths whose values `kept` had.

    Raises
    ------
    FileError
        If a picture ends the process that reads it again and again.
    """
    import pandas as pd

    rows = [failed(None)] * len(paths)
    places = []
    before = 0
    for place, path in enumerate(paths):
        if path is not None and (known := None if kept is None else kept.known(path)) is not None:
            rows[place] = failed(None)._replace(**known)
            before += 1
        elif path is not None:
            places.append(place)
    task = partial(_measure_chunk, side=side)
    with (
        (progress or Progress()).bar("measuring pictures", total=len(places), unit="pictures") as bar,
        Processes(workers or default_workers(len(places))) as processes,
    ):
        for start in range(0, len(places), ROUND):
            part = places[start : start + ROUND]
            chunks = [part[first : first + CHUNK] for first in range(0, len(part), CHUNK)]
            files = [[str(paths[place]) for place in chunk] for chunk in chunks]
            measured = processes.each_of(task, files, too_often=partial(_too_often, files))
            for at, found in measured:
                for place, row in zip(chunks[at], found, strict=True):
                    rows[place] = row
                bar.advance(len(found))
            if kept is not None:
                done = ((paths[place], rows[place]) for place in part if rows[place].picture_error is None)
                kept.keep((str(path), _values(row)) for path, row in done)
    columns = zip(*rows, strict=True) if rows else [()] * len(Measured._fields)
    named: dict[str, Any] = dict(zip(Measured._fields, columns, strict=True))
    frame = pd.DataFrame({name: pd.array(list(values), dtype=_DTYPES[name]) for name, values in named.items()})
    frame.attrs["measured_before"] = before
    return frame


def _values(row: Measured) -> dict[str, Any]:
    """Return what was measured of a picture by name."""
    return {name: value for name, value in row._asdict().items() if name != "picture_error"}


_DTYPES: dict[str, Any] = {
    **dict.fromkeys(("blur", "contrast", "tone", "brightness", "dark_share"), "float64"),
    **dict.fromkeys(("phash", "picture_error"), "str"),
    **dict.fromkeys(("measured_width", "measured_height"), "Int64"),
}


def percept_decision(contrast: Floats, tone: Floats) -> tuple[Floats, Flags]:
    """
    Return the scores and decisions of percept-vsvi-filter's `filter_output.py` without its check for a road.

    Parameters
    ----------
    contrast, tone
        Of all pixels; NaN where nothing was measured, which is not accepted.
    """
    # As in `max(0, …)`, a tone that is not a number adds nothing: that of a picture without a pixel in the bins.
    score: Floats = contrast + np.where(tone > TONE_FLOOR, tone - TONE_FLOOR, 0.0)
    return score, score > CONTRAST_THRESHOLD


def _measure_chunk(files: list[str], *, side: int | None) -> list[Measured]:
    return [measure_picture(path, side) for path in files]


def _too_often(files: list[list[str]], number: int) -> MlygeoError:
    first, last = files[number][0], files[number][-1]
    return FileError(
        f"a picture among those from {first} to {last} ends the process that reads it",
        hint="leave them out, or give each process more memory with fewer workers",
    )
