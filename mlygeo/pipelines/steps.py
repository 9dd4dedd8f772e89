"""
The units of processing, each on the frame of an import: the same rows, with some new columns.

Beside them the values that options add to those of the photos (names, custom metadata, orientation), and
the summary of a run: counts, reasons, and paths.
"""

from __future__ import annotations

import json
import math
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import InputError
from mlygeo.formats.times import NO_ZONE
from mlygeo.parts.cutting import ZONELESS, without_zone
from mlygeo.pipelines.job import tally, version
from mlygeo.pipelines.options import TURNS
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.parts.cutting import Rules
    from mlygeo.pipelines.options import Cutting, Geotagging, MetaData, User

    Tags = dict[str, list[dict[str, Any]]]


NO_TIME = "no capture time in the photo"

NO_POSITION = "no position in the photo"

WHOLE_SECOND = "its time has no fraction of a second; placed by its name among photos that have one"

GROUPS = {"string": "strings", "double": "doubles", "long": "longs", "date": "dates", "boolean": "booleans"}
"""Types of custom meta data, and the part of MAPMetaTags that holds them."""

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REASONS_SHOWN = 4

FILES_SHOWN = 5

_KINDS = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"captured .* (before the track starts|after the track ends)", "outside the track"),
        (r"captured in a gap of", "in a gap of the track"),
        (r"captured .* most images of its folder", "dated years from the others"),
        (r"captured .* against their numbers", "dated against their file numbers"),
        (r".*weeks were added", "with a roll-over of the GPS week number"),
        (r".*GPS date was corrected", "with a GPS date a day off"),
        (r"GPS says .*, its clock ", "whose GPS and clock contradict each other"),
        (r"its clock is .* its GPS time", "whose GPS and clock contradict each other"),
        (r".*before 1995", "dated before 1995"),
        (r".*in the future", "dated in the future"),
        (r"it also says ", "with several times that differ"),
        (r".*Buddhist calendar", "with a year of the Buddhist calendar"),
        (r".* km/h ", "too fast"),
        (r".*zig-zag", "zig-zag"),
        (r".*have this capture time", "same capture time"),
        (r"position \(0, 0\)", "position (0, 0)"),
        (re.escape(NO_ZONE), "without a time zone"),
        (r".*seems to be recorded at the same time", "of videos that overlap in time"),
        (r"the video does not say when", "of a video without a time"),
        (r".*(chapter before|chapters before)", "of a video of which chapters are missing"),
        (r".*whose time zone is unknown", "without a time zone"),
        (r"its GPS says that it began", "of a video whose GPS has another time than was given"),
        (r".*tracks of pictures", "of a video with several tracks of pictures"),
        (r"its creation time", "whose creation time is in doubt"),
        (r"no time zone, taken as that of its place", "without a time zone, taken as that of their places"),
        (r"no time zone, taken as that of this machine", "without a time zone, taken as that of this machine"),
    )
)


def with_user(images: gpd.GeoDataFrame, user: User) -> gpd.GeoDataFrame:
    """
    Return images with the user, organization and privacy of their upload.

    Without an option, the values in a photo before processing (as in those of Mapillary's app) are used: a
    private photo does not become public by processing.
    """
    import pandas as pd

    described = images["image_description"] if "image_description" in images.columns else _all(None, images)
    ownership = {text: _ownership(text) for text in described.dropna().unique()}
    own = [ownership.get(text, {}) for text in described.tolist()]
    columns = {
        name: _all(getattr(user, name), images) for name in ("user_name", "organization_name", "organization_key")
    }
    if user.user_name is None:
        columns["user_name"] = pd.array([one.get("MAPSettingsUsername") for one in own], dtype="str")
    if user.organization_key is None and user.organization_name is None:
        columns["organization_key"] = pd.array([one.get("MAPOrganizationKey") for one in own], dtype="str")
    return images.assign(**columns, private=[user.private or bool(one.get("MAPPrivate")) for one in own])


def _ownership(description: str) -> dict[str, Any]:
    """Return the owner in the image description of a photo; empty if the description is damaged."""
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    texts = {name: str(found[name]) for name in ("MAPSettingsUsername", "MAPOrganizationKey") if found.get(name)}
    return {**texts, "MAPPrivate": str(found.get("MAPPrivate")).lower() == "true"}


def with_user_name(images: gpd.GeoDataFrame, user_name: str | None) -> gpd.GeoDataFrame:
    """Return images with the name of the uploading user, where it is given."""
    return images if user_name is None else images.assign(user_name=_all(user_name, images))


