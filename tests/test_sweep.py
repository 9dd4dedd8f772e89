"""
Every public function with a wrong value of every kind for each of its parameters.

A call returns, or raises one of our errors in one line; what is refused has touched no file. By default a part
of the calls is made, the same in each run; MLYGEO_WHOLE_SWEEP=1 makes all of them, MLYGEO_WHOLE_SWEEP=2/10 the
second tenth of them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import functools
import inspect
import os
import pickle
import signal
import time
import zlib
from collections import Counter
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from helpers.photo_folders import folder_of
from helpers.picture_downloads import QUICK
from helpers.small_frames import (
    BOX,
    drawn_frame,
    images_frame,
    photos_frame,
    points_frame,
    streets_frame,
    tiles_frame,
    track_frame,
)
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo.errors import FrameError, MlygeoError
from mlygeo.pipelines import values
from mlygeo.providers.mapillary.service import Service
from mlygeo.regions import Region
from mlygeo.standin import serve

WHOLE = os.environ.get("MLYGEO_WHOLE_SWEEP", "")
PART, PARTS = map(int, {"": "1/200", "1": "1/1"}.get(WHOLE, WHOLE).split("/"))
"""Of so many parts, which are as large, this one is made."""

TOO_LONG_S = 20
"""No call takes so long, even on a machine with much else to do."""


class OfBytes:
    """A path of bytes."""

    def __fspath__(self):
        return b"bytes"


class OfNothing:
    """A path that is none."""

    def __fspath__(self):
        raise ValueError("no path")


class Broken:
    """An object whose interfaces fail."""

    @property
    def __geo_interface__(self):
        raise RuntimeError("broken")

    def __arrow_c_stream__(self, requested_schema=None):
        raise RuntimeError("broken")

    def __repr__(self):
        return "first\nsecond"


@functools.cache
def frames():
    """A frame of each kind, of which functions make new ones and never change them."""
    numbered = mlygeo.cut_sequences(photos_frame())
    return {
        "images": images_frame(), "streets": streets_frame(), "points": points_frame(), "track": track_frame(),
        "photos": photos_frame(), "tiles": tiles_frame(), "numbered": numbered, "flagged": mlygeo.flag_duplicates(numbered),
        "drawn": drawn_frame(), "described": photos_frame().assign(description=None),
    }  # fmt: skip


@functools.cache
def odd_frames():
    frame = images_frame()
    shapes = [shapely.box(9.16, 48.77, 9.17, 48.78)] * len(frame)
    twice = pd.concat([frame, frame[["id"]]], axis=1)
    lines = streets_frame()
    return {
        "empty frame": frame.iloc[:0],
        "no columns": gpd.GeoDataFrame(geometry=frame.geometry),
        "no geometry": pd.DataFrame(frame.drop(columns="geometry")),
        "no active geometry": gpd.GeoDataFrame(frame.drop(columns="geometry")),
        "no CRS": frame.set_crs(None, allow_override=True),
        "projected": frame.to_crs(25832),
        "polygons": frame.set_geometry(shapes, crs=4326),
        "missing geometry": frame.set_geometry([None] * len(frame), crs=4326),
        "empty geometry": frame.set_geometry([shapely.Point()] * len(frame), crs=4326),
        "infinite": frame.set_geometry([shapely.Point(np.inf, 1)] * len(frame), crs=4326),
        "out of the world": frame.set_geometry([shapely.Point(1e300, -1e300)] * len(frame), crs=4326),
        "text for times": frame.assign(captured_at="yesterday", time="yesterday"),
        "text for numbers": frame.assign(compass_angle="north", altitude="high", bearing="west"),
        "ids twice": frame.assign(id=1, point_id=1, track_id="a"),
        "ids of floats": frame.assign(id=0.5, point_id=0.5),
        "no ids": frame.assign(id=None),
        "columns twice": twice,
        "numbers for names": frame.rename(columns={"make": 5}),
        "many levels": pd.DataFrame({("lon", "a"): [9.0], ("lat", "b"): [48.0]}),
        "strange index": frame.set_index(pd.Index(["a"] * len(frame), name="id2")),
        "nested": frame.assign(make=[[1, {"a": 2}]] * len(frame)),
        "lines of one point": lines.set_geometry([shapely.Point(9.17, 48.77)] * len(lines), crs=4326),
        "infinite lines": lines.set_geometry([shapely.LineString([(0, 0), (np.nan, 1)])] * len(lines), crs=4326),
        "nothing": gpd.GeoDataFrame(),
        "series": frame["id"],
        "geoseries": frame.geometry,
        "no geometry at all": gpd.GeoSeries([None, None]),
        "arrow without rows": pa.table({"lon": pa.array([], pa.float64()), "lat": pa.array([], pa.float64())}),
        "arrow of damaged WKB": pa.table({"geometry": pa.array([b"\x01\x02", None])}),
        "arrow of numbers": pa.array([1, 2]),
        "reader": lambda: pa.RecordBatchReader.from_stream(pa.table(frame.to_arrow())),
    }


def wrong_values(folder):
    """A value of every kind, by its name; those that are consumed are made for each call."""
    (folder / "damaged.parquet").write_bytes(b"PAR1 nothing PAR1")
    (folder / "damaged.geojson").write_text('{"type": "FeatureCollection", "features": [{')
    (folder / "damaged.gpkg").write_bytes(b"SQLite format 3\0 nothing")
    (folder / "damaged.csv").write_bytes(b'lon,lat\n"1,2\n\xff\xfe')
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "damaged.json").write_text("{")
    (folder / "empty.txt").write_text("")
    plain = [
        None, "", " ", "x", "\0", "a\nb", "\ud800", "nan", "NaT", "inf", "-inf", "1e400", "-5", "4", " 4 ", "1_0", "4.5", "yes", "now",
        "2024-06-31", "EPSG:4326", "EPSG:999999", "a" * 5000, "١٢", b"x", bytearray(b"1"), True, False, np.bool_(True),
        float("nan"), float("inf"), float("-inf"), -0.0, -1, 0, 1, 3, 2**31, 2**63, -(2**63), 10**400, 1e308, -1e308, 5e-324, 1.5, 1j,
        decimal.Decimal("NaN"), decimal.Decimal("1e999"), decimal.Decimal("0.5"), np.float32("nan"), np.int8(-1), np.uint64(2**64 - 1),
        np.array(1), np.array([]), np.zeros((2, 2)), np.array(["a", None], dtype=object), pd.NaT, pd.NA, np.datetime64("NaT", "us"),
        dt.datetime(2024, 6, 30), dt.date(2024, 6, 30), dt.timedelta(1), pd.Period("2024"), [], {}, (), set(), [[]], [None], [[1, 2], [3]],
        ["x", 5], [True], [float("nan")], (1, 2, 3), (9, 48, 10, 49), (10, 49, 9, 48), (0, 0, 0, float("nan")), {"type": "Feature"},
        {"type": "Point", "coordinates": "x"}, {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, {"type": "FeatureCollection", "features": 5},
        {1: 2}, object(), Broken(), OfBytes(), OfNothing(), int, len, Ellipsis, range(3), TOKEN, shapely.Point(), shapely.Point(9.17, 48.77),
        shapely.box(9.16, 48.77, 9.17, 48.78), shapely.GeometryCollection(), shapely.LineString([(0, 0), (np.nan, np.inf)]),
        folder, folder / "nothing", folder / "nothing.parquet", folder / "nothing" / "nothing.csv", "nothing.gpkg", "postgresql://127.0.0.1:1/x?table=y",
        "http://127.0.0.1:9/x.parquet", folder / ("n" * 300), os.devnull, ValueError("x"),
        *(folder / name for name in ("damaged.parquet", "damaged.geojson", "damaged.gpkg", "damaged.csv", "damaged.jpg", "damaged.json", "empty.txt")),
        *frames().values(),
    ]  # fmt: skip
    named = {f"{number} {type(value).__name__}": value for number, value in enumerate(plain)}
    return {**named, **odd_frames(), "generator": lambda: (number for number in (1, "x")), "iterator": lambda: iter([])}


MADE_EACH_TIME = {"reader", "generator", "iterator"}


def right_values(folder, service):
    """For each public function the arguments of a call that changes little and is quick."""
    photos, quiet, frame = folder / "photos", {"dry_run": True}, frames()
    found = {
        "authenticate": {"user_name": "someone", "config_file": folder / "credentials.json", "token": TOKEN, "service": service},
        "check_images": {"images": frame["photos"]},
        "convert": {"frame": folder / "images.parquet", "output": folder / "out.gpkg"},
        "coverage": {"region": BOX, "streets": frame["streets"], "images": frame["images"]},
        "coverage_gaps": {"streets": frame["streets"], "images": frame["images"]},
        "cut": {"images": frame["photos"]},
        "cut_sequences": {"images": frame["photos"]},
        "download": {"images": frame["images"], "service": service, **quiet},
        "download_originals": {"import_path": photos, "config_file": folder / "credentials.json", "service": service, **quiet},
        "edit_config": {"config_file": folder / "credentials.json"},
        "estimate": {"points": frame["drawn"], "column": "highway"},
        "estimate_subseconds": {"images": frame["photos"], "sub_second_interval": 2.0},
        "explore": {"layers": [frame["images"]]},
        "fetch_tiles": {"region": Region.from_bbox(*BOX), "tile_cache": folder / "cache", "service": service, **quiet},
        "filter_images": {"images": frame["images"]},
        "find_sequences": {"user": "someone", "service": service, "max_pages": 1},
        "flag_copies": {"images": frame["images"]},
        "flag_duplicates": {"images": frame["numbered"]},
        "geotag": {"images": frame["photos"], "track": frame["track"]},
        "geotag_photos": {"images": frame["photos"]},
        "demo": {"output": folder / "demo"},
        "doctor": {"folder": folder, "offline": True},
        "info": {},
        "init": {"path": folder / "mlygeo.toml", "bbox": "9.16,48.77,9.18,48.78"},
        "inspect": {"ids": frame["images"]["id"].tolist()[:2], "service": service},
        "interpolate": {"import_path": photos, "data": "missing_gps", **quiet},
        "interpolate_directions": {"images": frame["numbered"]},
        "interpolate_positions": {"images": frame["photos"]},
        "interpolate_times": {"images": frame["photos"]},
        "metadata": {"images": frame["images"], "fields": "altitude", "service": service},
        "partition": {"inputs": frame["images"], "output": folder / "dataset", "dry_run": True},
        "plan_views": {"images": frame["images"], "relative_to": "camera"},
        "plot": {"layers": [frame["points"]], "dpi": 20},
        "post_process": {"import_path": photos, **quiet},
        "process_csv": {"import_path": photos, "csv_path": folder / "log.csv", "filename_column": 1, "timestamp_column": 2, **quiet},
        "quality": {"images": frame["images"]},
        "read_descriptions": {"path": folder / "nothing.json"},
        "read_frame": {"path": folder / "images.parquet"},
        "read_photos": {"photos": photos},
        "read_tile": {"data": b"", "x": 8610, "y": 5638},
        "read_tiles": {"tiles": frame["tiles"]},
        "read_track": {"path": folder / "track.gpx"},
        "read_video": {"path": folder / "nothing.mp4"},
        "run_standin": {"images": frame["images"]},
        "sample_streets": {"streets": frame["streets"], "n": 5},
        "sample_video": {"videos": folder / "nothing.mp4"},
        "select": {"points": frame["points"], "images": frame["images"]},
        "select_nearest": {"points": frame["points"], "images": frame["images"]},
        "split_sequences": {"images": frame["flagged"]},
        "spread_subseconds": {"images": frame["photos"]},
        "street_coverage": {"streets": frame["streets"], "images": frame["images"]},
        "street_network": {"path": folder / "streets.parquet"},
        "street_points": {"streets": frame["streets"]},
        "streets": {"streets": frame["streets"]},
        "summarise": {"images": frame["images"]},
        "sun_position": {"images": frame["images"]},
        "tiles": {"region": BOX, "tile_cache": folder / "cache", "service": service, **quiet},
        "tracks": {"paths": folder / "track.gpx"},
        "transfers": {"folder": folder},
        "upload": {"import_path": photos, "config_file": folder / "credentials.json", "service": service, **quiet},
        "upload_history": {},
        "video_info": {"path": folder / "nothing.mp4"},
        "video_process": {"videos": folder / "nothing.mp4", **quiet},
        "video_process_and_upload": {"videos": folder / "nothing.mp4", "service": service, **quiet},
        "views": {"images": frame["images"], "pictures": photos, "output": folder / "views", "relative_to": "north", **quiet},
        "write_descriptions": {"images": frame["described"], "path": folder / "d.json"},
        "write_frame": {"frame": frame["images"], "path": folder / "w.parquet"},
        "write_track": {"tracks": frame["track"], "path": folder / "w.gpx"},
        "publish": {"folder": folder / "nothing", "dry_run": True},
        "verify": {"lock": folder / "nothing.lock.json", "service": service},
        "zip_sequences": {"import_path": photos, "output": folder / "zip"},
    }  # fmt: skip
    of_a_folder = {"import_path": photos, **quiet}
    users = {"user_name": "someone"}
    of_photos = ("process", "exif_insert", "extract_geotag_data", "extract_import_meta_data", "extract_sequence_data")
    found |= {each: dict(of_a_folder) for each in of_photos}
    found |= {each: {**of_a_folder, **users} for each in ("extract_upload_params", "extract_user_data")}
    found["process_and_upload"] = {
        **of_a_folder,
        **users,
        "config_file": folder / "credentials.json",
        "service": service,
    }
    return found


def functions():
    found = {name: getattr(mlygeo, name) for name in mlygeo.__all__}
    return {name: each for name, each in found.items() if inspect.isfunction(each)}


@pytest.fixture(scope="module")
def server():
    with serve(images_frame(), token=TOKEN) as running:
        yield running


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    folder_of(work / "photos", 3)
    mlygeo.write_frame(images_frame(), work / "images.parquet")
    mlygeo.write_frame(streets_frame(), work / "streets.parquet")
    mlygeo.write_track(track_frame(), work / "track.gpx")
    (work / "log.csv").write_text("0.jpg,2024:06:10 06:13:20.0\n")
    return work


def files_in(folder):
    """The files of a folder with their sizes and times, but for locks."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if ".mlygeo" not in path.parts and path.is_file():
                found[str(path)] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def is_made(*parts):
    """Whether a call is one of those that are made: the same in each run."""
    return zlib.crc32("/".join(parts).encode()) % PARTS == PART % PARTS


