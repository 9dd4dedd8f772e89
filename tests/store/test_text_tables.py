"""Tables of text that other programs write: encodings, separators, coordinates, numbers, times, formulas."""

from __future__ import annotations

import io

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

import mlygeo
from mlygeo import dtypes, store
from mlygeo.errors import FormatError, FrameError, InputError, MlygeoError


def read(folder, text, name="x.csv", encoding="utf-8", **options):
    (folder / name).write_bytes(text.encode(encoding))
    return store.read_frame(folder / name, **options)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_text_in_any_encoding_is_text(tmp_path, caplog, encoding):
    found = read(tmp_path, "lon,lat,name\n9.1,48.1,Königstraße\n9.2,48.2,Ä\n", encoding=encoding)
    assert found["name"].tolist() == ["Königstraße", "Ä"]
    assert ("read as Latin-1" in caplog.text) == (encoding in {"latin-1", "cp1252"})


@pytest.mark.parametrize(
    ("head", "row"),
    [("x,y", "3513000.5,5403000.25"), ("lon,lat", "361,48"), ("Longitude,LATITUDE", "9,90.5"), ("x,y", "9.1,48.1\n368099.2,145079.6"), ("geometry,n", '"POINT (3513000 5403000)",1')],
)  # fmt: skip
def test_coordinates_in_a_plane_are_not_taken_for_degrees(tmp_path, head, row):
    with pytest.raises(FormatError, match="no longitude and latitude") as raised:
        read(tmp_path, f"{head}\n{row}\n")
    assert repr(head.partition(",")[0]) in str(raised.value)
    assert "srid=" in raised.value.hint or "swapped" in raised.value.hint


def test_the_crs_of_a_table_can_be_said(tmp_path):
    found = read(tmp_path, "x,y,n\n513000.5,5403000.25,1\n,,2\n", srid=25832)
    assert found.crs.to_epsg() == 25832
    assert found.to_crs(4326).geometry.x.round(2).tolist()[0] == 9.18
    frame = found.to_crs(4326)
    with pytest.raises(InputError, match="`srid`"):
        store.read_frame(store.write_frame(frame, tmp_path / "x.gpkg"), srid=25832)


def test_swapped_names_are_recognised(tmp_path):
    with pytest.raises(FormatError, match="no longitude and latitude") as raised:
        read(tmp_path, "lat,lon\n170.1,48.1\n")
    assert "swapped" in raised.value.hint


@pytest.mark.parametrize(("separator", "comma"), [(";", ","), (";", "."), ("\t", "."), ("|", "."), (",", ".")])
def test_separators_and_decimal_commas(tmp_path, separator, comma):
    text = "\n".join(
        separator.join(row) for row in (("lon", "lat", "n", "t"), ("9.1", "48.5", "1", "a"), ("9.2", "48.6", "2", "b"))
    )
    found = read(tmp_path, text.replace(".", comma) + "\n")
    assert found.geometry.x.tolist() == [9.1, 9.2]
    assert found["n"].tolist() == [1, 2]
    assert found["t"].tolist() == ["a", "b"]


def test_columns_are_what_all_their_cells_say(tmp_path):
    found = read(
        tmp_path,
        "lon,lat,zero_led,whole,gaps,real,truth,when,naive,day,odd,na,inf\n"
        "9,48,007,7,1,1.5,true,2024-06-09T08:00:00Z,2024-06-09 08:00:00.5,2024-06-09,1,NA,inf\n"
        "9,48,010,-8,,2,False,2024-06-09T10:00:00+02:00,2024-06-10 08:00:00,2024-06-10,x,Namibia,-inf\n",
    )
    assert found["zero_led"].tolist() == ["007", "010"]
    assert found["whole"].tolist() == [7, -8]
    assert str(found["gaps"].dtype) == "Int64"
    assert found["real"].tolist() == [1.5, 2.0]
    assert found["truth"].tolist() == [True, False]
    assert found["when"].iloc[0] == found["when"].iloc[1]
    assert str(found["when"].dtype) == "datetime64[s, UTC]"
    assert str(found["naive"].dtype) == "datetime64[ms]"
    assert str(found["day"].iloc[0]) == "2024-06-09"
    assert found["odd"].tolist() == ["1", "x"]
    assert found["na"].tolist() == ["NA", "Namibia"]
    assert found["inf"].tolist() == [np.inf, -np.inf]


def test_quotes_around_everything_say_nothing(tmp_path):
    found = read(tmp_path, '"lon","lat","id","name"\n"9.1","48.1","26858300993768843","7"\n"","","5",""\n')
    assert found["id"].tolist() == [26858300993768843, 5]
    assert found.geometry.iloc[0].coords[0] == (9.1, 48.1)