def with_meta_data(images: gpd.GeoDataFrame, meta: MetaData, *, base: str, now_ms: int | None) -> gpd.GeoDataFrame:
    """
    Return images with the metadata of camera and files.

    Parameters
    ----------
    images
        The frame with the photos' own values.
    meta
        The options.
    base
        The import path.
    now_ms
        The date of the import, milliseconds since 1970; None where it is not added.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for column, value in (("make", meta.device_make), ("model", meta.device_model), ("camera_uuid", meta.camera_uuid)):
        if value is not None:
            columns[column] = _all(value, images)
    if meta.orientation is not None:
        columns["exif_orientation"] = pd.array([TURNS[meta.orientation]] * len(images), dtype="Int64")
    if meta.gps_accuracy is not None:
        columns["gps_accuracy_m"] = np.full(len(images), float(meta.gps_accuracy))
    if meta.add_file_name:
        columns["filename"] = pd.array([_shown_name(path, meta, base) for path in images["path"]], dtype="str")
    tags = _custom(meta.custom_meta_data)
    if now_ms is not None:
        tags = merged({"dates": [{"key": "import_date", "value": now_ms}]}, tags)
    described = images["image_description"] if "image_description" in images.columns else _all(None, images)
    added = _json(merged(tags))
    both = {
        text: _json(merged(meta_tags_of(text), tags)) for text in described.dropna().unique() if "MAPMetaTags" in text
    }
    columns["meta_tags"] = pd.array([both.get(text, added) for text in described.tolist()], dtype="str")
    return images.assign(**columns)


def with_places(
    images: gpd.GeoDataFrame, how: Geotagging, track: gpd.GeoDataFrame | None, *, by_folder: bool = False
) -> gpd.GeoDataFrame:
    """
    Return images with time, position, heading and altitude, and with an error where time or position is missing.

    Parameters
    ----------
    images
        The frame with the photos' own values.
    how
        The options.
    track
        The track; None uses the photos' own positions.
    by_folder
        Whether the tracks are those of videos, whose frames are in folders named after them: each frame
        is then geotagged with the track of its own video, if there is one.
    """
    from mlygeo.readers.photos import in_local_time
    from mlygeo.readers.sampled import with_facts

    images = with_facts(images)
    if how.local_time:
        read = in_local_time(images)
        images = read.assign(time_source=read["time_source"].mask(read["time_source"].isin(ZONELESS), "local"))
    images = _with_whole_seconds_placed(images)
    if track is None:
        images = _with_offsets(images, how)
    elif by_folder:
        images = _by_video(images, how, track)
    else:
        images = _on_track(images, how, track)
    return checked(images.assign(geotag_angle=images["compass_angle"]))


def _with_whole_seconds_placed(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return images with photos that lack the fraction of their second placed in their burst, and a warning there."""
    from mlygeo import frames
    from mlygeo.spatial import times

    placed = times.place_whole_seconds(images)
    if placed is images:
        return images
    moved = placed["captured_at"].notna() & placed["captured_at"].ne(images["captured_at"])
    return frames.with_phrases(placed, "warning", _all(WHOLE_SECOND, placed).where(moved))


def _with_offsets(images: gpd.GeoDataFrame, how: Geotagging) -> gpd.GeoDataFrame:
    from mlygeo.spatial import ordering, times
    from mlygeo.spatial.sequences import turned

    usable = images["error"].isna().to_numpy()
    chosen = images[usable]
    if how.sub_second_interval:
        chosen = times.estimate_subseconds(chosen, sub_second_interval=how.sub_second_interval)
    else:
        chosen = times.spread_subseconds(chosen)
    captured = images["captured_at"].to_numpy(dtype="datetime64[ms]").copy()
    captured[usable] = chosen["captured_at"].to_numpy(dtype="datetime64[ms]")
    captured -= np.timedelta64(round(how.offset_time * 1000), "ms")
    return images.assign(
        captured_at=ordering.datetimes(captured.view(np.int64), images.index),
        compass_angle=turned(images["compass_angle"].to_numpy(dtype=np.float64), how.offset_angle),
    )


