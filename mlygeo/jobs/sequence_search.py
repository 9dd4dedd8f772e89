"""The job that finds the sequences of a person, an organization or a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import InputError
from mlygeo.pipelines import inputs
from mlygeo.pipelines.job import RECORDS_AT_ONCE, Job, counted, joined, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Records, Search


def find_sequences(
    user: str | Sequence[str] | None,
    *,
    region: Any,
    organization: int | str | None,
    filter: Literal["all", "360", "regular"],  # noqa: A002 - the option's name
    since: str | datetime | None,
    until: str | datetime | None,
    max_pages: int | None,
    workers: int,
    token: str | None,
    token_file: Any,
    service: Service | None,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `find_sequences` says."""
    from mlygeo import frames, regions
    from mlygeo.actors import sequence_list
    from mlygeo.providers import needed, provider_of
    from mlygeo.spatial import sequences as step

    user = _one_user(user)
    place, _ = regions.settle(region)
    if user is None and place is None and organization is None:
        raise InputError("nobody and nowhere to look for", hint="name a user, --organization ID or a region")
    if max_pages is not None and place is not None:
        raise InputError("--max-pages goes with a user or an organization; a region is searched box by box")
    times = frames.conditions_of(
        pano=None, since=since, until=until, creator=None, organization=organization, min_quality=None
    )
    if organization is not None and len(times["organization"]) != 1:
        raise InputError("one organization at a time")
    who = provider_of(service)
    reader = needed(who.records, who, "images by id")
    with reader.open(inputs.service_for(service, token, token_file), workers=workers) as session:
        search = session.search(
            fields=reader.fields_for(
                "sequence_id", "captured_at", "geometry", "is_pano", "camera_type", "creator_id", "organization_id",
                "make", "model",
            ),
            bbox=place,
            creator_username=user,
            organization_id=None if organization is None else times["organization"][0],
            # Only the answer "yes" is asked for: what a service makes of "false" is known only to itself.
            is_pano=True if filter == "360" else None,
            since=times.get("since"),
            until=times.get("until"),
            max_pages=max_pages,
            progress=progress,
        )  # fmt: skip
        images, problems = _searched(search, times, filter, reader)
    sequences = step.summarise(images)
    shortcomings = search.shortcomings()
    whose = sequence_list.whose(user, organization, None if place is None else place.name)
    summary = {
        "of": whose,
        "filter": filter,
        "sequences": len(sequences),
        "images": len(images),
        "length_km": round(float(sequences["length_m"].sum()) / 1000, 3),
        "requests": search.requests,
        "incomplete": shortcomings,
        "wrong_values": {str(number): problem for number, problem in problems.items()},
        "attribution": [who.attribution],
        "version": version(),
    }
    headline = f"{counted(len(sequences), 'sequence')} of {whose}, {counted(len(images), 'image')}"
    if not len(images) and not shortcomings:
        headline += "; the service knows none, or nobody of that name"
    if shortcomings:
        headline += f"; incomplete: {shortcomings[0]}"
    stem = sequence_list.file_stem(user, organization)

    def write(folder: Path) -> list[Path]:
        return sequence_list.write(sequences, folder / stem, whose=whose, shortcomings=shortcomings)

    return Job(
        lambda: sequences,
        summary,
        headline,
        write,
        [*shortcomings, *map(str, problems)],
        text=lambda: sequence_list.table(sequences),
    )


def _searched(
    search: Search, conditions: dict[str, Any], kind: Literal["all", "360", "regular"], reader: Records
) -> tuple[gpd.GeoDataFrame, dict[int, str]]:
    """Return the images that a search finds, and what is wrong with some of them."""
    from mlygeo import frames

    fields = [*reader.base_fields, *reader.fields_for("camera_type", "make", "model")]
    conditions = {name: value for name, value in conditions.items() if name in {"since", "until"}}
    parts: list[gpd.GeoDataFrame] = []
    records: list[dict[str, Any]] = []
    problems: dict[int, str] = {}

    def make() -> None:
        images = reader.frame(records, fields=fields, problems=problems)
        records.clear()
        if conditions:
            images = images[frames.conditions_mask({name: images[name] for name in images.columns}, conditions)]
        if kind != "all":
            panoramic = images["is_pano"] | images["camera_type"].isin(reader.panoramas)
            images = images[panoramic if kind == "360" else ~panoramic]
        parts.append(images)

    for batch in search:
        records.extend(batch)
        if len(records) >= RECORDS_AT_ONCE:
            make()
    make()
    return joined(parts), problems


def _one_user(user: str | Sequence[str] | None) -> str | None:
    names = [user] if isinstance(user, str) else list(user or ())
    if len(names) > 1:
        raise InputError(f"{len(names)} users", hint="one at a time; put a name with spaces into quotes")
    if names and not names[0].strip():
        raise InputError("the user's name is empty")
    return names[0].strip() if names else None