def test_blank_lines_wide_tables_and_quoted_line_breaks(tmp_path):
    head = ",".join(["lon", "lat", *(f"c{n}" for n in range(3000))])
    row = ",".join(["9", "48", *("1" for n in range(3000))])
    assert read(tmp_path, f"\n{head}\n\n{row}\n\n\n{row}\n")["c2999"].tolist() == [1, 1]
    long = "x\n" * 700_000
    assert read(tmp_path, f'lon,lat,t\n9,48,"{long}"\n9,48,a\n')["t"].str.len().tolist() == [len(long), 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon,lat\n9,48\n9\n", "is not a table"),
        ("lon,lat,a,a\n9,48,1,2\n", "several columns 'a'"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("lon,lat\nabc,48\n", "not a number: 'abc'"),
        ("a,b\n1,2\n", "no columns 'lon' and 'lat'"),
        ("geometry\nhere\n", "not a geometry"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, text, words):
    with pytest.raises(FormatError, match=words) as raised:
        read(tmp_path, text)
    assert str(raised.value).startswith("x.csv")
    assert "\n" not in str(raised.value)


FORMULAS = ["=1+1", "+49 711", "-x", "@SUM(A1)", "\t=1", "'=1", "''", "'", '=HYPERLINK("http://x","y")']


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_no_cell_of_text_runs_as_a_formula(tmp_path, ending):
    import csv

    import geopandas as gpd

    frame = gpd.GeoDataFrame(
        {"t": FORMULAS, "=name": FORMULAS, "n": np.arange(len(FORMULAS)) - 5}, geometry=[shapely.Point(-9, 48)] * len(FORMULAS), crs=4326
    )  # fmt: skip
    path = store.write_frame(frame, tmp_path / f"x{ending}")
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file, delimiter="," if ending == ".csv" else "\t")
    assert not any(name.startswith(("=", "+", "-", "@")) for name in head)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row[:2])
    assert [row[2] for row in rows] == [str(n) for n in frame["n"]]
    back = store.read_frame(path)
    assert back["t"].tolist() == back["=name"].tolist() == FORMULAS
    assert read(tmp_path, "lon,lat,t\n9,48,'=x\n")["t"].tolist() == ["'=x"]  # of another program


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1717920000, 1717920001], "2024-06-09T08:00:00Z"), ([1717920000000, None], "2024-06-09T08:00:00Z"),
        ([1717920000000000], "2024-06-09T08:00:00Z"), ([1717920000000000000], "2024-06-09T08:00:00Z"),
        ([1717920000.25], "2024-06-09T08:00:00.25Z"), (["1717920000"], "2024-06-09T08:00:00Z"),
        ([315532800000], "1980-01-01T00:00:00Z"), ([315532800], "1980-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_numbers_are_times_by_their_size(numbers, expected):
    assert dtypes.cast(pd.Series(numbers), "datetime64[ms, UTC]").iloc[0] == pd.Timestamp(expected)


@pytest.mark.parametrize(
    "values", [[1717920000, 1717920000123], [12345], [True], ["09/06/2024"], ["9.6.2024"], ["x"], [1e30], ["08:00"]]
)
def test_what_may_be_several_times_is_refused(values):
    with pytest.raises((ValueError, OverflowError)):
        dtypes.cast(pd.Series(values), "datetime64[ms, UTC]")


def test_times_of_images_in_a_table(tmp_path):
    text = "id,lon,lat,captured_at,sequence_id,is_pano\n7,9.1,48.1,{},a,0\n"
    for when in (
        "1717920000",
        "1717920000000",
        "2024-06-09T08:00:00Z",
        "2024-06-09 08:00:00",
        "2024-06-09T10:00:00+02:00",
    ):
        found = read(tmp_path, text.format(when), frame="images")
        assert found["captured_at"].tolist() == [pd.Timestamp("2024-06-09T08:00:00Z")]
    with pytest.raises(FrameError, match="captured_at"):
        read(tmp_path, text.format("09/06/2024"), frame="images")
    with pytest.raises(FrameError, match="'id'"):
        read(tmp_path, text.replace("\n7,", "\n007,").format("2024-06-09"), frame="images")


TWICE = [("lon,lat,longitude", "lon", "longitude"), ("Lon,lat,lon", "Lon", "lon"), ("lng,latitude,long", "lng", "long")]


def rows_of(head, rows, kind, folder):
    text = head + "\n" + "\n".join(rows) + "\n"
    if kind == "csv":
        (folder / "held.csv").write_text(text)
        return folder / "held.csv"
    return pd.read_csv(io.StringIO(text))


@pytest.mark.parametrize("kind", ["csv", "frame"])
@pytest.mark.parametrize(("head", "one", "other"), TWICE)
def test_two_columns_that_could_be_the_position_have_to_agree(tmp_path, kind, head, one, other):
    same = store.as_frame(rows_of(head, ["9,48,9.0", "9.5,49,9.50"], kind, tmp_path))
    assert same.geometry.x.tolist() == [9, 9.5]
    for last in ("9.6", ""):
        with pytest.raises(MlygeoError, match=f"columns '{one}' and '{other}' differ in row 2"):
            store.as_frame(rows_of(head, ["9,48,9.0", f"9.5,49,{last}"], kind, tmp_path))


@pytest.mark.parametrize("kind", ["csv", "frame"])
def test_latitudes_have_to_agree_and_other_columns_do_not(tmp_path, kind):
    with pytest.raises(MlygeoError, match="columns 'lat' and 'latitude' differ in row 1"):
        store.as_frame(rows_of("lat,latitude,lon", ["48,49,9", "48,48,9"], kind, tmp_path))
    found = store.as_frame(rows_of("x,y,lon,lat,long", ["513000,5403000,9,48,a long text"], kind, tmp_path))
    assert list(found.columns[:3]) == ["x", "y", "long"]
    assert found.geometry.iloc[0].coords[0] == (9, 48)


def test_such_a_column_beside_the_geometry_comes_back(tmp_path):
    for name in ("longitude", "Lat", "lng", "x"):
        frame = gpd.GeoDataFrame({name: [1.5, 2.5]}, geometry=gpd.points_from_xy([9, 9.5], [48, 49], crs=4326))
        found = store.read_frame(store.write_frame(frame, tmp_path / "a.csv"))
        assert found[name].tolist() == [1.5, 2.5]
        assert found.geometry.x.tolist() == [9, 9.5]


@pytest.mark.parametrize("name", ["id", "creator_id", "Id"])
@pytest.mark.parametrize("cells", [["9.99017E+14", "9.99018E+14"], ["9.99017e14", "999018123456789"]])
def test_ids_that_a_spreadsheet_has_rounded_are_refused(tmp_path, name, cells):
    columns = {"id": ["1", "2"], "creator_id": ["5", "5"]}
    columns = {name if key == name.lower() else key: values for key, values in columns.items()} | {name: cells}
    path = tmp_path / "a.csv"
    rows = ["2024-01-01T00:00:00Z,false,9,48," + ",".join(row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([f"captured_at,is_pano,lon,lat,{','.join(columns)}", *rows]))
    if name == "Id":
        assert store.read_frame(path)["Id"].tolist() == cells
        return
    with pytest.raises(MlygeoError, match=f"'{name}' does not fit .* was rounded by a spreadsheet"):
        store.read_frame(path, frame="images")


def test_numbers_with_an_exponent_are_numbers_elsewhere(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,lon,lat,height\n1.0,9,48,1e3\n,9,48,2.5\n")
    found = store.read_frame(path)
    assert found["height"].tolist() == [1000, 2.5]
    assert found["id"].tolist()[0] == 1


def test_text_ids_that_look_like_numbers_come_back(tmp_path):
    frame = gpd.GeoDataFrame(
        {"sequence_id": ["12e5", "100E2"]}, geometry=gpd.points_from_xy([9, 9], [48, 49], crs=4326)
    )
    assert store.read_frame(store.write_frame(frame, tmp_path / "a.csv"))["sequence_id"].tolist() == ["12e5", "100E2"]
    (tmp_path / "b.csv").write_text("sequence_id,lon,lat\n12e5,9,48\n100E2,9,48\n")
    assert store.read_frame(tmp_path / "b.csv")["sequence_id"].tolist() == ["12e5", "100E2"]


CONTRADICTING = "id,captured_at,is_pano,lon,lat,wkt\n" + "".join(
    f"{number},2024-05-01T12:00:00Z,false,{lon},{lat},POINT (9.{number} 48.7)\n"
    for number, lon, lat in [
        (1, 9.1, 48.7),
        (2, 9.2000049, 48.7),
        (3, 9.31, 48.7),
        (4, 9.4, 48.71),
        (5, 369.5, 48.7),
        (6, "", ""),
    ]
)


@pytest.mark.parametrize("kind", ["csv", "table"])
def test_longitude_and_latitude_that_contradict_the_geometry_are_counted(kind, tmp_path, caplog):
    path = tmp_path / "images.csv"
    path.write_text(CONTRADICTING)
    table = pd.read_csv(io.StringIO(CONTRADICTING))
    given = path if kind == "csv" else table
    points = gpd.GeoDataFrame({"point_id": range(6)}, geometry=mlygeo.read_frame(path).geometry.array)
    caplog.clear()
    found = mlygeo.select(images=given, points=points, srid=25832, max_distance=1)
    assert found["id"].tolist() == [1, 2, 3, 4, 5, 6]
    reason = "images: rows with longitude and latitude that contradict their geometry"
    assert found.attrs["summary"]["problems"] == {reason: 2}
    assert (
        "2 of 6 rows, columns 'lon' and 'lat' contradict the geometry, which is used; the first is row 3" in caplog.text
    )
    assert mlygeo.read_frame(path, columns=["id"]).attrs["in_doubt"] == {reason.removeprefix("images: "): 2}


def test_columns_of_a_plane_and_lines_contradict_nothing(tmp_path, caplog):
    path = tmp_path / "plane.csv"
    path.write_text("name,x,y,wkt\na,512345.6,5401234.5,POINT (9.1 48.7)\n")
    assert "in_doubt" not in mlygeo.read_frame(path).attrs
    path.write_text('name,lon,lat,wkt\na,5,5,"LINESTRING (9.1 48.7, 9.2 48.7)"\n')
    assert "in_doubt" not in mlygeo.read_frame(path).attrs
    path.write_text("name,lon,lat,wkt\na,here,there,POINT (9.1 48.7)\n")
    assert "in_doubt" not in mlygeo.read_frame(path).attrs
    assert "contradict" not in caplog.text
