"""What has no effect in a call is refused: an option that would be passed over is named, before anything is done."""

import inspect
import shutil

import geopandas as gpd
import numpy as np
import pytest
import shapely
from conftest import STUTTGART
from helpers.tokens import TOKEN

import mlygeo
from mlygeo.errors import InputError, MlygeoError
from mlygeo.pipelines.job import body_of
from mlygeo.standin import serve

CONFIG, EDGES = STUTTGART / "stuttgart_config.json", STUTTGART / "stuttgart_osm_edges.gpkg"
CACHE = STUTTGART / "stuttgart_tile_cache"

INVISIBLE = {
    "progress": "shows, and changes nothing",
    "workers": "how fast",
    "token": "who asks",
    "token_file": "who asks",
    "service": "whom",
    "num_retries": "how often what fails is tried",
    "max_age": "the cache is new",
    "overwrite": "the same again",
    "tile_cache": "the same tiles in another place",
    "geojson": "how tiles lie in the cache",
    "required_disk_space": "there is room",
}
"""Options whose effect does not show in the result of a call that succeeds, and why; they are refused all the same."""


@pytest.fixture(scope="module")
def given(images, tmp_path_factory):
    """Images, points with bearings, and a list of tiles."""
    folder = tmp_path_factory.mktemp("given")
    points = mlygeo.streets(CONFIG, streets=EDGES, interval=80, srid=25832)
    some = images.iloc[::5].reset_index(drop=True)
    some["field_of_view"] = np.where(some.index % 2, np.nan, 90.0)  # by which flat images look at things
    mlygeo.write_frame(some, folder / "images.parquet")
    mlygeo.partition(some, folder / "parts", rows_per_part=500)
    mlygeo.write_frame(points, folder / "points.parquet")
    names = sorted(path.name for path in CACHE.iterdir() if "_14" in path.name)
    (folder / "tiles.txt").write_text(f"{names[0]}\n")
    (folder / "ids.txt").write_text("".join(f"{number}\n" for number in some["id"].iloc[:4]))
    shutil.copytree(CACHE, folder / "cache")
    halves = gpd.GeoDataFrame({"name": ["a"], "other": ["b"]}, geometry=[shapely.box(9.1, 48.7, 9.17, 48.8)], crs=4326)
    halves.to_file(folder / "districts.gpkg")
    return folder


@pytest.fixture(scope="module")
def service(images):
    from mlygeo.providers.mapillary.service import Service

    with serve(images, token=TOKEN) as server:
        yield Service(endpoints=server.endpoints, token=TOKEN)


def others(images, given, service):
    """For each option of the verbs of regions another value than its default."""
    return {
        "interval": 37.0, "method": "percept", "retain_all": True, "srid": 25833, "force_srid": True,
        "max_distance": 3.0, "k": 3, "unique": True, "max_heading_difference": 20.0, "prefer": "newest",
        "as_of": "2024", "max_along": 2.0, "max_across": 2.0, "per": "month", "min_distance": 2.0, "apart": 30.0, "field_of_view": 60.0, "pano": True, "since": "2024-07",
        "until": "2024-01", "creator": int(images["creator_id"].iloc[0]), "organization": 5, "min_quality": 0.5, "where": "is_pano",
        "tile_list_file": given / "tiles.txt", "tile_cache": given / "cache", "computed": True, "overwrite": True,
        "max_age": 1e6, "workers": 2, "token": "x", "token_file": given / "ids.txt", "service": service,
        "provider": "nobody", "endpoint": "https://images.example.org/api", "distance": 5.0, "by": ["year"], "time_zone": "solar", "districts": given / "districts.gpkg", "district_name": "other", "expected": True, "cells": "quadkey15", "compare": ["../2023", "2024"], "min_gap": 100.0, "tiles_only": True, "geojson": True,
        "scheduler": "tcp://127.0.0.1:1", "part": "1/2", "output": given / "dataset", "add": True, "rows_per_part": 9, "verify": True,
        "n": 5, "seed": 5, "strata": EDGES, "cell": 50.0, "allocation": "equal", "n_streets": 5, "lock": given / "ids.txt",
    }  # fmt: skip


