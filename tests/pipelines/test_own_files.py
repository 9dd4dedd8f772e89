"""No run replaces a file that none has written, whatever names it writes under; it says so before it begins."""

import inspect
import json
import os
import shutil

import pytest
from conftest import STUTTGART
from helpers.command_line import run
from helpers.photo_folders import folder_of
from helpers.small_frames import districts_frame, images_frame, photos_frame
from helpers.tokens import TOKEN
from helpers.unix import needs_symlinks, needs_unix

import mlygeo
from mlygeo import cli, own
from mlygeo.cli.verbs import VERBS
from mlygeo.errors import FileError
from mlygeo.pipelines import own_files, values

DESCRIBED = "mapillary_image_description.json"


@pytest.fixture
def photos(tmp_path):
    folder_of(tmp_path / "photos", 3)
    return tmp_path / "photos"


@pytest.mark.parametrize("name", ["images.parquet", "photos.parquet", "sequences.parquet"])
@pytest.mark.parametrize("frame", [images_frame, photos_frame, lambda: mlygeo.summarise(images_frame())])
def test_frames_in_the_output_of_process(photos, tmp_path, name, frame):
    out = tmp_path / "out"
    mine = out / name
    mlygeo.write_frame(frame(), mine)
    before = mine.read_bytes()
    for verb in (mlygeo.process, mlygeo.extract_sequence_data):
        with pytest.raises(FileError, match=f"{name} was not written by an earlier run"):
            verb(photos, output=out)
        assert mine.read_bytes() == before
        assert [path.name for path in out.iterdir() if path.is_file()] == [name]
    assert not (photos / ".mlygeo" / "images.parquet").exists()


def test_process_goes_on_with_files_of_its_own(photos, tmp_path):
    out = tmp_path / "out"
    first = mlygeo.process(photos, output=out)
    assert len(mlygeo.process(photos, output=out)) == len(first)
    (out / "images.parquet").unlink()
    with pytest.raises(FileError, match=r"sequences.parquet was not written by an earlier run"):
        mlygeo.process(photos, output=out)
    (out / "sequences.parquet").unlink()
    assert len(mlygeo.process(photos, output=out)) == len(first)
    (out / "sequences.parquet").write_bytes(b"damaged")
    with pytest.raises(FileError, match=r"sequences.parquet was not written by"):
        mlygeo.process(photos, output=out)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mapillary_import_summary.json", {"summarize": True}),
        ("mapillary_import_image_status_list.json", {"list_file_status": True}),
    ],
)
@pytest.mark.parametrize("content", ['{"mine": 1}', "[]", "{", "", "\xff"])
def test_json_of_post_process(photos, name, options, content):
    mlygeo.process(photos)
    (photos / name).write_text(content, encoding="latin-1")
    with pytest.raises(FileError, match=f"{name} was not written by"):
        mlygeo.post_process(photos, save_as_json=True, **options)
    assert (photos / name).read_text(encoding="latin-1") == content
    (photos / name).unlink()
    for _ in range(2):
        mlygeo.post_process(photos, save_as_json=True, **options)
    assert json.loads((photos / name).read_text())


ENTRY = {"filename": "a.jpg", "filetype": "image", "MAPLatitude": 1.0, "MAPLongitude": 2.0}


@pytest.mark.parametrize("content", ['{"mine": 1}', '[{"mine": 1}]', json.dumps([ENTRY])[:-1]])
def test_descriptions_replace_no_other_file_and_no_photo_is_written_into(photos, tmp_path, content):
    mlygeo.process(photos, desc_path=tmp_path / "elsewhere.json", skip_exif_insert=True)
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    apart = tmp_path / "apart"
    apart.mkdir()
    beside, at = photos / DESCRIBED, tmp_path / "mine.json"
    for mine, options in (
        (beside, {}),
        (beside, {"skip_exif_insert": True}),
        (beside, {"dry_run": True}),
        (beside, {"keep_original": True}),
        (at, {"desc_path": at}),
        (apart / DESCRIBED, {"desc_path": apart}),
    ):
        mine.write_text(content)
        for path in (photos, min(photos.glob("*.jpg"))):
            with pytest.raises(
                FileError, match=f"{mine.name} is there, and is not an image description file"
            ) as caught:
                mlygeo.process(path, **options)
            assert "`desc_path`" in caught.value.hint
        if "desc_path" in options or not options:
            with pytest.raises(FileError, match="not an image description file"):
                mlygeo.extract_upload_params(photos, user_name="ada", **options)
        assert mine.read_text() == content
        mine.unlink()
        assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == before


