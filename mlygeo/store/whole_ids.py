"""Ids that a format stores as text, as whole numbers again: of a frame, and of one that is read some rows at a time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mlygeo import dtypes, frames, keys
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd
    import pandas as pd

    Table = TypeVar("Table", bound=pd.DataFrame)

_TEXTS = {"str", "object", "string"}


def with_whole_ids(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a frame with columns of ids as whole numbers where all of them are such."""
    whole: dict[str, Any] = {}
    is_mapillarys = frames.form(frames.IMAGES, frame.columns, frame.__getitem__) is frames.IMAGES
    for name in WholeIds.NAMES if is_mapillarys else WholeIds.ANYWAY:
        if name in frame.columns and str(frame[name].dtype) in _TEXTS:
            with suppress(ValueError, TypeError):
                numbers = dtypes.cast(frame[name], "Int64")
                whole[name] = numbers if numbers.isna().any() else numbers.astype("int64")
    return frame.assign(**whole) if whole else frame


class WholeIds:
    """Which columns of ids of a frame are whole numbers, as `with_whole_ids` finds it, by its rows piece by piece."""

    NAMES = ("id", "creator_id", "organization_id", "point_id")
    ANYWAY = ("point_id",)

    def __init__(self) -> None:
        self._gaps: dict[str, bool] = {}
        self._failed: set[str] = set()
        self._providers: dict[str | None, None] = {}
        self._first: str | None = None
        self._numbers = self._words = 0
        self._odd: str | None = None
        self._is_text = True
        self._settled: dict[str, str] | None = None

    def add(self, columns: Mapping[str, pd.Series]) -> None:
        """Take the columns of further rows into account."""
        import pandas as pd

        if "provider" in columns:
            self._providers |= dict.fromkeys(
                name if isinstance(name := keys.provider_name(each), str) else None
                for each in columns["provider"].unique()
            )
        for name in self.NAMES:
            if name not in columns or name in self._failed or str(columns[name].dtype) not in _TEXTS:
                continue
            try:
                numbers = dtypes.cast(columns[name], "Int64")
            except (ValueError, TypeError):
                self._failed.add(name)
            else:
                self._gaps[name] = self._gaps.get(name, False) or bool(numbers.isna().any())
        self._first = next((each for each in ("id", "creator_id") if each in columns), None)
        if self._first is not None and str(columns[self._first].dtype) in _TEXTS:
            words = columns[self._first].dropna()
            # Python objects that are not all texts are none, as `frames.form` has it.
            self._is_text = self._is_text and pd.api.types.is_string_dtype(words)
            look = frames.look_like_numbers(words)
            self._words += len(words)
            self._numbers += int(np.count_nonzero(look))
            if self._odd is None and not look.all():
                self._odd = str(words[~look].iloc[0])

    def applied(self, table: Table) -> Table:
        """Return some rows with their ids as those of all are."""
        if self._settled is None:
            names = self.NAMES if self._are_mapillarys() else self.ANYWAY
            self._settled = {
                name: "Int64" if gaps else "int64"
                for name, gaps in self._gaps.items()
                if name in names and name not in self._failed
            }
        whole = {
            name: dtypes.cast(table[name], "Int64").astype(dtype)  # type: ignore[call-overload]
            for name, dtype in self._settled.items()
        }
        return table.assign(**whole) if whole else table

    def _are_mapillarys(self) -> bool:
        known = {name for name in self._providers if name is not None}
        if known - {DEFAULT_PROVIDER}:
            return False
        if self._first is None or not self._words or not self._is_text:
            return True
        if known:
            return None not in self._providers or self._numbers == self._words
        return frames.are_meant_as_numbers(self._numbers, self._words, self._odd, self._first)
