"""Tables of values by point: every form of the same table, ids to the last digit, and what is refused."""

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.readers import point_values

IDS = [4039052279864266479, 4039052279961699629, -5]


@pytest.fixture
def table():
    return pd.DataFrame({"point_id": IDS, "green": [0.5, None, 0.25], "kind": ["a", None, "b"]})


def test_every_form_of_a_table_is_the_same(table, tmp_path):
    frame = gpd.GeoDataFrame(table, geometry=[shapely.Point(9, 48)] * 3, crs=4326)
    table.to_csv(tmp_path / "plain.csv", index=False)
    table.to_parquet(tmp_path / "plain.parquet")
    mlygeo.write_frame(frame, tmp_path / "frame.gpkg")
    mlygeo.write_frame(frame, tmp_path / "frame.geojson")
    frame.to_parquet(tmp_path / "frame.parquet")
    forms = [table, frame, pa.Table.from_pandas(table), table.astype({"point_id": "str"}), *tmp_path.iterdir()]
    assert len(forms) == 9
    for form in forms:
        found = point_values.read(form)
        assert_frame_equal(found[[*table.columns]], table, check_dtype=False)
        assert found["point_id"].dtype == "int64"
        assert "geometry" not in found.columns


@pytest.mark.parametrize("ids", [[1.5, 2.0, 3.0], [None, 1, 2], ["a", "1", "2"], [1e18, 2e18, 3e18]])
def test_ids_that_are_no_whole_numbers_are_refused(table, ids):
    with pytest.raises(FrameError, match="point_id"):
        point_values.read(table.assign(point_id=ids))


def test_tables_without_ids_and_damaged_files_are_refused(table, tmp_path):
    with pytest.raises(FrameError, match="no column 'point_id'"):
        point_values.read(table.drop(columns="point_id"))
    with pytest.raises(FileError):
        point_values.read(tmp_path / "nothing.csv")
    for name, content in (("a.csv", b'a,b\n1,2,3,4\n1\n"x'), ("b.parquet", b"PAR1"), ("c.csv", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=name):
            point_values.read(tmp_path / name)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(FormatError, match="not a table"):
        point_values.read(tmp_path / "empty.csv")
