"""Whose images are: rows first, then the form of ids, then who is named; and nobody is asked for another's."""

import geopandas as gpd
import pandas as pd
import pytest
from helpers import toy_provider, uuid_provider
from shapely import Point

import mlygeo
from mlygeo import cli, providers
from mlygeo.errors import InputError
from mlygeo.pipelines.options import Access
from mlygeo.standin import serve

TOKEN = "MLY|1|secret-word"
UUIDS = [uuid_provider.key(number) for number in (3, 1, 2)]
SEQUENCE = "abcdef00-0000-4000-8000-000000000077"


@pytest.fixture(scope="module")
def server(images):
    with serve(images, token=TOKEN) as running:
        yield running


@pytest.fixture
def three(server, monkeypatch):
    """Mapillary by the environment, one with UUIDs in the place of Panoramax, and one with the numbers of a toy."""
    monkeypatch.setitem(providers.PROVIDERS, "panoramax", "helpers.uuid_provider")
    monkeypatch.setitem(providers.PROVIDERS, "toy", "helpers.toy_provider")
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
    with uuid_provider.served() as (address, asked), toy_provider.served() as (toys, _):
        monkeypatch.setattr(uuid_provider, "ADDRESS", address)
        monkeypatch.setattr(toy_provider.Toy, "service", lambda *_, **__: toy_provider.Service(address=toys))
        monkeypatch.setattr(uuid_provider.Uuid, "service", lambda *_, **__: uuid_provider.Service(address=address))
        yield asked


@pytest.fixture
def numbers(images):
    return images["id"].tolist()[:3]


def fetched(*given, output, **options):
    return mlygeo.download(*given, output=output, size="256", required_disk_space=0, **options)


def of(rows):
    names = rows["provider"] if "provider" in rows else ["mapillary"] * len(rows)
    return set(zip(names, map(str, rows["id"]), strict=True))


def test_a_mixed_list_is_parted(three, numbers, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("\n".join([UUIDS[0], str(numbers[0]), "toy:5", UUIDS[1].upper(), str(numbers[1]), UUIDS[0]]))
    rows = fetched(imgid_file=path, output=tmp_path / "p")
    assert of(rows) == {("panoramax", UUIDS[0]), ("panoramax", UUIDS[1]), ("toy", "5")} | {
        ("mapillary", str(number)) for number in numbers[:2]
    }
    assert set(rows["status"]) == {"done"}
    summary = rows.attrs["summary"]
    assert (summary["asked"], summary["images"], summary["fetched"]) == (6, 5, 5)
    assert summary["left_out"] == {"listed more than once": 1}
    counts = {name: (part["images"], part["fetched"]) for name, part in summary["providers"].items()}
    assert counts == {"panoramax": (2, 2), "mapillary": (2, 2), "toy": (1, 1)}
    assert summary["licences"] == {"CC-BY-SA-4.0": 2, "CC-BY-4.0": 2, "CC0-1.0": 1}
    for row in rows.itertuples():
        assert (tmp_path / "p" / row.path).stat().st_size == row.bytes
        if row.provider == "panoramax":
            expected = toy_provider.picture(uuid_provider.number_of(row.id))
            assert (tmp_path / "p" / row.path).read_bytes() == expected
    again = fetched(imgid_file=path, output=tmp_path / "p").attrs["summary"]
    assert (again["there"], again["fetched"]) == (5, 0)
    dry = fetched(imgid_file=path, output=tmp_path / "p", dry_run=True).attrs["summary"]
    assert (dry["there"], dry["to_fetch"], dry["providers"]["toy"]["images"]) == (5, 0, 1)


def test_rows_say_whose_they_are(three, numbers, tmp_path):
    frame = pd.DataFrame({"id": ["5", str(numbers[0]), UUIDS[0]], "provider": ["toy", "mapillary", "panoramax"]})
    places = gpd.GeoDataFrame(frame, geometry=[Point(9.17, 48.77)] * 3, crs=4326)
    for number, given in enumerate((frame, places)):
        rows = fetched(given, output=tmp_path / str(number))
        assert of(rows) == {("toy", "5"), ("mapillary", str(numbers[0])), ("panoramax", UUIDS[0])}
    rows = fetched(places.query("provider == 'panoramax'"), output=tmp_path / "one")
    assert of(rows) == {("panoramax", UUIDS[0])}
    assert rows.attrs["summary"]["providers"].keys() == {"panoramax"}


def test_equal_numbers_of_two_providers_have_files_of_their_own(three, images, tmp_path, monkeypatch):
    """Their sequences too may have the same name, and one writes webp where the other has jpg."""
    with serve(images.assign(sequence_id="ride", id=[5, *images["id"][1:]]), token=TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        for layout in ("sequence", "flat"):
            folder = tmp_path / layout
            rows = fetched([5, "toy:5"], output=folder, layout=layout)
            assert set(rows["status"]) == {"done"}
            paths = dict(zip(rows["provider"], rows["path"], strict=True))
            assert paths["toy"] == f"toy/{paths['mapillary']}"
            assert (folder / paths["toy"]).read_bytes() == toy_provider.picture(5)
            assert (folder / paths["mapillary"]).read_bytes() != toy_provider.picture(5)
            sidecars = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))
            assert sidecars == (["jsons/5.json", "toy/jsons/5.json"] if layout == "flat" else [])
            fetched(["toy:5"], output=folder, layout=layout, format="webp", overwrite=True)
            assert (folder / paths["mapillary"]).read_bytes() != toy_provider.picture(5)


