"""Numbers of GeoJSON that 64 bits cannot hold: refused by name, in short and long files alike."""

from __future__ import annotations

import json

import pytest

from mlygeo import store
from mlygeo.errors import FormatError
from mlygeo.store import json_numbers, long_layers

POINT = '{"type": "Point", "coordinates": [9, 48]}'


def feature(value="1", geometry=POINT, more=""):
    return f'{{"type": "Feature", {more}"properties": {{"a": {value}}}, "geometry": {geometry}}}'


def written(folder, ending, *features):
    path = folder / f"rows{ending}"
    collection = f'{{"type": "FeatureCollection", "features": [{", ".join(features)}]}}'
    path.write_text(collection if ending == ".geojson" else "\n".join(features) + "\n")
    return path


def long(path, folder):
    (folder / "copy").mkdir()
    return long_layers.LongLayer.of(path, None, folder / "copy")


REFUSED = {
    "1e400": feature("1e400"),
    "-1e400": feature("-1e400"),
    "1.8E+308": feature("1.8E+308"),
    "1e-400": feature('{"b": [1.5, 1e-400]}'),
    "1e0400": feature("1e0400"),
    "1e500": feature(geometry='{"type": "Point", "coordinates": [9, 48, 1e500]}'),
    "2e999": feature(more='"id": 2e999, '),
    "100000000000000000000000000000… of 400 letters": feature("1" + "0" * 399),
    "100000000000000000000000000000… of 401 letters": feature("1" + "0" * 398 + ".5"),
}


@pytest.mark.parametrize("ending", [".geojson", ".geojsonl"])
@pytest.mark.parametrize("number", REFUSED)
def test_what_no_float_holds_is_refused_by_name(tmp_path, number, ending):
    path = written(tmp_path, ending, feature(), REFUSED[number])
    for read in (store.read_frame, lambda path: long(path, tmp_path)):
        with pytest.raises(FormatError) as raised:
            read(path)
        assert str(raised.value) == f"{path.name} has the number {number}, which 64 bits cannot hold"


def test_whole_numbers_beyond_64_bits_are_not_changed_in_silence(tmp_path):
    """In lines GDAL makes the largest number that it knows of them."""
    path = written(tmp_path, ".geojsonl", feature(), feature('{"b": [9223372036854775808]}'))
    with pytest.raises(FormatError, match="the number 9223372036854775808, which"):
        store.read_frame(path)
    with pytest.raises(FormatError, match="the number 9223372036854775808, which"):
        long(path, tmp_path)
    path = written(tmp_path, ".geojsonl", feature("9223372036854775807"), feature(more='"id": 12345678901234567890, '))
    assert store.read_frame(path)["a"].tolist() == [9223372036854775807, 1]


@pytest.mark.parametrize("ending", [".geojson", ".geojsonl"])
@pytest.mark.parametrize(
    "value",
    ["1.7976931348623157e308", "2.3e-308", "0e400", "0.0E-999", "1e-005", "1e0000", "1.5", json.dumps('", 1e400,')],
)
def test_all_others_are_read(tmp_path, value, ending):
    path = written(tmp_path, ending, feature(value))
    assert store.read_frame(path)["a"].tolist() == [json.loads(value)]
    assert [row["a"].tolist() for row in long(path, tmp_path).frames()] == [[json.loads(value)]]


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("value", ["1e400", json.dumps('a\\"b, 1e400,'), json.dumps("x" * 90 + ", 1e400 ,")])
def test_pieces_may_end_anywhere(tmp_path, monkeypatch, piece, value):
    path = written(tmp_path, ".geojson", feature(value), feature("2"))
    monkeypatch.setattr(json_numbers, "PIECE", piece)
    if value == "1e400":
        with pytest.raises(FormatError, match="1e400"):
            json_numbers.check(path)
    else:
        json_numbers.check(path)


@pytest.mark.parametrize("count", [1, 2, 18, 19, 20, 309, 400])
def test_digits_that_follow_each_other(count):
    for there in (count - 1, count, count + 1):
        for around in (b"", b" ", b"x" * 40):
            assert json_numbers.has_many_digits(around + b"7" * there + around, count) is (there >= count)
