"""`metadata`, `find-sequences` and `inspect`: functions and verbs, against the stand-in."""

from __future__ import annotations

import json
import os
import signal
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA
from helpers.command_line import run
from helpers.processes import ended, start, wait_for
from helpers.scripted_server import QUICK, reply, scripted
from helpers.tokens import SECRET, TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo import frames, store
from mlygeo.errors import CredentialsError, FrameError, InputError, ServiceError, TokenRejectedError
from mlygeo.pipelines import own_files, sequence_search
from mlygeo.providers.mapillary.records import images_frame
from mlygeo.providers.mapillary.service import Endpoints, Service
from mlygeo.readers import id_lists
from mlygeo.standin import Faults, serve


@pytest.fixture(scope="module")
def rich():
    """The images of the real records, with all that the service knows of them."""
    records = json.loads((DATA / "graph" / "stuttgart_records.json").read_text())
    return images_frame(records)


@pytest.fixture
def server(rich, monkeypatch):
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    with serve(rich, token=TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
        yield server


def service_of(server):
    return Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)


TILE_COLUMNS = [*(column.name for column in frames.IMAGES.required), "geometry"]


class TestMetadata:
    def test_a_table_without_geometry_gets_the_places_of_its_images(self, server, rich):
        table = pd.DataFrame(rich[["id"]].assign(label="x")).set_axis([0] * len(rich), axis=0)
        found = mlygeo.metadata(table, service=service_of(server))
        assert found["label"].eq("x").all()
        assert found.index.equals(table.index)
        assert found.geometry.reset_index(drop=True).geom_equals(rich.geometry.reset_index(drop=True)).all()

    def test_the_fields_of_an_images_frame(self, server, rich):
        tile_images = rich[TILE_COLUMNS].sample(frac=1, random_state=1)
        found = mlygeo.metadata(tile_images, service=service_of(server))
        assert server.count() == 1
        assert found.index.equals(tile_images.index)
        pd.testing.assert_frame_equal(pd.DataFrame(found[TILE_COLUMNS]), pd.DataFrame(tile_images[TILE_COLUMNS]))
        expected = rich.loc[found.index]
        for name in ("altitude", "computed_altitude", "quality_score", "exif_orientation", "make", "creator_username",
                     "computed_compass_angle"):  # fmt: skip
            pd.testing.assert_series_equal(found[name], expected[name], rtol=1e-13)
        distance = shapely.distance(found["computed_geometry"].to_numpy(), expected["computed_geometry"].to_numpy())
        assert distance.max() < 1e-11
        assert found["error"].isna().all()
        assert found.attrs["summary"]["found"] == len(rich)
        # What the frame has is not asked for again.
        asked = server.requests[0].query["fields"].split(",")
        assert not {"geometry", "sequence", "captured_at", "compass_angle", "is_pano"} & set(asked)

    def test_ids_alone_become_an_images_frame(self, server, rich):
        ids = [int(rich["id"].iloc[7]), 5, str(rich["id"].iloc[2])]
        found = mlygeo.metadata(ids, service=service_of(server))
        frames.check(found, frames.IMAGES)
        assert found["id"].tolist() == [int(number) for number in ids]
        assert found["sequence_id"].iloc[2] == rich["sequence_id"].iloc[2]
        assert found["error"].isna().tolist() == [True, False, True]
        assert found["error"].iloc[1] == "gone (code 100/33)"
        assert found.geometry.iloc[1] is None
        summary = found.attrs["summary"]
        assert (summary["found"], summary["gone"], summary["missing"]) == (2, 1, {"5": "gone (code 100/33)"})

    def test_named_fields_alone(self, server, rich):
        found = mlygeo.metadata(
            rich[TILE_COLUMNS], fields="altitude, camera_type,creator_username", service=service_of(server)
        )
        assert server.requests[0].query["fields"] == "altitude,camera_type,creator"
        assert [name for name in found.columns if name not in TILE_COLUMNS] == [
            "altitude",
            "camera_type",
            "creator_username",
            "error",
        ]
        everything = mlygeo.metadata(rich[TILE_COLUMNS], fields=["all"], service=service_of(server))
        assert {"mesh_id", "merge_cc", "thumb_original_url", "computed_rotation"} <= set(everything.columns)

    def test_a_selection_where_an_image_stands_twice(self, server, rich):
        selection = rich[["id", "geometry"]].iloc[[3, 3, 1]].assign(point_id=[1, 2, 3])
        found = mlygeo.metadata(selection, fields=["altitude"], service=service_of(server))
        assert server.requests[0].query["image_ids"].count(",") == 1
        assert found["point_id"].tolist() == [1, 2, 3]
        assert found["altitude"].iloc[0] == found["altitude"].iloc[1]

    def test_a_record_of_the_wrong_shape_costs_only_its_value(self, rich):
        body = {"data": [{"id": "5", "altitude": 3.0}, {"id": "6", "altitude": "high", "make": "GoPro"}]}
        with scripted((200, {}, json.dumps(body).encode())) as (url, _):
            service = Service(endpoints=Endpoints(graph=url.removesuffix("/x")), token=TOKEN, retry=QUICK)
            found = mlygeo.metadata([5, 6], service=service)
        assert found["altitude"].tolist()[0] == 3.0
        assert found["error"].tolist()[1] == "its altitude is 'high'"
        assert found["make"].tolist()[1] == "GoPro"
        assert found.attrs["summary"]["wrong_values"] == {"6": "its altitude is 'high'"}

    def test_a_field_that_does_not_exist(self, server, rich):
        with pytest.raises(InputError, match="no field 'altitud'") as caught:
            mlygeo.metadata(rich[TILE_COLUMNS], fields="altitud", service=service_of(server))
        assert caught.value.hint == "did you mean altitude"
        with pytest.raises(InputError, match="names no field"):
            mlygeo.metadata(rich[TILE_COLUMNS], fields=" , ", service=service_of(server))

    @pytest.mark.parametrize("nothing", [[], ["abc"], ["5 6"], [-1], [0]])
    def test_no_ids(self, server, nothing):
        with pytest.raises(InputError):
            mlygeo.metadata(nothing, service=service_of(server))
        assert server.count() == 0

    def test_a_frame_without_ids(self, server, rich):
        with pytest.raises(FrameError, match="no column 'id'"):
            mlygeo.metadata(rich[["geometry"]], service=service_of(server))
        with pytest.raises(FrameError, match="no image has an id"):
            mlygeo.metadata(rich.assign(id=pd.array([None] * len(rich), dtype="Int64")), service=service_of(server))

    def test_no_token_no_request(self, rich):
        with pytest.raises(CredentialsError):
            mlygeo.metadata(rich[TILE_COLUMNS])

    def test_the_verb(self, server, rich, capsys, tmp_path):
        path = store.write_frame(rich[TILE_COLUMNS], tmp_path / "images.parquet")
        server.faults = Faults(gone={int(rich["id"].iloc[0])})
        status, out, err = run(capsys, "metadata", path, "-o", tmp_path / "out.parquet", "--json")
        assert status == 3, err
        assert json.loads(out)["gone"] == 1
        assert "44 images with 13 fields from the service; 1 without (1 gone)" in err
        found = store.read_frame(tmp_path / "out.parquet", frame="images")
        assert found["error"].notna().sum() == 1
        assert found["altitude"].notna().sum() == 44
        # The list of what is missing is one that can be asked for again.
        assert id_lists.read_ids(tmp_path / "missing_images.txt").tolist() == [rich["id"].iloc[0]]
        server.faults = Faults()
        status, _, err = run(capsys, "metadata", tmp_path / "missing_images.txt", "-o", tmp_path / "again.geojson")
        assert status == 0, err

    def test_lists_of_ids(self, server, rich, capsys, tmp_path):
        ids = rich["id"].tolist()[:3]
        (tmp_path / "ids.txt").write_text("# three\n" + "".join(f"{number}\n\n" for number in ids))
        (tmp_path / "percept.json").write_text(json.dumps([{"mapillary_img_id": number} for number in ids]))
        (tmp_path / "empty.txt").write_text("# nothing\n")
        for name in ("ids.txt", "percept.json"):
            status, _, err = run(capsys, "metadata", tmp_path / name, "-o", tmp_path / "x.parquet")
            assert status == 0, err
            assert store.read_frame(tmp_path / "x.parquet")["id"].tolist() == ids
        server.forget()
        assert run(capsys, "metadata", tmp_path / "empty.txt", "-o", tmp_path / "y.parquet")[0] == 2
        assert server.count() == 0
        assert not (tmp_path / "y.parquet").exists()

    def test_a_dry_run_asks_for_nothing(self, server, capsys, tmp_path):
        words = [str(number) for number in range(1, 402)]
        status, out, err = run(capsys, "metadata", *words, "--dry-run", "-o", tmp_path / "x.parquet", "--json")
        assert status == 0
        assert json.loads(out)["requests_at_least"] == 3
        assert "3 requests or more" in err
        assert server.count() == 0
        assert list(tmp_path.iterdir()) == []