def one_call(function, arguments, folder):
    """What is wrong with a call; None where nothing is."""
    before, began = files_in(folder), time.monotonic()
    said = ""
    try:
        result = function(**arguments)
        if hasattr(result, "close"):
            result.close()
    except MlygeoError as error:
        said = str(error)
        if "\n" in said or not said or len(said) > 700:
            return f"a message of several lines or none: {said!r:.200}"
        if (touched := files_in(folder)) != before:
            changed = sorted({path for path, _ in touched.items() ^ before.items()})
            return f"refused, but files were touched: {changed[:3]} ({said:.80})"
    except BaseException as error:  # noqa: BLE001 - whatever a user would see as a traceback
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = (
            f"{where.tb_frame.f_code.co_filename.rpartition('site-packages/')[2]}:{where.tb_lineno}" if where else ""
        )
        return f"{type(error).__name__}: {str(error)!r:.200} at {place}"
    if (took := time.monotonic() - began) > TOO_LONG_S:
        return f"took {took:.0f} s ({said:.60})"
    return None


def test_every_public_function_is_swept(folder):
    assert set(right_values(folder, None)) >= set(functions())


@pytest.mark.filterwarnings("ignore")  # of GDAL, PROJ and NumPy on nonsense
@pytest.mark.parametrize("name", sorted(functions()))
def test_wrong_values_are_our_errors(name, folder, server):
    function = functions()[name]
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)
    wrong, counts = [], Counter()
    given, right = wrong_values(folder), right_values(folder, service)[name]
    for parameter in inspect.signature(function).parameters:
        for kind, value in given.items():
            if not is_made(name, parameter, kind):
                continue
            arguments = {**right, parameter: value() if kind in MADE_EACH_TIME else value}
            counts["calls"] += 1
            found = one_call(function, arguments, folder)
            if found is not None:
                wrong.append(f"{name}({parameter}={kind} {value!r:.60}): {found}")
    if WHOLE:
        print(f"{name}: {counts['calls']:,} calls, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


REFUSED = {
    "bool": ("yes", "true", "", 1, 0, 1.0, [True], object(), float("nan")),
    "int": ("x", "", "1.5", "1_0", "4,5", 1.5, float("nan"), float("inf"), True, 1j, b"4", [4], object(), 2**63, 10**400, pd.NaT),
    "float": ("x", "", "nan", "1_0", "4,5", float("nan"), float("-inf"), True, 1j, b"4", [4], object(), 10**400, pd.NA),
    "text": ("", 5, 1.5, True, b"x", object(), ["x"], "a\0b"),
    "path": ("", 5, True, b"x", object(), "a\0b", "\ud800", OfBytes(), OfNothing()),
    "service": ("x", 5, True, object(), []),
    "progress": ("x", 5, True, object(), []),
}  # fmt: skip
"""What no parameter of a kind takes, whatever it would mean."""


@pytest.mark.parametrize("name", sorted(functions()))
def test_values_of_another_kind_are_refused_by_name(name, folder):
    function = functions()[name]
    inner = inspect.unwrap(function)
    accepted, right = [], right_values(folder, None)[name]
    for parameter in inspect.signature(function).parameters.values():
        takes = values.taken_by(parameter.annotation, inner.__globals__)
        kinds = takes.kinds - {"none"}
        if len(kinds) != 1 or takes.items is not None or takes.choices:
            continue
        (kind,) = kinds
        for value in REFUSED.get(kind, ()):
            try:
                function(**{**right, parameter.name: value})
            except MlygeoError as error:
                if f"`{parameter.name}" not in str(error):
                    accepted.append(f"{parameter.name}={value!r:.40}: {error}")
            except Exception as error:  # noqa: BLE001 - which the other test shows
                accepted.append(f"{parameter.name}={value!r:.40}: {type(error).__name__}: {error}")
            else:
                accepted.append(f"{parameter.name}={value!r:.40}: accepted")
    assert not accepted, "\n".join(accepted)


def test_functions_are_pickled_by_their_names():
    for function in functions().values():
        assert pickle.loads(pickle.dumps(function)) is function


REFUSED_FORMS = {
    "first column twice": lambda frame: pd.concat([frame, frame.iloc[:, [0]]], axis=1),
    "last column twice": lambda frame: pd.concat([frame, frame.drop(columns="geometry").iloc[:, [-1]]], axis=1),
    "another column twice": lambda frame: pd.concat([frame, *[pd.DataFrame({"more": 1}, frame.index)] * 2], axis=1),
    "geometry twice": lambda frame: frame.assign(more=frame.geometry).set_axis([*frame.columns, "geometry"], axis=1),
    "names of two levels": lambda frame: pd.DataFrame(frame).set_axis(
        pd.MultiIndex.from_tuples([(name, "x") for name in frame.columns]), axis=1
    ),
    "several geometries, none active": lambda frame: pd.DataFrame(
        frame.rename_geometry("one").assign(two=frame.geometry)
    ),
}
"""Frames of which nobody can tell what is meant."""

OTHER_FORMS = {
    "a number for a name": lambda frame: frame.assign(more=1).rename(columns={"more": 5}),
    "a pair for a name": lambda frame: frame.assign(more=1).rename(columns={"more": ("a", "b")}),
    "no name": lambda frame: frame.assign(more=1).rename(columns={"more": None}),
    "a time for a name": lambda frame: frame.assign(more=1).rename(columns={"more": pd.Timestamp("2024")}),
    "an empty name": lambda frame: frame.assign(more=1).rename(columns={"more": ""}),
    "names that are categories": lambda frame: frame.set_axis(pd.CategoricalIndex(frame.columns), axis=1),
    "names that have a name": lambda frame: frame.rename_axis(columns="name"),
    "no active geometry": lambda frame: gpd.GeoDataFrame(pd.DataFrame(frame.rename_geometry("shape_1"))),
    "two geometries, none active": lambda frame: pd.DataFrame(frame.assign(buffers=frame.geometry)),
    "geometry of another name": lambda frame: frame.rename_geometry("the_geom"),
    "text called geometry": lambda frame: frame.rename_geometry("the_geom").assign(geometry="text"),
    "one index for all": lambda frame: frame.set_axis([0] * len(frame), axis=0),
    "index of text": lambda frame: frame.set_axis([f"row {row // 2}" for row in range(len(frame))], axis=0),
    "index backwards": lambda frame: frame.set_axis(range(len(frame))[::-1], axis=0),
    "index of times": lambda frame: frame.set_axis(pd.DatetimeIndex(["2024"] * len(frame)), axis=0),
    "index with gaps": lambda frame: frame.set_axis([None, *[1.0] * (len(frame) - 1)], axis=0),
    "index called as a column": lambda frame: frame.set_axis(pd.Index(range(len(frame)), name="id"), axis=0),
    "index of two levels": lambda frame: frame.set_axis(
        pd.MultiIndex.from_arrays([range(len(frame)), [1] * len(frame)], names=["a", "b"]), axis=0
    ),
    "index of levels without names": lambda frame: frame.set_axis(
        pd.MultiIndex.from_arrays([[1] * len(frame), [1] * len(frame)]), axis=0
    ),
}
"""Frames that mean what the plain one does."""


def frame_parameters(folder, service):
    """Each public function with a parameter that takes a frame, and that frame."""
    right = {**right_values(folder, service), "convert": {"frame": images_frame(), "output": folder / "out.gpkg"}}
    for name, arguments in right.items():
        for parameter, value in arguments.items():
            for frame in value if isinstance(value, list) else [value]:
                if isinstance(frame, gpd.GeoDataFrame):
                    yield name, arguments, parameter, frame


def test_frames_of_which_nobody_can_tell_what_is_meant_are_refused(folder, server):
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)
    wrong, asked = [], set()
    for name, right, parameter, frame in frame_parameters(folder, service):
        asked.add(name)
        for kind, form in REFUSED_FORMS.items():
            if kind.startswith("several") and name == "read_tiles":
                continue  # it reads no geometry
            before = files_in(folder)
            try:
                functions()[name](**{**right, parameter: form(frame)})
            except FrameError as error:
                if files_in(folder) != before or not error.hint:
                    wrong.append(f"{name}({parameter}: {kind}): files were touched, or no hint: {error}")
            except Exception as error:  # noqa: BLE001 - as a user sees it
                wrong.append(f"{name}({parameter}: {kind}): {type(error).__name__} {error!s:.200}")
            else:
                wrong.append(f"{name}({parameter}: {kind}): accepted")
    assert not wrong, "\n".join(wrong)
    assert len(asked) > 30


