"""One town with both providers: from tiles to files with licences, whatever the order of rows and files."""

from __future__ import annotations

import uuid

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers.exiftool_oracle import ExifTool
from helpers.tokens import TOKEN
from pyproj import Transformer

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import InputError
from mlygeo.standin import serve

BOX = (9.1616, 48.7624, 9.1759, 48.7789)
WORDS = ["--bbox", ",".join(map(str, BOX)), "--provider", "panoramax", "--provider", "mapillary"]
STREETS = ["--streets", str(STUTTGART / "stuttgart_osm_edges.gpkg"), "--srid", "25832", "-q"]
BOTH = ["mapillary", "panoramax"]
LICENCES = {
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "etalab-2.0": "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
}


@pytest.fixture(scope="module")
def town(images):
    """Mapillary's images, and others of Panoramax: some exactly where Mapillary has one, some at the roadside."""
    base = images.iloc[::4].reset_index(drop=True)
    number = np.arange(len(base))
    aside = np.where(number % 3 == 0, 0.0, 0.0001)
    table = {
        "id": [str(uuid.uuid5(uuid.NAMESPACE_URL, str(id_))) for id_ in base["id"]],
        "provider": "panoramax",
        "instance": "town",
        "sequence_id": [str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in base["sequence_id"]],
        "captured_at": base["captured_at"] + pd.Timedelta(days=30),
        "compass_angle": base["compass_angle"].round(),
        "is_pano": base["is_pano"],
        "creator": np.where(base["sequence_id"].factorize()[0] % 2 == 0, "Ada", "Åsa Öberg"),
        "creator_id": [str(uuid.uuid5(uuid.NAMESPACE_URL, str(n % 2))) for n in base["sequence_id"].factorize()[0]],
        "licence": np.where(number % 5 < 3, "CC-BY-SA-4.0", "etalab-2.0"),
    }
    points = gpd.points_from_xy(base.geometry.x + aside, base.geometry.y, crs=4326)
    others = frames.conform(gpd.GeoDataFrame(table, geometry=points), frames.IMAGES)
    mapillary = images.assign(id=images["id"].astype(str), provider="mapillary")
    return frames.conform(pd.concat([others, mapillary], ignore_index=True), frames.IMAGES)


