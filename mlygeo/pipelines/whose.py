"""Whose images are: the provider of each, by its row, by the caller, or by the form of its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import InputError
from mlygeo.keys import WHOLE_NUMBERS, with_provider_names
from mlygeo.progress import counted
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Indices
    from mlygeo.keys import Ids
    from mlygeo.pipelines.options import Access
    from mlygeo.providers import Provider, Search, Session


def parted_ids(ids: Any, providers: Any, access: Access, where: str) -> dict[str, tuple[Ids, Indices]]:
    """
    Return the ids of images by provider, in the order of their first rows, and the rows of each.

    Parameters
    ----------
    ids
        The column `id`; shape (n,).
    providers
        The column `provider`, if there is one. Without it whole numbers are ids of the provider that the caller
        names, if that has such ids, and of Mapillary else.
    access
        Whom the caller names.
    where
        What messages call the images.

    Raises
    ------
    InputError
        If the provider of some is unknown, is another than the caller names, or has no such ids.
    """
    import pandas as pd

    from mlygeo.providers import provider

    if providers is None:
        who = provider(provider_of_all(ids, access, where))
        is_checked = isinstance(ids, np.ndarray) and ids.dtype == np.int64 and who.keys is WHOLE_NUMBERS
        found: Ids = ids if is_checked else who.keys.column(ids)
        return {who.name: (found, np.arange(len(found)))}
    ids = pd.Series(np.asarray(ids, dtype=object) if not hasattr(ids, "array") else ids).reset_index(drop=True)
    codes, names = _coded(providers, where)
    parts: dict[str, tuple[Ids, Indices]] = {}
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        who = access.to(name, counted(len(rows), "image") + f" of {where}").one
        parts[name] = (who.keys.column(ids.iloc[rows]), rows)
    return parts


def rows_by_provider(images: pd.DataFrame, access: Access, where: str) -> dict[str, Indices]:
    """
    Return the rows of each provider's images; rows without an id, which nobody is asked for, are with the first.

    Parameters
    ----------
    images
        A frame with `id`, and perhaps `provider`; ids may have gaps.
    access
        Whom the caller names.
    where
        What messages call the images.

    Raises
    ------
    InputError
        If the provider of some is unknown.
    """
    everything = np.arange(len(images))
    if "id" not in images.columns or images["id"].ndim != 1:
        return {access.providers[0].name: everything}
    has_id = images["id"].notna().to_numpy()
    if "provider" not in images.columns:
        return {provider_of_all(images["id"][has_id], access, where): everything}
    named = np.flatnonzero(has_id)
    codes, names = _coded(images["provider"].iloc[named], where)
    rows = {name: named[codes == code] for code, name in enumerate(names)}
    first = names[0] if names else access.providers[0].name
    rows[first] = np.union1d(rows.get(first, named[:0]), np.flatnonzero(~has_id))
    return rows


def of_provider(images: gpd.GeoDataFrame, who: Provider) -> gpd.GeoDataFrame:
    """
    Return images of one provider with its name, and with its licence where all its images have the same.

    Parameters
    ----------
    images
        The frame; columns that it has stay.
    who
        The provider.
    """
    import pandas as pd

    said = {"provider": who.name}
    if who.licence is not None:
        said |= {"licence": who.licence.name} | ({"licence_url": who.licence.url} if who.licence.url else {})
    missing = {name: text for name, text in said.items() if name not in images.columns}
    return images.assign(**{name: pd.Series(text, images.index, dtype="str") for name, text in missing.items()})


def searching(session: Session, who: Provider) -> Callable[..., Search]:
    """Return a session's search for images; raise InputError where the provider's package has none."""
    from mlygeo.providers import needed

    search: Callable[..., Search] = needed(getattr(session, "search", None), who, "search for images")
    return search


def shares_text(images: Mapping[str, int]) -> str:
    """
    Return how many images are whose, for headlines: ": 2 of Mapillary (67%), 1 of Panoramax (33%)".

    It is nothing where there is one provider.

    Parameters
    ----------
    images
        Numbers of images by the provider's name, "unknown" where it is not known. Providers that were asked and
        have none belong to it.
    """
    if len(images) < 2:
        return ""
    total = sum(images.values())
    return ": " + ", ".join(f"{number:,} of {title(name)}{_percent(number, total)}" for name, number in images.items())


def title(name: str) -> str:
    """Return the name of a provider in sentences; of "unknown", too."""
    from mlygeo import providers

    if name == "unknown":
        return "an unknown provider"
    return providers.provider(name).title if name in providers.names() else name


def _percent(part: float, whole: float) -> str:
    """Return a share in parentheses; what is little and not nothing, or nearly all, is not rounded to it."""
    if not part:
        return ""
    share = part / whole
    return " (<1%)" if share < 0.01 else " (>99%)" if 0.99 < share < 1 else f" ({share:.0%})"


def _coded(providers: Any, where: str) -> tuple[Indices, list[str]]:
    """Return the number of each row's provider, and their names; raise where one is missing."""
    import pandas as pd

    codes, names = pd.factorize(with_provider_names(pd.Series(providers)))
    if unknown := int((codes < 0).sum()):
        raise InputError(
            f"{where}: the column 'provider' says nothing of {counted(unknown, 'row')}",
            hint="fill it in; images of Mapillary are 'mapillary'",
        )
    return codes, list(map(str, names))


def provider_of_all(ids: Any, access: Access, where: str) -> str:
    """
    Return the provider of images whose rows do not name it.

    Parameters
    ----------
    ids
        Their ids; shape (n,), without gaps.
    access
        Whom the caller names.
    where
        What messages call the images.

    Raises
    ------
    InputError
        If the ids are text and the caller names nobody, or if they are numbers and the provider named has none.
    """
    import pandas as pd

    own, is_whole = access.own, not len(ids) or _are_whole(ids)
    if is_whole and (own is None or own.keys is WHOLE_NUMBERS):
        return access.providers[0].name if len(access.providers) == 1 else DEFAULT_PROVIDER
    first = pd.Series(ids).iloc[0] if len(ids) else None
    if own is None:
        raise InputError(
            f"{where}: the ids are text, such as {str(first)[:40]!r}, and nothing tells of which provider they are",
            hint="add a column 'provider', or name the provider",
        )
    if first is not None and own.keys.find(first) is None:
        raise InputError(f"{where}: {str(first)[:40]!r} is not an id of {access.one.title}", hint=own.keys.hint)
    return own.name


def _are_whole(ids: Any) -> bool:
    """Return whether a column holds whole numbers, or text of digits only."""
    import pandas as pd

    values = pd.Series(ids)
    if pd.api.types.is_numeric_dtype(values):
        return True
    some = values.dropna().astype("str")
    return bool(some.str.fullmatch(r"\s*[0-9]+\s*").all())
