"""A table of text that is read some rows at a time gives the rows, dtypes and errors of one that is read whole."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import store
from mlygeo.errors import FormatError, MlygeoError
from mlygeo.store import long_tables
from mlygeo.store.datasets import sources

NUMBERS = [
    "1",
    "-7",
    "2.5",
    "1e3",
    "9.99017E+14",
    "007",
    "9223372036854775807",
    "9223372036854775808",
    "1,5",
    "inf",
    "",
]
TIMES = ["2024-05-01", "2024-02-30", "2024-05-01T10:00:00Z", "2024-05-01 10:00:00.123456", "2024-05-01T10:00:00+02:00"]
WORDS = ["a", "true", "FALSE", "NA", "nan", "", '"x"', '"=1+2"', '"\'=1"', "zwölf", '"two\nlines"', '"a ""b"""', '""']
IDS = ["5", "900719925474099312", '"12"', '"007"', "7a", "4d7c1d3e-0000-4000-8000-000000000001", "1.5E+14", ""]
PLACES = ["9.5", "48", "-0.25", "179.9", "", "nan", "9,5", '"8"']
ODD_PLACES = ["x", "1000", "NA"]
SHAPES = ["POINT (9 48)", "POINT EMPTY", '"POINT (9 48)"', "", "POINT (9", "point(1 2)", "nothing", '"POINT (9 480)"']


def columns_of(kinds):
    """Strategies of cells: most columns have one form, so that types are found, and some have an odd cell."""
    return st.lists(st.sampled_from(kinds), min_size=1, max_size=3, unique=True)


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 12))
    has_shapes, separator = draw(st.booleans()), draw(st.sampled_from([",", ",", ";", "\t"]))
    cells = {
        "id": draw(columns_of(IDS)), "value": draw(columns_of(NUMBERS)), "when": draw(columns_of(TIMES)),
        "word": draw(columns_of(WORDS)), "any": draw(columns_of(NUMBERS + TIMES + WORDS)),
    }  # fmt: skip
    if draw(st.booleans()):
        cells["creator_id"] = draw(columns_of(IDS))
    if draw(st.booleans()):
        cells["provider"] = draw(columns_of(["mapillary", "panoramax", "Mapillary ", ""]))
    places = draw(columns_of(PLACES + (ODD_PLACES if draw(st.integers(0, 4)) == 0 else [])))
    if not has_shapes or draw(st.booleans()):
        cells |= {"lon": places, "lat": places}
    if has_shapes:
        cells["geometry"] = draw(columns_of(SHAPES))
    if draw(st.integers(0, 3)) == 0:
        cells["longitude"] = places
    head = list(draw(st.permutations(list(cells))))
    quoted = draw(st.sampled_from([(), (), tuple(head), (head[0],)]))
    lines = [separator.join(f'"{name}"' if name in quoted else name for name in head)]
    for _ in range(rows):
        row = [draw(st.sampled_from(cells[name])) for name in head]
        lines.append(separator.join(f'"{cell}"' if separator in cell and '"' not in cell else cell for cell in row))
    text = draw(st.sampled_from(["", "", "\n", "\ufeff"])) + draw(st.sampled_from(["\n", "\r\n"])).join(lines) + "\n"
    return text, draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "latin-1", "utf-16"]))


def facts(read, caplog):
    """Return what comes of reading, and what was said."""
    caplog.clear()
    try:
        found = read()
    except MlygeoError as error:
        return type(error), f"{type(error).__name__}: {error}", error.hint, []
    return found, None, None, sorted(record.getMessage() for record in caplog.records if record.levelno > 20)


@given(table=tables(), block=st.sampled_from([40, 100, 1 << 20]), at_once=st.sampled_from([1, 3, 1000]))
@settings(
    deadline=None,
    max_examples=250,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_rows_at_a_time_are_those_of_the_whole(caplog, table, block, at_once):
    text, encoding = table
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_tables, "BLOCK", block)
        patch.setattr(long_tables, "ROWS_AT_ONCE", at_once)
        path = Path(folder) / "rows.csv"
        path.write_bytes(text.encode(encoding, errors="replace"))

        def in_pieces():
            long = long_tables.LongTable(path, Path(folder))
            pieces = list(long.frames())
            for piece in pieces:
                for other in pieces:
                    assert [*piece.columns] == [*other.columns]
            whole = pd.concat([piece for piece in pieces if len(piece)] or pieces[:1], ignore_index=True)
            whole.attrs = dict(long.attrs)
            return whole

        expected = facts(lambda: store.read_frame(path), caplog)
        found = facts(in_pieces, caplog)
        assert found[1] == expected[1]
        if "no longitude and latitude" not in str(found[1]):  # whether swapped, all tell
            assert found[2:] == expected[2:]
        if expected[1] is None:
            dtypes = {name: str(dtype) for name, dtype in found[0].dtypes.items()}
            assert dtypes == {name: str(dtype) for name, dtype in expected[0].dtypes.items()}
            pd.testing.assert_frame_equal(
                pd.DataFrame(found[0].drop(columns=found[0].geometry.name)),
                pd.DataFrame(expected[0].drop(columns=expected[0].geometry.name)), check_exact=True,
            )  # fmt: skip
            assert found[0].geometry.to_wkb().tolist() == expected[0].geometry.to_wkb().tolist()
            assert found[0].attrs.get("in_doubt") == expected[0].attrs.get("in_doubt")


@pytest.mark.parametrize("block", [40, 1 << 20])
@pytest.mark.parametrize("end", ["", "\n", "\r\n\n"])
def test_a_quote_that_is_not_closed_is_no_text_of_all_rows_after_it(tmp_path, monkeypatch, block, end):
    monkeypatch.setattr(long_tables, "BLOCK", block)
    lines = ["lon,lat,word", *(f"9,48,{number}" for number in range(20))]
    path = tmp_path / "rows.csv"
    lines[8] = '9,48,"two\nlines"'
    path.write_text("\n".join([*lines, '9,48,"last\nline"']) + end)
    assert len(store.read_frame(path)) == sum(map(len, long_tables.LongTable(path, tmp_path).frames())) == 21
    lines[12] = '9,48,"twelve'
    path.write_text("\n".join(lines) + end)
    for read in (store.read_frame, lambda path: long_tables.LongTable(path, tmp_path)):
        with pytest.raises(FormatError, match="a quote in row 12 is not closed"):
            read(path)


@pytest.mark.parametrize("quotes", ['"', ""])
def test_a_dataset_of_a_long_table_has_the_bytes_of_a_short_one(tmp_path, monkeypatch, quotes):
    lines = [f"{quotes}{10**15 + number}{quotes},{9 + number / 1000},48.5,2024-05-01T10:00:{number % 60:02d}Z,"
             f"{'' if number % 7 else number}" for number in range(500)]  # fmt: skip
    path = tmp_path / "images.csv"
    path.write_text("\n".join(["id,lon,lat,captured_at,width", *lines, lines[3]]) + "\n")
    mlygeo.partition(path, tmp_path / "short", rows_per_part=100)
    monkeypatch.setattr(sources, "LONG_BYTES", 0)
    monkeypatch.setattr(long_tables, "BLOCK", 1000)
    monkeypatch.setattr(long_tables, "ROWS_AT_ONCE", 90)
    mlygeo.partition(path, tmp_path / "long", rows_per_part=100)
    short, long = (
        {file.relative_to(top).as_posix(): file.read_bytes() for file in top.rglob("*.parquet")}
        for top in (tmp_path / "short", tmp_path / "long")
    )
    assert short == long
    assert len(short) > 3
    assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith(".")) == []
