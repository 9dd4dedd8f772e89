"""The kinds of frames: their columns, dtypes and geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CRS = "EPSG:4326"
"""The coordinate reference system of every frame."""

MS_UTC = "datetime64[ms, UTC]"
US_UTC = "datetime64[us, UTC]"

DEFAULT_PROVIDER = "mapillary"
"""The provider of images that stand without one."""

KEYS = ("id", "creator_id", "organization_id")
"""Columns of keys of a provider: whole numbers at Mapillary, text where there are others."""


@dataclass(frozen=True)
class Column:
    """
    A column of a schema: its name, its dtype as pandas prints it, and what it holds.

    Truth values are `bool` where all are known, and `boolean` with nulls where some are not.
    """

    name: str
    dtype: str
    meaning: str
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """What a kind of frame holds: columns, and the type of its geometry."""

    name: str
    geometry: str
    columns: tuple[Column, ...]

    @property
    def words(self) -> str:
        """What messages call the rows of this kind."""
        return "photos" if self.name == "local_images" else self.name.replace("_", " ")

    @property
    def required(self) -> tuple[Column, ...]:
        """The columns that every frame of this kind has."""
        return tuple(column for column in self.columns if not column.optional)

    def dtype(self, name: str) -> str | None:
        """Return the dtype of a column, or None where the schema does not know it."""
        return next((column.dtype for column in self.columns if column.name == name), None)

    @property
    def of_any_provider(self) -> Schema:
        """
        Schema in the second form: keys of providers are text, and times have microseconds.

        Mapillary's images alone are in the first form: whole numbers and milliseconds, and no column `provider`.
        """
        known = {column.name for column in self.columns}
        more = tuple(column for column in MORE if column.name not in known) if "captured_at" in known else ()
        return replace(self, columns=tuple(map(_of_any_provider, self.columns)) + more)

    def only(self, *names: str) -> Schema:
        """Return this schema with only these columns, all of them required."""
        chosen = [column for column in self.columns if column.name in names]
        return replace(self, columns=tuple(replace(column, optional=False) for column in chosen))


MORE = (
    Column("provider", "str", "who serves it; without this column Mapillary", optional=True),
    Column("instance", "str", "the server of a federation that has it, by name or host", optional=True),
    Column("licence", "str", "licence as the provider names it; null when unknown", optional=True),
    Column("licence_url", "str", "address of the licence's text", optional=True),
    Column("creator", "str", "name of who gave it, for attribution", optional=True),
    Column("pitch", "float64", "degrees, up positive", optional=True),
    Column("roll", "float64", "degrees, right arm down positive", optional=True),
    Column("yaw", "float64", "degrees", optional=True),
    Column("field_of_view", "float64", "horizontal, degrees", optional=True),
    Column("gps_accuracy_m", "float64", "horizontal accuracy of the position, metres (95 %)", optional=True),
    Column("pixel_density", "float64", "horizontal, pixels a degree", optional=True),
    Column("compass_source", "str", "measured or computed (of the sequence); null when unknown", optional=True),
    Column("sequence_rank", "Int64", "place in its sequence, from 1", optional=True),
    Column("filename", "str", "name of the file as uploaded; not unique", optional=True),
    Column("filesize", "Int64", "bytes as uploaded", optional=True),
    Column("hd_url", "str", "address of the picture in full", optional=True),
    Column("sd_url", "str", "address of the picture, 2048 pixels wide", optional=True),
    Column("thumb_url", "str", "address of the thumbnail", optional=True),
    Column("tiles_url", "str", "address of the tiles of a panorama, with {TileCol} and {TileRow}", optional=True),
    Column("created_at", US_UTC, "when it was uploaded", optional=True),
    Column("updated_at", US_UTC, "when it was last changed", optional=True),
)
"""Optional columns of images in the second form; in the first they are a user's own, and stay as they are."""


def _of_any_provider(column: Column) -> Column:
    if column.name in KEYS:
        return replace(column, dtype="str")
    return replace(column, dtype=US_UTC) if column.dtype == MS_UTC else column