@needs_unix("named pipes")
def test_descriptions_that_cannot_be_files_are_refused_before_a_photo_is_written_into(photos, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a file").write_text("mine")
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    for place in (tmp_path / "pipe", os.devnull, tmp_path / "a file" / "d.json"):
        with pytest.raises(FileError, match=r"is there|below a file|is a pipe"):
            mlygeo.process(photos, desc_path=place)
    os.mkfifo(photos / DESCRIBED)
    with pytest.raises(FileError, match="is there"):
        mlygeo.process(photos)
    assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == before


def test_one_of_several_folders_with_a_file_of_ones_own_stops_all(tmp_path, capsys):
    for name in "abc":
        folder_of(tmp_path / name, 2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    (tmp_path / "c" / DESCRIBED).mkdir()
    with pytest.raises(FileError, match=f"c/{DESCRIBED} is there"):
        mlygeo.process([tmp_path / name for name in "abc"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")} == before
    status, _, said = run(capsys, "process", tmp_path / "c")
    assert status == 1
    assert "name a file by --desc-path" in said


@pytest.mark.parametrize("content", ["", json.dumps([ENTRY]), '[{"_filename": "", "MAPLatitude": 1.0}]'])
def test_descriptions_of_any_program_are_replaced(photos, content):
    for path in (photos, min(photos.glob("*.jpg"))):
        (photos / DESCRIBED).write_text(content)
        mlygeo.process(path, skip_exif_insert=True)
        mlygeo.process(path, skip_exif_insert=True)
        assert len(mlygeo.read_descriptions(photos / DESCRIBED)) == (3 if path == photos else 1)


def test_the_mapping_of_post_process(photos):
    mlygeo.process(photos)
    mine = photos.with_name("photos_mapillary_image_uuid_to_local_path_mapping.csv")
    mine.write_text("my notes\n")
    with pytest.raises(FileError, match="was not written by"):
        mlygeo.post_process(photos, save_local_mapping=True)
    assert mine.read_text() == "my notes\n"
    mine.unlink()
    for _ in range(2):
        mlygeo.post_process(photos, save_local_mapping=True)


@pytest.mark.parametrize("name", ["sequences_jane.parquet", "sequences_jane.txt"])
def test_lists_of_sequences(tmp_path, capsys, name):
    mine = tmp_path / name
    mlygeo.write_frame(images_frame(), mine) if name.endswith(".parquet") else mine.write_text("to do: streets\n")
    before = mine.read_bytes()
    status, out, err = run(capsys, "find-sequences", "jane", "-o", tmp_path)
    assert (status, out) == (1, "")
    assert f"{name} was not written by an earlier run" in err
    assert mine.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["metadata", "5", "--fields", "altitude"], "missing_images.txt"),
        (["tiles", "--bbox", "9,48,9.1,48.1"], "failed_tiles.txt"),
        (["select", "--bbox", "9,48,9.1,48.1"], "failed_tiles.txt"),
        (["coverage", "--bbox", "9,48,9.1,48.1"], "failed_tiles.txt"),
    ],
)
def test_lists_beside_the_output(tmp_path, capsys, words, name):
    (tmp_path / name).write_text("my notes\n")
    status, out, err = run(capsys, *words, "-o", tmp_path / "found.gpkg")
    assert (status, out) == (1, "")
    assert f"{name} was not written by an earlier run" in err
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("text", "are_ours"),
    [
        ("", True), ("mly1_public_8608_5641_14\n", True), ("mly1_public_8608_5641_14", False), ("a b\n", False),
        ("mly1_public_8608_5641_14\nx\n", False), ("\n", False), ("\xff\n", False), ("acme_0_0\n" * 20_000, True),
        ("acme_0_0\n" * 20_000 + "mine", True),
    ],
)  # fmt: skip
def test_texts_are_known_by_their_lines(tmp_path, text, are_ours):
    """Of a long one the beginning is read."""
    (tmp_path / "a.txt").write_text(text, encoding="latin-1", newline="")
    assert own.lines(r"\S+(_\d+){2,3}")(tmp_path / "a.txt") is are_ours


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 nothing PAR1", b"{}", b"[" * 100_000, b'{"run": 1', b"\xff"])
def test_what_is_damaged_is_none_of_ours(tmp_path, content):
    for name in ("a.parquet", "a.json"):
        (tmp_path / name).write_bytes(content)
        assert not own.of_run(tmp_path / name)
        assert not own.keys("run")(tmp_path / name)
        assert not own.columns(("id",))(tmp_path / name)


@pytest.mark.parametrize("name", ["images.parquet", "cut.parquet", "quality.parquet"])
def test_names_that_nobody_typed_replace_nothing_of_the_user(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    cache = STUTTGART / "stuttgart_tile_cache"
    mlygeo.write_frame(photos_frame(), tmp_path / "photos.parquet")
    mlygeo.write_frame(images_frame(), tmp_path / "small.parquet")
    words = {
        "images.parquet": ["tiles", "--bbox", "9.168,48.768,9.17,48.77", "--tile-cache", cache, "--no-config"],
        "cut.parquet": ["cut", "photos.parquet"],
        "quality.parquet": ["quality", "small.parquet"],
    }[name]
    (tmp_path / name).write_text("my notes\n")
    status, _, err = run(capsys, *words)
    assert (status, (tmp_path / name).read_text()) == (1, "my notes\n")
    assert f"{name} was not written by an earlier run" in err
    assert run(capsys, *words, "-o", name)[0] == 0
    assert run(capsys, *words)[0] == 0


def test_a_map_without_a_name_replaces_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mlygeo.write_frame(images_frame(), tmp_path / "small.parquet")
    (tmp_path / "map.png").write_bytes(b"mine")
    status, _, said = run(capsys, "map", "small.parquet")
    assert status == 1
    assert "map.png is there, and would be replaced" in said
    assert (tmp_path / "map.png").read_bytes() == b"mine"
    assert run(capsys, "map", "small.parquet", "-o", "map.png")[0] == 0
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "map.png").unlink()
    assert run(capsys, "map", "small.parquet")[0] == 0


def test_each_verb_with_a_file_of_its_own_is_looked_at():
    files = {verb.function for verb in VERBS if verb.output and verb.writes in {"frame", "track"} and not verb.acts}
    assert files == set(own_files.UNNAMED)


def reading_options(verb):
    """The options of a verb that take a path, a frame or several, with the flag of each, or None for its words."""
    function = getattr(mlygeo, verb.function)
    for name, parameter in inspect.signature(function).parameters.items():
        takes = values.taken_by(parameter.annotation, inspect.unwrap(function).__globals__)
        kinds = takes.kinds | (takes.items.kinds if takes.items else set())
        if name != "output" and (kinds & {"path", "frame", "geodataframe"} or name in {"lock", "streets"}):
            yield name, None if name == verb.arguments else f"--{name.replace('_', '-')}"
    if verb.takes_region:
        yield "region_file", "--region"


WITH_OUTPUT = [verb for verb in VERBS if verb.output is not None]
NEEDED = (("--user-name", "jane"), ("--data", "missing_gps"), ("--csv-path", "log.csv"), ("--dry-run",))
MOST_LIKELY = {"frame": "f.parquet", "track": "f.parquet", "picture": "f.png"}


@needs_symlinks
@pytest.mark.parametrize("verb", WITH_OUTPUT, ids=[verb.name for verb in WITH_OUTPUT])
def test_no_verb_replaces_what_it_reads(tmp_path, monkeypatch, capsys, verb):
    """Each option that reads a file or dataset names one that the verb would write, by itself and over a link."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
    target = tmp_path / MOST_LIKELY.get(verb.writes, "f")
    paths = own_files.written(verb.function, target, {})
    if verb.name in {"download", "zip", "download-originals"}:
        assert not paths
        return
    mlygeo.write_frame(districts_frame(), tmp_path / "frame.parquet")
    flags = {flag for option in cli._command(verb).params for flag in option.opts}
    wrong, count = [], 0
    for path in paths:
        if path.suffix not in {".parquet", ".png"} or (target.suffix and path != target):
            continue
        path.parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "frame.parquet", path)
        (tmp_path / "link.parquet").unlink(missing_ok=True)
        (tmp_path / "link.parquet").symlink_to(path)
        before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
        for name, flag in reading_options(verb):
            if name == "region_file" and path.suffix != ".parquet":
                continue  # a region is read first
            for given in (path, tmp_path / "link.parquet", path.parent / ".." / path.parent.name / path.name):
                words = [str(given)] if flag is None else [flag, str(given)]
                words += ["--bbox", "9,48,10,49"] if verb.takes_region and name != "region_file" else []
                needs_more = verb.arguments in {"import_path", "images", "videos", "inputs", "layers"}
                words += ["photos"] if flag and needs_more else []
                words += [word for option in NEEDED if option[0] in flags and option[0] != flag for word in option]
                status, _, said = run(capsys, verb.name, *words, "-o", str(target))
                count += 1
                if status != 2 or " is read as " not in said:
                    wrong.append(f"{verb.name} {name}={given.name} -o {target.name}: {status} {said[:200]}")
        assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before
        path.unlink()
    assert not wrong, "\n".join(wrong)
    assert count or not [*reading_options(verb)]


@needs_symlinks
@pytest.mark.parametrize(
    "words",
    [
        ("streets", "--streets", "edges.gpkg", "--interval", "200", "-o", "edges.gpkg"),
        ("select", "--streets", "edges.gpkg", "--images", "images.parquet", "-o", "images.parquet"),
        ("select", "--streets", "edges.gpkg:edges", "--images", "images.parquet", "-o", "./edges.gpkg"),
        ("coverage", "--streets", "edges.gpkg", "--images", "images.parquet", "-o", "link.parquet"),
        ("streets", "--streets", "edges.gpkg", "--region", "area.geojson", "-o", "area.geojson"),
        ("streets", "--streets", "edges.gpkg", "-c", "my.json", "-o", "my.json"),
        ("streets", "--streets", "edges.gpkg", "-c", "my.json", "-o", "area.geojson"),
        ("quality", "images.parquet", "-o", "images.parquet"),
        ("metadata", "images.parquet", "-o", "link.parquet"),
        ("cut", "*.parquet", "-o", "images.parquet"),
        ("geotag", "images.parquet", "--geotag-source", "gpx"),
        ("convert", "images.parquet", "edges.gpkg", "-o", "link.parquet"),
        ("map", "images.parquet", "map.png", "-o", "map.png"),
        ("convert", "images.parquet", "new/../images.parquet"),
        ("select", "--points", "out/street_points.parquet", "--images", "images.parquet", "-o", "out"),
        ("select", "--lock", "out/selection.lock.json", "-o", "out"),
        ("select", "--lock", "out", "-o", "images.parquet"),
        ("select", "--lock", "out", "-o", "edges.gpkg"),
    ],
)
def test_a_file_that_is_read_is_not_replaced(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    shutil.copy(STUTTGART / "stuttgart_osm_edges.gpkg", "edges.gpkg")
    shutil.copy(STUTTGART / "stuttgart_images.parquet", "images.parquet")
    (tmp_path / "link.parquet").symlink_to("images.parquet")
    (tmp_path / "map.png").write_bytes(b"a picture")
    mlygeo.write_frame(districts_frame(), tmp_path / "area.geojson")
    (tmp_path / "my.json").write_text('{"region": "area.geojson"}')
    made = ("select", "--streets", "edges.gpkg", "--images", "images.parquet", "--interval", "500", "-o", "out")
    assert run(capsys, *made)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, _, err = run(capsys, *words)
    assert status == 2
    assert "is read as " in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
