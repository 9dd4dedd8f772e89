"""What is said of a coverage, and its files."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import DependencyError
from mlygeo.pipelines.own_files import BESIDE, PICTURE, SUMMARY
from mlygeo.pipelines.placed_tables import Placed
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd

    from mlygeo.pipelines.arguments import Call
    from mlygeo.pipelines.coverage_asked import Asked
    from mlygeo.spatial.concentration import Concentration
    from mlygeo.spatial.coverage import Coverage

log = logging.getLogger("mlygeo.pipelines")

TITLES = {
    "highway": "street class",
    "district": "district",
    "year": "year of capture",
    "season": "season of capture",
    "weekday": "weekday of capture",
    "hour": "hour of capture",
    "pano": "panorama",
    "creator": "contributor",
    "provider": "provider",
}


MOST_ROWS = 12
"""Rows of one section of the printed table; the summary has them all."""


@dataclass(frozen=True)
class Considered:
    """
    The images that a coverage looks at.

    Parameters
    ----------
    count
        How many they are.
    left_out, doubts
        How many rows of all inputs are left out, and are in doubt, by reason.
    shares
        What each provider has given, as `inputs.shares_of` returns it.
    attribution
        Whose images and streets are.
    """

    count: int
    left_out: dict[str, int]
    doubts: dict[str, int]
    shares: dict[str, dict[str, Any]]
    attribution: list[str]


class Results:
    """
    What is said of a coverage: sums, tables, gaps; and its files.

    Parameters
    ----------
    coverage
        The coverage.
    asked
        What it is to tell.
    considered
        The images.
    summed
        Makes the summary of the facts of the coverage, and the images.
    """

    def __init__(
        self,
        coverage: Coverage,
        asked: Asked,
        considered: Considered,
        summed: Callable[[dict[str, Any], Considered], dict[str, Any]],
    ) -> None:
        from mlygeo import plausible
        from mlygeo.pipelines import inputs, provenance
        from mlygeo.spatial import local_times
        from mlygeo.spatial.coverage import total_m

        self._coverage = coverage
        odd = {reason: count for reason in plausible.TIMES if (count := int(coverage.images[reason].sum()))}
        considered = replace(considered, doubts=considered.doubts | odd)
        self._gaps = gaps = coverage.gaps(asked.min_gap)
        placed = Placed(coverage, asked)
        self._beside, self._compared = placed.frames, placed.compared
        self._tables = {
            name: placed.tables[name] if name in placed.tables else coverage.table(name) for name in asked.names
        }
        facts = coverage.facts()
        told = {
            **{name: _rounded(value) for name, value in facts.items()},
            "gaps": len(gaps),
            "gaps_m": round(total_m(gaps["length_m"].to_numpy()), 3),
            "min_gap_m": asked.min_gap,
            "by": {name: [_plain(row) for row in table.to_dict("records")] for name, table in self._tables.items()},
        }
        told |= placed.facts
        if placed.compared is not None:
            told["compared"]["by"] = {"highway": [_plain(row) for row in placed.compared.to_dict("records")]}
        self._concentration = coverage.concentration() if "creator" in self._tables else {}
        if self._concentration:
            told["concentration"] = {
                name: {"contributors": found.holders, **_plain(found._asdict(), without=("holders",))}
                for name, found in self._concentration.items()
            }
        if asked.time_zone is not None:
            tropical = local_times.between_tropics(coverage.lonlat[:, 1]) if "season" in asked.names else 0
            told |= {"time_zone": asked.time_zone, "between_tropics": tropical > 0}
            if tropical:
                log.warning("streets lie between the tropics, where seasons of three months say little")
        self.summary = summed(told, considered)
        self.summary["run"] = provenance.run_of(self.summary, gaps["length_m"].to_numpy())
        for frame in (gaps, *self._beside.values()):
            frame.attrs |= {"attribution": considered.attribution, "run": self.summary["run"]}
        covered = _covered_by(self._tables.get("provider"), considered.shares, facts["length_m"])
        self.headline = _headline(facts, gaps, covered)
        self.headline += inputs.left_out_remark(considered.left_out) + inputs.problems_remark(considered.doubts)
        if considered.count and not facts["covered_m"]:
            log.warning("no image lies within %g m of a street", coverage.distance)

    def frame(self) -> gpd.GeoDataFrame:
        """Return the coverage frame."""
        frame = self._coverage.frame()
        frame.attrs |= {"attribution": self.summary["attribution"], "run": self.summary["run"]}
        return frame

    def printed(self) -> str:
        """Return covered lengths by everything measured, as a table that reads well at 80 columns."""
        text = _printed(self._tables, self._concentration.get("images"))
        if self._compared is None:
            return text
        sides = self.summary["compared"]["first"]["of"], self.summary["compared"]["second"]["of"]
        return "\n".join([text, "", *_beside_each_other(self._compared, *sides)])

    def write(self, folder: Path, failed: list[str], call: Call | None) -> list[Path]:
        """
        Write the files of the coverage, which replace those of an earlier run together.

        Parameters
        ----------
        folder
            Their folder, or a file of frames.
        failed
            Names of tiles that could not be fetched.
        call
            What the user has called.

        Returns
        -------
        files
            The files.
        """
        from mlygeo.pipelines import inputs, own_files, provenance

        frames = {"coverage": self.frame(), "gaps": self._gaps, **self._beside}
        made = {name: provenance.noted(each, call, self.summary) for name, each in frames.items()}
        with inputs.as_set(folder, own_files.COVERAGE):
            failed_file = inputs.write_failed(failed, folder, own=True)
            return _write(made, self._coverage, self.summary, folder) + failed_file


def _covered_by(table: pd.DataFrame | None, whose: Iterable[str], length_m: float) -> str:
    """Return which share of the streets is near images of each provider, where there are several."""
    from mlygeo.pipelines.whose import title

    if table is None or not length_m:
        return ""
    covered = {
        name if isinstance(name, str) else "unknown": metres
        for name, metres in zip(table["value"], table["covered_m"], strict=True)
    }
    shown = [f"{covered.get(name, 0.0) / length_m:.1%} of {title(name)}" for name in whose]
    return f" ({', '.join(shown)})" if len(shown) > 1 else ""


def _headline(facts: dict[str, Any], gaps: gpd.GeoDataFrame, covered: str) -> str:
    """Return the facts in a sentence."""
    share = facts["share_covered"]
    text = f"{facts['covered_m'] / 1000:,.2f} of {facts['length_m'] / 1000:,.2f} km of streets"
    text += "" if share is None else f" ({share:.1%})"
    text += f" within {facts['distance_m']:g} m of an image{covered}"
    if facts["median_newest"]:
        text += f", half of them photographed since {facts['median_newest']}"
    return text + f"; {counted(len(gaps), 'gap')} of {gaps['length_m'].sum() / 1000:,.2f} km"


def _printed(tables: dict[str, pd.DataFrame], contributors: Concentration | None) -> str:
    """Return covered lengths by everything measured, as a table that reads well at 80 columns."""
    lines = []
    for name, table in tables.items():
        lines += [f"{TITLES[name]:<28} {'covered':>10} {'of':>10} {'share':>7} {'streets':>9}", "-" * 68]
        most = 24 if name == "hour" else MOST_ROWS
        for row in table.head(most).to_dict("records"):
            value = _label(name, row.get("creator") if isinstance(row.get("creator"), str) else row["value"])
            share = "" if math.isnan(row["share_covered"]) else f"{row['share_covered']:.1%}"
            covered, length = (f"{row[column] / 1000:,.2f} km" for column in ("covered_m", "length_m"))
            lines.append(f"{value:<28} {covered:>10} {length:>10} {share:>7} {row['streets']:>9,}")
        if len(table) > most:
            lines.append(f"and {len(table) - most:,} more")
        if name == "creator" and contributors is not None and contributors.holders:
            lines.append(_shared_out(contributors))
        lines.append("")
        if "expected_images" in table.columns:
            lines += [*_against(name, table), ""]
    return "\n".join(lines).rstrip()


def _against(name: str, table: pd.DataFrame) -> list[str]:
    """Return the lines that tell observed and expected images."""
    title = f"images by {TITLES[name]}"
    lines = [f"{title:<28} {'observed':>10} {'expected':>10} {'ratio':>7} {'95% interval':>16}", "-" * 75]
    for row in table.head(MOST_ROWS).to_dict("records"):
        ratio = "" if math.isnan(row["ratio"]) else f"{row['ratio']:.2f}"
        interval = "" if math.isnan(row["ratio_low"]) else f"{row['ratio_low']:.2f} to {row['ratio_high']:.2f}"
        numbers = f"{row['images']:>10,} {row['expected_images']:>10,.1f} {ratio:>7} {interval:>16}"
        lines.append(f"{_label(name, row['value']):<28} {numbers}".rstrip())
    if len(table) > MOST_ROWS:
        lines.append(f"and {len(table) - MOST_ROWS:,} more")
    return lines


def _beside_each_other(table: pd.DataFrame, first: str, second: str) -> list[str]:
    """Return the lines that tell what two sides cover."""
    names = ("first_m", "second_m", "gained_m", "lost_m")
    title = f"{TITLES['highway']:<28} " + " ".join(f"{head:>12}" for head in ("first", "second", "gained", "lost"))
    lines = [f"first: {first}, second: {second}", title, "-" * len(title)]
    for row in table.head(MOST_ROWS).to_dict("records"):
        lengths = " ".join(f"{row[name] / 1000:>9,.2f} km" for name in names)
        lines.append(f"{_label('highway', row['value']):<28} {lengths}")
    if len(table) > MOST_ROWS:
        lines.append(f"and {len(table) - MOST_ROWS:,} more")
    return lines


def _shared_out(found: Concentration) -> str:
    """Return how unevenly contributors have photographed, in a line."""
    return (
        f"{counted(found.holders, 'contributor')}, effectively {found.effective_number:.1f} by images"
        f" (Gini {found.gini:.2f}, largest {found.largest_share:.0%})"
    )


def _label(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return "in none of them" if name == "district" else "unknown"
    if name == "pano":
        return {"True": "panoramas", "False": "flat pictures"}.get(value, value)
    if name == "hour":
        return f"{value}:00 to {value}:59"
    text = "".join(letter if letter.isprintable() else "?" for letter in value)
    return text if len(text) <= 28 else text[:27] + "…"


def _plain(row: dict[Any, Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a row of a table as JSON."""
    return {
        str(name): _rounded(None if isinstance(value, float) and math.isnan(value) else value)
        for name, value in row.items()
        if name not in without
    }