IMAGES = Schema(
    "images",
    "Point",
    (
        Column("id", "int64", "the provider's id of the image, unique"),
        Column("sequence_id", "str", "the provider's id of its sequence"),
        Column("captured_at", MS_UTC, "capture time"),
        Column("compass_angle", "float64", "heading of the camera, degrees; NaN when unknown"),
        Column("is_pano", "bool", "whether it is a panorama; null when unknown"),
        Column("creator_id", "Int64", "the provider's id of who took it"),
        Column("organization_id", "Int64", "the provider's id of the organization; null when there is none"),
        Column("altitude", "float64", "metres above sea level, as recorded", optional=True),
        Column("computed_altitude", "float64", "metres, after 3D reconstruction", optional=True),
        Column("computed_compass_angle", "float64", "degrees, after 3D reconstruction", optional=True),
        Column("camera_type", "str", "perspective, fisheye, equirectangular or spherical", optional=True),
        Column("make", "str", "maker of the camera", optional=True),
        Column("model", "str", "model of the camera", optional=True),
        Column("width", "Int64", "pixels of the upload", optional=True),
        Column("height", "Int64", "pixels of the upload", optional=True),
        Column("quality_score", "float64", "Mapillary's score, 0 to 1", optional=True),
        Column("exif_orientation", "Int64", "EXIF orientation of the upload, 1 to 8", optional=True),
        Column("creator_username", "str", "name of who took it", optional=True),
    ),
)

LOCAL_IMAGES = Schema(
    "local_images",
    "Point",
    (
        Column("id", "Int64", "the provider's id of the image; null before it is uploaded"),
        Column("sequence_id", "str", "id of its sequence; null before it is cut into one"),
        Column("captured_at", MS_UTC, "capture time; null when unknown"),
        Column("compass_angle", "float64", "heading of the camera, degrees; NaN when unknown"),
        Column("is_pano", "bool", "whether it is a panorama; null when unknown"),
        Column("creator_id", "Int64", "the provider's id of who took it"),
        Column("organization_id", "Int64", "the provider's id of the organization; null when there is none"),
        Column("path", "str", "the file"),
        Column("folder", "str", "the folder that holds it"),
        Column("error", "str", "why the image cannot be used; null when it can"),
        Column("warning", "str", "what is wrong with the file's tags but could be passed over", optional=True),
        Column("altitude", "float64", "metres above sea level; NaN when unknown", optional=True),
        Column("make", "str", "maker of the camera", optional=True),
        Column("model", "str", "model of the camera", optional=True),
        Column("width", "Int64", "pixels, as stored", optional=True),
        Column("height", "Int64", "pixels, as stored", optional=True),
        Column("exif_orientation", "Int64", "EXIF orientation, 1 to 8; null when unknown", optional=True),
        Column("camera_uuid", "str", "serial numbers of camera and lens", optional=True),
        Column("image_description", "str", "the image description (JSON) that is in the file already", optional=True),
        Column("time_source", "str", "where the capture time comes from", optional=True),
        Column("filesize", "Int64", "bytes", optional=True),
    ),
)
"""Photos on this machine: an images frame of files, whose ids are not known yet."""

SAMPLED = (
    Column(
        "stratum", "str", "the part of the streets it was drawn from: class, polygon, cell or street", optional=True
    ),
    Column("cluster", "str", "the drawn street that it belongs to, with the number of the draw", optional=True),
    Column("inclusion_probability", "float64", "expected number of points in a metre of street there", optional=True),
    Column("weight", "float64", "metres of street that it stands for: 1 / inclusion_probability", optional=True),
)
"""Columns of points that were drawn at random, with known chances; a selection has those of its points."""


def sampled(columns: Iterable[str]) -> list[str]:
    """Return which columns say how points were drawn; none where they do not say it."""
    names = {*columns}
    known = {"inclusion_probability", "weight"} <= names
    return [column.name for column in SAMPLED if known and column.name in names]


