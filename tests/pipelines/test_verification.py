"""What was changed since a selection was made is told, each way of it: files, versions, and images at the service."""

import json
import shutil

import geopandas as gpd
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers.command_line import run
from helpers.tokens import TOKEN

import mlygeo
from mlygeo.errors import FileError, InputError
from mlygeo.pipelines import selection_lock, verification
from mlygeo.standin import Faults, serve

TILE = "mly1_public_8609_5642_14"


@pytest.fixture(scope="module")
def made(tmp_path_factory, images):
    """A folder with streets, tiles and a dataset, and selections from both."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(STUTTGART / "stuttgart_osm_edges.gpkg", folder / "edges.gpkg")
    shutil.copytree(STUTTGART / "stuttgart_tile_cache", folder / "tiles")
    mlygeo.partition(images, folder / "images", rows_per_part=400)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        from mlygeo.pipelines.job import body_of

        options = {"streets": "edges.gpkg", "interval": 100, "srid": 25832}
        box = (9.1616, 48.7624, 9.1759, 48.7789)
        body_of(mlygeo.select)(box, tile_cache="tiles", **options).write(folder / "out")
        body_of(mlygeo.select)(images="images", max_distance=40.0, **options).write(folder / "parts")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def chosen(folder):
    return mlygeo.read_frame(folder / "selection.parquet")["id"].unique().tolist()


def edit_lock(folder, change, *, honest=True):
    """Have the lock say something else, as if it had been written so, or as an editor leaves it."""
    path = folder / "selection.lock.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(selection_lock.text_of(content) if honest else json.dumps(content))


def append(path):
    path.write_bytes(path.read_bytes() + b"\n")


def flip(path):
    """Another byte in the middle of a file, of the same length."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def first_part(folder):
    return next(iter(sorted(folder.glob("cell=*/*.parquet"))))


OFFLINE = {
    "streets are gone": ("out", lambda at: (at / "edges.gpkg").unlink(), "input", "streets (edges.gpkg)", "gone"),
    "streets were moved": (
        "out", lambda at: (at / "edges.gpkg").rename(at / "out" / "edges.gpkg"), "input", "streets (edges.gpkg)", "moved",
    ),
    "streets were changed": ("out", lambda at: append(at / "edges.gpkg"), "input", "streets (edges.gpkg)", "changed"),
    "a byte of the streets": ("out", lambda at: flip(at / "edges.gpkg"), "input", "streets (edges.gpkg)", "changed"),
    "a tile is gone": ("out", lambda at: (at / "tiles" / TILE).unlink(), "tile", TILE, "gone"),
    "a tile was changed": ("out", lambda at: append(at / "tiles" / TILE), "tile", TILE, "changed"),
    "a newer tile": ("out", lambda at: (at / "tiles" / f"{TILE}.mvt").touch(), "tile", TILE, "changed"),
    "a tile that had failed": (
        "out",
        lambda at: edit_lock(at / "out", lambda lock: lock["tiles"]["mapillary"]["failed"].append(f"{TILE}")),
        "tile", TILE, "new",
    ),
    "an option was edited": (
        "out",
        lambda at: edit_lock(at / "out", lambda lock: lock["options"].update(k=2), honest=False),
        "lock", "options", "changed",
    ),
    "an option that there is no more": (
        "out", lambda at: edit_lock(at / "out", lambda lock: lock["options"].update(wide=True)), "option", "wide", "gone",
    ),
    "an option that is new": (
        "out", lambda at: edit_lock(at / "out", lambda lock: lock["options"].pop("unique")), "option", "unique", "new",
    ),
    "another version of mlygeo": (
        "out",
        lambda at: edit_lock(at / "out", lambda lock: lock["software"].update(mlygeo="0.0.1")),
        "software", "mlygeo", "changed",
    ),
    "another version of PROJ": (
        "out",
        lambda at: edit_lock(at / "out", lambda lock: lock["software"].update(PROJ="9.0.0")),
        "software", "PROJ", "changed",
    ),
    "the selection was changed": (
        "out", lambda at: flip(at / "out" / "selection.parquet"), "output", "selection.parquet", "changed",
    ),
    "the points are gone": (
        "out", lambda at: (at / "out" / "street_points.parquet").unlink(), "output", "street_points.parquet", "gone",
    ),
    "the list of ids was changed": (
        "out", lambda at: append(at / "out" / "image_ids.txt"), "output", "image_ids.txt", "changed",
    ),
    "the summary was changed": (
        "out",
        lambda at: (at / "out" / "summary.json").write_text(
            (at / "out" / "summary.json").read_text().replace('"points_covered": ', '"points_covered": 1')
        ),
        "output", "summary.json", "changed",
    ),
    "a part of a dataset": (
        "parts", lambda at: flip(first_part(at / "images")), "input", "images (images)", "changed",
    ),
    "a part of a dataset is gone": (
        "parts", lambda at: first_part(at / "images").unlink(), "input", "images (images)", "changed",
    ),
    "a dataset with other rows": (
        "parts",
        lambda at: mlygeo.partition(mlygeo.read_frame(at / "images").iloc[:9].assign(id=range(9)), at / "images", add=True),
        "input", "images (images)", "changed",
    ),
    "a dataset is gone": (
        "parts", lambda at: shutil.rmtree(at / "images"), "input", "images (images)", "gone",
    ),
    "a part of the selection": (
        "parts", lambda at: flip(first_part(at / "parts" / "selection")), "output", "selection", "changed",
    ),
}  # fmt: skip