def keep(kept, function, **arguments):
    kept.append(function(**arguments))


def as_texts(result):
    """The values of a frame, row by row, without its index and the name of its geometry."""
    if not isinstance(result, pd.DataFrame):
        return {}
    plain = result
    if isinstance(result, gpd.GeoDataFrame) and result.active_geometry_name is not None:
        plain = pd.DataFrame(result).rename(columns={result.active_geometry_name: "the geometry"})
    return {name: plain[name].astype(str).tolist() for name in plain.columns if name not in {"geometry", "bytes"}}


@pytest.mark.filterwarnings("ignore")
def test_the_form_of_a_frame_changes_no_result(folder, server):
    """The names of columns and geometry and the index are refused in one line, or of no effect."""
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)
    wrong = []
    for name, right, parameter, frame in frame_parameters(folder, service):
        function = functions()[name]
        expected = as_texts(function(**right))
        for kind, form in OTHER_FORMS.items():
            if not WHOLE and zlib.crc32(f"{name}{parameter}{kind}".encode()) % 3:
                continue
            given, kept = form(frame), []
            given = [given] if isinstance(right[parameter], list) else given
            problem = one_call(functools.partial(keep, kept, function), {**right, parameter: given}, folder)
            if problem is not None:
                wrong.append(f"{name}({parameter}: {kind}): {problem}")
            elif kept:
                result = as_texts(kept[0])
                other = [column for column in expected if result.get(column) != expected[column]]
                if other:
                    wrong.append(f"{name}({parameter}: {kind}): {other} differ")
    assert not wrong, "\n".join(wrong)


