"""Records of the Graph API -> images frame: real answers of the service, odd ones, and any at all."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import frames, store
from mlygeo.errors import FormatError, FrameError
from mlygeo.providers.mapillary import records as join
from mlygeo.providers.mapillary.provider import PROVIDER as MAPILLARY
from mlygeo.providers.mapillary.records import FIELDS, columns_of, field_of, images_frame

GRAPH = DATA / "graph"
REAL = [json.loads((GRAPH / f"{number}.json").read_text()) for number in
        (135511895288847, 148137757289079, 308609047601518, 311681117131457, 338231874314914)]  # fmt: skip
STUTTGART = json.loads((GRAPH / "stuttgart_records.json").read_text())


class TestSaid:
    """All that the service says of an image, for the picture itself."""

    @pytest.mark.parametrize("records", [REAL, STUTTGART], ids=["Grand Junction", "Stuttgart"])
    def test_is_the_record_without_addresses_that_expire(self, records):
        for record in records:
            expected = {
                name: value
                for name, value in record.items()
                if not name.startswith("thumb_") and value != "none" and name != "comment"
            }
            assert join.said_of(record) == expected
            json.dumps(join.said_of(record), allow_nan=False)

    @pytest.mark.parametrize("records", [REAL, STUTTGART], ids=["Grand Junction", "Stuttgart"])
    def test_of_a_row_is_the_same_as_of_its_record(self, records):
        images = images_frame(records)
        for record, row in zip(records, images.to_dict("records"), strict=True):
            said, of_row = join.said_of(record), join.said_of(row)
            assert of_row.pop("is_pano") in {True, False}
            said.pop("is_pano", None)
            assert of_row == said

    def test_signed_addresses_are_left_out_and_others_are_not(self):
        signed = "https://scontent.example/m1/v/mesh?oh=00_AY&oe=66F0C180"
        record = {
            "id": "1",
            "mesh": {"id": "2", "url": signed},
            "sfm_cluster": {"url": signed},
            "thumb_256_url": signed,
        }
        assert join.said_of(record) == {"id": "1", "mesh": {"id": "2"}}
        assert "oe=" not in json.dumps(join.sidecar(record))
        plain = {"id": "1", "mesh": {"id": "2", "url": "https://example.org/mesh"}}
        assert join.said_of(plain) == plain

    def test_the_position_zero_zero_is_none_and_is_said(self):
        problems = {}
        record = {"id": "1", "geometry": {"type": "Point", "coordinates": [0, 0]}}
        images = images_frame([record], problems=problems)
        assert images.geometry.isna().all()
        assert "its geometry is" in problems[1]

    def test_is_asked_for_where_it_is_written_and_only_there(self):
        named = set(join.fields_for("1024", metadata="exif"))
        assert named >= {
            "mesh", "sfm_cluster", "atomic_scale", "merge_cc", "camera_parameters", "camera_type", "computed_altitude",
            "computed_compass_angle", "computed_geometry", "computed_rotation", "quality_score", "exif_orientation",
            "altitude", "compass_angle", "geometry", "creator", "organization",
        }  # fmt: skip
        assert [name for name in named if name.startswith("thumb_")] == ["thumb_1024_url"]
        assert join.fields_for("1024", metadata="none") == ["sequence", "captured_at", "thumb_1024_url"]


class TestRealAnswers:
    @pytest.mark.parametrize("records", [REAL, STUTTGART], ids=["Grand Junction", "Stuttgart"])
    def test_every_value_arrives(self, records):
        """Each value of each record, looked up one by one, against the frame."""
        images = images_frame(records)
        frames.check(images, frames.IMAGES)
        names = {"sequence": "sequence_id"}
        for record, (_, row) in zip(records, images.iterrows(), strict=True):
            assert str(row["id"]) == record["id"]
            for name, value in record.items():
                match name:
                    case "id" | "detections" | "comment":
                        continue
                    case "creator":
                        assert str(row["creator_id"]) == value["id"]
                        assert row["creator_username"] == value["username"]
                    case "mesh" | "sfm_cluster":
                        assert row[f"{name}_id"] == value["id"]
                        assert row[f"{name}_url"] == value["url"] if "url" in value else True
                    case "geometry" | "computed_geometry":
                        assert (row[name].x, row[name].y) == tuple(value["coordinates"])
                    case "camera_parameters" | "computed_rotation":
                        assert row[name] == value
                    case "captured_at":
                        assert row[name] == datetime.fromtimestamp(value // 1000, UTC) + timedelta(
                            milliseconds=value % 1000
                        )
                    case "make" | "model" if value == "none":
                        assert pd.isna(row[name])
                    case _:
                        assert row[names.get(name, name)] == value, name

    def test_what_a_record_lacks_is_null(self):
        images = images_frame(REAL)
        assert images["mesh_id"].isna().tolist() == ["mesh" not in record for record in REAL]
        assert images["creator_id"].isna().all()
        assert str(images["creator_id"].dtype) == "Int64"
        assert str(images["captured_at"].dtype) == "datetime64[ms, UTC]"

    def test_an_answer_of_three_fields(self):
        record = json.loads((GRAPH / "image_178993950747668.json").read_text())
        images = images_frame([record], fields=["thumb_2048_url", "computed_geometry", "altitude"])
        frames.check(images, frames.IMAGES)
        assert images["thumb_2048_url"].iloc[0].startswith("https://scontent")
        assert images["computed_geometry"].iloc[0].y == 47.412813485744
        assert images.geometry.iloc[0] is None
        assert math.isnan(images["altitude"].iloc[0])

    def test_ids_past_2_to_the_53_are_exact(self):
        large = [record for record in STUTTGART if int(record["id"]) > 2**53]
        assert len(large) == 5
        assert images_frame(STUTTGART)["id"].max() == 26858300993768842

    @pytest.mark.parametrize("ending", ["parquet", "gpkg", "geojson", "csv", "fgb"])
    def test_it_survives_a_file(self, tmp_path, ending):
        images = images_frame(REAL + STUTTGART)
        path = store.write_frame(images, tmp_path / f"images.{ending}")
        again = store.read_frame(path, frame="images").set_index("id").loc[images["id"]].reset_index()
        assert again["sequence_id"].tolist() == images["sequence_id"].tolist()
        assert again["captured_at"].tolist() == images["captured_at"].tolist()
        np.testing.assert_array_equal(again["altitude"], images["altitude"])
        np.testing.assert_allclose(frames.lonlat(again), frames.lonlat(images), rtol=0, atol=1e-12)
        place = again["computed_geometry"]
        if ending == "parquet":
            assert isinstance(again["computed_geometry"], gpd.GeoSeries)
            assert again["computed_geometry"].crs == "EPSG:4326"
            assert [None if v is None else list(v) for v in again["camera_parameters"]] == images[
                "camera_parameters"
            ].tolist()
        elif ending == "csv":  # which has texts alone
            place = gpd.GeoSeries.from_wkt(place)
        assert shapely.equals(place.to_numpy(), images["computed_geometry"].to_numpy()).all()

    def test_other_programs_read_the_geoparquet_with_both_positions(self, tmp_path):
        images = images_frame(STUTTGART)
        path = store.write_frame(images, tmp_path / "images.parquet")
        again = gpd.read_parquet(path)
        assert again.active_geometry_name == "geometry"
        assert again["computed_geometry"].crs == "EPSG:4326"
        assert (again["computed_geometry"] == images["computed_geometry"]).all()


def read_one(**fields):
    return images_frame([{"id": "5", **fields}]).iloc[0]


class TestValues:
    @pytest.mark.parametrize(
        ("said", "read"),
        [(4294967281, -15), (4294967295.0, -1), (2147483648, -(2**31)), (2147483647, 2147483647), (-15.5, -15.5), (0, 0),
         (8848.86, 8848.86)],
    )  # fmt: skip
    @pytest.mark.parametrize("field", ["altitude", "computed_altitude"])
    def test_altitudes_below_the_sea_are_set_right(self, field, said, read):
        assert read_one(**{field: said})[field] == read

    @pytest.mark.parametrize(
        ("said", "read"), [(0, 0), (0.0, 0), (359.9, 359.9), (360, 0), (-1, 359), (720.5, 0.5), (-1e-300, 0)]
    )
    def test_headings_lie_in_the_circle_and_zero_is_north(self, said, read):
        assert read_one(compass_angle=said)["compass_angle"] == pytest.approx(read, abs=1e-9)
        assert math.isnan(read_one()["compass_angle"])
        assert math.isnan(read_one(compass_angle=math.nan)["compass_angle"])

    @pytest.mark.parametrize("said", [1e300, -1e300, 3600, -4000])
    def test_a_heading_of_ten_turns_is_none(self, said):
        problems = {}
        images = images_frame([{"id": "5", "compass_angle": said}], problems=problems)
        assert math.isnan(images["compass_angle"].iloc[0])
        assert "compass_angle" in problems[5]

    @pytest.mark.parametrize("field", ["width", "height"])
    def test_a_length_below_zero_is_none(self, field):
        problems = {}
        images = images_frame([{"id": "5", field: -1}, {"id": "6", field: 4000}, {"id": "7"}], problems=problems)
        assert images[field].tolist() == [pd.NA, 4000, pd.NA]
        assert problems == {5: f"its {field} is -1"}

    @pytest.mark.parametrize(("name", "read"), [("none", None), ("None", None), (" NONE ", None), ("", None), (" ", None),
                                                ("GoPro", "GoPro"), (" GoPro Max ", "GoPro Max"), ("Nonesuch", "Nonesuch")])  # fmt: skip
    def test_a_camera_called_none_has_no_name(self, name, read):
        row = read_one(make=name, model=name)
        assert (None if pd.isna(row["make"]) else row["make"]) == read
        assert (None if pd.isna(row["model"]) else row["model"]) == read

    @pytest.mark.parametrize(
        ("fields", "pano"),
        [({"is_pano": True}, True), ({"is_pano": False, "camera_type": "spherical"}, False), ({"camera_type": "spherical"}, True),
         ({"camera_type": "equirectangular"}, True), ({"camera_type": "fisheye"}, False), ({}, None)],
    )  # fmt: skip
    def test_panoramas(self, fields, pano):
        found = read_one(**fields)["is_pano"]
        assert (None if found is pd.NA else bool(found)) is pano

    def test_organizations_under_either_name(self):
        assert read_one(organization={"id": "12"})["organization_id"] == 12
        assert read_one(organization_id="12")["organization_id"] == 12

    def test_clocks_that_are_wrong_are_kept_and_no_dates_are_null(self):
        assert read_one(captured_at=0)["captured_at"] == pd.Timestamp(0, tz="UTC")
        assert read_one(captured_at=-1)["captured_at"] < pd.Timestamp(0, tz="UTC")
        assert pd.isna(read_one(captured_at=2**62)["captured_at"])

    def test_large_numbers_that_are_lossy_already(self):
        record = json.loads('{"id": "5", "merge_cc": 5.2826592657222e+17, "mesh": {"id": 903987176835273}}')
        images = images_frame([record])
        assert images["merge_cc"].iloc[0] == 528265926572220032.0
        assert images["mesh_id"].iloc[0] == "903987176835273"

    def test_fields_that_were_asked_for_have_columns_even_where_no_image_has_them(self):
        images = images_frame([{"id": "5"}], fields=FIELDS)
        for field in FIELDS:
            assert set(columns_of(field)) <= {*images.columns}
        assert isinstance(images["computed_geometry"], gpd.GeoSeries)
        frames.check(images, frames.IMAGES)

    def test_no_records_are_an_empty_frame(self):
        images = images_frame([], fields=FIELDS)
        assert len(images) == 0
        frames.check(images, frames.IMAGES)
        frames.check(images_frame([]), frames.IMAGES)

    def test_fields_of_tomorrow_come_along(self):
        images = images_frame([{"id": "1", "foot": True, "weather": {"rain": 1}, "score": 3, "note": "x"}, {"id": "2"}])
        assert images["foot"].tolist() == [True, pd.NA]
        assert json.loads(images["weather"].iloc[0]) == {"rain": 1}
        assert images["score"].tolist() == [3, pd.NA]
        assert images["note"].iloc[0] == "x"

    def test_columns_and_fields_belong_together(self):
        assert field_of("sequence_id") == "sequence"
        assert field_of("creator_username") == "creator"
        assert field_of("organization_id") == "organization_id"
        assert field_of("mesh_url") == "mesh"
        assert field_of("altitude") == "altitude"
        assert field_of("no_such") == "no_such"


COLUMNS = [column.name for column in frames.IMAGES.columns]
WRONG = [
    ("captured_at", "yesterday"), ("captured_at", {"a": 1}), ("captured_at", 1.5), ("captured_at", True), ("captured_at", 2**70),
    ("compass_angle", "north"), ("compass_angle", [1]), ("altitude", 10**400), ("is_pano", "yes"), ("is_pano", 1),
    ("geometry", {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}), ("geometry", {"type": "Point", "coordinates": [1]}),
    ("geometry", {"type": "Point", "coordinates": ["1", "2"]}), ("geometry", {"type": "Point", "coordinates": [9, 91]}),
    ("geometry", {"type": "Point", "coordinates": [181, 9]}), ("geometry", {"type": "Point", "coordinates": None}), ("geometry", 5),
    ("computed_geometry", {"type": "Point", "coordinates": [10**400, 1]}), ("sequence", 5), ("sequence", ["s"]),
    ("creator", "ann"), ("creator", {"id": "x"}), ("creator", {"id": "1", "username": 5}), ("organization", 7),
    ("camera_parameters", "0.85,0,0"), ("camera_parameters", [1, "2"]), ("camera_parameters", [math.nan]), ("width", 1.5),
    ("width", "4,160"), ("make", 5), ("camera_type", {}), ("mesh", 5), ("thumb_256_url", 5), ("quality_score", "high"),
]  # fmt: skip


class TestWrongShapes:
    @pytest.mark.parametrize(("field", "value"), WRONG)
    def test_the_error_names_the_image_and_the_field(self, field, value):
        with pytest.raises(FormatError, match=rf"image 77: its {field} is"):
            images_frame([{"id": "5"}, {"id": "77", field: value}])

    @pytest.mark.parametrize(("field", "value"), WRONG)
    def test_with_problems_the_rest_is_read(self, field, value):
        problems = {}
        good = {"altitude": 5.0} if field != "altitude" else {"quality_score": 0.5}
        images = images_frame([{"id": "5"}, {"id": "77", **good, field: value}], problems=problems)
        frames.check(images, frames.IMAGES)
        assert list(problems) == [77]
        assert field in problems[77]
        assert len(problems[77]) < 200
        assert images[next(iter(good))].iloc[1] == next(iter(good.values()))

    @pytest.mark.parametrize("record", [None, 5, "x", [], {}, {"id": None}, {"id": "x"}, {"id": "-5"}, {"id": 0}, {"id": 2**63},
                                        {"id": 1.5}, {"id": True}, {"id": "9" * 30}, {"id": "\uff15"}])  # fmt: skip
    def test_a_record_that_cannot_be_named_is_an_error(self, record):
        with pytest.raises(FormatError, match="record 1"):
            images_frame([{"id": "5"}, record], problems={})

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("none"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["id", "type", "coordinates", "username", "url", "x"]), inner, max_size=3)
            | st.fixed_dictionaries(
                {"type": st.just("Point"), "coordinates": st.lists(st.floats() | inner, max_size=3)}
            )
        ),
        max_leaves=6,
    )

    @settings(max_examples=100)
    @given(
        st.lists(
            st.dictionaries(st.sampled_from([*FIELDS, *COLUMNS]) | st.text(max_size=5), json_values, max_size=8),
            max_size=4,
        )
    )
    def test_any_json_is_a_frame_with_its_problems(self, records):
        records = [{**record, "id": str(number + 1)} for number, record in enumerate(records)]
        problems = {}
        images = images_frame(records, problems=problems)
        frames.check(images, frames.IMAGES)
        assert images["id"].tolist() == [int(record["id"]) for record in records]
        assert set(problems) <= set(images["id"])
        angles = images["compass_angle"].dropna()
        assert ((angles >= 0) & (angles < 360)).all()
        lon, lat = frames.lonlat(images)
        assert ((np.abs(lon) <= 180) | np.isnan(lon)).all()
        assert ((np.abs(lat) <= 90) | np.isnan(lat)).all()
        assert images_frame(records, problems={}).equals(images)
        if problems:
            with pytest.raises(FormatError):
                images_frame(records)


class TestJoining:
    def base(self):
        return gpd.GeoDataFrame(
            {"point_id": [3, 1, 2, 9], "id": pd.array([20, 10, 20, None], dtype="Int64"), "altitude": [1.0, 2.0, np.nan, 4.0],
             "is_pano": [True, True, False, True]},
            geometry=gpd.points_from_xy([1, 2, 3, 4], [0, 0, 0, 0]), crs=4326, index=[7, 5, 3, 1],
        )  # fmt: skip

    def test_rows_index_and_other_columns_stay(self):
        base = self.base()
        found = images_frame([{"id": "20", "altitude": 0, "is_pano": False, "make": "GoPro", "width": 5}])
        joined = MAPILLARY.records.add(
            base, found, columns=["altitude", "is_pano", "make", "width"], errors={10: "gone"}
        )
        assert joined.index.tolist() == [7, 5, 3, 1]
        assert joined["point_id"].tolist() == [3, 1, 2, 9]
        assert joined["altitude"].tolist() == [0, 2, 0, 4]  # 0 is a value, and where there is none the own one stays
        assert joined["is_pano"].tolist() == [False, True, False, True]
        assert joined["is_pano"].dtype == bool
        assert joined["make"].isna().tolist() == [False, True, False, True]
        assert str(joined["width"].dtype) == "Int64"
        assert joined["error"].fillna("fine").tolist() == ["fine", "gone", "fine", "it has no id"]
        assert joined.geometry.equals(base.geometry)
        assert joined.columns[-1] == "geometry"
        assert "error" not in base

    def test_positions_are_replaced_where_they_are_asked_for(self):
        point = {"type": "Point", "coordinates": [9.0, 48.0]}
        found = images_frame([{"id": "20", "geometry": point, "computed_geometry": point}])
        joined = MAPILLARY.records.add(self.base(), found, columns=["geometry", "computed_geometry"], errors={})
        assert joined.geometry.x.tolist() == [9, 2, 9, 4]
        assert joined["computed_geometry"].isna().tolist() == [False, True, False, True]
        assert joined.crs == "EPSG:4326"

    def test_a_frame_without_ids_is_refused(self):
        with pytest.raises(FrameError, match="no column 'id'"):
            join.ids_in(self.base().drop(columns="id"), "x.gpkg")
        with pytest.raises(FrameError, match=r"x\.gpkg: column 'id' contains no ids"):
            join.ids_in(self.base().assign(id="a"), "x.gpkg")

    def test_a_column_of_another_kind_is_named(self):
        found = images_frame([{"id": "20", "width": 5}])
        with pytest.raises(FrameError, match="column 'width' of the frame does not fit Int64"):
            MAPILLARY.records.add(self.base().assign(width="wide"), found, columns=["width"], errors={})
