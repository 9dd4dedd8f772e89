"""The same thing in another wrapping gives the same answer, for every frame that a public function takes."""

from __future__ import annotations

import inspect
import json

import duckdb
import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers.picture_downloads import service_of
from helpers.small_frames import (
    BOX,
    districts_frame,
    drawn_frame,
    gaps_frame,
    images_frame,
    photos_frame,
    points_frame,
    streets_frame,
    tiles_frame,
    track_frame,
)
from helpers.tokens import TOKEN
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo import frames
from mlygeo.pipelines import values
from mlygeo.standin import serve


class Interface:
    """What another library holds: only its `__geo_interface__` is known."""

    def __init__(self, frame):
        self.__geo_interface__ = frame.__geo_interface__


class Stream:
    """What another library holds: only its stream of Arrow's is known."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def relation(frame):
    """A relation of DuckDB: positions in two columns, other shapes as WKB."""
    plain = pd.DataFrame(frame.drop(columns="geometry"))
    table = pa.Table.from_pandas(plain, preserve_index=False)
    return duckdb.from_arrow(table.append_column("geometry", pa.array(shapely.to_wkb(frame.geometry.values))))


def in_columns(frame):
    """A DataFrame with positions in two columns, or other shapes as WKT."""
    plain = pd.DataFrame(frame.drop(columns="geometry"))
    if set(frame.geom_type.dropna()) == {"Point"}:
        return plain.assign(longitude=frame.geometry.x, latitude=frame.geometry.y)
    return plain.assign(wkt=frame.geometry.to_wkt(rounding_precision=-1))


def file(frame, folder, ending):
    path = folder / f"held{len(list(folder.iterdir()))}{ending}"
    mlygeo.write_frame(frame, path)
    return path


def reader_of(frame):
    return pa.RecordBatchReader.from_stream(pa.table(frame.to_arrow(index=False)))


WRAPPINGS = {
    "parquet": lambda frame, folder: file(frame, folder, ".parquet"),
    "text of a path": lambda frame, folder: str(file(frame, folder, ".gpkg")),
    "geojson": lambda frame, folder: file(frame, folder, ".geojson"),
    "csv": lambda frame, folder: file(frame, folder, ".csv"),
    "halves": lambda frame, _: [frame.iloc[: len(frame) // 2], frame.iloc[len(frame) // 2 :]],
    "files of halves": lambda frame, folder: (
        file(frame.iloc[:3], folder, ".parquet"), file(frame.iloc[3:], folder, ".gpkg")
    ) if len(frame) > 3 else [file(frame, folder, ".fgb")],
    "arrow": lambda frame, _: pa.table(frame.to_arrow(index=False)),
    "native geoarrow": lambda frame, _: Stream(pa.table(frame.to_arrow(index=False, geometry_encoding="geoarrow"))),
    "a reader, once": lambda frame, _: reader_of(frame),
    "geoparquet table": lambda frame, folder: pq.read_table(file(frame, folder, ".parquet")),
    "dataframe": lambda frame, _: in_columns(frame),
    "dataframe with shapes": lambda frame, _: pd.DataFrame(frame).astype({"geometry": object}),
    "duckdb": lambda frame, _: relation(frame),
    "geojson dict": lambda frame, folder: json.loads(file(frame, folder, ".geojson").read_text()),
    "features": lambda frame, folder: json.loads(file(frame, folder, ".geojson").read_text())["features"],
    "arrow of columns": lambda frame, _: pa.Table.from_pandas(in_columns(frame), preserve_index=False),
    "wkb in arrow": lambda frame, _: Stream(pa.Table.from_pandas(pd.DataFrame(frame.to_wkb()), preserve_index=False)),
    "geo interface": lambda frame, _: Interface(frame),
}  # fmt: skip

EDGES = {"edges of OSMnx": lambda frame, _: frame.set_index(["u", "v", "key"])}


@pytest.fixture(scope="module")
def server():
    with serve(images_frame(), token=TOKEN) as running:
        yield running


@pytest.fixture
def to(server, tmp_path):
    """Where calls write, and whom they ask."""
    return tmp_path, service_of(server)


def written(call, path):
    call(path)
    return path.read_bytes()


def served(value):
    with mlygeo.run_standin(images=value) as running:
        return sorted(map(str, vars(running).keys()))


def of_points():
    """Images that were selected for the points of a small frame."""
    images, ids = images_frame(), points_frame()["point_id"]
    return images.assign(point_id=[ids[row % len(ids)] for row in range(len(images))])


CALLS = {
    ("check_images", "images"): (photos_frame, lambda value, _: mlygeo.check_images(value)),
    ("check_images", "track"): (track_frame, lambda value, _: mlygeo.check_images(photos_frame(), track=value)),
    ("convert", "frame"): (
        images_frame, lambda value, to: frames.conform(mlygeo.convert(value, to[0] / "c.parquet"), frames.IMAGES)
    ),
    ("coverage", "streets"): (streets_frame, lambda value, _: mlygeo.coverage(BOX, streets=value, images=images_frame())),
    ("coverage", "images"): (
        images_frame, lambda value, _: mlygeo.coverage(BOX, streets=streets_frame(), images=value, by="year")
    ),
    ("coverage", "districts"): (
        districts_frame,
        lambda value, _: mlygeo.coverage(
            BOX, streets=streets_frame(), images=images_frame(), districts=value, by="district"
        ).attrs["summary"]["by"],
    ),
    ("coverage_gaps", "streets"): (streets_frame, lambda value, _: mlygeo.coverage_gaps(value, images_frame())),
    ("coverage_gaps", "images"): (images_frame, lambda value, _: mlygeo.coverage_gaps(streets_frame(), value)),
    ("estimate", "points"): (drawn_frame, lambda value, _: mlygeo.estimate(value, column="highway")),
    ("cut", "images"): (photos_frame, lambda value, _: mlygeo.cut(value)),
    ("cut_sequences", "images"): (photos_frame, lambda value, _: mlygeo.cut_sequences(value)),
    ("download", "images"): (
        images_frame,
        lambda value, to: mlygeo.download(value, dry_run=True, service=to[1]).attrs["summary"]["images"],
    ),
    ("estimate_subseconds", "images"): (
        photos_frame, lambda value, _: mlygeo.estimate_subseconds(value, sub_second_interval=2.0)
    ),
    ("explore", "layers"): (images_frame, lambda value, to: len(mlygeo.explore(value).save(to[0] / "m.html").read_text()) > 0),
    ("filter_images", "images"): (images_frame, lambda value, _: mlygeo.filter_images(value, until="2024", pano=True)),
    ("flag_copies", "images"): (images_frame, lambda value, _: mlygeo.flag_copies(value)),
    ("quality", "images"): (images_frame, lambda value, _: mlygeo.quality(value)),
    ("sun_position", "images"): (images_frame, lambda value, _: mlygeo.sun_position(value)),
    ("flag_duplicates", "images"): (
        lambda: mlygeo.cut_sequences(photos_frame()), lambda value, _: mlygeo.flag_duplicates(value, duplicate_distance=50)
    ),
    ("geotag", "images"): (photos_frame, lambda value, _: mlygeo.geotag(value, track_frame())),
    ("geotag", "track"): (track_frame, lambda value, _: mlygeo.geotag(photos_frame(), value)),
    ("geotag_photos", "images"): (photos_frame, lambda value, _: mlygeo.geotag_photos(value)),
    ("interpolate_directions", "images"): (
        lambda: mlygeo.cut_sequences(photos_frame()), lambda value, _: mlygeo.interpolate_directions(value)
    ),
    ("interpolate_positions", "images"): (gaps_frame, lambda value, _: mlygeo.interpolate_positions(value, max_time_delta=9)),
    ("interpolate_times", "images"): (photos_frame, lambda value, _: mlygeo.interpolate_times(value)),
    ("metadata", "images"): (
        images_frame, lambda value, to: mlygeo.metadata(value, fields="altitude", service=to[1])[["id", "altitude"]]
    ),
    ("partition", "inputs"): (
        images_frame, lambda value, to: mlygeo.partition(value, to[0] / "dataset", dry_run=True).attrs["summary"]["rows"]
    ),
    ("plan_views", "images"): (images_frame, lambda value, _: mlygeo.plan_views(value, relative_to="camera")),
    ("plot", "inset"): (
        districts_frame, lambda value, _: [child.get_gid() for child in mlygeo.plot(images_frame(), inset=value).axes[0].child_axes]
    ),
    ("plot", "layers"): (images_frame, lambda value, _: len(mlygeo.plot(value, dpi=30).axes)),
    ("read_tiles", "tiles"): (tiles_frame, lambda value, _: mlygeo.read_tiles(value)),
    ("run_standin", "images"): (images_frame, lambda value, _: served(value)),
    ("sample_streets", "streets"): (streets_frame, lambda value, _: mlygeo.sample_streets(value, n=9)),
    ("sample_streets", "strata"): (
        tiles_frame,
        lambda value, _: mlygeo.sample_streets(streets_frame(), method="stratified", n=9, strata=value, by="status"),
    ),
    ("select", "streets"): (streets_frame, lambda value, _: mlygeo.select(BOX, streets=value, images=images_frame())),
    ("select", "points"): (points_frame, lambda value, _: mlygeo.select(points=value, images=images_frame())),
    ("select", "towards"): (
        points_frame,
        lambda value, _: mlygeo.select(towards=value, images=images_frame(), field_of_view=90, k=2),
    ),
    ("select", "images"): (
        images_frame, lambda value, _: mlygeo.select(points=points_frame(), images=value, since="2024", k=2)
    ),
    ("select_nearest", "points"): (points_frame, lambda value, _: mlygeo.select_nearest(value, images_frame())),
    ("select_nearest", "images"): (images_frame, lambda value, _: mlygeo.select_nearest(points_frame(), value)),
    ("split_sequences", "images"): (
        lambda: mlygeo.flag_duplicates(mlygeo.cut_sequences(photos_frame())),
        lambda value, _: mlygeo.split_sequences(value, max_images=2),
    ),
    ("spread_subseconds", "images"): (photos_frame, lambda value, _: mlygeo.spread_subseconds(value)),
    ("street_coverage", "streets"): (streets_frame, lambda value, _: mlygeo.street_coverage(value, images_frame())),
    ("street_coverage", "images"): (images_frame, lambda value, _: mlygeo.street_coverage(streets_frame(), value)),
    ("street_points", "streets"): (streets_frame, lambda value, _: mlygeo.street_points(value)),
    ("streets", "strata"): (
        tiles_frame,
        lambda value, _: mlygeo.streets(
            BOX, streets=streets_frame(), method="stratified", n=9, strata=value, by="status"
        ),
    ),
    ("streets", "streets"): (streets_frame, lambda value, _: mlygeo.streets(BOX, streets=value)),
    ("summarise", "images"): (images_frame, lambda value, _: mlygeo.summarise(value)),
    ("views", "images"): (
        images_frame, lambda value, _: mlygeo.views(value, download=True, relative_to="camera", dry_run=True)
    ),
    ("views", "points"): (
        lambda: points_frame().assign(bearing=90.0),
        lambda value, _: mlygeo.views(of_points(), points=value, download=True, dry_run=True)["compass_angle"].tolist(),
    ),
    ("write_descriptions", "images"): (
        lambda: photos_frame().assign(description=None),
        lambda value, to: written(lambda path: mlygeo.write_descriptions(value, path), to[0] / "d.json"),
    ),
    ("write_frame", "frame"): (
        images_frame,
        lambda value, to: frames.conform(mlygeo.read_frame(mlygeo.write_frame(value, to[0] / "w.parquet")), frames.IMAGES),
    ),
    ("write_track", "tracks"): (
        track_frame, lambda value, to: written(lambda path: mlygeo.write_track(value, path), to[0] / "w.gpx")
    ),
}  # fmt: skip
"""For each parameter that takes a frame: such a frame, and a call with it whose result is compared."""


def taken():
    """The parameters of public functions that take frames."""
    found = set()
    for name in mlygeo.__all__:
        function = inspect.unwrap(getattr(mlygeo, name))
        if not inspect.isfunction(function):
            continue
        for parameter in inspect.signature(function).parameters.values():
            takes = values.taken_by(parameter.annotation, function.__globals__)
            kinds = takes.kinds | (takes.items.kinds if takes.items else set())
            if kinds & {"frame", "geodataframe"}:
                found.add((name, parameter.name))
    return found


def test_every_frame_of_a_public_function_is_walked():
    assert set(CALLS) == taken()


def compare(found, expected, what):
    __tracebackhide__ = True
    if isinstance(expected, pd.DataFrame):  # text does not tell what a column without values would hold
        nothing = [name for name in expected.columns if name != "geometry" and expected[name].isna().all()]
        assert found[nothing].isna().all(axis=None)
        found, expected = (frame.assign(**dict.fromkeys(nothing)) for frame in (found, expected))
    if isinstance(expected, gpd.GeoDataFrame):
        assert_geodataframe_equal(found.reset_index(drop=True), expected.reset_index(drop=True), check_like=True)
    elif isinstance(expected, pd.DataFrame):
        assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))
    else:
        assert found == expected, what


@pytest.mark.parametrize(("name", "parameter"), sorted(CALLS))
def test_the_same_thing_in_another_wrapping_gives_the_same_answer(name, parameter, to, tmp_path_factory):
    make, call = CALLS[name, parameter]
    frame = make()
    as_given = frame.copy(), dict(frame.attrs)
    expected = call(frame, to)
    left_out = {
        "convert": {"halves", "files of halves", "features"},  # several are layers there
        "partition": {"features"},  # each an input of its own
    }.get(name, set())
    some = {wrapping: wrapped for wrapping, wrapped in WRAPPINGS.items() if wrapping not in left_out}
    wrappings = {**some, **(EDGES if {"u", "v", "key"} <= set(frame.columns) else {})}
    wrong = []
    for wrapping, wrapped in wrappings.items():
        try:
            value = wrapped(frame, tmp_path_factory.mktemp("held"))
            compare(call(value, to), expected, wrapping)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is shown, for all wrappings at once
            wrong.append(f"{wrapping}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
    assert_geodataframe_equal(frame, as_given[0])
    assert frame.attrs == as_given[1]
