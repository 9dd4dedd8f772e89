"""What made a frame stands in its file: command, all options, inputs by hash, versions; and no secret or place."""

import hashlib
import inspect
import json
import shutil

import pyarrow.parquet as pq
import pytest
from conftest import STUTTGART
from helpers.command_line import run
from helpers.photo_folders import folder_of, gpx_of
from helpers.small_frames import images_frame, points_frame, streets_frame
from helpers.tokens import TOKEN
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo.cli.verbs import VERBS
from mlygeo.errors import FileError
from mlygeo.pipelines import provenance
from mlygeo.standin import serve
from mlygeo.store.datasets.index import read_index

BBOX = "9.1616,48.7624,9.1759,48.7789"


@pytest.fixture(scope="module")
def service(images):
    with serve(images, token=TOKEN) as server:
        yield server


@pytest.fixture
def work(tmp_path, monkeypatch, service):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", service.url)
    monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", service.url)
    shutil.copy(STUTTGART / "stuttgart_osm_edges.gpkg", folder / "edges.gpkg")
    shutil.copy(STUTTGART / "stuttgart_images.parquet", folder / "images.parquet")
    frame = mlygeo.read_frame(folder / "images.parquet")
    mlygeo.write_frame(frame[frame["id"] == 1138211467256565], folder / "one.parquet")
    shutil.copytree(STUTTGART / "pictures", folder / "pictures")
    folder_of(folder / "photos", 4)
    gpx_of(folder / "t.gpx", 40)
    (folder / "token.txt").write_text(TOKEN)
    return folder


MADE = {
    "tiles": (["--bbox", BBOX, "--tile-cache", "cache", "--token-file", "token.txt", "-o", "made.parquet"], "made.parquet"),
    "streets": (["--streets", "edges.gpkg", "--interval", "200", "-o", "made.parquet"], "made.parquet"),
    "metadata": (["images.parquet", "--token-file", "token.txt", "--fields", "altitude", "-o", "made.parquet"], "made.parquet"),
    "coverage": (["--streets", "edges.gpkg", "--images", "images.parquet", "-o", "out"], "out/gaps.parquet"),
    "quality": (["one.parquet", "--pictures", "pictures", "-o", "made.parquet"], "made.parquet"),
    "views": (["one.parquet", "--pictures", "pictures", "--relative-to", "north", "-o", "out"], "out/views.parquet"),
    "tracks": (["t.gpx", "-o", "made.parquet"], "made.parquet"),
    "geotag": (["photos", "--geotag-source", "gpx", "--geotag-source-path", "t.gpx", "-o", "made.parquet"], "made.parquet"),
    "cut": (["photos", "-o", "made.parquet"], "made.parquet"),
    "process": (["photos", "--geotag-source", "gpx", "--geotag-source-path", "t.gpx"], "photos/.mlygeo/images.parquet"),
    "find-sequences": (["--bbox", BBOX, "--token-file", "token.txt", "-o", "out"], "out/sequences.parquet"),
}  # fmt: skip


OTHERS = frozenset(
    {
        "select",
        "convert",
        "partition",
        "sample-video",
        "upload",
        "download",
        "zip",
        "download-originals",
        "post-process",
        "demo",
    }
)
"""A selection has its lock, a copy the record of its source; the video has no file here, and the rest no frame."""


def test_every_verb_that_writes_a_frame_is_tested():
    frames = [verb for verb in VERBS if verb.output is not None and verb.writes != "picture"]
    assert {verb.name for verb in frames if not verb.output.startswith("DIR/.mlygeo")} <= MADE.keys() | OTHERS


@pytest.mark.parametrize("name", MADE)
def test_the_file_of_a_verb_says_what_made_it(work, capsys, name):
    words, file = MADE[name]
    status, _, err = run(capsys, name, *words)
    assert status == 0, err
    attrs = mlygeo.read_frame(work / file).attrs
    record = attrs["record"]
    function = next(verb.function for verb in VERBS if verb.name == name)
    assert record["command"] == function
    parameters = inspect.signature(getattr(mlygeo, function)).parameters
    assert record["options"].keys() == parameters.keys() - provenance.UNTOLD
    assert record["software"]["mlygeo"] == mlygeo.__version__
    text = json.dumps(attrs)
    assert TOKEN not in text
    assert "token.txt" not in text
    assert str(work) not in json.dumps(record)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in work.iterdir() if path.is_file()}
    for said in record["inputs"].values():
        assert said["sha256"] == hashes[said["source"]]
    named = {value for value in record["options"].values() if isinstance(value, str)}
    assert named & hashes.keys() <= {said["source"] for said in record["inputs"].values()}