def _on_track(images: gpd.GeoDataFrame, how: Geotagging, track: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    from mlygeo.readers.sampled import with_times_from
    from mlygeo.spatial.geotag import geotag
    from mlygeo.spatial.track import lines, start_us

    if how.use_gps_start_time:
        merged, _ = lines(track)
        images = with_times_from(images, start_us(merged) // 1000)
    return geotag(
        images,
        track,
        offset_time=how.offset_time - how.interpolation_offset_time,
        offset_angle=how.offset_angle,
        use_gps_start_time=how.use_gps_start_time,
        sub_second_interval=how.sub_second_interval,
        max_gap=how.max_gap,
    )


def _by_video(images: gpd.GeoDataFrame, how: Geotagging, track: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Geotag the frames of each video with its own track, and all other images with all tracks."""
    import pandas as pd

    of_folder = {folder: own_track(folder, track) or "" for folder in images["folder"].unique()}
    groups = images["folder"].map(of_folder)
    parts = [
        _on_track(images[groups == name], how, track[track["track_id"] == name] if name else track)
        for name in groups.unique()
    ]
    if len(parts) == 1:
        return parts[0]
    return pd.concat(parts).loc[images.index]


def own_track(folder: str, track: gpd.GeoDataFrame) -> str | None:
    """
    Return the track of the video whose frames are in a folder; None where there is none, or nothing tells which.

    Cameras begin to count anew on every card: of several videos of one name it is the one whose folders, from the
    last one on, are those of the frames.

    Parameters
    ----------
    folder
        The folder of the frames.
    track
        Tracks frame; `attrs["paths"]` is the file of each track.
    """
    stem = Path(folder).stem
    paths: dict[str, str] = track.attrs.get("paths", {})
    named = [name for name in track["track_id"].unique() if stem in {name, Path(paths.get(name, "")).stem}]
    if len(named) < 2:
        return named[0] if named else None
    parents = Path(folder).parent.parts[::-1]
    shared = []
    for name in named:
        others = Path(paths.get(name, "")).parent.parts[::-1]
        alike = [one == other for one, other in zip(parents, others, strict=False)]
        shared.append((alike.index(False) if False in alike else len(alike), name))
    best = max(shared)
    return best[1] if sum(count == best[0] for count, _ in shared) == 1 else None


def checked(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return images with an error where a time or a position is missing."""
    placed = images.geometry.notna().to_numpy() & ~images.geometry.is_empty.to_numpy()
    error = images["error"].mask(images["error"].isna() & images["captured_at"].isna(), NO_TIME)
    error = error.mask(error.isna() & ~placed, NO_POSITION)
    new = error.notna() & images["failed_in"].isna()
    return images.assign(error=error, failed_in=images["failed_in"].mask(new, "geotag"))


def uploadable(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Return images without the errors that do not prevent an upload.

    If the folder of a photo is not writable, its tags could not be written; the uploaded bytes get them
    nevertheless.
    """
    unwritten = images["failed_in"].eq("exif-insert").fillna(value=False).to_numpy(dtype=bool)
    if not unwritten.any():
        return images
    folders = [os.path.dirname(path) for path in images["path"]]  # noqa: PTH120 - many paths
    locked = {folder for folder in set(folders) if not os.access(folder, os.W_OK)}
    unwritten = unwritten & np.array([folder in locked for folder in folders], dtype=bool)
    return images.assign(error=images["error"].mask(unwritten), failed_in=images["failed_in"].mask(unwritten))


def with_sequences(images: gpd.GeoDataFrame, photos: gpd.GeoDataFrame, cutting: Cutting) -> gpd.GeoDataFrame:
    """
    Return images cut into sequences, with headings, duplicates, and problems.

    Cameras are distinguished by the photos' own values, not by options for all photos: two cameras in a folder
    stay two.

    Parameters
    ----------
    images
        The frame, with time and position.
    photos
        The photos' own values, in the same rows.
    cutting
        The options.
    """
    from mlygeo.spatial.ordering import CAMERA

    cut = images.assign(
        compass_angle=images["geotag_angle"],
        path=photos["first_path"],
        folder=photos["folder"],
        **{column: photos[column] for column in CAMERA if column in photos.columns},
    )
    cut = cut_and_flagged(cut, cutting)
    of = cut["duplicate_of"]
    if of.notna().any():
        now = dict(zip(photos["first_path"].tolist(), photos["path"].tolist(), strict=True))
        of = of.map(now).astype("str").where(of.notna())
    return images.assign(
        sequence_id=cut["sequence_id"],
        compass_angle=cut["compass_angle"],
        is_duplicate=cut["is_duplicate"],
        duplicate_of=of,
        problem=cut["problem"],
    )


def cut_and_flagged(images: gpd.GeoDataFrame, cutting: Cutting) -> gpd.GeoDataFrame:
    """Return images with sequences, duplicates, derived headings and problems; see `parts.cutting`."""
    from mlygeo.parts import cutting as step

    return step.cut_and_flagged(images, rules_of(cutting), now=datetime.now(UTC))


def rules_of(cutting: Cutting) -> Rules:
    """Return options as the rules of cutting."""
    from mlygeo.parts.cutting import Rules
    from mlygeo.pipelines.options import NO_LIMIT

    return Rules(
        cutoff_distance=cutting.cutoff_distance,
        cutoff_time=cutting.cutoff_time,
        max_images=None if cutting.max_images >= NO_LIMIT else cutting.max_images,
        interpolate_directions=cutting.interpolate_directions,
        offset_angle=cutting.offset_angle,
        keep_duplicates=cutting.keep_duplicates,
        duplicate_distance=cutting.duplicate_distance,
        duplicate_angle=cutting.duplicate_angle,
        max_speed=cutting.max_speed,
        preset=cutting.preset,
    )


def _all(value: str | None, images: pd.DataFrame) -> Any:
    import pandas as pd

    return pd.Series(pd.array([value], dtype="str").repeat(len(images)), index=images.index)


def _json(tags: dict[str, Any]) -> str | None:
    return json.dumps(tags, ensure_ascii=False, separators=(",", ":")) if tags else None


def tag_of(name: str, kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """
    Return the group of a meta tag, and the tag.

    Parameters
    ----------
    name
        Its key.
    kind
        string, double, long, date (milliseconds since 1970, or ISO 8601) or boolean.
    text
        Its value.

    Raises
    ------
    InputError
        If the type is unknown, or the value does not have it.
    """
    if kind not in GROUPS:
        raise InputError(f"there is no type {kind!r} of meta data ({name})", hint=f"one of {', '.join(GROUPS)}")
    try:
        value = _value(kind, text.strip())
    except (ValueError, KeyError, OverflowError) as error:
        raise InputError(f"the meta data {name} is no {kind}: {text[:60]!r}") from error
    return GROUPS[kind], {"key": name, "value": value}


def _value(kind: str, text: str) -> Any:
    if kind == "long":
        return int(text)
    if kind == "double":
        if not math.isfinite(number := float(text)):
            raise ValueError(text)
        return number
    if kind == "boolean":
        return _TRUTH[text.lower()]
    if kind == "date":
        try:
            return int(text)
        except ValueError:
            moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round((moment - _EPOCH).total_seconds() * 1000)
    return text


def _custom(text: str | None) -> Tags:
    """
    Return the meta tags of --custom-meta-data: "name,type,value;name,type,value".

    Raises
    ------
    InputError
        If it has another form.
    """
    entries = [entry for entry in (text or "").split(";") if entry.strip()]
    tags = []
    for entry in entries:
        parts = [part.strip() for part in entry.split(",", 2)]
        if len(parts) != 3 or not parts[0]:
            raise InputError(
                f"`custom_meta_data` {entry.strip()!r} has not three parts",
                hint='write it as "name,type,value;name,type,value"',
            )
        tags.append(tag_of(*parts))
    return grouped(tags)


def grouped(tags: Iterable[tuple[str, dict[str, Any]]]) -> Tags:
    """Return tags by group; of several with the same key the last counts."""
    found: Tags = {}
    for group, tag in tags:
        others = [other for other in found.get(group, []) if other["key"] != tag["key"]]
        found[group] = [*others, tag]
    return found


def merged(*all_tags: Tags) -> Tags:
    """Return the joined tags; of several with the same key the last counts."""
    return grouped((group, tag) for tags in all_tags for group, several in tags.items() for tag in several)


def meta_tags_of(description: Any) -> Tags:
    """Return the meta tags in the image description of a photo; none if it is damaged."""
    if not isinstance(description, str) or "MAPMetaTags" not in description:
        return {}
    try:
        tags = json.loads(description)["MAPMetaTags"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    return {
        group: kept
        for group in GROUPS.values()
        if (
            kept := [
                tag for tag in _listed(tags.get(group)) if isinstance(tag, dict) and {"key", "value"} <= tag.keys()
            ]
        )
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown_name(path: str, meta: MetaData, base: str) -> str:
    """Return the name of a photo: its path, without the parts to leave out."""
    cut = base if meta.exclude_import_path else meta.exclude_path
    name = path.replace(cut, "").lstrip("/\\") if cut else path
    return name.replace("/", "\\") if meta.windows_path else name


def kind_of(error: str) -> str:
    """Return the kind of an error: its text without the numbers and names that differ from photo to photo."""
    for pattern, kind in _KINDS:
        if pattern.match(error):
            return kind
    text = re.sub(r"^\S[^:]{0,80}\.(?:jpe?g?|jfif|jif|jfi|mpo|insp):\s*", "", error, flags=re.IGNORECASE)
    text = re.sub(r"\s*\(.*\)", "", text.split(";")[0])
    return re.sub(r"(?<![A-Za-z\d])\d[\d.,]*", "N", text)


def problems_of(texts: pd.Series) -> dict[str, int]:
    """Return kinds of problems, and how many images have one, from explanations that are separated by "; "."""
    kinds = texts.dropna().map(lambda text: list(dict.fromkeys(map(kind_of, text.split("; "))))).explode()
    return {str(kind): int(count) for kind, count in kinds.value_counts().items()}


def left_out_of(images: gpd.GeoDataFrame) -> dict[str, int]:
    """Return the reasons for what was left out when images were read (`attrs["left_out"]`), and how much."""
    return left_out_in(images.attrs)


def left_out_in(attrs: Mapping[Any, Any]) -> dict[str, int]:
    """Return the same of the attributes of images."""
    return {str(reason): int(count) for reason, count in (attrs.get("left_out") or {}).items() if count}


def doubts(summary: dict[str, Any], *, column: str = "problem") -> list[str]:
    """Return lines about what was left out, and what is in doubt, with the column that says more."""
    lines = []
    if zoneless := summary["without_time_zone"]:
        lines.append(
            f"{counted(zoneless, 'photo')} {'says' if zoneless == 1 else 'say'} no time zone; taken as UTC;"
            " `local_time` takes that of the place"
        )
    problems = {kind: count for kind, count in summary["problems"].items() if kind != kind_of(NO_ZONE)}
    if left_out := summary["left_out"]:
        lines.append(f"left out: {tally(left_out)}")
    if problems:
        shown = ", ".join(f"{count:,} {kind}" for kind, count in problems.items())
        lines.append(f"worth a look (column {column}): {shown}")
    return lines


def summary_of(images: gpd.GeoDataFrame, *, files: list[Path], written: int = 0) -> dict[str, Any]:
    """
    Return the summary of a run, JSON; an uploaded photo counts as uploaded, not as failed.

    Parameters
    ----------
    images
        The frame of the run, with `attrs["left_out"]`.
    files
        The written files.
    written
        Number of photos into which this run has written tags.
    """
    from mlygeo.readers.photos import other_pictures
    from mlygeo.spatial.sequences import summarise

    left_out = left_out_of(images)
    uploaded = images["uploaded"].to_numpy(dtype=bool)
    errors = images.loc[~uploaded, "error"].dropna()
    ready = images["error"].isna() & ~images["is_duplicate"]
    sequences = summarise(images[ready]) if ready.any() else None
    kinds = errors.map(kind_of).value_counts()
    return {
        "photos": len(images),
        "ready": int(ready.sum()),
        "uploaded": int(uploaded.sum()),
        "duplicates": int((images["is_duplicate"] & ~uploaded).sum()),
        "failed": len(errors),
        "reasons": {str(kind): int(count) for kind, count in kinds.items()},
        "problems": problems_of(images["problem"]),
        "left_out": left_out,
        "without_time_zone": int(without_zone(images).sum()),
        "sequences": 0 if sequences is None else len(sequences),
        "length_m": 0.0 if sequences is None else round(float(sequences["length_m"].fillna(0).sum()), 1),
        "exif_written": written,
        "warnings": int(images["warning"].notna().sum()) if "warning" in images.columns else 0,
        "pictures_of_other_kinds": other_pictures(left_out),
        "failed_files": failures(images[~uploaded]),
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
    if summary["uploaded"]:
        text += f", {summary['uploaded']:,} uploaded before (they stay as they are)"
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
            more = f"and {summary['failed'] - FILES_SHOWN:,} more"
            frame = next((file for file in summary["files"] if file.endswith("images.parquet")), None)
            lines.append(f"  … {more}" + (f"; all, with their reasons, are in {frame}" if frame else ""))
    lines += doubts(summary)
    if summary["files"]:
        lines.append("  ".join(summary["files"]))
    return "\n".join(lines)