def test_a_file_that_nothing_is_known_of_is_not_taken_for_a_toys(three, tmp_path):
    (tmp_path / "ride").mkdir()
    (tmp_path / "ride" / "5.jpg").write_bytes(toy_provider.picture(9))
    rows = fetched(["toy:5"], output=tmp_path)
    assert rows["status"].tolist() == ["done"]
    assert rows["path"].tolist() == ["toy/ride/5.jpg"]
    assert (tmp_path / "ride" / "5.jpg").read_bytes() == toy_provider.picture(9)


@pytest.mark.parametrize("kind", ["frame", "places"])
def test_text_ids_of_nobody_are_asked_about(three, tmp_path, kind):
    frame = pd.DataFrame({"id": pd.array(UUIDS, dtype="str")})
    places = gpd.GeoDataFrame(frame, geometry=[Point(9.17, 48.77)] * 3, crs=4326)
    given = frame if kind == "frame" else places
    with pytest.raises(InputError, match="nothing tells of which provider") as caught:
        fetched(given, output=tmp_path)
    assert "provider" in caught.value.hint
    with pytest.raises(InputError, match="nothing tells of which provider"):
        mlygeo.metadata(places)
    assert len(mlygeo.metadata(places, provider="panoramax")) == 3
    assert of(fetched(given, output=tmp_path, provider="panoramax")) == {("panoramax", key) for key in UUIDS}


def test_nobody_is_asked_for_images_of_another(three, numbers, tmp_path):
    asked = three
    cases = (
        ([numbers[0]], {"provider": "panoramax"}),
        ([UUIDS[0]], {"provider": "mapillary"}),
        (["toy:5"], {"provider": ["panoramax", "mapillary"]}),
        (pd.DataFrame({"id": ["5"], "provider": ["toy"]}), {"provider": "panoramax"}),
    )
    for given, options in cases:
        for verb in (lambda given, **o: fetched(given, output=tmp_path / "p", **o), mlygeo.metadata, mlygeo.inspect):
            if isinstance(given, pd.DataFrame):
                if verb is mlygeo.inspect:
                    continue
                given = gpd.GeoDataFrame(given, geometry=[None], crs=4326)  # noqa: PLW2901
            with pytest.raises(InputError, match=r"and not .*, which has"):
                verb(given, **options)
    assert asked == []
    whole = gpd.GeoDataFrame({"id": numbers}, geometry=[None] * 3, crs=4326)
    with pytest.raises(InputError, match="is not an id of Panoramax"):
        mlygeo.metadata(whole, provider="panoramax")
    half = gpd.GeoDataFrame({"id": UUIDS, "provider": ["panoramax", None, "panoramax"]}, geometry=[None] * 3, crs=4326)
    for verb in (mlygeo.metadata, lambda given: fetched(given, output=tmp_path / "p")):
        with pytest.raises(InputError, match="says nothing of 1 row"):
            verb(half)
        with pytest.raises(InputError, match="there is no provider 'kartaview'"):
            verb(["kartaview:5"])
    assert not (tmp_path / "p").exists()


