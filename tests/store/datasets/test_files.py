"""Which files a folder, a pattern or a list names."""

import os

import geopandas as gpd
import numpy as np
import pytest
from helpers.unix import needs_symlinks, needs_unix

from mlygeo import store
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.store.datasets import files, layout
from mlygeo.store.datasets.index import Index, Part, write_index


def frame(first=0, rows=3):
    return gpd.GeoDataFrame(
        {"id": np.arange(first, first + rows)},
        geometry=gpd.points_from_xy(np.full(rows, 9.0), np.full(rows, 48.0)),
        crs=4326,
    )


def put(path, first=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    return store.write_frame(frame(first), path)


def names(value):
    return [file.name for file in files.listed(value).files]


def test_a_folder_is_its_files_by_path_without_what_is_hidden(tmp_path):
    for name in ("b/2.parquet", "b/10.parquet", "a.parquet", "c.PQ".lower(), "d=1/x.geoparquet"):
        put(tmp_path / "ds" / name)
    for name in (
        ".hidden.parquet",
        "_metadata",
        "_common_metadata",
        "_temporary/x.parquet",
        ".mlygeo/x.parquet",
        "readme.txt",
    ):
        (tmp_path / "ds" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "ds" / name).write_bytes(b"no frame")
    put(tmp_path / "ds/inner.partitions.parquet")
    assert names(tmp_path / "ds") == ["a.parquet", "b/10.parquet", "b/2.parquet", "c.pq", "d=1/x.geoparquet"]
    assert names(str(tmp_path / "ds") + "/") == names(tmp_path / "ds")


def test_the_folder_one_stands_in(tmp_path, monkeypatch):
    put(tmp_path / "a.parquet")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path)
    assert names(".") == ["a.parquet"]
    monkeypatch.chdir("inner")
    assert names("..") == ["a.parquet"]


def test_a_pattern_finds_files_and_folders(tmp_path):
    for name in ("t/a1.parquet", "t/a2.parquet", "t/b1.parquet", "t/deep/er/a3.parquet", "t/.a4.parquet"):
        put(tmp_path / name)
    assert names(tmp_path / "t/a*.parquet") == ["a1.parquet", "a2.parquet"]
    assert names(tmp_path / "t/a[2-9].parquet") == ["a2.parquet"]
    assert names(tmp_path / "t/?1.parquet") == ["a1.parquet", "b1.parquet"]
    assert names(tmp_path / "t/**/a*.parquet") == ["a1.parquet", "a2.parquet", "deep/er/a3.parquet"]
    assert names(tmp_path / "t/**") == ["a1.parquet", "a2.parquet", "b1.parquet", "deep/er/a3.parquet"]
    assert names(tmp_path / "*/deep") == ["t/deep/er/a3.parquet"]


def test_a_file_whose_name_looks_like_a_pattern_is_meant_first(tmp_path):
    put(tmp_path / "a1.parquet").rename(tmp_path / "a[1].parquet")
    put(tmp_path / "a1.parquet")
    assert names(tmp_path / "a[1].parquet") == ["a[1].parquet"]


@needs_symlinks
def test_each_file_once_and_said(tmp_path, caplog):
    for name in ("a.parquet", "b.parquet"):
        put(tmp_path / name)
    (tmp_path / "link.parquet").symlink_to(tmp_path / "a.parquet")
    assert names([tmp_path / "b.parquet", tmp_path / "*.parquet"]) == ["b.parquet", "a.parquet"]
    assert "2 files are named twice" in caplog.text
    assert len(store.read_frame([tmp_path / "a.parquet", str(tmp_path / "a.parquet")])) == 3


@needs_symlinks
def test_a_folder_that_links_to_itself_ends(tmp_path):
    put(tmp_path / "ds/a.parquet")
    (tmp_path / "ds/again").symlink_to(tmp_path / "ds")
    assert names(tmp_path / "ds") == ["a.parquet"]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["2023", "2024"], [2023, 2024]), (["0231", "231"], ["0231", "231"]), (["-1", "0"], [-1, 0]),
        (["1", files.NULL], [1, None]), (["a%20b", "c%2Fd"], ["a b", "c/d"]), (["1", "x"], ["1", "x"]),
        (["9" * 18, "9" * 19], ["9" * 18, "9" * 19]), (["1.5", "2"], ["1.5", "2"]),
    ],
)  # fmt: skip
def test_names_of_folders_are_columns(tmp_path, values, found):
    for value in values:
        put(tmp_path / f"ds/key={value}/x.parquet")
    told = {str(file.path.parent.name): file.keys for file in files.listed(tmp_path / "ds").files}
    assert [told[f"key={value}"]["key"] for value in values] == found
    assert set(store.read_frame(tmp_path / "ds")["key"].dropna()) == set(found) - {None}


def test_the_cells_of_our_layout_are_no_column(tmp_path):
    for cell in ("q0231", "q231", "q"):
        put(tmp_path / f"ds/cell={cell}/part-0.parquet")
    assert list(store.read_frame(tmp_path / "ds").columns) == ["id", "geometry"]