OPTIONS = {
    "by": ["year"], "column": "make", "computed": True, "creator": 5, "fields": "altitude", "geotag_source": "exiftool_runtime",
    "interpolate_directions": True, "k": 3, "keep_duplicates": True, "local_time": True, "max_heading_difference": 20.0,
    "method": "percept", "min_quality": 0.5, "offset_angle": 3.0, "offset_time": 3.0, "organization": 5, "pano": True, "where": "is_pano",
    "since": "2020", "sub_second_interval": 1.0, "unique": True, "until": "2030",
}  # fmt: skip
"""Options that may need a column which other calls do without."""


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_frame_without_one_of_its_columns_is_refused_or_needs_none(name, folder):
    function = functions()[name]
    right, wrong = right_values(folder, None)[name], []
    taken = [{}, *({each: OPTIONS[each]} for each in inspect.signature(function).parameters if each in OPTIONS)]
    for parameter, frame in right.items():
        if not isinstance(frame, gpd.GeoDataFrame):
            continue
        both = [frame, mlygeo.read_photos(folder / "photos")] if "path" in frame else [frame]
        for kind, column in ((each, column) for each in both for column in [None, *each.columns]):
            less = kind if column is None else pd.DataFrame(kind).drop(columns=column)
            for options in taken:
                if not WHOLE and zlib.crc32(f"{name}{column}{options}".encode()) % 40 and "local_time" not in options:
                    continue
                found = one_call(function, {**right, **options, parameter: less}, folder)
                if found is not None:
                    wrong.append(f"{name}({parameter} without {column}, {options}): {found}")
    assert not wrong, "\n".join(wrong)