def test_metadata_of_several(three, numbers):
    given = [UUIDS[0], numbers[0], UUIDS[1], uuid_provider.key(12), numbers[1]]
    found = mlygeo.metadata(given)
    assert found["id"].tolist() == list(map(str, given))
    assert found["provider"].tolist() == ["panoramax", "mapillary", "panoramax", "panoramax", "mapillary"]
    assert found["licence"].dropna().tolist() == ["CC-BY-4.0"] * 2
    assert found["error"].notna().tolist() == [False, False, False, True, False]
    assert found["captured_at"].notna().tolist() == [True, True, True, False, True]
    summary = found.attrs["summary"]
    assert summary["missing"] == {uuid_provider.key(12): "gone from the toy"}
    assert summary["providers"]["panoramax"] == {"images": 3, "found": 2, "gone": 1}
    again = mlygeo.metadata(found)
    assert again["id"].tolist() == found["id"].tolist()
    looked = mlygeo.inspect(given)
    assert looked["id"].tolist() == found["id"].tolist()
    said = looked.attrs["summary"]["images"]
    assert [fact["provider"] for fact in said] == found["provider"].tolist()


def test_sequences_of_several(three, images, tmp_path):
    mapillarys = images["sequence_id"].iloc[0]
    path = tmp_path / "s.txt"
    path.write_text(f"{mapillarys}\npanoramax:{SEQUENCE}\n")
    rows = fetched(sequence_file=path, output=tmp_path / "p", max_images=6, dry_run=True)
    parts = rows.attrs["summary"]["providers"]
    expected = min(6, int((images["sequence_id"] == mapillarys).sum()))
    assert parts["mapillary"]["images"] == expected
    assert parts["panoramax"]["images"] == min(4, 6 - expected)
    path.write_text(f"{SEQUENCE}\n")
    with pytest.raises(InputError, match="may be one of Mapillary or of Panoramax"):
        fetched(sequence_file=path, output=tmp_path / "p")
    rows = fetched(sequence_file=path, output=tmp_path / "p", provider="panoramax")
    assert of(rows) == {("panoramax", uuid_provider.key(number)) for number in range(1, 5)}
    both = fetched(UUIDS[:1], sequence_file=path, output=tmp_path / "q")
    assert of(both) == {("panoramax", UUIDS[0])}


def test_those_that_failed_are_taken_up_of_each(three, numbers, tmp_path):
    lost = [uuid_provider.key(12), "toy:12", numbers[0]]
    failed = tmp_path / "failed.txt"
    rows = fetched(lost, output=tmp_path / "p", failed_imgid_file=failed)
    assert dict(zip(rows["provider"], rows["status"], strict=True)) == {
        "mapillary": "done", "panoramax": "gone", "toy": "gone",
    }  # fmt: skip
    assert {line.split()[0] for line in failed.read_text().splitlines()} == {uuid_provider.key(12), "toy:12"}
    rows = fetched(retry_failed=True, output=tmp_path / "p")
    assert len(rows) == 0


def test_selections_write_lists_that_tell_whose(three, tmp_path, images):
    some = images.iloc[:2].to_crs(4326)
    other = gpd.GeoDataFrame(
        {"id": [UUIDS[0], "5", str(some["id"].iloc[0])], "provider": ["panoramax", "toy", "mapillary"],
         "captured_at": pd.to_datetime(["2024-01-01"] * 3, utc=True)},
        geometry=[Point(9.17, 48.77), Point(9.1701, 48.77), Point(9.1702, 48.77)], crs=4326,
    )  # fmt: skip
    points = gpd.GeoDataFrame({"point_id": [0, 1, 2]}, geometry=list(other.geometry), crs=4326)
    mlygeo.write_frame(other, tmp_path / "i.parquet")
    mlygeo.write_frame(points, tmp_path / "p.parquet")
    status = cli.main(["select", "--images", str(tmp_path / "i.parquet"), "--points", str(tmp_path / "p.parquet"),
                       "--srid", "25832", "-o", str(tmp_path / "out")])  # fmt: skip
    assert status == 0
    words = (tmp_path / "out" / "image_ids.txt").read_text().split()
    assert words == [UUIDS[0], "toy:5", str(some["id"].iloc[0])]
    rows = fetched(imgid_file=tmp_path / "out" / "image_ids.txt", output=tmp_path / "d")
    assert of(rows) == {("panoramax", UUIDS[0]), ("toy", "5"), ("mapillary", str(some["id"].iloc[0]))}