MODES = {
    "select by region": ("select", {"region": CONFIG, "streets": EDGES}),
    "select with images": ("select", {"region": CONFIG, "streets": EDGES, "images": "images.parquet"}),
    "select with points": ("select", {"region": CONFIG, "points": "points.parquet", "tile_cache": "cache"}),
    "select with both": ("select", {"points": "points.parquet", "images": "images.parquet"}),
    "select with a dataset": ("select", {"points": "points.parquet", "images": "parts"}),
    "select towards": ("select", {"towards": "points.parquet", "images": "images.parquet"}),
    "select towards, with a dataset": ("select", {"towards": "points.parquet", "images": "parts"}),
    "streets": ("streets", {"streets": EDGES}),
    "coverage by region": ("coverage", {"region": CONFIG, "streets": EDGES, "tile_cache": "cache"}),
    "coverage with images": ("coverage", {"streets": EDGES, "images": "images.parquet"}),
    "tiles": ("tiles", {"region": CONFIG, "tile_cache": "cache"}),
    "partition tried": ("partition", {"inputs": "images.parquet", "output": "dataset", "dry_run": True}),
    "tiles only": ("tiles", {"region": CONFIG, "tile_cache": "cache", "tiles_only": True}),
}


def outcome(verb, arguments):
    """The result of a call, to be compared with that of another."""
    result = getattr(mlygeo, verb)(**arguments)
    facts = [str(result.attrs["summary"].get(name)) for name in ("srid", "by", "gaps", "cells", "compared")]
    return result.drop(columns="geometry").to_csv(), result.geometry.to_wkt().tolist(), facts


@pytest.mark.parametrize("mode", MODES)
def test_each_option_has_an_effect_or_is_refused(images, given, service, mode):
    verb, arguments = MODES[mode]
    arguments = {name: given / value if isinstance(value, str) else value for name, value in arguments.items()}
    before = outcome(verb, arguments)
    values, silent = others(images, given, service), []
    for name in inspect.signature(getattr(mlygeo, verb)).parameters:
        if name in arguments or name in {"region", "streets", "points", "images", "towards", "progress", "dry_run"}:
            continue
        if name in {"executor", "client"}:
            continue  # no value of theirs is text or a number; tests/parts has them
        call = arguments | {name: values[name]}
        if name == "computed":
            call.pop("tile_cache", None)  # the one at hand has original positions
        try:
            after = outcome(verb, call)
        except MlygeoError:
            continue
        if after == before and name not in INVISIBLE:
            silent.append(name)
    assert not silent, f"{mode}: of no effect, and accepted"