def test_no_distance_is_too_large_to_be_squared(folder):
    right = right_values(folder, None)
    for huge in (1e200, 1e308):
        assert len(mlygeo.street_points(streets_frame(), interval=huge)) == len(
            mlygeo.street_points(streets_frame(), interval=1e7)
        )
        assert len(set(mlygeo.cut_sequences(photos_frame(), cutoff_distance=huge)["sequence_id"])) == 1
        covered = [mlygeo.coverage(**{**right["coverage"], "distance": each}) for each in (huge, 1e5)]
        assert covered[0].drop(columns="geometry").equals(covered[1].drop(columns="geometry"))


def test_any_number_of_workers_needs_no_more_than_there_is_work(folder, server):
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)
    for workers in (2**31, 2**62):
        found = mlygeo.metadata(images_frame(), fields="altitude", service=service, workers=workers)
        assert len(found) == 12
        assert len(mlygeo.inspect(images_frame()["id"].tolist()[:2], service=service, workers=workers)) == 2
        loaded = mlygeo.download(images_frame().head(3), output=folder / str(workers), service=service, workers=workers)
        assert len(loaded) == 3


def test_a_long_word_is_shortened_in_messages(folder):
    for call in (
        lambda: mlygeo.read_frame("images.parquet", columns="a" * 5000),
        lambda: mlygeo.init("new.toml", bbox="a" * 5000),
    ):
        with pytest.raises(MlygeoError, match=r"a{50}…a{15}") as found:
            call()
        assert len(str(found.value)) < 400


