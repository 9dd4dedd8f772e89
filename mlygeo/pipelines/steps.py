"""The units of processing, each on the frame of an import: the same rows, some columns anew."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.jobs import _meta_data
from mlygeo.pipelines.options import TURNS

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from mlygeo.pipelines.options import Cutting, Geotagging, MetaData, User

NO_TIME = "no capture time in the photo"
NO_POSITION = "no position in the photo"


def with_user(images: gpd.GeoDataFrame, user: User) -> gpd.GeoDataFrame:
    """
    Return images with the user, organization and privacy that they are to be uploaded with.

    What a photo said of them before it was processed (those of Mapillary's app do) counts where the options
    say nothing: a private photo does not become public by being processed.
    """
    import pandas as pd

    described = images["image_description"] if "image_description" in images.columns else _all(None, images)
    told = {text: _ownership(text) for text in described.dropna().unique()}
    own = [told.get(text, {}) for text in described]
    columns = {
        name: _all(getattr(user, name), images) for name in ("user_name", "organization_name", "organization_key")
    }
    if user.user_name is None:
        columns["user_name"] = pd.array([one.get("MAPSettingsUsername") for one in own], dtype="str")
    if user.organization_key is None and user.organization_name is None:
        columns["organization_key"] = pd.array([one.get("MAPOrganizationKey") for one in own], dtype="str")
    return images.assign(**columns, private=[user.private or bool(one.get("MAPPrivate")) for one in own])


def _ownership(description: str) -> dict[str, Any]:
    """Return what an image description in a photo says of whose it is; nothing where it is damaged."""
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    texts = {name: str(found[name]) for name in ("MAPSettingsUsername", "MAPOrganizationKey") if found.get(name)}
    return {**texts, "MAPPrivate": str(found.get("MAPPrivate")).lower() == "true"}


def with_user_name(images: gpd.GeoDataFrame, user_name: str | None) -> gpd.GeoDataFrame:
    """Return images with the name of who uploads them, where it is told."""
    return images if user_name is None else images.assign(user_name=_all(user_name, images))


def with_meta_data(images: gpd.GeoDataFrame, meta: MetaData, *, base: str, now_ms: int | None) -> gpd.GeoDataFrame:
    """
    Return images with what is told of camera and files.

    Parameters
    ----------
    images
        The frame, as the photos have it.
    meta
        What is told.
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
        columns["filename"] = pd.array(
            [_meta_data.shown_name(path, meta, base) for path in images["path"]], dtype="str"
        )
    tags = _meta_data.custom(meta.custom_meta_data)
    if now_ms is not None:
        tags = _meta_data.merged({"dates": [{"key": "import_date", "value": now_ms}]}, tags)
    described = images["image_description"] if "image_description" in images.columns else _all(None, images)
    known = {text: _meta_data.told(text) for text in described.dropna().unique() if "MAPMetaTags" in text}
    texts = [_json(_meta_data.merged(known.get(text, {}), tags)) for text in described]
    columns["meta_tags"] = pd.array(texts, dtype="str")
    return images.assign(**columns)


def with_places(
    images: gpd.GeoDataFrame, how: Geotagging, track: gpd.GeoDataFrame | None, *, by_folder: bool = False
) -> gpd.GeoDataFrame:
    """
    Return images with time, position, heading and altitude; those that lack time or position with an error.

    Parameters
    ----------
    images
        The frame, as the photos have it.
    how
        The options.
    track
        The track; None takes what the photos say.
    by_folder
        Whether tracks are those of videos, whose frames lie in folders of their names: each is then
        geotagged with the track of its own video, where there is one.
    """
    from mlygeo.readers.photos import in_local_time

    if how.local_time:
        images = in_local_time(images)
    if track is None:
        images = _as_told(images, how)
    elif by_folder:
        images = _by_video(images, how, track)
    else:
        images = _on_track(images, how, track)
    return checked(images.assign(geotag_angle=images["compass_angle"]))


def _as_told(images: gpd.GeoDataFrame, how: Geotagging) -> gpd.GeoDataFrame:
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
    from mlygeo.spatial.geotag import geotag

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
    """Geotag the frames of each video with its own track, and all others with what there is."""
    import pandas as pd

    stems = pd.Series(
        [os.path.splitext(os.path.basename(folder))[0] for folder in images["folder"]],  # noqa: PTH119, PTH122
        index=images.index, dtype="str",
    )  # fmt: skip
    known = set(track["track_id"])
    groups = stems.where(stems.isin(known), "")
    parts = [
        _on_track(images[groups == name], how, track[track["track_id"] == name] if name else track)
        for name in groups.unique()
    ]
    if len(parts) == 1:
        return parts[0]
    return pd.concat(parts).loc[images.index]


def checked(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return images with the reason of those that lack a time or a position."""
    placed = images.geometry.notna().to_numpy() & ~images.geometry.is_empty.to_numpy()
    error = images["error"].mask(images["error"].isna() & images["captured_at"].isna(), NO_TIME)
    error = error.mask(error.isna() & ~placed, NO_POSITION)
    new = error.notna() & images["failed_in"].isna()
    return images.assign(error=error, failed_in=images["failed_in"].mask(new, "geotag"))


def uploadable(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Return images without the errors that keep none from being uploaded.

    Where the folder of a photo cannot be written to, its tags could not be; the bytes that are uploaded get
    them all the same.
    """
    unwritten = images["failed_in"].eq("exif-insert").fillna(value=False).to_numpy(dtype=bool)
    folders = [os.path.dirname(path) for path in images["path"]]  # noqa: PTH120 - many paths
    locked = {folder for folder in set(folders) if not os.access(folder, os.W_OK)}
    unwritten = unwritten & np.array([folder in locked for folder in folders], dtype=bool)
    return images.assign(error=images["error"].mask(unwritten), failed_in=images["failed_in"].mask(unwritten))


def with_sequences(images: gpd.GeoDataFrame, photos: gpd.GeoDataFrame, cutting: Cutting) -> gpd.GeoDataFrame:
    """
    Return images cut into sequences, with headings, duplicates, and what looks wrong with them.

    Cameras are told apart by what the photos say, not by what was told of them all: two cameras in a folder
    stay two.

    Parameters
    ----------
    images
        The frame, with time and position.
    photos
        What the photos said, the same rows.
    cutting
        The options.
    """
    cut = images.assign(
        compass_angle=images["geotag_angle"],
        path=photos["first_path"],
        folder=photos["folder"],
        **{column: photos[column] for column in ("make", "model", "camera_uuid") if column in photos.columns},
    )
    cut = cut_and_flagged(cut, cutting)
    now = dict(zip(photos["first_path"], photos["path"], strict=True))
    of = cut["duplicate_of"]
    return images.assign(
        sequence_id=cut["sequence_id"],
        compass_angle=cut["compass_angle"],
        is_duplicate=cut["is_duplicate"],
        duplicate_of=of.map(now).astype("str").where(of.notna()),
        problem=cut["problem"],
    )


def cut_and_flagged(images: gpd.GeoDataFrame, cutting: Cutting) -> gpd.GeoDataFrame:
    """Return images with sequences, derived headings, duplicates and problems, in the order of the older tools."""
    from mlygeo import dtypes
    from mlygeo.spatial.checks import check_images
    from mlygeo.spatial.duplicates import flag_duplicates
    from mlygeo.spatial.sequences import cut_sequences, interpolate_directions, split_sequences

    images = cut_sequences(images, cutoff_distance=cutting.cutoff_distance, cutoff_time=cutting.cutoff_time)
    images = interpolate_directions(images, offset_angle=cutting.offset_angle, overwrite=cutting.interpolate_directions)
    if cutting.keep_duplicates:
        images = images.assign(
            is_duplicate=np.zeros(len(images), dtype=bool), duplicate_of=dtypes.nulls("str", len(images), images.index)
        )
    else:
        images = flag_duplicates(
            images, duplicate_distance=cutting.duplicate_distance, duplicate_angle=cutting.duplicate_angle
        )
    images = split_sequences(images, max_images=cutting.max_images)
    return check_images(images, max_speed=cutting.max_speed)


def _all(value: str | None, images: pd.DataFrame) -> Any:
    import pandas as pd

    return pd.Series([value] * len(images), index=images.index, dtype="str")


def _json(tags: dict[str, Any]) -> str | None:
    return json.dumps(tags, ensure_ascii=False, separators=(",", ":")) if tags else None