QUALITY = Schema(
    "quality",
    "Point",
    (
        Column("sun_altitude", "float64", "degrees of the sun above the horizon, without refraction; NaN when unknown"),
        Column("sun_azimuth", "float64", "direction of the sun, degrees; NaN when unknown"),
        Column("sun_phase", "str", "day, civil, nautical or astronomical twilight, or night; null when unknown"),
        Column("against_light", "bool", "whether a low sun is in the field of view; null when unknown"),
        Column("horizon_slope", "float64", "degrees by which the horizon rises to the right; NaN when unknown"),
        Column(
            "horizon_height",
            "float64",
            "share of the height above it, in the middle; NaN when unknown",
        ),
        Column("blur", "float64", "variance of the Laplacian; the lower, the more blurred", optional=True),
        Column("contrast", "float64", "range of the middle 98 % of grey values, 0 to 0.5", optional=True),
        Column("tone", "float64", "likeness of the spread of brightness to an even one, 0 to 1", optional=True),
        Column("brightness", "float64", "mean brightness, 0 to 255", optional=True),
        Column("dark_share", "float64", "share of pixels of less than a quarter of full brightness", optional=True),
        Column("phash", "str", "perceptual hash, 16 hexadecimal digits", optional=True),
        Column("measured_width", "Int64", "pixels of what was measured", optional=True),
        Column("measured_height", "Int64", "pixels of what was measured", optional=True),
        Column("picture_error", "str", "why the picture could not be measured; null when it was", optional=True),
        Column("time_doubtful", "bool", "whether it is bright as by day though the sun was far down", optional=True),
        Column("percept_score", "float64", "contrast and tone in one, as percept-vsvi-filter adds them", optional=True),
        Column("percept_accepted", "bool", "whether percept-vsvi-filter accepts the picture", optional=True),
        Column(
            "is_copy", "bool", "whether it is the picture of another sequence, too, and not its first", optional=True
        ),
        Column("copy_group", "Int64", "number of the images of one picture; null when there is one", optional=True),
        Column("copy_by", "str", "picture, or place and time: what tells that it is a copy", optional=True),
    ),
)
"""Images with what `quality` adds to their own columns."""

STREETS = Schema(
    "streets",
    "LineString",
    (
        Column("u", "int64", "node where the edge starts"),
        Column("v", "int64", "node where the edge ends"),
        Column("key", "int64", "number among the parallel edges from u to v"),
        Column("osmid", "str", "ids of its OpenStreetMap ways, several separated by ';'"),
        Column("highway", "str", "OpenStreetMap's highway class, several separated by ';'"),
        Column("name", "str", "name of the street, several separated by ';'; null when it has none"),
        Column("oneway", "bool", "whether traffic runs from u to v only"),
    ),
)

STREET_POINTS = Schema(
    "street_points",
    "Point",
    (
        Column("point_id", "int64", "number of the point: of its place on Earth, or from 0 (percept)"),
        Column("u", "int64", "node where its edge starts"),
        Column("v", "int64", "node where its edge ends"),
        Column("key", "int64", "number among the parallel edges"),
        Column("bearing", "float64", "bearing of the street there, degrees"),
        Column("osmid", "str", "ids of the street's OpenStreetMap ways", optional=True),
        Column("name", "str", "name of the street", optional=True),
        Column("highway", "str", "OpenStreetMap's highway class", optional=True),
        *SAMPLED,
    ),
)

POINTS = Schema("points", "Point", (Column("point_id", "int64", "number of the point"),))
"""Points of a user's own, to select images for; a `bearing` is used where there is one."""

PREFERRED_BY = ("distance", "heading", "same_sequence", "resolution", "age", "quality_score", "panorama")
"""Terms of the rules by which images are preferred; see `mlygeo.spatial.scores.Rule`."""

SELECTION = Schema(
    "selection",
    "Point",
    (
        Column("point_id", "int64", "the point that the image was chosen for"),
        Column("id", "int64", "the provider's id of the image"),
        Column("distance_m", "float64", "planar distance from point to image, metres"),
        Column("rank", "int64", "1 = nearest"),
        Column("heading_difference", "float64", "angle between camera and street, 0 to 90 degrees; NaN when unknown"),
        Column("score", "float64", "how far the image is preferred, 0 to 1, where a rule does so", optional=True),
        *(
            Column(f"term_{name}", "float64", f"the rule's term `{name}`, 0 to 1, where it has a weight", optional=True)
            for name in PREFERRED_BY
        ),
        Column("along_m", "float64", "metres from point to image along the street, ahead positive", optional=True),
        Column("across_m", "float64", "metres across the street, to the right positive", optional=True),
        Column("target_bearing", "float64", "degrees from the image to the nearest place of a thing", optional=True),
        Column("off_axis", "float64", "angle between camera and that place, 0 to 180 degrees", optional=True),
        Column("view_angle", "float64", "horizontal field of view, degrees; 360 for panoramas", optional=True),
        Column("target_lon", "float64", "longitude of that place", optional=True),
        Column("target_lat", "float64", "latitude of that place", optional=True),
        Column("point_osmid", "str", "osmid of the point, where points have it", optional=True),
        Column("point_highway", "str", "highway of the point, where points have it", optional=True),
        Column("point_name", "str", "name of the point, where points have it", optional=True),
        Column("point_bearing", "float64", "bearing of the point, degrees, where points have it", optional=True),
    ),
)

