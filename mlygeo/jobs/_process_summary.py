"""What a run of processing says of itself: counts, reasons, and where things are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlygeo.fetching import counted
from mlygeo.pipelines.job import version

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

REASONS_SHOWN = 4
FILES_SHOWN = 5

_KINDS = (
    (re.compile(r"captured .* (before the track starts|after the track ends)"), "outside the track"),
    (re.compile(r"captured in a gap of"), "in a gap of the track"),
)


def kind_of(error: str) -> str:
    """Return the kind of an error: its text without the numbers and names that differ from photo to photo."""
    for pattern, kind in _KINDS:
        if pattern.match(error):
            return kind
    text = re.sub(r"^\S[^:]{0,80}\.jpe?g?:\s*", "", error, flags=re.IGNORECASE)
    text = re.sub(r"\s*\(.*\)", "", text.split(";")[0])
    return re.sub(r"(?<![A-Za-z\d])\d[\d.,]*", "N", text)


def summary_of(images: gpd.GeoDataFrame, *, passed_over: int, files: list[Path]) -> dict[str, Any]:
    """Return the facts of a frame of an import, JSON."""
    from mlygeo.spatial.sequences import summarise

    errors = images["error"].dropna()
    ready = images["error"].isna() & ~images["is_duplicate"]
    sequences = summarise(images[ready]) if ready.any() else None
    kinds = errors.map(kind_of).value_counts()
    problems = images["problem"].dropna().map(_kinds_of_problem).explode().value_counts()
    return {
        "photos": len(images),
        "ready": int(ready.sum()),
        "duplicates": int(images["is_duplicate"].sum()),
        "failed": len(errors),
        "reasons": {str(kind): int(count) for kind, count in kinds.items()},
        "problems": {str(kind): int(count) for kind, count in problems.items()},
        "sequences": 0 if sequences is None else len(sequences),
        "length_m": 0.0 if sequences is None else round(float(sequences["length_m"].fillna(0).sum()), 1),
        "exif_written": int(images["exif_written"].sum()),
        "warnings": int(images["warning"].notna().sum()) if "warning" in images.columns else 0,
        "pictures_of_other_kinds": passed_over,
        "failed_files": failures(images),
        "files": [str(file) for file in files],
        "version": version(),
    }


def failures(images: gpd.GeoDataFrame) -> dict[str, str]:
    """Return the reasons of the photos that cannot be used, by path."""
    wrong = images[images["error"].notna()]
    return dict(zip(wrong["path"], wrong["error"], strict=True))


def headline(summary: dict[str, Any]) -> str:
    """Return the facts in a few lines."""
    text = f"{counted(summary['photos'], 'photo')}: {summary['ready']:,} ready"
    if summary["sequences"]:
        text += f" in {counted(summary['sequences'], 'sequence')} ({summary['length_m'] / 1000:,.1f} km)"
    if summary["duplicates"]:
        text += f", {counted(summary['duplicates'], 'duplicate')} left out"
    if summary["exif_written"]:
        text += f", {summary['exif_written']:,} with their tags written"
    lines = [text]
    if summary["failed"]:
        reasons = list(summary["reasons"].items())
        shown = ", ".join(f"{count:,} {kind}" for kind, count in reasons[:REASONS_SHOWN])
        more = (
            f", {sum(count for _, count in reasons[REASONS_SHOWN:]):,} others" if len(reasons) > REASONS_SHOWN else ""
        )
        lines.append(f"{summary['failed']:,} cannot be used: {shown}{more}")
        lines += [f"  {path}: {error}" for path, error in list(summary["failed_files"].items())[:FILES_SHOWN]]
        if summary["failed"] > FILES_SHOWN:
            lines.append(f"  … the others, with their reasons, are in {_first(summary['files'], 'images.parquet')}")
    if summary["problems"]:
        shown = ", ".join(f"{count:,} {kind}" for kind, count in summary["problems"].items())
        lines.append(f"worth a look (column problem): {shown}")
    if summary["files"]:
        lines.append("  ".join(summary["files"]))
    return "\n".join(lines)


def _first(files: list[str], name: str) -> str:
    return next((file for file in files if file.endswith(name)), name)


def _kinds_of_problem(text: str) -> list[str]:
    found = []
    for part in text.split("; "):
        if "km/h" in part:
            found.append("too fast")
        elif "zig-zag" in part:
            found.append("zig-zag")
        elif "have this capture time" in part:
            found.append("same capture time")
        elif "(0, 0)" in part:
            found.append("position (0, 0)")
        else:
            found.append(kind_of(part))
    return found