def test_what_has_no_frames_is_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("x")
    with pytest.raises(FileError, match=r"empty contains no file with a frame \(it has no files\)"):
        files.listed(tmp_path / "empty")
    with pytest.raises(FileError, match=r"notes contains no file with a frame \(it has 1 other file, such as a.txt\)"):
        files.listed(tmp_path / "notes")
    with pytest.raises(FileError, match="a pattern that no file matches"):
        files.listed(tmp_path / "x*.parquet")
    with pytest.raises(FileError, match="does not exist"):
        files.listed([tmp_path / "no.parquet"])
    with pytest.raises(InputError):
        files.listed([])
    store.write_frame(frame(), tmp_path / "notes/a.csv")
    assert names(tmp_path / "notes") == ["a.csv"]
    store.write_frame(frame(), tmp_path / "notes/a.gpkg")
    with pytest.raises(FileError, match=r"several formats: \.csv, \.gpkg"):
        files.listed(tmp_path / "notes")


def test_other_formats_beside_geoparquet_are_said(tmp_path, caplog):
    put(tmp_path / "a.parquet")
    put(tmp_path / "a.gpkg")
    assert names(tmp_path) == ["a.parquet"]
    assert "1 file of another format is passed over, such as a.gpkg" in caplog.text


def indexed(folder, boxes):
    """Write a dataset of a file for each box, in its corners; return its folder."""
    parts = []
    for number, (west, south, east, north) in enumerate(boxes):
        corners = gpd.GeoDataFrame(
            {"id": [2 * number, 2 * number + 1]}, geometry=gpd.points_from_xy([west, east], [south, north]), crs=4326
        )
        path = folder / f"cell=q{number}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        store.write_frame(corners, path)
        parts.append(
            Part(
                f"{number}",
                f"cell=q{number}/part-0.parquet",
                2,
                1,
                path.stat().st_size,
                west,
                south,
                east,
                north,
                2 * number,
                2 * number + 1,
                None,
                None,
                "0" * 64,
            )
        )
    write_index(Index(tuple(parts), np.arange(len(parts)), np.full(len(parts), 2)), layout.index_of(folder))
    return folder


def test_files_are_left_out_by_the_index(tmp_path):
    folder = indexed(tmp_path / "ds", [(0, 0, 1, 1), (10, 10, 11, 11), (-180, 0, 180, 1)])
    listing = files.listed(folder)
    assert listing.files[1].bounds == (10, 10, 11, 11)
    near = lambda *box: [file.name[6:7] for file in listing.near(box).files]
    assert near(0.5, 0.5, 0.6, 0.6) == ["0", "2"]
    assert near(10.5, 10.5, 10.6, 10.6) == ["1"]
    assert near(170, -5, -170, 5) == ["2"]
    assert near(50, 50, 51, 51) == ["0"]
    (folder / "cell=q1/part-0.parquet").write_bytes(os.urandom(files.listed(folder).files[1].part.bytes))
    assert len(store.read_frame(folder, bbox=(0, 0, 1, 1))) == 2
    assert len(store.read_frame(folder, bbox=(50, 50, 51, 51))) == 0
    with pytest.raises(FormatError, match="damaged"):
        store.read_frame(folder)


def test_an_index_that_contradicts_its_folder_is_refused(tmp_path):
    folder = indexed(tmp_path / "ds", [(0, 0, 1, 1), (10, 10, 11, 11)])
    assert len(store.read_frame(folder)) == 4
    with pytest.raises(FileError, match="is the index of a dataset"):
        store.read_frame([layout.index_of(folder), folder])
    (folder / "cell=q2").mkdir()
    put(tmp_path / "other.parquet")
    (tmp_path / "other.parquet").rename(folder / "cell=q2/part-0.parquet")
    with pytest.raises(FormatError, match=r"ds has cell=q2/part-0.parquet, which ds.partitions.parquet does not name"):
        store.read_frame(folder)
    (folder / "cell=q2/part-0.parquet").rename(folder / "cell=q1/part-0.parquet")
    with pytest.raises(FormatError, match=r"cell=q1/part-0.parquet of ds has"):
        store.read_frame(folder)
    (folder / "cell=q1/part-0.parquet").unlink()
    with pytest.raises(FormatError, match=r"names cell=q1/part-0.parquet, which ds does not have"):
        store.read_frame(folder)


@needs_unix("functions of Unix")
def test_a_pipe_in_a_folder_is_refused(tmp_path):
    put(tmp_path / "a.parquet")
    os.mkfifo(tmp_path / "b.parquet")
    with pytest.raises(FileError, match=r"b\.parquet is a pipe or a device"):
        files.listed(tmp_path)


@needs_symlinks
def test_a_link_that_leads_nowhere_is_told(tmp_path):
    put(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").symlink_to(tmp_path / "gone")
    with pytest.raises(FileError, match=r"b\.parquet does not exist"):
        store.read_frame(tmp_path)