@needs_unix("such files")
@pytest.mark.parametrize("ending", [".parquet", ".gpkg", ".geojson", ".csv", ".osm.pbf", ".graphml"])
@pytest.mark.parametrize("device", [None, "/dev/zero", "/dev/full"])
def test_pipes_and_devices_are_no_frames(folder, ending, device):
    """None of them is opened, which would wait for the other end of a pipe, or read for ever."""
    path = folder / f"odd{ending}"
    if device is None:
        os.mkfifo(path)
    else:
        path.symlink_to(device)
    for call in (
        lambda: mlygeo.streets(streets=path),
        *((lambda: mlygeo.read_frame(path), lambda: mlygeo.filter_images(path)) if "." not in ending[1:] else ()),
    ):
        with pytest.raises(MlygeoError, match="is a pipe or a device"):
            call()


NEVER_ENDS = ("", ".txt", ".json", ".toml", ".csv", ".gpx", ".osm", ".xml", ".parquet", ".jpg", ".mp4", ".zip", ".env")


@pytest.fixture
def never_ends(folder):
    """A pipe that nobody writes to and links to devices, by all endings that a function may look at."""
    for ending in NEVER_ENDS:
        os.mkfifo(folder / f"pipe{ending}")
        for device in ("zero", "urandom"):
            (folder / f"{device}{ending}").symlink_to(f"/dev/{device}")
    found = [folder / f"{name}{ending}" for ending in NEVER_ENDS for name in ("pipe", "zero", "urandom")]
    return [*found, *map(Path, ("/dev/zero", "/dev/urandom", "/proc/self/mem", "/proc/kmsg"))]


