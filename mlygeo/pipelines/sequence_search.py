"""Searching the sequences of a person, an organization or a region; their frame, list and table."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import InputError
from mlygeo.pipelines import own_files
from mlygeo.pipelines.job import RECORDS_AT_ONCE, Job, joined, public, tally, version
from mlygeo.pipelines.options import Access, Filters
from mlygeo.progress import counted
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.keys import Key
    from mlygeo.net.answers import UnknownUserError
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Records, Search
    from mlygeo.regions import RegionLike

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

ROWS_SHOWN = 20
"""Sequences in the table on the screen; the files hold all."""

SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""Pattern of the service's ids of sequences; other texts could be read as something else."""


@public
def find_sequences(
    user: str | Sequence[str] | None = None,
    *,
    region: RegionLike | None = None,
    organization: int | str | None = None,
    filter: Literal["all", "360", "regular"] = "all",  # noqa: A002 - the option's name
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    max_pages: int | None = None,
    workers: int = 16,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | Iterable[str] | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Find the sequences of a user, an organization or a region, with counts, dates, camera and length.

    If you give several of these, only sequences that match all of them are found. Results that the service did not
    return, because a bounding box has too many images or a page failed, are reported and never count as empty.

    Parameters
    ----------
    user
        User name as shown by the provider; for Panoramax also an id.
    region
        A bounding box (west, south, east, north), a `Region`, a configuration file, a file of polygons or a shapely
        polygon. For a sequence that leaves the region, only images inside count.
    organization
        Images of this organization (id).
    filter
        "all": every image; "360": only panoramas; "regular": only flat images.
    since
        Images captured at or after this time (ISO 8601, UTC), or after the beginning of this year, month, week or
        day.
    until
        Images captured before this time. A year, month, week or day is included as a whole.
    max_pages
        Stop after this many pages of 1,000 images; with several providers, this many of each.
    workers
        Number of requests to make at once; pages are requested one after another.

    Returns
    -------
    sequences
        Sequences frame by time, with `camera_type` and `creator_username` beside its columns.
        `attrs["summary"]["incomplete"]` lists what is missing.

    Raises
    ------
    InputError
        If neither a user, an organization nor a region is given.
    RegionError
        If the region is too large to search.
    CredentialsError
        If there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> find_sequences("irvinfly", filter="360", max_pages=5)
    """
    from mlygeo import frames, regions
    from mlygeo.pipelines import inputs
    from mlygeo.pipelines.whose import searching, shares_text
    from mlygeo.spatial import sequences as step
    from mlygeo.store import held

    access = Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint)
    user = _one_user(user)
    place, config = regions.settle(region)
    if user is None and place is None and organization is None:
        raise InputError(
            "no user, organization or region is given", hint="give the name of a user, `organization=ID` or a region"
        )
    if max_pages is not None and place is not None:
        raise InputError("`max_pages` goes with a user or an organization; a region is searched box by box")
    for name, number in (("max_pages", max_pages), ("workers", workers)):
        if number is not None and number < 1:
            raise InputError(f"`{name}` must be 1 or more, not {number}")
    conditions = Filters(
        pano=None, since=since, until=until, creator=None, organization=organization, min_quality=None, where=None
    ).conditions()
    if organization is not None and len(conditions["organization"]) != 1:
        raise InputError("one organization at a time")
    with ExitStack() as sessions:  # all are there before the first is asked
        searches = []
        for each in access.of_each():
            session = sessions.enter_context(each.records.open(each.opened(config), workers=workers))
            search = searching(session, each.one)(
                fields=each.records.fields_for(
                    "sequence_id", "captured_at", "geometry", "is_pano", "camera_type", "creator_id",
                    "organization_id", "make", "model",
                ),
                bbox=place,
                creator_username=user,
                organization_id=None if organization is None else conditions["organization"][0],
                # Only "true" is sent as a condition: how the service interprets "false" is not documented.
                is_pano=True if filter == "360" else None,
                since=conditions.get("since"),
                until=conditions.get("until"),
                max_pages=max_pages,
                progress=progress,
            )  # fmt: skip
            searches.append((each.one, search))
        found = _found(searches, conditions, filter)
    images = held.joined([each.images for each in found], "the images")
    sequences = step.summarise(images)
    apart = len(images) - int(sequences["images"].sum())
    unlisted = sum(SAFE_ID.fullmatch(number) is None for number in sequences["sequence_id"])
    left_out = {
        "images of unknown kind": sum(each.unknown for each in found),
        "images without a sequence": apart,
        "sequences with an odd id, from the list": unlisted,
    }
    left_out = {reason: count for reason, count in left_out.items() if count} | inputs.left_out_around(place)
    shortcomings = [text for each in found for text in each.shortcomings]
    problems = {word: problem for each in found for word, problem in each.problems.items()}
    counts = {each.who.name: len(each.images) for each in found}
    whose = _whose(user, organization, None if place is None else place.name)
    summary = {
        "of": whose,
        "filter": filter,
        "sequences": len(sequences),
        "images": len(images),
        "left_out": left_out,
        "length_km": round(float(sequences["length_m"].sum()) / 1000, 3),
        **({"providers": {each.who.name: each.facts(sequences) for each in found}} if len(found) > 1 else {}),
        "requests": sum(each.requests for each in found),
        "incomplete": shortcomings,
        "wrong_values": problems,
        "attribution": frames.credited_of(images) or [each.who.attribution for each in found if len(each.images)],
        "version": version(),
    }
    headline = f"{counted(len(sequences), 'sequence')} of {whose}, {counted(len(images), 'image')}"
    headline += shares_text(counts) + "".join(f"; {each.nobody}" for each in found if each.nobody is not None)
    if left_out:
        headline += f"; left out: {tally(left_out)}"
    if not len(images) and not shortcomings:
        headline += "; the service knows none, or nobody of that name"
    if shortcomings:
        headline += f"; incomplete: {shortcomings[0]}"
    stem = own_files.file_stem(user, organization)

    def write(folder: Path) -> list[Path]:
        return write_lists(job.result, folder / stem, whose=whose, shortcomings=shortcomings)

    job = Job(
        lambda: sequences,
        summary,
        headline,
        write,
        [*shortcomings, *map(str, problems)],
        text=lambda: table(sequences),
    )
    return job


@dataclass(frozen=True)
class _Found:
    """
    What the search of one provider has found.

    Parameters
    ----------
    who
        The provider.
    images
        Images frame.
    problems
        What is wrong with the records of images, by their ids as words of a list.
    unknown
        How many images are left out as of unknown kind.
    shortcomings
        Why images may be missing; with the provider's name where several are asked.
    requests
        Answers read.
    nobody
        The error that says that it has no user of that name; None where it does not say so.
    """

    who: Provider
    images: gpd.GeoDataFrame
    problems: dict[str, str]
    unknown: int
    shortcomings: list[str]
    requests: int
    nobody: UnknownUserError | None

    def facts(self, sequences: gpd.GeoDataFrame) -> dict[str, Any]:
        """Return facts about it, for the summary of a search of several providers."""
        import pandas as pd

        names = sequences["provider"] if "provider" in sequences.columns else pd.Series([], dtype="str")
        facts = {"sequences": int((names == self.who.name).sum()), "images": len(self.images)}
        return facts if self.nobody is None else {**facts, "problem": str(self.nobody)}


def _found(
    searches: list[tuple[Provider, Search]], conditions: dict[str, Any], kind: Literal["all", "360", "regular"]
) -> list[_Found]:
    """
    Return what searches find; of several, with whose the images are.

    A name that one of several providers does not know is none of its users; that it is nobody's is an error.
    """
    from mlygeo.net.answers import UnknownUserError
    from mlygeo.pipelines.whose import of_provider
    from mlygeo.providers import needed
    from mlygeo.readers.id_lists import word_of

    several = len(searches) > 1
    found = []
    for who, search in searches:
        reader = needed(who.records, who, "images by id")
        nobody, unknown = None, 0
        problems: dict[Key, str] = {}
        try:
            images, problems, unknown = _searched(search, conditions, kind, reader)
        except UnknownUserError as error:
            nobody, images = error, reader.frame([], fields=reader.base_fields)
        found.append(
            _Found(
                who,
                of_provider(images, who) if several else images,
                {word_of(key, who.name) if several else str(key): problem for key, problem in problems.items()},
                unknown,
                [f"{who.title}: {text}" if several else text for text in search.shortcomings()],
                search.requests,
                nobody,
            )
        )
    nobody = next((each.nobody for each in found if each.nobody is not None), None)
    if nobody is not None and not any(len(each.images) for each in found):
        raise nobody
    return found


def _searched(
    search: Search, conditions: dict[str, Any], kind: Literal["all", "360", "regular"], reader: Records
) -> tuple[gpd.GeoDataFrame, dict[Key, str], int]:
    """Return the images that a search finds, their problems, and how many are left out as of unknown kind."""
    from mlygeo import frames

    fields = [*reader.base_fields, *reader.fields_for("camera_type", "make", "model")]
    conditions = {name: value for name, value in conditions.items() if name in {"since", "until"}}
    parts: list[gpd.GeoDataFrame] = []
    records: list[dict[str, Any]] = []
    problems: dict[Key, str] = {}
    unknown = 0

    def make() -> None:
        nonlocal unknown
        images = reader.frame(records, fields=fields, problems=problems)
        records.clear()
        if conditions:
            images = images[frames.conditions_mask({name: images[name] for name in images.columns}, conditions)]
        if kind != "all":
            panoramic = images["is_pano"].astype("boolean") | images["camera_type"].isin(reader.panoramas)
            unknown += int(panoramic.isna().sum())
            images = images[frames.truths(panoramic if kind == "360" else ~panoramic)]
        parts.append(images)

    for batch in search:
        records.extend(batch)
        if len(records) >= RECORDS_AT_ONCE:
            make()
    make()
    return joined(parts), problems, unknown


def _one_user(user: str | Sequence[str] | None) -> str | None:
    names = [user] if isinstance(user, str) else list(user or ())
    if len(names) > 1:
        raise InputError(f"{len(names)} users", hint="one at a time; put a name with spaces into quotes")
    if names and not names[0].strip():
        raise InputError("the user's name is empty")
    return names[0].strip() if names else None


def _whose(user: str | None, organization: int | str | None, region: str | None) -> str:
    """Return a description of the search: the owner of the sequences, and the region."""
    parts = [
        *([user] if user is not None else []),
        *([f"organization {organization}"] if organization is not None else []),
    ]
    place = [f"in {region}"] if region is not None and parts else [region] if region is not None else []
    return " ".join([" and ".join(parts), *place]).strip()


def write_lists(sequences: gpd.GeoDataFrame, path: Path, *, whose: str, shortcomings: Sequence[str]) -> list[Path]:
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
        Description of the search, for the comments.
    shortcomings
        Reasons why sequences may be missing.

    Returns
    -------
    files
        The frame and the list.
    """
    from mlygeo import own, store
    from mlygeo.store.atomic import together

    own.refuse_others(path.parent, own_files.sequence_lists(path.name))
    text = "".join(f"{line}\n" for line in _lines(sequences, whose, shortcomings))
    with together(path.parent, last=f"{path.name}.txt"):
        files = [store.write_frame(sequences, path.with_name(f"{path.name}.parquet"))]
        return [*files, store.write_text(text, path.with_name(f"{path.name}.txt"))]


def _lines(sequences: gpd.GeoDataFrame, whose: str, shortcomings: Sequence[str]) -> list[str]:
    from mlygeo.readers.id_lists import sequence_word

    images, length_km = int(sequences["images"].sum()), float(sequences["length_m"].sum()) / 1000
    lines = [
        f"# {_one_line(whose)}: {len(sequences):,} sequences, {images:,} images, {length_km:,.1f} km",
        "# One id a line; 'mlygeo download --sequence-file' takes this file.",
        *(f"# Incomplete: {_one_line(text)}" for text in shortcomings),
    ]
    day = None
    days = sequences["start"].dt.strftime("%Y-%m-%d").where(sequences["start"].notna(), "day unknown")
    whose_ids = sequences["provider"] if "provider" in sequences.columns else [DEFAULT_PROVIDER] * len(sequences)
    for number, provider, this_day in zip(sequences["sequence_id"], whose_ids, days, strict=True):
        if not SAFE_ID.fullmatch(number):
            log.warning("the id %r has not the form of a sequence's, and is left out of the list", number[:40])
            continue
        if this_day != day:
            day = this_day
            lines.append(f"# {day}")
        lines.append(sequence_word(number, provider) if isinstance(provider, str) else number)
    return lines


def table(sequences: gpd.GeoDataFrame) -> str:
    """
    Return a table of the latest sequences, 79 letters wide; wider for UUIDs, which would be of no use if cut.

    Parameters
    ----------
    sequences
        Sequences frame, in the order of time.
    """
    several = "provider" in sequences.columns and len(sequences["provider"].unique()) > 1
    rows = [f"{'day':<10} {'images':>7} {'km':>8} {'minutes':>8}  {'camera':<16} sequence"]
    camera = sequences["camera_type"] if "camera_type" in sequences else sequences["is_pano"].map(_kind)
    shown = sequences.assign(
        day=sequences["start"].dt.strftime("%Y-%m-%d").fillna("unknown"),
        camera=camera.fillna(sequences["is_pano"].map(_kind)),
        minutes=sequences["duration_s"].fillna(0) / 60,
        km=sequences["length_m"].fillna(0) / 1000,
    ).iloc[-ROWS_SHOWN:]
    columns = ("day", "images", "km", "minutes", "camera", "sequence_id")
    whose = shown["provider"] if several else [None] * len(shown)
    for day, images, km, minutes, kind, number, name in zip(*(shown[name] for name in columns), whose, strict=True):
        word = f"{_one_line(name)}:{_shown_id(number)}" if isinstance(name, str) else _shown_id(number)
        rows.append(f"{day:<10} {images:>7,} {km:>8,.2f} {minutes:>8,.1f}  {_one_line(kind)[:16]:<16} {word}")
    if len(sequences) > ROWS_SHOWN:
        rows.append(f"… and {len(sequences) - ROWS_SHOWN:,} earlier ones")
    return "\n".join(rows)


def _shown_id(sequence: str) -> str:
    from mlygeo.keys import UUIDS

    return sequence if UUIDS.find(sequence) is not None else _one_line(sequence)[:24]


def _kind(is_pano: object) -> str:
    import pandas as pd

    if is_pano is None or is_pano is pd.NA:
        return "unknown"
    return "panorama" if is_pano else "flat"


def _one_line(text: str) -> str:
    """Return a text from outside without line breaks and control characters, which could pass for more lines."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))