REFUSED = [
    ("select", {"points": "points.parquet", "interval": 9}, "`interval` has no effect with `points`"),
    ("select", {"points": "points.parquet", "method": "percept", "retain_all": True}, "`method` and `retain_all`"),
    ("select", {"images": "images.parquet", "computed": True}, "`computed` has no effect with `images`"),
    ("select", {"images": "images.parquet", "tile_cache": "c", "overwrite": True}, "`tile_cache` and `overwrite`"),
    ("select", {"images": "images.parquet", "token": "x"}, "`token` has no effect with `images`"),
    ("select", {"region": CONFIG, "streets": EDGES, "force_srid": True}, "`force_srid` has no effect without `srid`"),
    ("select", {"images": "images.parquet", "part": "1/2"}, "`part` has no effect without a dataset as `images`"),
    ("select", {"region": CONFIG, "dry_run": True}, "`dry_run` has no effect without a dataset as `images`"),
    ("select", {"region": CONFIG, "streets": EDGES, "retain_all": True}, "`retain_all` has no effect with streets"),
    ("select", {"lock": "out", "k": 2}, "`k` has no effect with `lock`"),
    ("select", {"lock": "out", "streets": EDGES, "pano": True}, "`streets` and `pano` have no effect with `lock`"),
    ("coverage", {"streets": EDGES, "images": "images.parquet", "max_age": 3}, "`max_age` has no effect"),
    ("tiles", {"region": CONFIG, "tiles_only": True, "pano": True}, "`pano` has no effect with `tiles_only`"),
    ("partition", {"inputs": "images.parquet", "verify": True, "pano": True}, "`pano` has no effect with `verify`"),
    ("partition", {"inputs": "images.parquet", "verify": True, "region": CONFIG}, "`region` has no effect with `verify`"),
    ("download", {"region": CONFIG, "tiles_only": True, "size": "256"}, "`size` has no effect with `tiles_only`"),
    ("download", {"region": CONFIG, "tiles_only": True, "imgid_file": "ids.txt"}, "`imgid_file` has no effect"),
    ("download", {"images": 5, "tile_cache": "c"}, "`tile_cache` has no effect without a region"),
    ("download", {"user": "x", "region": CONFIG, "max_age": 5}, "`max_age` has no effect with `user`"),
    ("process", {"exclude_import_path": True}, "`exclude_import_path` has no effect without `add_file_name`"),
    ("process", {"windows_path": True}, "`windows_path` has no effect without `add_file_name`"),
    ("process", {"max_gap": 5.0}, "`max_gap` has no effect without a track"),
    ("process", {"keep_duplicates": True, "duplicate_angle": 9.0}, "`duplicate_angle` has no effect with"),
    ("process", {"skip_exif_insert": True, "keep_original": True}, "`keep_original` has no effect with"),
    ("process", {"save_as_json": True}, "`save_as_json` has no effect without"),
    ("process", {"split_import_path": "."}, "`split_import_path` has no effect without"),
    ("process", {"file_types": "gopro", "orientation": 90}, "`orientation` has no effect where no photo"),
    ("process", {"file_types": "image", "video_geotag_source": "gpx"}, "`video_geotag_source` has no effect where no"),
    ("post_process", {"undo": True, "summarize": True}, "`summarize` has no effect with `undo`"),
    ("interpolate", {"data": "identical_timestamps", "max_time_delta": 9}, "`max_time_delta` has no effect with"),
    ("interpolate", {"data": "missing_gps", "delimiter": ";"}, "`delimiter` has no effect without `file_in_path`"),
    ("interpolate", {"import_path": None, "data": "identical_timestamps", "file_in_path": "t.csv", "output": "o"},
     "`output` has no effect with `file_in_path`"),
    ("process_csv", {"csv_path": "ids.txt", "time_format": "%H"}, "`time_format` has no effect without"),
    ("process_csv", {"csv_path": "ids.txt", "timestamp_column": 1, "convert_utc_time": True, "time_format": "%H"},
     "`time_format` has no effect with `convert_utc_time`"),
    ("sample_video", {"videos": ".", "video_sample_interval": 3, "video_sample_distance": 5},
     "`video_sample_interval` has no effect with"),
    ("tracks", {"paths": "walk.gpx", "max_dop": 3}, "`max_dop` has no effect without a video"),
    ("geotag_photos", {"images": "images.parquet", "skip_subfolders": True}, "`skip_subfolders` has no effect"),
    ("authenticate", {"jwt": "x", "user_password": "y"}, "`user_password` has no effect with `jwt`"),
    ("edit_config", {"action": "list", "user_name": "x"}, "`user_name` has no effect with the action `list`"),
    ("edit_config", {"action": "remove", "user_name": "x", "default": True}, "`default` has no effect with"),
    ("download_originals", {"by_property": "key"}, "`by_property` has no effect without `import_path`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "arguments", "words"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_option_that_would_be_passed_over_is_refused(given, tmp_path, monkeypatch, verb, arguments, words):
    monkeypatch.chdir(given)
    (given / "walk.gpx").write_text(
        '<gpx><trk><trkseg><trkpt lat="1" lon="2"><time>2024-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>'
    )
    photos = tmp_path / "DCIM"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    if "import_path" in (parameters := inspect.signature(getattr(mlygeo, verb)).parameters) and verb not in {
        "download_originals", "sample_video",
    }:  # fmt: skip
        arguments = {"import_path": photos} | arguments
    arguments = {name: value for name, value in arguments.items() if value is not None}
    assert set(arguments) <= set(parameters)
    with pytest.raises(InputError) as caught:
        body_of(getattr(mlygeo, verb))(**arguments)
    assert words in str(caught.value)
    assert "leave " in (caught.value.hint or "")


def test_a_chain_passes_on_only_what_was_given(tmp_path):
    """The steps of a chain see the options of the whole call, and refuse none that was left at its default."""
    with pytest.raises(InputError, match="`split_import_path` has no effect without"):
        mlygeo.process_and_upload(tmp_path, split_import_path=tmp_path)
    with pytest.raises(InputError, match="`video_sample_interval` has no effect with"):
        mlygeo.video_process(tmp_path, video_sample_interval=3, video_sample_distance=5)
    with pytest.raises(InputError, match="`duplicate_distance` has no effect with `keep_duplicates`"):
        mlygeo.cut("images.parquet", keep_duplicates=True, duplicate_distance=3)