class WaitsError(Exception):
    """A call waits for what never comes."""


@pytest.fixture
def alarm():
    def ring(*_):
        raise WaitsError

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@needs_unix("such files")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(functions()))
def test_what_never_ends_is_refused_at_once(name, folder, server, never_ends, alarm):
    """Whatever argument it is given for, alone or among several; and nothing replaces it."""
    function = functions()[name]
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)
    inner, wrong = inspect.unwrap(function), []
    right = right_values(folder, service)[name]
    for parameter in inspect.signature(function).parameters.values():
        takes = values.taken_by(parameter.annotation, inner.__globals__)
        kinds = takes.kinds | (takes.items.kinds if takes.items else set())
        if not kinds & {"path", "frame", "region like"} and not takes.unknown:
            continue
        for path in never_ends:
            if not WHOLE and zlib.crc32(f"{name}/{parameter.name}/{path.name}".encode()) % 12:
                continue
            alarm(8.0)
            try:
                found = one_call(function, {**right, parameter.name: path}, folder)
            finally:
                alarm(0)
            if found is not None:
                wrong.append(f"{name}({parameter.name}={path.name}): {found}")
    assert not wrong, "\n".join(wrong)
    assert all(not path.is_file() for path in never_ends if path.parent == folder)


ADDRESSES = (
    "https://127.0.0.1:9/x", "http://127.0.0.1:9/x.jpg", "s3://bucket/x.parquet", "gs://bucket/folder/", "ftp://127.0.0.1/x",
    Path("https://127.0.0.1:9/x.csv"), "file:///tmp/x.gpx",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(functions()))
