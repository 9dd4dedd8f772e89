"""
Whose images are and under which licence: by their rows, and only what is known.

The columns `provider`, `instance`, `licence`, `licence_url` and `creator` say it row by row; images without a
column `provider`, whose ids are whole numbers, are Mapillary's. Licences stay as their provider writes them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import pyarrow as pa

    Bare: TypeAlias = Callable[[str, str | None], str | None]

MAPILLARY = "Mapillary, CC BY-SA 4.0"
"""Attribution of Mapillary's images as a whole."""

TITLES = {DEFAULT_PROVIDER: "Mapillary", "panoramax": "Panoramax"}
"""Names of providers in sentences; others are called by their name in the column `provider`."""

COLUMNS = ("provider", "instance", "licence", "licence_url", "creator")
"""Columns that say whose an image is."""

_BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"

_LINKS = {
    "etalab-2.0": "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
"""Addresses of licences by their SPDX identifiers in lower case, beside those of Creative Commons."""

_CC = re.compile(r"cc-(by(?:-nc)?(?:-sa|-nd)?)-(2\.0|2\.5|3\.0|4\.0)")
"""SPDX identifiers of the licences of Creative Commons that are not for one country."""

_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
"""What no line of text has: line breaks, control characters, halves of characters."""

_MOST_NAMES = 3
"""Most producers that a line for many images names."""


@dataclass(frozen=True)
class Rights:
    """
    Whose an image is, and under which licence; what is unknown is None.

    Parameters
    ----------
    creator
        Name of the producer.
    provider
        Name of the provider.
    instance
        Name or host of the provider's server that has the image.
    licence
        The licence as it came.
    licence_url
        Address of its text.
    """

    creator: str | None = None
    provider: str | None = None
    instance: str | None = None
    licence: str | None = None
    licence_url: str | None = None

    @property
    def whose(self) -> str | None:
        """The image's source in words, without the licence."""
        title = None if self.provider is None else TITLES.get(self.provider, self.provider)
        if self.provider == DEFAULT_PROVIDER:
            return f"{title} contributor" if self.creator is None else f"{title} contributor {self.creator}"
        if title is not None and self.instance is not None:
            title = f"{title} ({self.instance})"
        if title is None or self.creator is None:
            return title or self.creator
        return f"{self.creator} via {title}"

    @property
    def terms(self) -> str | None:
        """The licence and its address."""
        between = ", " if self.provider == DEFAULT_PROVIDER else " "
        return between.join(part for part in (self.licence, self.licence_url) if part is not None) or None

    @property
    def line(self) -> str | None:
        """Attribution of the image: "PRODUCER via PROVIDER (INSTANCE), LICENCE URL"; unknown parts are left out."""
        return ", ".join(part for part in (self.whose, self.terms) if part is not None) or None


class Credit(NamedTuple):
    """An attribution, and the number of images that it is of."""

    line: str
    images: int


def link_of(licence: str | None) -> str | None:
    """Return the address of a licence's text by its SPDX identifier; None for others, and for what is malformed."""
    name = (licence or "").lower()
    if (found := _CC.fullmatch(name)) is not None:
        return f"https://creativecommons.org/licenses/{found[1]}/{found[2]}/"
    return _LINKS.get(name)


def of_row(image: Mapping[str, Any], provider: str | None = None) -> Rights:
    """
    Return the rights of an image, by its row of a frame.

    Parameters
    ----------
    image
        The row, by columns. Its `provider` counts before the parameter; without either, a row whose `id` is a
        whole number is Mapillary's, and any other is of an unknown provider.
    provider
        Name of the provider that the row comes from, if that is known.
    """
    name = text(image.get("provider")) or provider
    if name is None and "provider" not in image and _is_whole(image.get("id")):
        name = DEFAULT_PROVIDER
    names = ("creator_username", "creator") if name == DEFAULT_PROVIDER else ("creator", "creator_username")
    creators = [text(image.get(key)) for key in names if not isinstance(image.get(key), dict)]
    return _completed(
        Rights(
            creator=next((creator for creator in creators if creator is not None), None),
            provider=name,
            instance=text(image.get("instance")),
            licence=text(image.get("licence")),
            licence_url=text(image.get("licence_url")),
        )
    )


def _completed(rights: Rights) -> Rights:
    """Return rights with what a licence or a provider by itself says."""
    if rights.provider == DEFAULT_PROVIDER and (rights.licence or "cc-by-sa-4.0").lower() == "cc-by-sa-4.0":
        return replace(rights, licence="CC BY-SA 4.0", licence_url=rights.licence_url or _BY_SA)
    return replace(rights, licence_url=rights.licence_url or link_of(rights.licence))


def text(value: Any) -> str | None:
    """Return a text, or a whole number, as one line of text; None where it is unknown, or anything else."""
    if not isinstance(value, str | Integral) or isinstance(value, bool):
        return None
    found = _ODD.sub(" ", str(value)).strip()
    return None if found.lower() in {"", "none", "null"} else found


def _is_whole(value: Any) -> bool:
    """Return whether an id is a number, as Mapillary's are, or the text of one."""
    if isinstance(value, Real) and not isinstance(value, bool | Integral):
        return math.isfinite(value)
    return re.fullmatch("[0-9]+", text(value) or "") is not None


def columns_in(columns: Collection[str], column: Callable[[str], Any]) -> pa.Table | None:
    """
    Return the columns by which images say row by row whose they are; None where they do not.

    They do where there is a column `provider` beside `id`, or where ids are text and there is another of `COLUMNS`:
    such images are of an unknown provider. Images whose ids are whole numbers are Mapillary's if nothing else is said.

    Parameters
    ----------
    columns
        Names of the columns.
    column
        Returns a column by its name, as a Series or Arrow array.
    """
    import pyarrow as pa

    names = [name for name in COLUMNS if name in columns and getattr(column(name), "ndim", 1) == 1]
    if not names or "id" not in columns or ("provider" not in names and not _is_text(column("id"))):
        return None
    return pa.table({name: _as_text(column(name)) for name in names})


def _is_text(values: Any) -> bool:
    import pandas as pd
    import pyarrow as pa

    if not isinstance(values, pa.Array | pa.ChunkedArray):
        return getattr(values, "ndim", 1) == 1 and bool(pd.api.types.is_string_dtype(values.dtype))
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    found: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return found


def _as_text(values: Any) -> pa.Array | pa.ChunkedArray:
    """Return a column as text; what is not text is unknown."""
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray) and _is_text(values):
        return values.cast(pa.string())
    if _is_text(values) and str(values.dtype) != "object":
        return pa.array(values, pa.string(), from_pandas=True)
    return pa.array([text(value) for value in values], pa.string())