@pytest.mark.parametrize(
    "file", ["made.gpkg", "made.geojson", "made.geojsonl", "made.fgb", "made.sqlite", "made.csv", "made.tsv"]
)
def test_every_format_says_what_made_its_frame(work, capsys, file):
    status, _, err = run(capsys, "streets", "--streets", "edges.gpkg", "--interval", "200", "-o", file)
    assert status == 0, err
    expected = json.loads(json.dumps(mlygeo.streets(streets="edges.gpkg", interval=200).attrs))
    found = mlygeo.read_frame(file)
    assert found.attrs["record"] == expected["record"]
    assert found.attrs["summary"]["street_points"] == expected["summary"]["street_points"]
    assert mlygeo.convert(file, "again.gpkg") is not None
    assert mlygeo.read_frame("again.gpkg").attrs["record"] == expected["record"]
    beside = f"{file}-metadata.json"
    assert (work / beside).exists() == file.endswith(("csv", "tsv"))
    assert (beside in err) == file.endswith(("csv", "tsv"))


def test_what_stands_beside_a_table_goes_with_it(work, capsys):
    run(capsys, "streets", "--streets", "edges.gpkg", "--interval", "200", "-o", "folder/made.csv")
    table, beside = work / "folder/made.csv", work / "folder/made.csv-metadata.json"
    assert json.loads(beside.read_text())["url"] == "made.csv"
    assert len(mlygeo.read_frame("folder")) == len(mlygeo.read_frame("folder/*")) == len(mlygeo.read_frame(table))
    whole = table.read_text()
    table.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    assert "record" not in mlygeo.read_frame(table).attrs  # it was changed since
    table.write_text(whole)
    assert "record" in mlygeo.read_frame(table).attrs
    plain = mlygeo.read_frame("edges.gpkg")
    mlygeo.write_frame(plain, table)
    assert not beside.exists()  # nothing is known of this one
    theirs = '{"@context": "http://www.w3.org/ns/csvw", "notes": ["mine"]}'
    beside.write_text(theirs)
    _, _, err = run(capsys, "streets", "--streets", "edges.gpkg", "--interval", "200", "-o", table)
    assert beside.read_text() == theirs
    assert "is not of mlygeo and stays as it is" in err
    assert "record" not in mlygeo.read_frame(table).attrs
    mlygeo.write_frame(plain, table)
    assert beside.read_text() == theirs


@pytest.mark.parametrize("file", ["made.gpx", "made.gpx.gz"])
def test_a_track_says_what_made_it(work, capsys, file):
    status, _, err = run(capsys, "tracks", "t.gpx", "-o", file)
    assert status == 0, err
    assert "record" not in mlygeo.read_track("t.gpx").attrs
    record = mlygeo.read_track(file).attrs["record"]
    assert record["command"] == "tracks"
    assert record["inputs"]["paths"]["sha256"] == hashlib.sha256((work / "t.gpx").read_bytes()).hexdigest()
    assert len(mlygeo.read_track(file)) == len(mlygeo.read_track("t.gpx"))


@pytest.mark.parametrize("file", ["made.gpkg", "made.csv"])
def test_a_selection_in_one_file_has_no_lock_and_says_what_made_it(work, capsys, file):
    words = ["--streets", "edges.gpkg", "--images", "images.parquet", "--interval", "200", "-o", file]
    status, _, err = run(capsys, "select", *words)
    assert status == 0, err
    for layer in ("selection", "street_points") if file.endswith(".gpkg") else (None,):
        record = mlygeo.read_frame(file, layer=layer).attrs["record"]
        assert (record["command"], record["options"]["interval"]) == ("select", 200)
        assert {each["source"] for each in record["inputs"].values()} == {"edges.gpkg", "images.parquet"}


DATASETS = {
    "tiles": ["--bbox", BBOX, "--tile-cache", "cache", "--token-file", "token.txt", "-o", "made/"],
    "partition": ["images.parquet", "-o", "made/"],
    "streets": ["--streets", "edges.gpkg", "--interval", "20", "-o", "made/"],
}


@pytest.mark.parametrize("name", DATASETS)
def test_the_index_of_a_dataset_says_what_made_it(work, capsys, name):
    if name == "streets":
        (work / "made").mkdir()
    status, _, err = run(capsys, name, *DATASETS[name])
    assert status == 0, err
    (record,) = read_index(work / "made.partitions.parquet").records
    assert record["command"] == next(verb.function for verb in VERBS if verb.name == name)
    assert TOKEN not in json.dumps(record)
    assert str(work) not in json.dumps(record)
    assert mlygeo.read_frame("made").attrs["record"] == record