def test_a_region_and_filters_narrow_down_the_images_of_each(three, numbers, tmp_path):
    rows = fetched([*UUIDS, numbers[0]], region=(9.16, 48.76, 9.18, 48.78), output=tmp_path / "p")
    assert of(rows) == {("panoramax", key) for key in UUIDS} | {("mapillary", str(numbers[0]))}
    frame = gpd.GeoDataFrame(
        {"id": [UUIDS[0], str(numbers[0])], "provider": ["panoramax", "mapillary"], "is_pano": [True, False]},
        geometry=[Point(9.17, 48.77)] * 2, crs=4326,
    )  # fmt: skip
    rows = fetched(frame, pano=True, output=tmp_path / "q")
    assert of(rows) == {("panoramax", UUIDS[0])}
    summary = rows.attrs["summary"]
    assert summary["left_out"] == {"by the filters": 1}
    assert summary["left_out_ids"] == {"by the filters": [str(numbers[0])]}
    assert {name: part["images"] for name, part in summary["providers"].items()} == {"panoramax": 1, "mapillary": 0}


def test_metadata_keeps_labels_and_repeated_rows(three, numbers):
    ids, names = [UUIDS[0], str(numbers[0]), UUIDS[0], None], ["panoramax", "mapillary", "panoramax", None]
    frame = gpd.GeoDataFrame({"id": ids, "provider": names, "own": range(4)}, geometry=[None] * 4, crs=4326)
    found = mlygeo.metadata(frame.set_axis([7, 7, 5, 0]))
    assert found.index.tolist() == [7, 7, 5, 0]
    assert found["own"].tolist() == [0, 1, 2, 3]
    assert found["captured_at"].notna().tolist() == [True, True, True, False]


@pytest.mark.parametrize("verb", [mlygeo.download, mlygeo.metadata, mlygeo.inspect])
def test_a_token_or_an_address_that_no_image_needs_is_refused(three, numbers, tmp_path, verb):
    more = {"output": tmp_path / "out"} if verb is mlygeo.download else {}
    with pytest.raises(InputError, match=r"`token` has no effect to read from .*, which needs none"):
        verb(UUIDS, token="unused", **more)
    with pytest.raises(InputError, match="`endpoint` has no effect for Mapillary, which has one service"):
        verb(numbers, endpoint="https://images.example.org", **more)
    assert not (tmp_path / "out").exists()


def test_an_address_is_for_the_images_of_a_provider_that_has_several():
    where = "https://panoramax.ign.fr/api"
    access = Access(token="a", token_file=None, service=None, provider=None, endpoint=where)
    access.check_use(["mapillary", "panoramax"])
    theirs, ours = access.to("panoramax", "an image"), access.to("mapillary", "an image")
    assert (theirs.endpoint, theirs.token) == (where, None)
    assert (ours.endpoint, ours.token) == (None, "a")
    with pytest.raises(InputError, match="`endpoint` has no effect for Mapillary"):
        access.of_each()


def test_a_token_is_for_those_of_several_providers_that_need_one(three, numbers, monkeypatch):
    monkeypatch.delenv("MAPILLARY_ACCESS_TOKEN")
    found = mlygeo.inspect([*UUIDS, *numbers], token=TOKEN)
    assert found["error"].isna().all()
    box = (9.165, 48.765, 9.175, 48.775)
    with pytest.raises(InputError, match="The toy has no search for images"):
        mlygeo.find_sequences(region=box, provider=["mapillary", "toy"], token=TOKEN)
