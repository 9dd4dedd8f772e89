"""Images of one's own: ids of any form, several providers, gaps and repeated rows in a selection and its list."""

import uuid

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import FrameError, InputError

UUIDS = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(3)]
PLACES = gpd.points_from_xy([9.17, 9.1701, 9.1702], [48.77] * 3, crs=4326)
POINTS = gpd.GeoDataFrame({"point_id": range(3)}, geometry=PLACES)


def own(ids, provider=None, **more):
    told = {} if provider is None else {"provider": provider}
    places = gpd.points_from_xy([9.17, 9.1701, 9.1702], [48.77] * 3, crs=4326)
    rows = {
        "id": ids, "sequence_id": "s", "captured_at": pd.Timestamp("2024-01-01T00:00:00.123456Z"),
        "compass_angle": 5.0, "is_pano": False, "creator_id": None, "organization_id": None,
    }  # fmt: skip
    return gpd.GeoDataFrame(rows | told | more, geometry=places)


def chosen(images):
    return mlygeo.select(images=images, points=POINTS, srid=25832, max_distance=1)


@pytest.mark.parametrize(
    ("ids", "provider", "listed"),
    [
        (UUIDS, None, [f"unknown:{id_}" for id_ in UUIDS]),
        (["a", "b c", "d#e"], None, ["unknown:a", "unknown:b%20c", "unknown:d%23e"]),
        (UUIDS, [None] * 3, [f"unknown:{id_}" for id_ in UUIDS]),
        (UUIDS, ["panoramax", None, "Panoramax"], [UUIDS[0], f"unknown:{UUIDS[1]}", UUIDS[2]]),
        (UUIDS, ["PANORAMAX", "own", " panoramax"], [UUIDS[0], f"own:{UUIDS[1]}", UUIDS[2]]),
        ([id_.upper() for id_ in UUIDS], "Panoramax", UUIDS),
        ([1, 2, 3], ["Mapillary", "mapillary ", None], ["1", "2", "unknown:3"]),
        ([1, 2, 3], ["Mapillary", "MAPILLARY", " mapillary"], ["1", "2", "3"]),
        (["1", "b", "3"], None, ["unknown:1", "unknown:b", "unknown:3"]),
        (["1", "2", UUIDS[0]], ["mapillary", None, "panoramax"], ["1", "unknown:2", UUIDS[0]]),
        ([1, 2, 3], ["mapillary", None, "mapillary"], ["1", "unknown:2", "3"]),
        ([1, 2, 3], ["kartaview", "mapillary", "kartaview"], ["kartaview:1", "2", "kartaview:3"]),
        ([1, 2, 3], None, ["1", "2", "3"]),
    ],
)
def test_the_list_of_a_selection_tells_whose_each_image_is_or_that_it_is_not_known(
    tmp_path, capsys, ids, provider, listed
):
    images, points = tmp_path / "images.parquet", tmp_path / "points.parquet"
    own(ids, provider).to_parquet(images)
    POINTS.to_parquet(points)
    words = ["select", "--images", str(images), "--points", str(points), "--srid", "25832", "-q"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "image_ids.txt").read_text().splitlines() == listed
    capsys.readouterr()
    assert cli.main([*words, "--ids-only"]) == 0
    assert capsys.readouterr().out.splitlines() == listed
    if not any(word.startswith("unknown:") for word in listed):
        return
    asking = ["download", "--imgid-file", str(tmp_path / "out" / "image_ids.txt"), "--dry-run"]
    assert cli.main([*asking, "-o", str(tmp_path / "pictures")]) == 2
    assert "nothing tells of which provider the image" in capsys.readouterr().err


def test_rows_of_one_text_id_that_say_the_same_or_contradict(caplog):
    images = own([UUIDS[0], UUIDS[0], UUIDS[1]], "panoramax")
    assert chosen(images)["id"].tolist() == [UUIDS[0], UUIDS[0], UUIDS[1]]
    assert f"1 id at several places: {UUIDS[0]}" in caplog.text
    assert len(chosen(pd.concat([own(UUIDS, "panoramax")] * 2, ignore_index=True))) == 3


@pytest.mark.parametrize("ending", ["parquet", "csv", "gpkg", None])
def test_upper_case_and_spaces_change_nothing(tmp_path, ending):
    """The second row is the first one again: a selection has it once, and credits it once."""
    plain = own([UUIDS[0], UUIDS[0], UUIDS[1]], "panoramax", licence="CC-BY-SA-4.0", creator="Ada")
    plain.geometry = plain.geometry.iloc[[0, 0, 2]].array
    odd = plain.assign(id=[UUIDS[0], UUIDS[0].upper(), UUIDS[1]], provider=["panoramax", "Panoramax ", "PANORAMAX"])
    streets = gpd.GeoDataFrame(
        {"u": [1], "v": [2], "key": [0], "osmid": "1", "highway": "residential", "name": "A", "oneway": False},
        geometry=gpd.GeoSeries.from_wkt(["LINESTRING (9.169 48.77, 9.171 48.77)"], crs=4326),
    )
    found = []
    for name, images in (("plain", plain), ("odd", odd)):
        (tmp_path / name).mkdir()
        held = images if ending is None else mlygeo.write_frame(images, tmp_path / name / f"x.{ending}")
        chosen_ = chosen(held)
        covered = mlygeo.coverage(images=held, streets=streets, srid=25832)
        with pytest.raises(InputError) as caught:  # what would be asked for: ids of another provider are refused
            mlygeo.download(held, output=tmp_path / "pictures", dry_run=True, provider="mapillary")
        found.append(
            (chosen_[["id", "provider", "licence"]].to_numpy().tolist(), covered.drop(columns="geometry").to_dict(),
             chosen_.attrs["attribution"], str(caught.value))
        )  # fmt: skip
    assert found[0] == found[1]
    assert [row[0] for row in found[0][0]] == [UUIDS[0], UUIDS[1]]