def test_a_dataset_that_grows_says_what_was_added(work):
    images = mlygeo.read_frame("images.parquet")
    mlygeo.write_frame(images.iloc[:500], "first.parquet")
    mlygeo.write_frame(images.iloc[500:], "second.parquet")
    mlygeo.partition("first.parquet", "made")
    for _ in range(2):  # the second time nothing is to be done
        mlygeo.partition("second.parquet", "made", add=True)
    said = [each["inputs"]["inputs"]["source"] for each in read_index(work / "made.partitions.parquet").records]
    assert said == ["first.parquet", "second.parquet"]


def test_a_converted_file_of_others_says_what_converted_it(work):
    mlygeo.convert("edges.gpkg", "edges.fgb")
    record = mlygeo.read_frame("edges.fgb").attrs["record"]
    assert (record["command"], record["inputs"]["frame"]["source"]) == ("convert", "edges.gpkg")
    assert "output" not in record["options"]


def test_a_function_says_what_its_verb_says(work, capsys):
    run(capsys, "streets", "--streets", "edges.gpkg", "--interval", "200", "-o", "made.parquet")
    of_file = mlygeo.read_frame(work / "made.parquet").attrs["record"]
    assert mlygeo.streets(streets="edges.gpkg", interval=200).attrs["record"] == json.loads(json.dumps(of_file))


def test_what_the_user_called_is_recorded_not_what_that_called(work):
    made = mlygeo.process(work / "photos")
    assert made.attrs["record"]["command"] == "process"
    frame = mlygeo.cut(work / "photos", max_speed=10**17)
    assert frame.attrs["record"]["options"]["max_speed"] == 10**17
    assert frame.attrs["record"]["options"]["cutoff_time"] == 60


def test_a_dataset_has_one_hash_in_summaries_and_locks(tmp_path, capsys):
    mlygeo.partition(images_frame(), tmp_path / "images", rows_per_part=5)
    mlygeo.write_frame(points_frame(), tmp_path / "points.parquet")
    mlygeo.write_frame(streets_frame(), tmp_path / "streets.parquet")
    images = str(tmp_path / "images")
    points, streets = str(tmp_path / "points.parquet"), str(tmp_path / "streets.parquet")
    calls = {
        "at_once": ("select", "--points", points, "--images", images),
        "parts": ("select", "--points", points, "--images", images, "--workers", "1"),
        "coverage": ("coverage", "--streets", streets, "--images", images),
    }
    hashes = set()
    for name, words in calls.items():
        assert run(capsys, *words, "-o", str(tmp_path / name))[0] == 0
        told = [json.loads((tmp_path / name / "summary.json").read_text())]
        if words[0] == "select":
            told.append(json.loads((tmp_path / name / "selection.lock.json").read_text()))
        hashes |= {each["inputs"]["images"]["sha256_of_index"] for each in told}
    index = pq.read_table(tmp_path / "images.partitions.parquet", columns=["path", "bytes", "sha256"])
    listed = [[row["path"], row["bytes"], row["sha256"]] for row in index.to_pylist()]
    assert hashes == {hashlib.sha256(json.dumps(listed).encode()).hexdigest()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/users/jane/data/x.gpkg", "x.gpkg"),
        ("edges.gpkg:roads", "edges.gpkg:roads"),
        ("postgresql://jane:secret@db.example/osm?table=a.b", "postgresql://db.example/osm"),
        ("https://x.example/a.parquet?signature=secret", "https://x.example/a.parquet"),
        ("s3://bucket/images", "s3://bucket/images"),
    ],
)
def test_names_of_inputs_have_no_secrets(text, expected):
    assert provenance.called(text) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_an_address_in_a_message_has_no_secret():
    with pytest.raises(FileError, match=r"https://data\.example/r\.geojson is an address") as caught:
        mlygeo.tiles("https://jane:S3CRET@data.example/r.geojson?signature=S3CRET")
    assert "S3CRET" not in str(caught.value)


@given(
    facts=st.dictionaries(st.text(max_size=3), JSON, max_size=4),
    others=st.dictionaries(st.sampled_from(sorted(provenance.PASSING)), JSON),
)
def test_the_name_of_a_run_does_not_hang_on_when_and_where_it_ran(facts, others):
    nested = {"software": {**others, "numpy": "2"}, **facts, **others}
    assert provenance.run_of(nested) == provenance.run_of({"software": {"numpy": "2"}, **facts})
    assert provenance.run_of({**facts, "more": 1}) != provenance.run_of({**facts, "more": 2})
    assert provenance.run_of({**facts, "more": 1}) == provenance.run_of({**facts, "more": 1.0})
