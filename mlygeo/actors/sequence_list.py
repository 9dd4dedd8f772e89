"""Sequences written as a frame and as a list of ids, and shown as a table."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from mlygeo import store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd

log = logging.getLogger("mlygeo.actors")

ROWS_SHOWN = 20
"""Sequences in the table on the screen; the files hold all."""

SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""The form of the service's ids of sequences. What has another form would be taken for something else."""


def whose(user: str | None, organization: int | str | None, region: str | None) -> str:
    """Return in words whose sequences these are, and where."""
    parts = [
        *([user] if user is not None else []),
        *([f"organization {organization}"] if organization is not None else []),
    ]
    place = [f"in {region}"] if region is not None and parts else [region] if region is not None else []
    return " ".join([" and ".join(parts), *place]).strip()


def file_stem(user: str | None, organization: int | str | None) -> str:
    """Return the files' name without its ending: of a user's name only what every file system takes."""
    name = user if user is not None else None if organization is None else f"organization_{organization}"
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", name or "")[:80].strip("_")
    return f"sequences_{safe}" if safe else "sequences"


def write(sequences: gpd.GeoDataFrame, path: Path, *, whose: str, shortcomings: Sequence[str]) -> list[Path]:
    """
    Write sequences as a frame (.parquet) and as a list of ids (.txt).

    The list begins with comments and has one id a line, under the day of its first image, the
    earliest first.

    Parameters
    ----------
    sequences
        Sequences frame, in the order of time.
    path
        Both files' path without the ending.
    whose
        Whose sequences they are, for the comments.
    shortcomings
        Why some may be missing.

    Returns
    -------
    files
        The frame and the list.
    """
    files = [store.write_frame(sequences, path.with_name(f"{path.name}.parquet"))]
    text = "".join(f"{line}\n" for line in _lines(sequences, whose, shortcomings))
    return [*files, store.write_text(text, path.with_name(f"{path.name}.txt"))]


def _lines(sequences: gpd.GeoDataFrame, whose: str, shortcomings: Sequence[str]) -> list[str]:
    images, length_km = int(sequences["images"].sum()), float(sequences["length_m"].sum()) / 1000
    lines = [
        f"# {_one_line(whose)}: {len(sequences):,} sequences, {images:,} images, {length_km:,.1f} km",
        "# One id a line; 'mlygeo download --sequence-file' takes this file.",
        *(f"# Incomplete: {_one_line(text)}" for text in shortcomings),
    ]
    day = None
    days = sequences["start"].dt.strftime("%Y-%m-%d").where(sequences["start"].notna(), "day unknown")
    for number, this_day in zip(sequences["sequence_id"], days, strict=True):
        if not SAFE_ID.fullmatch(number):
            log.warning("the id %r has not the form of a sequence's, and is left out of the list", number[:40])
            continue
        if this_day != day:
            day = this_day
            lines.append(f"# {day}")
        lines.append(number)
    return lines


def table(sequences: gpd.GeoDataFrame) -> str:
    """
    Return a table of the latest sequences, 79 letters wide.

    Parameters
    ----------
    sequences
        Sequences frame, in the order of time.
    """
    rows = [f"{'day':<10} {'images':>7} {'km':>8} {'minutes':>8}  {'camera':<16} sequence"]
    camera = sequences["camera_type"] if "camera_type" in sequences else sequences["is_pano"].map(_kind)
    shown = sequences.assign(
        day=sequences["start"].dt.strftime("%Y-%m-%d").fillna("unknown"),
        camera=camera.fillna(sequences["is_pano"].map(_kind)),
        minutes=sequences["duration_s"].fillna(0) / 60,
        km=sequences["length_m"].fillna(0) / 1000,
    ).iloc[-ROWS_SHOWN:]
    columns = ("day", "images", "km", "minutes", "camera", "sequence_id")
    for day, images, km, minutes, kind, number in zip(*(shown[name] for name in columns), strict=True):
        rows.append(
            f"{day:<10} {images:>7,} {km:>8,.2f} {minutes:>8,.1f}  {_one_line(kind)[:16]:<16} {_one_line(number)[:24]}"
        )
    if len(sequences) > ROWS_SHOWN:
        rows.append(f"… and {len(sequences) - ROWS_SHOWN:,} earlier ones")
    return "\n".join(rows)


def _kind(is_pano: object) -> str:
    return "panorama" if is_pano else "flat"


def _one_line(text: str) -> str:
    """Return a text from outside without line breaks and control characters, which could pass for more lines."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))