AREA = [[9.1616, 48.7624], [9.1759, 48.7624], [9.1759, 48.7789], [9.1616, 48.7789], [9.1616, 48.7624]]
WIDER = [[9.16, 48.76], *AREA[1:4], [9.16, 48.76]]


def region_file(path, ring, **facts):
    path.write_text(
        json.dumps({"type": "Feature", "properties": facts, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    )


def box_file(path, west, **others):
    box = {"west": west, "south": 48.7624, "east": 9.1759, "north": 48.7789}
    path.write_text(json.dumps({"bounding_box": box, "tile_cache_dir": "tiles", **others}))


REGIONS = {
    "nothing": ("area.geojson", lambda at: None, None, ""),
    "another area": ("area.geojson", lambda at: region_file(at / "area.geojson", WIDER), "changed", "another area; "),
    "the same area": (
        "area.geojson", lambda at: region_file(at / "area.geojson", AREA, note="seen"), "changed", "the same area; ",
    ),
    "no area": ("area.geojson", lambda at: (at / "area.geojson").write_text("{}"), "changed", ""),
    "gone": ("area.geojson", lambda at: (at / "area.geojson").unlink(), "gone", "there is no area.geojson"),
    "moved": ("area.geojson", lambda at: (at / "area.geojson").rename(at / "out" / "area.geojson"), "moved", "it lies in"),
    "another box": ("box.json", lambda at: box_file(at / "box.json", 9.16), "changed", "another area; "),
    "the same box": ("box.json", lambda at: box_file(at / "box.json", 9.1616, seqdir="pictures"), None, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REGIONS)
def test_a_region_that_changed_is_told_and_does_not_stand_against_the_lock(project, capsys, case):
    file, change, how, detail = REGIONS[case]
    region_file(project / "area.geojson", AREA)
    box_file(project / "box.json", 9.1616)
    shutil.rmtree(project / "out")
    words = ["--streets", "edges.gpkg", "--srid", "25832", "-o", "out"]
    words += ["--region", file, "--tile-cache", "tiles"] if file == "area.geojson" else ["--config", file]
    assert run(capsys, "select", *words)[0] == 0
    assert json.loads((project / "out" / "selection.lock.json").read_text())["region"]["source"]["path"] == f"../{file}"
    change(project)
    found = mlygeo.verify("out", offline=True)
    assert found.attrs["summary"]["compared"]["regions"] == 1
    expected = [] if how is None else [["region", f"region ({file})", how]]
    assert found[["kind", "name", "change"]].to_numpy().tolist() == expected
    assert all(text.startswith(detail) for text in found["detail"])
    status, _, err = run(capsys, "select", "--lock", "out", "-o", "again")
    assert status == 0, err
    assert (project / "out" / "selection.parquet").read_bytes() == (
        project / "again" / "selection.parquet"
    ).read_bytes()
    assert ("the region is that of the lock" in err) == (how is not None)
    again = json.loads((project / "again" / "selection.lock.json").read_text())["region"]
    assert again == json.loads((project / "out" / "selection.lock.json").read_text())["region"]


def test_a_place_by_its_name_cannot_be_compared(project, capsys):
    edit_lock(project / "out", lambda lock: lock["region"].update(source={"service": "OpenStreetMap's Nominatim"}))
    status, _, err = run(capsys, "verify", "out", "--offline")
    assert status == 0
    assert "not compared: region, for it came from OpenStreetMap's Nominatim" in err


@pytest.mark.parametrize("case", OFFLINE)
def test_what_was_changed_on_this_machine_is_told(project, case, capsys):
    name, change, kind, what, how = OFFLINE[case]
    change(project)
    found = mlygeo.verify(project / name, offline=True)
    assert found[["kind", "name", "change"]].to_numpy().tolist() == [[kind, what, how]]
    status, out, err = run(capsys, "verify", project / name, "--offline")
    assert status == 3
    assert (
        out.split()
        == str(f"{kind} {what}: {how}{',' if found['detail'].iloc[0] else ''} {found['detail'].iloc[0]}").split()
    )
    assert "1 difference" in err


def test_nothing_has_changed(project, capsys):
    for name in ("out", "parts"):
        status, out, err = run(capsys, "verify", f"{name}/selection.lock.json", "--offline")
        assert (status, out) == (0, "")
        assert "nothing has changed" in err
    status, out, _ = run(capsys, "verify", "out", "--offline", "--json", "-q")
    facts = json.loads(out)
    assert status == 0
    assert facts["compared"] == {"inputs": 1, "tiles": 6, "outputs": 4}
    assert facts["differences"] == []


def test_all_differences_are_told_at_once(project):
    flip(project / "edges.gpkg")
    for path in (project / "tiles").iterdir():
        path.unlink()
    append(project / "out" / "image_ids.txt")
    found = mlygeo.verify("out", offline=True)
    assert found["kind"].value_counts().to_dict() == {"tile": 6, "input": 1, "output": 1}


# At the service ----------------------------------------------------------------


def moved(images, number):
    """The image two metres to the north."""
    there = images.geometry.where(images["id"] != number, images.geometry.translate(yoff=2 / 111_200))
    return images.set_geometry(there)


def with_value(column, value):
    def changed(images, number):
        values = images[column].astype(object).where(images["id"] != number, value)
        return images.assign(**{column: values.astype(images[column].dtype)})

    return changed


AT_THE_SERVICE = {
    "gone": (lambda images, number: images[images["id"] != number], "gone", ""),
    "moved": (moved, "moved", "by 2.0 m"),
    "captured at": (with_value("captured_at", pd.Timestamp("2020-01-01", tz="UTC")), "changed", "captured_at"),
    "heading": (with_value("compass_angle", 1.5), "changed", "compass_angle"),
    "sequence": (with_value("sequence_id", "another"), "changed", "sequence_id"),
    "creator": (with_value("creator_id", 77), "changed", "creator_id"),
}


@pytest.mark.parametrize("case", AT_THE_SERVICE)
def test_what_was_changed_at_the_service_is_told(made, images, monkeypatch, capsys, case):
    change, how, detail = AT_THE_SERVICE[case]
    number = chosen(made / "out")[3]
    with serve(change(images, number), token=TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
        status, out, err = run(capsys, "verify", made / "out", "-q")
    assert status == 3, err
    (line,) = out.splitlines()
    assert line.startswith(f"image     {number}: {how}")
    assert detail in line
    assert TOKEN not in out + err


def test_the_service_is_asked_in_batches_and_knows_all(made, images, monkeypatch):
    ids = chosen(made / "out")
    with serve(images, token=TOKEN, faults=Faults(seed=3).spread(0.2)) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        found = mlygeo.verify(made / "out", token=TOKEN)
        assert len(found) == 0
        assert found.attrs["summary"]["compared"]["images"] == len(ids)
        assert server.count() < len(ids) / 4
        # Rounded positions are not those of the service to the last digit.
        assert len(mlygeo.verify(made / "out", token=TOKEN, max_move=0)) > len(ids) / 2
    assert isinstance(mlygeo.read_frame(made / "out" / "selection.parquet"), gpd.GeoDataFrame)


def test_without_a_token_the_hint_names_what_needs_none(project, capsys):
    status, _, err = run(capsys, "verify", "out")
    assert status == 2
    assert "no access token" in err
    assert "compare only what is on this machine with --offline" in err


def test_options_that_have_no_effect_or_no_sense(project):
    with pytest.raises(InputError, match="`token` has no effect with `offline`"):
        mlygeo.verify("out", offline=True, token=TOKEN)
    with pytest.raises(InputError, match="`max_move` is a number"):
        mlygeo.verify("out", max_move=-1)
    (project / "out" / "selection.parquet").unlink()
    with pytest.raises(FileError, match="has no selection"):
        mlygeo.verify("out", token=TOKEN)


def test_headings_are_compared_the_shorter_way_round(images):
    then = images.iloc[:3].assign(compass_angle=[359.8, 10.0, float("nan")])
    now = then.assign(compass_angle=[0.3, 12.0, 5.0])
    assert verification._differs(then, now, "compass_angle").tolist() == [False, True, False]