def _rounded(value: Any) -> Any:
    """Return a number as summaries have it."""
    if isinstance(value, float):
        return round(value, 6)
    return value.item() if hasattr(value, "item") else value


def _write(made: dict[str, gpd.GeoDataFrame], measured: Coverage, summary: dict[str, Any], folder: Path) -> list[Path]:
    """Write the frames, the map, and the summary last: where there is one, all files belong to it."""
    import json

    from mlygeo import store

    if store.names_file(folder):
        return [store.write_layers(made, folder)]
    files = [store.write_frame(frame, folder / f"{name}.parquet") for name, frame in made.items()]
    for name in BESIDE:
        if name not in made:
            store.remove(folder / f"{name}.parquet")
    streets = made["coverage"]
    picture = _draw(streets, measured, summary, folder) if len(streets) else None
    if picture is None:
        store.remove(folder / PICTURE)
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    files.append(store.write_text(text, folder / SUMMARY))
    return files if picture is None else [*files, picture]


def _draw(streets: gpd.GeoDataFrame, measured: Coverage, summary: dict[str, Any], folder: Path) -> Path | None:
    from mlygeo import plotting, store

    title = f"{summary['share_covered']:.0%} of the streets have an image within {measured.distance:g} m"
    everywhere = measured.gaps(0.0)
    try:
        figure = plotting.draw([streets, everywhere], title=title if summary["length_m"] else None)
    except DependencyError as error:
        log.warning("no map was drawn: %s (%s)", error, error.hint)
        return None
    picture = folder / PICTURE
    with store.atomic(picture) as temporary:
        figure.savefig(temporary)
    return picture