@pytest.fixture
def served(town, monkeypatch):
    """The stand-in of both, its rows in another order than those of the town."""
    with serve(town.sample(frac=1, random_state=7), token=TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
        monkeypatch.setenv("MLYGEO_PANORAMAX_URL", server.panoramax)
        yield server
        assert server.leaks == 0


def nearest_by_loop(points, images):
    """The provider and the id of the nearest image of each point: of several the first by provider, then by id."""
    turn = Transformer.from_crs(4326, 25832, always_xy=True).transform
    x, y = turn(images.geometry.x.to_numpy(), images.geometry.y.to_numpy())
    at_x, at_y = turn(points.geometry.x.to_numpy(), points.geometry.y.to_numpy())
    keys = [
        (name, int(id_) if name == "mapillary" else 0, id_)
        for name, id_ in zip(images["provider"], images["id"], strict=True)
    ]
    found = []
    for px, py in zip(at_x, at_y, strict=True):
        away = np.hypot(x - px, y - py)
        near = np.flatnonzero(away <= away.min() + 1e-6)
        best = min(near, key=lambda row: keys[row])
        found.append((keys[best][0], keys[best][2]) if away.min() <= 100 else None)
    return found


def test_the_nearest_of_either_whatever_the_order(town, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = mlygeo.tiles(BOX, provider=BOTH, tile_cache="tiles")
    assert sorted(zip(found["provider"], found["id"], strict=True)) == sorted(
        zip(town["provider"], town["id"], strict=True)
    )
    assert cli.main(["select", *WORDS, *STREETS[:-1], "--interval", "50", "--tile-cache", "tiles", "-o", "out"]) == 0
    said = capsys.readouterr().err
    points = mlygeo.read_frame("out/street_points.parquet")
    selection = mlygeo.read_frame("out/selection.parquet")
    for name, title in (("mapillary", "Mapillary"), ("panoramax", "Panoramax")):
        number = selection.loc[selection["provider"] == name, "id"].nunique()
        assert f"{number} of {title} ({number / selection['id'].nunique():.0%})" in said
    chosen = dict(zip(selection["point_id"], zip(selection["provider"], selection["id"], strict=True), strict=True))
    expected = nearest_by_loop(points, found)
    assert [chosen.get(point) for point in points["point_id"]] == expected
    assert {pair[0] for pair in expected if pair} == set(BOTH)
    # Where both have an image at the very same place, it is Mapillary's.
    places = found.groupby(found.geometry.to_wkb())["provider"].agg(set)
    assert (places.map(len) == 2).sum() > 20
    parts = {name: found[found["provider"] == name] for name in BOTH}
    for name, part in parts.items():
        mlygeo.write_frame(part.sample(frac=1, random_state=len(name)), f"{name}.parquet")
    orders = [
        [found.sample(frac=1, random_state=seed) for seed in (1,)],
        [f"{name}.parquet" for name in BOTH],
        [f"{name}.parquet" for name in reversed(BOTH)],
    ]
    for given in orders:
        again = mlygeo.select(images=given, points="out/street_points.parquet", srid=25832)
        assert dict(zip(again["point_id"], zip(again["provider"], again["id"], strict=True), strict=True)) == chosen


def test_licences_of_all_files_are_read_back(town, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["select", *WORDS, *STREETS, "--interval", "120", "--tile-cache", "tiles", "-o", "out"]) == 0
    words = ["download", "out/selection.parquet", "--size", "2048", "--exif", "--required-disk-space", "0", "-q"]
    assert cli.main([*words, "-o", "pictures"]) == 0
    selection = mlygeo.read_frame("out/selection.parquet").drop_duplicates("id")
    files = {path.stem: path for path in (tmp_path / "pictures").rglob("*.jpg")}
    assert files.keys() == set(selection["id"])
    assert set(selection["provider"]) == set(BOTH)
    rows = town.set_index("id")
    seen = set()
    with ExifTool() as exiftool:
        for id_, path in files.items():
            tags, row = exiftool.read(path), rows.loc[id_]
            if row["provider"] == "mapillary":
                assert "Mapillary" in tags["IFD0:Copyright"]
                assert "CC BY-SA 4.0" in tags["IFD0:Copyright"]
                continue
            seen.add(row["licence"])
            expected = f"{row['creator']} via Panoramax (town), {row['licence']} {LICENCES[row['licence']]}"
            assert tags["XMP-dc:Rights"] == expected
            assert tags["IFD0:Artist"] == row["creator"]
            assert LICENCES[row["licence"]] in tags["XMP-xmpRights:WebStatement"]
            assert "Mapillary" not in str({name: tags[name] for name in tags if "Comment" not in name})
    assert seen == set(LICENCES)
    # The same again fetches nothing, and sizes that one of them lacks are refused before anything is fetched.
    before = served.count("panoramax_pictures")
    assert cli.main([*words, "-o", "pictures"]) == 0
    assert served.count("panoramax_pictures") == before
    for size, who in (("1024", "Panoramax"), ("thumb", "Mapillary")):
        with pytest.raises(InputError, match=f"{who} has no pictures of the size '{size}'"):
            mlygeo.download("out/selection.parquet", size=size, output="others", required_disk_space=0)
    assert not list(tmp_path.glob("others/**/*.jpg"))
    thumbs = mlygeo.download(
        selection[selection["provider"] == "panoramax"], size="thumb", output="thumbs", required_disk_space=0
    )
    assert set(thumbs["status"]) == {"done"}


def test_coverage_and_a_map_of_both(town, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    streets = mlygeo.street_network(path=STUTTGART / "stuttgart_osm_edges.gpkg")
    both = mlygeo.coverage(BOX, provider=BOTH, tile_cache="tiles", streets=streets, distance=20, srid=25832)
    alone = mlygeo.street_coverage(streets, town[town["provider"] == "mapillary"], distance=20, srid=25832)
    assert both["covered_m"].sum() >= alone["covered_m"].sum() > 0
    text = str(both.attrs["summary"])
    shares = {row["value"]: row["share_covered"] for row in both.attrs["summary"]["by"]["provider"]}
    assert shares["mapillary"] == pytest.approx(alone["covered_m"].sum() / alone["length_m"].sum(), abs=1e-6)
    assert set(shares) == set(BOTH)
    assert set(both.attrs["summary"]["providers"]) == set(BOTH)
    assert "Panoramax" in text
    assert "Mapillary" in text
    words = [*WORDS, *STREETS[:-1], "--tile-cache", "tiles", "-o", "coverage"]
    assert cli.main(["coverage", *words]) == 0
    said = capsys.readouterr().err
    assert f" ({shares['mapillary']:.1%} of Mapillary, {shares['panoramax']:.1%} of Panoramax)" in said.replace(
        f"{shares['panoramax']:.1%} of Panoramax, {shares['mapillary']:.1%} of Mapillary",
        f"{shares['mapillary']:.1%} of Mapillary, {shares['panoramax']:.1%} of Panoramax",
    )
    found = mlygeo.tiles(BOX, provider=BOTH, tile_cache="tiles")
    counts = found["provider"].value_counts()
    assert {name: part["images"] for name, part in found.attrs["summary"]["providers"].items()} == counts.to_dict()
    assert cli.main(["tiles", *WORDS, "--tile-cache", "tiles", "-o", "images.parquet"]) == 0
    said = capsys.readouterr().err
    assert f"{counts['panoramax']:,} of Panoramax (" in said
    assert f"{counts['mapillary']:,} of Mapillary (" in said
    images = mlygeo.metadata(found)
    named = mlygeo.coverage(streets=streets, images=images, by=["creator"], srid=25832).attrs["summary"]["by"][
        "creator"
    ]
    assert {row["creator"] for row in named if row["provider"] == "panoramax"} == {"Ada", "Åsa Öberg"}
    assert all(row["creator"].startswith("user_") for row in named if row["provider"] == "mapillary")
    assert images[images["provider"] == "panoramax"].groupby("licence").size().to_dict() == (
        town[town["provider"] == "panoramax"].groupby("licence").size().to_dict()
    )
    page = mlygeo.explore(images)
    page.save("map.html")
    html = (tmp_path / "map.html").read_text()
    for word in ("Panoramax", "Mapillary", "etalab-2.0"):
        assert word in html, word


def test_a_sequence_of_panoramax_is_found_and_downloaded_by_the_id_that_is_shown(
    town, served, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["find-sequences", "Ada", "--provider", "panoramax", "-o", "lists"]) == 0
    shown = capsys.readouterr()
    listed = (tmp_path / "lists" / "sequences_Ada.txt").read_text().split()
    hers = town[(town["creator"] == "Ada").to_numpy()]
    assert {f"panoramax:{sequence}" for sequence in hers["sequence_id"]} <= set(listed)
    sequence = hers["sequence_id"].iloc[0]
    assert sequence in shown.out + shown.err
    words = ["download", "--size", "thumb", "--required-disk-space", "0", "-q", "-o", "pictures"]
    assert cli.main([*words, "--sequence", sequence, "--provider", "panoramax"]) == 0
    files = {path.stem for path in (tmp_path / "pictures").rglob("*.jpg")}
    assert files == set(town.loc[(town["sequence_id"] == sequence).to_numpy(), "id"])
    assert cli.main([*words, "--sequence-file", "lists/sequences_Ada.txt"]) == 0  # the list says whose they are
    files = {path.stem for path in (tmp_path / "pictures").rglob("*.jpg")}
    assert files == set(hers["id"])


def test_sequences_of_several_providers_in_one_call(town, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    alone = {name: mlygeo.find_sequences(region=BOX, provider=name) for name in BOTH}
    both = mlygeo.find_sequences(region=BOX, provider=BOTH)
    assert sorted(zip(both["provider"], both["sequence_id"], both["images"], strict=True)) == sorted(
        (name, row.sequence_id, row.images) for name in BOTH for row in alone[name].itertuples()
    )
    assert both["start"].is_monotonic_increasing
    counts = {name: {"sequences": len(part), "images": int(part["images"].sum())} for name, part in alone.items()}
    assert both.attrs["summary"]["providers"] == counts
    assert both.loc[both["provider"] == "mapillary", "licence"].eq("CC-BY-SA-4.0").all()
    assert any("Panoramax" in line for line in both.attrs["attribution"])
    assert "Mapillary, CC BY-SA 4.0" in both.attrs["attribution"]
    capsys.readouterr()
    assert cli.main(["find-sequences", *WORDS, "-o", "lists"]) == 0
    shown = capsys.readouterr()
    assert f"{counts['mapillary']['images']:,} of Mapillary (" in shown.err
    assert f"{counts['panoramax']['images']:,} of Panoramax (" in shown.err
    assert "panoramax:" in shown.out
    (path,) = (tmp_path / "lists").glob("*.txt")
    words = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    named = both["sequence_id"].where(both["provider"] == "mapillary", "panoramax:" + both["sequence_id"])
    assert words == named.tolist()
    rows = mlygeo.download(sequence_file=path, size="2048", output="pictures", required_disk_space=0)
    assert set(zip(rows["provider"], rows["id"], strict=True)) == set(zip(town["provider"], town["id"], strict=True))


def test_a_user_of_one_of_several_providers(town, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hers = town[town["creator"] == "Åsa Öberg"]
    found = mlygeo.find_sequences("Åsa Öberg", provider=BOTH)
    assert set(found["sequence_id"]) == set(hers["sequence_id"])
    summary = found.attrs["summary"]
    assert summary["providers"]["mapillary"] == {"sequences": 0, "images": 0}
    assert summary["images"] == len(hers)
    of_mapillary = town.loc[town["provider"] == "mapillary", "creator_id"].iloc[0]
    assert cli.main(["find-sequences", f"user_{of_mapillary}", *WORDS[2:], "-o", "lists"]) == 0
    said = capsys.readouterr().err
    assert f"has no user 'user_{of_mapillary}'" in said
    assert "0 of Panoramax" in said
    with pytest.raises(InputError, match="has no user 'Nobody Nowhere'"):
        mlygeo.find_sequences("Nobody Nowhere", provider=BOTH)
    with pytest.raises(InputError, match="Panoramax has no organizations"):
        mlygeo.find_sequences(organization=7, region=BOX, provider=BOTH)


def test_pictures_of_a_user_of_one_of_several_providers(town, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"size": "2048", "output": "pictures", "provider": BOTH, "required_disk_space": 0}
    rows = mlygeo.download(user="Åsa Öberg", **options)
    assert set(rows["id"]) == set(town.loc[town["creator"] == "Åsa Öberg", "id"])
    of_mapillary = town.loc[town["provider"] == "mapillary", "creator_id"]
    first = of_mapillary.iloc[0]
    rows = mlygeo.download(user=f"user_{first}", **(options | {"output": "others"}))
    assert set(map(str, rows["id"])) == set(town.loc[of_mapillary.index[of_mapillary == first], "id"])
    with pytest.raises(InputError, match="has no user 'Nobody Nowhere'"):
        mlygeo.download(user="Nobody Nowhere", **options)


def test_select_and_download_share_a_cache(town, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = mlygeo.tiles(BOX, provider=BOTH, tile_cache="tiles")
    asked = served.count("tiles"), served.count("panoramax_tiles")
    assert min(asked) > 0
    rows = mlygeo.download(
        region=BOX, provider=BOTH, tile_cache="tiles", size="2048", output="pictures", required_disk_space=0
    )
    assert set(rows["id"]) == set(found["id"])
    assert (served.count("tiles"), served.count("panoramax_tiles")) == asked


def test_views_of_both_have_the_licence_of_each(served, town, tmp_path):
    panoramas = town[town["is_pano"].astype(bool)].groupby("provider").head(3)
    made = mlygeo.views(
        panoramas, download=True, picture_size="2048", relative_to="camera", directions="left", size="64", workers=1,
        output=tmp_path, required_disk_space=0,
    )  # fmt: skip
    assert made["error"].isna().all()
    assert made.attrs["summary"]["made"] == 6
    lines = made.attrs["summary"]["attribution"]
    assert "Mapillary, CC BY-SA 4.0" in lines
    assert any("via Panoramax (town)" in line for line in lines)
    with ExifTool() as exiftool:
        for row in made.itertuples():
            assert row.path.startswith("panoramax/") == (row.provider == "panoramax")
            read = exiftool.read(tmp_path / row.path)
            assert read["GPS:GPSImgDirection"] == pytest.approx(row.compass_angle, abs=1e-4)
            if row.provider == "panoramax":
                assert read["IFD0:Artist"] == row.creator
                assert row.licence in read["IFD0:Copyright"]
            else:
                assert read["IFD0:Copyright"].startswith("Mapillary contributor")
    again = mlygeo.views(
        panoramas, download=True, picture_size="2048", relative_to="camera", directions="left", size="64", workers=1,
        output=tmp_path, required_disk_space=0,
    )  # fmt: skip
    assert again.attrs["summary"]["there"] == 6