OF_POINTS = {"osmid": "point_osmid", "highway": "point_highway", "name": "point_name", "bearing": "point_bearing"}
"""Columns of points that a selection carries, by the names they have there: those of images are often the same."""

VIEWS = Schema(
    "views",
    "Point",
    (
        Column("id", "int64", "the provider's id of the image that the view is cut from; not unique"),
        Column("view", "str", "where it looks: ahead, right, back, left, or degrees clockwise from the base"),
        Column("path", "str", "its file, relative to the folder of views"),
        Column("compass_angle", "float64", "its heading, degrees"),
        Column("pitch", "float64", "degrees by which it looks up"),
        Column("field_of_view", "float64", "horizontal, degrees"),
        Column("width", "Int64", "pixels"),
        Column("height", "Int64", "pixels"),
        Column("source_type", "str", "lens of the picture it is cut from: equirectangular, perspective or fisheye"),
        Column("source_heading", "float64", "heading of that picture's centre, degrees"),
        Column("source_pitch", "float64", "degrees by which that camera looked up; NaN when unknown"),
        Column("source_roll", "float64", "degrees, right arm down positive; NaN when unknown"),
        Column("source_focal", "float64", "focal length, a fraction of the larger side; NaN for panoramas"),
        Column("source_k1", "float64", "first coefficient of distortion; NaN for panoramas"),
        Column("source_k2", "float64", "second coefficient of distortion; NaN for panoramas"),
        Column("tilt_source", "str", "computed_rotation, or pitch and roll; null when the tilt is unknown"),
        Column("warning", "str", "what is in doubt; null when nothing is"),
        Column("point_id", "int64", "the point that the image was chosen for", optional=True),
        Column("captured_at", MS_UTC, "capture time", optional=True),
        Column("source_path", "str", "the picture that it is cut from", optional=True),
        Column("source_bytes", "Int64", "size of that picture's file", optional=True),
        Column("bytes", "Int64", "size of its file; null where it was not made", optional=True),
        Column("error", "str", "why it was not made; null where it was", optional=True),
    ),
)
"""Perspective pictures that are cut out of images; they have further columns of the images."""

SEQUENCES = Schema(
    "sequences",
    "LineString",
    (
        Column("sequence_id", "str", "the provider's id of the sequence"),
        Column("images", "int64", "number of images"),
        Column("start", MS_UTC, "time of the first image"),
        Column("end", MS_UTC, "time of the last image"),
        Column("length_m", "float64", "length, metres"),
        Column("duration_s", "float64", "duration, seconds"),
        Column("mean_speed_ms", "float64", "mean speed, metres a second"),
        Column("is_pano", "bool", "whether its images are panoramas; null when unknown"),
        Column("creator_id", "Int64", "the provider's id of who took it"),
        Column("make", "str", "maker of the camera"),
        Column("model", "str", "model of the camera"),
    ),
)

TRACKS = Schema(
    "tracks",
    "Point",
    (
        Column("track_id", "str", "the track that the position belongs to"),
        Column("time", "datetime64[us, UTC]", "time of the position"),
        Column("altitude", "float64", "metres above sea level; NaN when unknown"),
        Column("kind", "str", "track, route or waypoint", optional=True),
    ),
)

_KINDS = (IMAGES, LOCAL_IMAGES, STREETS, STREET_POINTS, POINTS, SELECTION, VIEWS, SEQUENCES, TRACKS, QUALITY)

SCHEMAS = {schema.name: schema for schema in _KINDS}

IDS = ("id", "creator_id", "organization_id", "point_id", "osmid", "u", "v")
"""Columns of ids that pass 2^53: text wherever a format's readers would make floats of them."""