@pytest.mark.parametrize("ids", [UUIDS, ["a", "bc", "d"], ["ab", "c", "d"]])
def test_a_run_has_the_same_name_for_the_same_texts(ids):
    runs = [chosen(own(["".join(list(id_)) for id_ in ids], "own")).attrs["run"] for _ in range(2)]
    assert runs[0] == runs[1]
    assert chosen(own([*ids[:2], "e"], "own")).attrs["run"] != runs[0]


def test_frames_of_two_providers_put_together(images):
    """`pandas.concat` makes a column of numbers and texts of the ids, and leaves gaps for Mapillary's provider."""
    both = pd.concat([images.head(3), own(UUIDS, "panoramax")], ignore_index=True)
    both.attrs = {}
    points = gpd.GeoDataFrame({"point_id": range(6)}, geometry=both.geometry.values, crs=4326)
    found = mlygeo.select(images=both, points=points, srid=25832, max_distance=1)
    assert found["id"].tolist() == [*map(str, images["id"].head(3)), *UUIDS]
    with pytest.raises(InputError, match="says nothing of 3 rows"):
        mlygeo.download(both, output="unused", dry_run=True)


@pytest.mark.parametrize("ending", ["parquet", "csv", None])
def test_images_of_mapillary_and_as_many_of_nobody_known(images, tmp_path, ending):
    """Each is in a file or frame of its own, and neither names its provider."""
    theirs = frames.conform(own(["a", "7b", "8-9"]), frames.IMAGES)
    given = [images.head(4), theirs]
    points = gpd.GeoDataFrame(geometry=pd.concat([part.geometry for part in given], ignore_index=True))
    points["point_id"] = range(len(points))
    if ending is not None:
        for number, part in enumerate(given):
            mlygeo.write_frame(part, tmp_path / f"{number}.{ending}")
        given = sorted(tmp_path.iterdir())
    for several in (given, given[::-1]):
        found = mlygeo.select(images=several, points=points, srid=25832, max_distance=1)
        assert found["id"].tolist() == [*map(str, images["id"].head(4)), "a", "7b", "8-9"]
        assert found["provider"].fillna("").tolist() == ["mapillary"] * 4 + [""] * 3


def test_sequences_keep_microseconds():
    times = pd.to_datetime(
        ["2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00.123455Z", "2024-01-01T00:00:02Z"], format="ISO8601"
    )
    images = frames.conform(own(UUIDS, "panoramax", captured_at=times.as_unit("us")), frames.IMAGES)
    found = mlygeo.summarise(images)
    assert (found["start"].tolist(), found["end"].tolist()) == ([times[1]], [times[2]])
    assert found["duration_s"].tolist() == [1.876545]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1.0, 2.0, 3.0], ["1", "2", "3"]),
        (np.array([1, 2, 2**64 - 1], dtype="uint64"), ["1", "2", "18446744073709551615"]),
        ([uuid.UUID(id_) for id_ in UUIDS], UUIDS),
        ([1, "a", 2.0], ["1", "a", "2"]),
    ],
)
def test_ids_are_text_as_they_are_written(ids, expected):
    given = own(pd.Series(ids, dtype=None if isinstance(ids, np.ndarray) else object), "own", creator_id=[5.0, None, 7])
    found = frames.conform(given, frames.IMAGES)
    assert found["id"].tolist() == expected
    assert found["creator_id"].fillna("").tolist() == ["5", "", "7"]


@pytest.mark.parametrize(
    "ids", [[1.5, "a", "b"], [True, "a", "b"], [True, False, True], [1.5, 2.5, 3.0], [2.0**53] * 3]
)
def test_what_is_no_id_is_refused(ids):
    with pytest.raises(FrameError, match="'id' does not fit str"):
        frames.conform(own(ids, "own"), frames.IMAGES)
    with pytest.raises(FrameError, match="column 'id' contains no ids"):
        chosen(own(ids, "own"))


@pytest.mark.parametrize("ids", [pd.Series(["5", "7"]), pd.DataFrame({"id": ["5", "7"]})])
def test_texts_of_digits_are_ids_of_mapillary(tmp_path, ids):
    mlygeo.download(ids, output=tmp_path / "pictures", dry_run=True)
    with pytest.raises(InputError, match=r"'5' is not an id of Panoramax|Panoramax is asked, and not mapillary"):
        mlygeo.download(ids, output=tmp_path / "pictures", dry_run=True, provider="panoramax")