class TestFindSequences:
    @pytest.fixture
    def person(self, rich):
        return rich["creator_username"].mode()[0]

    def test_the_sequences_of_a_person(self, server, rich, person):
        found = mlygeo.find_sequences(person, service=service_of(server))
        frames.check(found, frames.SEQUENCES)
        own = rich[rich["creator_username"] == person]
        assert found.set_index("sequence_id")["images"].to_dict() == own["sequence_id"].value_counts().to_dict()
        assert (found["creator_username"] == person).all()
        for row in found.itertuples():
            times = own.loc[own["sequence_id"] == row.sequence_id, "captured_at"]
            assert (row.start, row.end) == (times.min(), times.max())
        assert found["start"].is_monotonic_increasing

    def test_filters(self, server, rich, images):
        west, south, east, north = images.total_bounds
        box = (west - 0.001, south - 0.001, east + 0.001, north + 0.001)
        everything = mlygeo.find_sequences(region=box, service=service_of(server))
        assert everything["images"].sum() == len(rich)
        assert set(everything["sequence_id"]) == set(rich["sequence_id"])
        panoramas = mlygeo.find_sequences(region=box, filter="360", service=service_of(server))
        flat = mlygeo.find_sequences(region=box, filter="regular", service=service_of(server))
        assert panoramas["is_pano"].all()
        assert not flat["is_pano"].any()
        assert panoramas["images"].sum() == rich["is_pano"].sum()
        assert panoramas["images"].sum() + flat["images"].sum() == len(rich)
        late = mlygeo.find_sequences(region=box, since="2024-07-08", service=service_of(server))
        assert late["images"].sum() == (rich["captured_at"] >= "2024-07-08").sum()
        early = mlygeo.find_sequences(region=box, until="2024-07-07", service=service_of(server))
        assert early["images"].sum() == (rich["captured_at"] < "2024-07-08").sum()

    def test_of_an_organization(self, rich):
        members = rich.assign(organization_id=pd.array([5, None, 6] * (len(rich) // 3), dtype="Int64"))
        with serve(members) as server:
            found = mlygeo.find_sequences(organization=5, service=service_of(server))
        assert found["images"].sum() == len(rich) // 3

    def test_pages_that_stop_early_are_reported(self, server, person, monkeypatch):
        server.faults = Faults(largest_page=4)
        found = mlygeo.find_sequences(person, max_pages=2, service=service_of(server))
        assert found["images"].sum() == 8
        assert "after 2 pages" in found.attrs["summary"]["incomplete"][0]

    def test_the_verb_writes_a_frame_and_a_list(self, server, rich, person, capsys, tmp_path):
        status, out, err = run(capsys, "find_sequences", person, "-f", "all", "-p", 5, "-o", tmp_path)
        assert status == 0, err
        own = rich[rich["creator_username"] == person]
        frame = store.read_frame(tmp_path / f"sequences_{person}.parquet", frame="sequences")
        assert set(frame["sequence_id"]) == set(own["sequence_id"])
        path = tmp_path / f"sequences_{person}.txt"
        assert id_lists.read_sequences(path) == frame["sequence_id"].tolist()
        lines = path.read_text().splitlines()
        assert lines[0].startswith(f"# {person}: {len(frame)} sequences, {len(own)} images, ")
        days = [line for line in lines if line.startswith("# 20")]
        assert days == sorted(set(days))  # each day has one block
        assert len(out.splitlines()) == len(frame) + 1
        assert max(map(len, out.splitlines())) <= 79
        assert f"{len(own)} images" in err

    def test_incomplete_results_have_status_3_and_say_so_in_the_list(self, server, person, capsys, tmp_path):
        server.faults = Faults(largest_page=4)
        status, _, err = run(capsys, "find-sequences", person, "--max-pages", 1, "-o", tmp_path)
        assert status == 3
        assert "incomplete" in err
        assert "# Incomplete: stopped after 1 pages" in (tmp_path / f"sequences_{person}.txt").read_text()

    def test_nobody(self, server, capsys, tmp_path):
        status, _, err = run(capsys, "find-sequences", "nobody at all", "-o", tmp_path)
        assert status == 0
        assert "nobody of that name" in err
        assert id_lists.read_sequences(tmp_path / "sequences_nobody_at_all.txt") == []

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [([], "no user, organization or region"), (["a", "b"], "2 users"), ([" "], "empty"), (["a", "--filter", "some"], "'some'"),
         (["a", "--max-pages", "0"], "1 or more"), (["a", "--organization", "x"], "ids"), (["a", "--since", "never"], "never"),
         (["--bbox", "9,48,9.1,48.1", "--max-pages", "2"], "--max-pages"), (["--bbox", "5,47,15,55"], "too many")],
    )  # fmt: skip
    def test_bad_input(self, server, capsys, tmp_path, arguments, says):
        status, out, err = run(capsys, "find-sequences", *arguments, "-o", tmp_path / "x")
        assert (status, out) == (2, "")
        assert says in err
        assert server.count() == 0
        assert list(tmp_path.iterdir()) == []

    def test_hostile_names_stay_in_the_folder(self, rich, tmp_path):
        evil = ["../../x", "a\nb", "# c", "x" * 500, "con\0"]
        images = rich.iloc[:10].copy()
        images["sequence_id"] = pd.Series(np.repeat(["good_1-", *evil], 2)[:10], index=images.index, dtype="str")
        from mlygeo.spatial.sequences import summarise

        sequences = summarise(images)
        files = sequence_search.write_lists(sequences, tmp_path / own_files.file_stem("../../etc/a b\0", None), whose="x\ny",
                                    shortcomings=["a\nb"])  # fmt: skip
        assert [file.parent for file in files] == [tmp_path] * 2
        assert [line for line in files[1].read_text().splitlines() if not line.startswith("#")] == ["good_1-"]
        assert "\n" not in sequence_search.table(sequences.iloc[[-1]]).splitlines()[-1]
        assert own_files.file_stem("///", None) == "sequences"
        assert own_files.file_stem(None, 5) == "sequences_organization_5"

    def test_the_table_is_short(self, rich):
        from mlygeo.spatial.sequences import summarise

        images = rich.assign(
            sequence_id=pd.Series([f"s{row}" for row in range(len(rich))], index=rich.index, dtype="str")
        )
        lines = sequence_search.table(summarise(images)).splitlines()
        assert len(lines) == 1 + sequence_search.ROWS_SHOWN + 1
        assert lines[-1] == f"… and {len(rich) - sequence_search.ROWS_SHOWN} earlier ones"


class TestInspect:
    def test_an_image_and_one_that_is_gone(self, server, rich, capsys):
        row = rich.iloc[0]
        status, out, err = run(capsys, "inspect", row["id"], 5)
        assert status == 3
        assert "1 of 2 images there" in err
        assert f"image {row['id']}\n" in out
        assert f"{row['captured_at']:%Y-%m-%d %H:%M:%S}" in out
        assert f"{row['altitude']:.10g}"[:8] in out
        assert "without a value" in out
        assert "image 5\n  problem                 gone (code 100/33)" in out
        assert max(map(len, out.splitlines())) < 130
        # The addresses are there, their signatures are not.
        assert "/thumbs/2048/" in out
        assert "until 20" in out
        assert "oh=" not in out
        assert "oe=" not in out

    def test_as_json(self, server, rich, capsys):
        status, out, _ = run(capsys, "inspect", rich["id"].iloc[0], "--json")
        assert status == 0
        [image] = json.loads(out)["images"]
        assert image["id"] == str(rich["id"].iloc[0])
        assert image["record"]["sequence"] == rich["sequence_id"].iloc[0]
        assert "oh=" not in out
        assert "height" in image["without_value"]

    def test_the_function_returns_a_frame(self, server, rich):
        number = int(rich["id"].iloc[0])
        found = mlygeo.inspect([number, 5], service=service_of(server))
        frames.check(found, frames.IMAGES)
        assert found["error"].isna().tolist() == [True, False]
        assert isinstance(found["computed_geometry"], gpd.GeoSeries)
        assert mlygeo.inspect(number, service=service_of(server))["id"].tolist() == [number]

    def test_what_is_no_image(self, server, rich, capsys):
        status, out, _ = run(capsys, "inspect", rich["creator_id"].iloc[0])
        assert status == 3
        assert "no image, but a MapillaryUser" in out

    @pytest.mark.parametrize("word", ["aE5o7bTMH0UtscOYxhVwID", "12.5", "-5", "9" * 30])
    def test_what_is_no_id(self, server, capsys, word):
        status, out, err = run(capsys, "inspect", "--", word)
        assert (status, out) == (2, "")
        assert "is not an image id" in err
        assert server.count() == 0

    def test_odd_values_are_shown_and_do_no_harm(self, capsys, monkeypatch):
        odd = {
            "id": "5", "captured_at": 10**18, "altitude": 4294967281, "make": "Go\x1b[31mPro", "geometry": "nowhere",
            "thumb_256_url": "https://[bad", "thumb_1024_url": f"https://cdn.example/m1/v/{'x' * 300}?oh=abc&oe=zz",
            "computed_geometry": {"type": "Point", "coordinates": [9, 48, 300]}, "mesh": {"id": "7", "url": "http://u:p@h/x?oh=1"},
        }  # fmt: skip

        def answer(handler):
            reply(handler, odd)

        with scripted(answer) as (url, _):
            monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", url.removesuffix("/x"))
            monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
            status, out, _ = run(capsys, "inspect", 5)
        assert status == 3
        assert "problem                 its geometry is 'nowhere'" in out
        assert "\x1b" not in out
        assert "-15 m" in out
        assert "which is not a date" in out
        assert "an address that is none" in out
        assert "longitude 9, latitude 48" in out
        assert "oh=" not in out
        assert "u:p" not in out


@pytest.mark.parametrize("verb", [["metadata", "5"], ["find-sequences", "ann"], ["inspect", "5"]])
class TestEveryVerb:
    def test_a_bad_token_is_one_line_without_it(self, server, capsys, tmp_path, verb, monkeypatch):
        monkeypatch.chdir(tmp_path)
        server.faults = Faults(refuse_token=500)
        status, out, err = run(capsys, *verb, "-vv")
        assert (status, out) == (1, "")
        assert "refuses the access token" in err
        assert SECRET not in err
        assert server.count() == 1
        assert list(tmp_path.iterdir()) == []

    def test_no_token(self, server, capsys, tmp_path, verb, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MAPILLARY_ACCESS_TOKEN")
        status, _, err = run(capsys, *verb)
        assert status == 2
        assert "no access token" in err
        assert server.count() == 0


def test_errors_are_the_tree_s():
    assert issubclass(TokenRejectedError, ServiceError)


@needs_unix("signals of Unix")
def test_control_c(rich, tmp_path):
    """Interrupted while the service is silent: status 130 at once, nothing half written."""
    path = store.write_frame(rich[TILE_COLUMNS], tmp_path / "images.parquet")
    with serve(rich, faults=Faults(stall=1.0)) as server:
        environment = {**os.environ, "MAPILLARY_GRAPH_API_ENDPOINT": server.url, "MAPILLARY_ACCESS_TOKEN": TOKEN}
        process = start(
            [sys.executable, "-m", "mlygeo", "metadata", str(path), "-o", str(tmp_path / "x.parquet")],
            env=environment,
        )  # fmt: skip
        wait_for(server.count, process)
        process.send_signal(signal.SIGINT)
        _, err = ended(process)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert [file.name for file in tmp_path.iterdir()] == ["images.parquet"]


def test_a_selection_goes_on_with_what_was_added(server, rich, tmp_path):
    """What was added goes through a selection, from the frame and from its file alike."""
    images = mlygeo.metadata(rich[TILE_COLUMNS], service=service_of(server))
    points = gpd.GeoDataFrame(geometry=rich.geometry.iloc[:5], crs=4326)
    for given in (images, store.write_frame(images, tmp_path / "images.parquet")):
        selection = mlygeo.select(points=points, images=given, srid=25832)
        assert len(selection) == 5
        assert selection["altitude"].notna().all()


class TestCounts:
    """Each image that is asked for is found, missing, or left out for a reason."""

    def test_of_metadata(self, server, rich, tmp_path):
        first, second = rich["id"].tolist()[:2]
        asked = [first, second, first, 1234567890123456]
        path = tmp_path / "ids.txt"
        path.write_text("".join(f"{number}\n" for number in asked))
        for given in (asked, path):
            summary = mlygeo.metadata(given, service=service_of(server)).attrs["summary"]
            assert (summary["asked"], summary["found"], list(summary["missing"])) == (4, 2, ["1234567890123456"])
            assert summary["left_out"] == {"listed more than once": 1}
        some = rich.iloc[:3].assign(id=pd.array([first, None, second], dtype="Int64"))
        summary = mlygeo.metadata(some, service=service_of(server)).attrs["summary"]
        assert (summary["asked"], summary["found"], summary["left_out"]) == (3, 2, {"without an id": 1})

    def test_of_inspect(self, server, rich):
        first = rich["id"].iloc[0]
        summary = mlygeo.inspect([first, str(first), 1234567890123456], service=service_of(server)).attrs["summary"]
        assert (summary["asked"], summary["there"], summary["missing"]) == (3, 1, 1)
        assert summary["left_out"] == {"listed more than once": 1}

    def test_of_sequences(self, rich, monkeypatch):
        monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
        odd = rich["sequence_id"].where(rich.index != rich.index[0], "an odd id")
        with serve(rich.assign(sequence_id=odd), token=TOKEN) as without:
            summary = mlygeo.find_sequences(rich["creator_username"].iloc[0], service=service_of(without)).attrs[
                "summary"
            ]
        assert summary["left_out"] == {"sequences with an odd id, from the list": 1}
