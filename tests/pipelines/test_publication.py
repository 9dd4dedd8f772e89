"""What is published passes the validators of others without a warning, and tells what the files are."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, STUTTGART
from helpers.command_line import run
from helpers.panoramas import images_of, write_pictures
from helpers.tokens import TOKEN
from helpers.validators import environment

import mlygeo
from mlygeo.errors import FileError, InputError
from mlygeo.pipelines.job import body_of
from mlygeo.providers.mapillary.service import Service
from mlygeo.standin import serve

WHO = ["--creator", "Jane Doe <https://orcid.org/0000-0002-1825-0097>", "--publisher", "Uni <https://uni.example.org>"]
WHO += ["--address", "https://doi.org/10.5281/zenodo.1234567"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("made")
    options = {"streets": STUTTGART / "stuttgart_osm_edges.gpkg", "interval": 100, "srid": 25832}
    mlygeo.partition(images, folder / "images", rows_per_part=400)
    body_of(mlygeo.select)(images=STUTTGART / "stuttgart_images.parquet", **options).write(folder / "out")
    body_of(mlygeo.select)(images=folder / "images", **options).write(folder / "parts")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


@pytest.mark.parametrize("name", ["out", "parts"])
def test_a_crate_passes_its_validator_without_a_warning(folder, capsys, name):
    status, _, err = run(capsys, "publish", folder / name, *WHO)
    assert status == 0, err
    validate = [
        str(environment() / "python"),
        str(ROOT / "tests" / "helpers" / "validate_crate.py"),
        str(folder / name),
    ]
    for profile in ("ro-crate-1.1", "process-run-crate-0.5"):
        done = subprocess.run([*validate, profile], capture_output=True, text=True, cwd=folder)
        assert done.stdout == "passed\n", done.stderr
    described = json.loads((folder / name / "ro-crate-metadata.json").read_text())
    for entity in described["@graph"]:
        if entity["@type"] == "File":
            content = (folder / name / entity["@id"]).read_bytes()
            assert entity["sha256"] == hashlib.sha256(content).hexdigest()
            assert entity["contentSize"] == str(len(content))
    # The validator finds what is wrong.
    described["@graph"][1].pop("license")
    (folder / name / "ro-crate-metadata.json").write_text(json.dumps(described))
    assert "failed" in subprocess.run([*validate, "ro-crate-1.1"], capture_output=True, text=True, cwd=folder).stdout


def test_a_croissant_passes_its_validator_without_a_warning(folder, capsys):
    status, _, err = run(capsys, "publish", folder / "out", "--format", "croissant", *WHO)
    assert status == 0, err
    words = [str(environment() / "mlcroissant"), "validate", "--jsonld", str(folder / "out" / "croissant.json")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "Done" not in line]
    assert lines == []
    # It can be read by what is said of it.
    code = (
        "import sys, mlcroissant as mlc\n"
        "rows = mlc.Dataset(jsonld=sys.argv[1]).records('selection')\n"
        "print(sorted(int(row['selection/id']) for row in rows))"
    )
    words = [str(environment() / "python"), "-c", code, str(folder / "out" / "croissant.json")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    selected = mlygeo.read_frame(folder / "out" / "selection.parquet")
    assert json.loads(done.stdout) == sorted(selected["id"])


def test_a_croissant_has_the_terms_of_geocroissant(folder):
    mlygeo.publish(folder / "out", format="croissant", creator="Jane Doe")
    described = json.loads((folder / "out" / "croissant.json").read_text())
    assert described["conformsTo"] == ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/geo/1.0"]
    assert described["@context"]["geocr"] == "http://mlcommons.org/croissant/geo/"
    summary = json.loads((folder / "out" / "summary.json").read_text())
    lost = summary["points"] - summary["points_covered"]
    terms = {name.partition(":")[2]: value for name, value in described.items() if name.startswith("geocr:")}
    assert terms["coordinateReferenceSystem"] == "EPSG:4326"
    assert terms["samplingStrategy"].startswith("The nearest image within 100 m of points on streets, one every 100 m")
    assert terms["spatialBias"].startswith(f"{lost} of {summary['points']} points have no image within 100 m")
    # Cameras stand at places: there is no pixel on the ground, and no cadence.
    assert terms["spatialResolution"].startswith("none on the ground")
    assert terms["temporalResolution"].startswith("irregular")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 3, "max_distance": 40}, "The 3 nearest images within 40 m of points on streets, one every 200 m"),
        ({"prefer": "newest"}, "The best images by a rule within 100 m of points on streets"),
        ({"method": "percept", "since": "2024"}, "(method percept); of images with since 2024-01-01"),
        ({"points": STUTTGART / "stuttgart_images.parquet"}, "The nearest image within 100 m of given points"),
        ({"towards": STUTTGART / "stuttgart_osm_edges.gpkg", "field_of_view": 60}, "of things that they look at"),
    ],
)
def test_the_way_of_sampling_is_said_in_words(tmp_path, options, said):
    plain = (
        {}
        if options.keys() & {"points", "towards"}
        else {"streets": STUTTGART / "stuttgart_osm_edges.gpkg", "interval": 200}
    )
    body_of(mlygeo.select)(images=STUTTGART / "stuttgart_images.parquet", **plain, **options).write(tmp_path)
    mlygeo.publish(tmp_path, format="croissant")
    assert said in json.loads((tmp_path / "croissant.json").read_text())["geocr:samplingStrategy"]


def test_nothing_is_replaced_and_a_dry_run_writes_nothing(folder, capsys):
    before = sorted(folder.rglob("*"))
    found = mlygeo.publish(folder / "out", dry_run=True)
    assert sorted(folder.rglob("*")) == before
    assert found["path"].tolist() == [
        "selection.parquet", "street_points.parquet", "image_ids.txt", "selection.lock.json", "summary.json",
    ]  # fmt: skip
    assert set(found["licence"]) == {"CC BY-SA 4.0; ODbL-1.0"}
    status, _, err = run(capsys, "publish", folder / "out")
    assert status == 0
    assert "`" not in err
    assert "archives also ask for --creator" in err
    with pytest.raises(FileError, match="is there already, and is not replaced"):
        mlygeo.publish(folder / "out")
    assert len(mlygeo.publish(folder / "out", format="croissant")) == 5


def test_what_was_changed_is_not_published(folder):
    (folder / "out" / "image_ids.txt").write_text("1\n")
    with pytest.raises(FileError, match=r"image_ids.txt is changed"):
        mlygeo.publish(folder / "out")
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.publish(folder)
    with pytest.raises(InputError, match="`title` has no effect with `format=manifest`"):
        mlygeo.publish(folder, format="manifest", title="x")


@pytest.mark.parametrize("change", [{"date": None}, {"software": {"mlygeo": "0.1.0"}}, {"images": 5}, None])
def test_a_changed_summary_is_not_published(folder, change):
    path = folder / "out" / "summary.json"
    path.write_text(json.dumps([] if change is None else json.loads(path.read_text()) | change))
    with pytest.raises(FileError, match=r"summary.json"):
        mlygeo.publish(folder / "out")


def test_an_edited_lock_is_not_published(folder):
    path = folder / "out" / "selection.lock.json"
    path.write_text(path.read_text().replace("CC BY-SA 4.0", "CC0 1.0"))
    with pytest.raises(FileError, match="was edited"):
        mlygeo.publish(path)


def test_no_two_entities_of_a_crate_have_the_same_id(folder):
    uni = "Uni <https://uni.example.org>"
    who = ["Jane Doe", "Jane  Doe", "Jane-Doe", "run", "place", "—", uni]
    mlygeo.publish(folder / "out" / "selection.lock.json", creator=who, publisher=uni, address="10.5281/zenodo.1")
    graph = json.loads((folder / "out" / "ro-crate-metadata.json").read_text())["@graph"]
    ids = [entity["@id"] for entity in graph]
    assert len(ids) == len(set(ids))
    people = [entity["name"] for entity in graph if entity["@type"] == "Person"]
    assert people == ["Jane Doe", "Jane-Doe", "run", "place", "—", "Uni"]
    assert graph[1]["url"] == "https://doi.org/10.5281/zenodo.1"


@pytest.mark.parametrize(
    "options",
    [
        {"address": "soon"},
        {"address": "https://jane:secret@archive.example/1"},
        {"address": "https://"},
        {"creator": "Jane <jane@uni.example>"},
        {"publisher": "<https://uni.example.org>"},
    ],
)
def test_who_and_where_is_checked(folder, options):
    with pytest.raises(InputError, match=next(iter(options))) as caught:
        mlygeo.publish(folder / "out", dry_run=True, **options)
    assert "secret" not in str(caught.value)


def test_pictures_are_listed_with_their_licences(tmp_path, images, monkeypatch, capsys):
    with serve(images, photos=STUTTGART / "pictures", token=TOKEN) as server:
        service = Service(endpoints=server.endpoints, token=TOKEN)
        mlygeo.download(images.iloc[:5], output=tmp_path, size="256", service=service, required_disk_space=0)
    (lost, changed, *_) = sorted(tmp_path.rglob("*.jpg"))
    lost.unlink()
    changed.write_bytes(changed.read_bytes() + b"x")
    with monkeypatch.context() as broken:
        broken.setattr(pd.DataFrame, "to_parquet", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            mlygeo.publish(tmp_path, format="manifest")
    assert not list(tmp_path.glob("manifest.*"))  # both or none: a list that is there is not replaced
    status, _, err = run(capsys, "publish", tmp_path, "--format", "manifest")
    assert status == 0, err
    assert "4 pictures; 1 changed since they were written; 1 in the ledger and not in the folder" in err
    table = pd.read_parquet(tmp_path / "manifest.parquet")
    as_text = pd.read_csv(tmp_path / "manifest.csv", dtype={"id": str})
    assert as_text["path"].tolist() == table["path"].tolist()
    assert as_text["id"].tolist() == table["id"].tolist()
    for row in table.itertuples():
        assert hashlib.sha256((tmp_path / row.path).read_bytes()).hexdigest() == row.sha256
        assert Path(row.path).stem == row.id
        assert (row.provider, row.licence) == ("mapillary", "CC BY-SA 4.0")
        assert row.licence_url == "https://creativecommons.org/licenses/by-sa/4.0/"
    with pytest.raises(FileError, match="is there already"):
        mlygeo.publish(tmp_path, format="manifest")


def test_views_are_listed_with_the_licence_of_their_picture(tmp_path, capsys):
    images = images_of(2).assign(creator_username="jane", sequence_id="s")
    pictures = write_pictures(images, tmp_path / "pictures")
    options = {"size": "64x48", "required_disk_space": 0, "workers": 1}
    made = mlygeo.views(images, pictures=pictures, output=tmp_path / "views", **options)
    lost, changed, *_ = made["path"]
    (tmp_path / "views" / lost).unlink()
    content = bytearray((tmp_path / "views" / changed).read_bytes())
    content[-3] ^= 1
    (tmp_path / "views" / changed).write_bytes(content)
    status, _, err = run(capsys, "publish", tmp_path / "views", "--format", "manifest")
    assert status == 0, err
    assert "3 pictures; 1 changed since they were written; 1 in the ledger and not in the folder" in err
    table = pd.read_parquet(tmp_path / "views" / "manifest.parquet").set_index("path")
    for row in made.iloc[1:].itertuples():
        said = table.loc[row.path]
        assert (said["id"], said["view"], said["creator"]) == (str(row.id), row.view, "jane")
        assert (said["licence"], said["provider"], said["sequence_id"]) == ("CC BY-SA 4.0", "mapillary", "s")
        assert said["sha256"] == hashlib.sha256((tmp_path / "views" / row.path).read_bytes()).hexdigest()


def test_a_folder_may_have_downloads_and_views(tmp_path, images):
    with serve(images, photos=STUTTGART / "pictures", token=TOKEN) as server:
        service = Service(endpoints=server.endpoints, token=TOKEN)
        mlygeo.download(images.iloc[:2], output=tmp_path, size="256", service=service, required_disk_space=0)
    panoramas = images_of(1)
    pictures = write_pictures(panoramas, tmp_path.with_name("pictures"))
    mlygeo.views(panoramas, pictures=pictures, output=tmp_path, size="64x48", required_disk_space=0, workers=1)
    table = mlygeo.publish(tmp_path, format="manifest")
    assert table["view"].isna().sum() == 2
    assert table["view"].notna().sum() == 2
    assert (table["licence"] == "CC BY-SA 4.0").all()
    assert table.attrs["summary"]["views"] == 2