def sources(
    columns: Collection[str],
    column: Callable[[str], Any],
    attrs: Mapping[Any, Any],
    bare: Bare | None = None,
) -> list[str]:
    """
    Return the attributions of a frame: of its images by their rows where these say it, else what its `attrs` say.

    Parameters
    ----------
    columns, column
        As for `columns_in`.
    attrs
        The frame's attributes. Beside rows only those attributions count that are not of images.
    bare
        As for `credits_of`.
    """
    table = columns_in(columns, column)
    return sources_of(None if table is None else tallied(table), attrs, bare)


def tallied(images: pa.Table) -> pa.Table:
    """Return what `columns_in` returns with each row once, and how many it stands for in `count_all`."""
    return images.group_by(images.column_names, use_threads=False).aggregate([([], "count_all")])


def sources_of(table: pa.Table | None, attrs: Mapping[Any, Any], bare: Bare | None = None) -> list[str]:
    """Return what `sources` does, of rows as `tallied` returns them; None where rows do not say whose they are."""
    said = attrs.get("attribution", ())
    said = [said] if isinstance(said, str) else [str(line) for line in said]
    if table is None:
        return list(dict.fromkeys(said))
    names = table["provider"].unique().to_pylist() if "provider" in table.column_names else []
    known = {name for name in names if name is not None}
    others = of_others(
        said, known | {line for name in known if bare is not None and (line := bare(name, None)) is not None}
    )
    return list(dict.fromkeys([*(credit.line for credit in _credits(table, bare)), *others]))


def credits_of(images: pa.Table, bare: Bare | None = None) -> list[Credit]:
    """
    Return the attributions of images that say row by row whose they are, most images of a provider first.

    A line is of all images of one instance under one licence whose producers are known, or are not. It names up to
    three producers, those of most images first; of Mapillary there is one line.

    Parameters
    ----------
    images
        Those of `COLUMNS` that exist, as text.
    bare
        Returns the attribution of a provider as a whole, by its name and the licence of images of which no more is
        known, which is None where that is unknown too; None where the provider has another.

    Returns
    -------
    credits
        They do not depend on the order of rows. Images of which nothing is known are in none.
    """
    names = [name for name in COLUMNS if name in images.column_names]
    return _credits(tallied(images.select(names)), bare) if names else []


def _credits(counts: pa.Table, bare: Bare | None) -> list[Credit]:
    groups: dict[tuple[Rights, bool], Counter[str]] = {}
    for row in counts.to_pylist():
        rights = of_row({"provider": None, **row})
        if rights.line is not None:  # an image whose producer is unknown is not one of the named producers
            named = rights.creator is not None and rights.provider != DEFAULT_PROVIDER
            creators = groups.setdefault((replace(rights, creator=None), named), Counter())
            creators[rights.creator or ""] += row["count_all"]

    def place(group: tuple[Rights, bool]) -> tuple[Any, ...]:
        one, named = group
        parts = [part or "" for part in (one.instance, one.licence, one.licence_url)]
        return one.provider is None, one.provider or "", -groups[group].total(), parts, named

    found: Counter[str] = Counter()
    for group in sorted(groups, key=place):
        line = _line(group[0], groups[group] if group[1] else Counter(), bare)
        if line is not None:
            found[line] += groups[group].total()
    return [Credit(line, number) for line, number in found.items()]


def _line(one: Rights, creators: Counter[str], bare: Bare | None) -> str | None:
    if one.provider == DEFAULT_PROVIDER:
        return MAPILLARY if one.licence_url == _BY_SA else f"{TITLES[DEFAULT_PROVIDER]}, {one.terms}"
    names = sorted(creators, key=lambda name: (-creators[name], name))
    if one.provider is not None and not names and one.instance is None and bare is not None:
        return bare(one.provider, one.licence) or one.line
    if len(names) > _MOST_NAMES:
        rest = len(names) - _MOST_NAMES
        names = [*names[:_MOST_NAMES], f"{rest:,} others" if rest > 1 else "1 other"]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else None
    return replace(one, creator=listed).line


def of_others(lines: Iterable[str], providers: Collection[str] = ()) -> list[str]:
    """
    Return the attributions that are not of images of known providers, such as OpenStreetMap's.

    Parameters
    ----------
    lines
        Attributions of a whole frame, whose rows say more exactly whose its images are.
    providers
        Names of further providers, beside those in `TITLES`.
    """
    titles = "|".join(map(re.escape, {*TITLES.values(), *providers} - {""}))
    images = re.compile(rf"(?:.* via )?(?:{titles})(?:,.*| \(.*)?", re.DOTALL)
    return [line for line in lines if images.fullmatch(line) is None]