def test_what_takes_no_address_says_so(name, folder):
    """Parameters of frames take addresses; of other files each says that it takes one of this machine."""
    function, wrong = functions()[name], []
    right, before = right_values(folder, None)[name], files_in(folder)
    for parameter in inspect.signature(function).parameters.values():
        takes = values.taken_by(parameter.annotation, inspect.unwrap(function).__globals__)
        kinds = takes.kinds | (takes.items.kinds if takes.items else set())
        takes_frames = kinds & {"frame", "geodataframe", "table"} or parameter.name in values.ADDRESSED
        if takes_frames or takes.unknown or not kinds & {"path", "region like"}:
            continue
        for address in ADDRESSES:
            for given in (address, [address]) if takes.items else (address,):
                try:
                    function(**{**right, parameter.name: given})
                except MlygeoError as error:
                    if " is an address" not in str(error):
                        wrong.append(f"{parameter.name}={given!r}: {error!s:.150}")
                else:
                    wrong.append(f"{parameter.name}={given!r}: accepted")
    assert not wrong, "\n".join(wrong)
    assert files_in(folder) == before


def test_unknown_and_missing_parameters_are_pythons_own_errors():
    with pytest.raises(TypeError, match=r"select\(\) got an unexpected keyword argument 'intervall'"):
        mlygeo.select(intervall=50)
    with pytest.raises(TypeError, match=r"read_frame\(\) missing 1 required positional argument: 'path'"):
        mlygeo.read_frame()
