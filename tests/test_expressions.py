"""Conditions as text: SQLite's answers to random ones, every kind of column, and what cannot be understood."""

import datetime as dt
import functools
import sqlite3

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import expressions, filter_images
from mlygeo.errors import FrameError, InputError

ROWS = 40


def table_of(seed):
    """Columns of each kind with gaps, among them numbers that no double holds."""
    rng = np.random.default_rng(seed)

    def gaps(values):
        return [None if gone else value for value, gone in zip(values, rng.random(ROWS) < 0.2, strict=True)]

    return {
        "whole": pa.array(gaps((2**60 + rng.integers(-2, 3, ROWS)).tolist()), pa.int64()),
        "small": pa.array(gaps(rng.integers(0, 5, ROWS).tolist()), pa.uint8()),
        "real": pa.array(gaps(rng.choice([-2.0, -0.5, 0, 0.5, 1, 2.5, 2.0**60, 2.0**60 + 256], ROWS)), pa.float64()),
        "word": pa.array(gaps(rng.choice(["a", "b", "ä", "it's", ""], ROWS).tolist()), pa.string()),
        "flag": pa.array(gaps((rng.random(ROWS) < 0.5).tolist()), pa.bool_()),
    }


def series_of(table):
    return {name: pd.Series(values.to_pandas(types_mapper=pd.ArrowDtype)) for name, values in table.items()}


NUMBERS = st.sampled_from(["0", "1", "-1", "2.5", "-0.5", ".5", "1e0", str(2**60), str(2**60 + 1), "300", "-3"])
TEXTS = st.sampled_from(["'a'", "'b'", "'ä'", "'it''s'", "''", "'z'"])
COMPARED = st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="])
NUMERIC = st.sampled_from(["whole", "small", "real"])


def listed(values):
    return st.lists(values, min_size=1, max_size=3).map(lambda chosen: f"({', '.join(chosen)})")


def words(*parts):
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(" ".join)


TESTS = st.one_of(
    words(NUMERIC, COMPARED, NUMBERS),
    words(NUMBERS, COMPARED, NUMERIC),
    words("word", COMPARED, TEXTS),
    words(NUMERIC, st.sampled_from(["in", "not in"]), listed(NUMBERS)),
    words("word", st.sampled_from(["in", "not in"]), listed(TEXTS)),
    words(st.sampled_from(["whole", "real", "word", "flag"]), st.sampled_from(["is null", "is not null"])),
    words("flag", st.sampled_from(["=", "!="]), st.sampled_from(["true", "false", "TRUE"])),
    words("small", COMPARED, "real"),
    words("word", COMPARED, "word"),
    st.just("flag"),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(words(inner, st.sampled_from(["and", "or", "AND"]), inner), words("not (", inner, ")"), words("(", inner, ")")),
    max_leaves=8,
)  # fmt: skip


@functools.cache
def held(seed):
    """Columns, and the same as a table of SQLite, which compares whole numbers with fractions exactly."""
    table = table_of(seed)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(f"CREATE TABLE rows_of_table ({', '.join(table)})")
    places = ", ".join("?" * len(table))
    connection.executemany(
        f"INSERT INTO rows_of_table VALUES ({places})", zip(*(each.to_pylist() for each in table.values()), strict=True)
    )
    return series_of(table), connection


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, st.integers(0, 3))
def test_a_condition_has_the_answer_of_sqlite(text, seed):
    columns, connection = held(seed)
    met, unknown = expressions.parse(text).answer(columns)
    found = connection.execute(f"SELECT ({text}) FROM rows_of_table ORDER BY rowid").fetchall()
    assert np.where(unknown, None, met).tolist() == [None if value is None else bool(value) for (value,) in found]


def answers(text, **columns):
    met, unknown = expressions.parse(text).answer({name: pd.Series(values) for name, values in columns.items()})
    return [None if gap else bool(is_met) for is_met, gap in zip(met, unknown, strict=True)]


def test_nan_is_unknown_and_infinity_is_a_number():
    assert answers("x > 1", x=[2.0, 0.0, np.nan, np.inf]) == [True, False, None, True]
    assert answers("x > 1 or y", x=[np.nan, np.nan], y=[True, False]) == [True, None]
    assert answers("not x > 1", x=[np.nan, 0.0]) == [None, True]


def test_single_precision_is_compared_as_it_is():
    assert answers("x = 0.1", x=pd.Series([0.1], dtype="float32")) == [False]
    assert answers("x = 0.5", x=pd.Series([0.5], dtype="float32")) == [True]


TIMES = pd.to_datetime(
    ["2024-05-31T23:59:59.999Z", "2024-06-01T00:00:00Z", "2024-06-30T23:59:59Z", "2024-07-01T00:00:00Z", None],
    utc=True,
    format="ISO8601",
)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t >= '2024-06'", [False, True, True, True]),
        ("t > '2024-06'", [False, False, False, True]),
        ("t < '2024-06'", [True, False, False, False]),
        ("t <= '2024-06'", [True, True, True, False]),
        ("t = '2024-06'", [False, True, True, False]),
        ("t != '2024-06'", [True, False, False, True]),
        ("t in ('2024-05', '2024-07-01')", [True, False, False, True]),
        ("t = '2024-06-01T00:00:00Z'", [False, True, False, False]),
        ("t > '2024-06-01T02:00:00+02:00'", [False, False, True, True]),
        ("t <= '2024-06-01T00:00:00Z'", [True, True, False, False]),
    ],
)
def test_times_compare_with_moments_and_with_whole_periods(unit, text, expected):
    times = pd.Series(TIMES).dt.as_unit(unit)
    assert answers(text, t=times) == [*expected, None]


def test_dates_and_other_zones_are_times():
    assert answers("t >= '2024-06'", t=[dt.date(2024, 5, 31), dt.date(2024, 6, 1), None]) == [False, True, None]
    there = pd.Series(pd.to_datetime(["2024-06-01T00:30"])).dt.tz_localize("Europe/Berlin")
    assert answers("t >= '2024-06'", t=there) == [False]


def test_ids_compare_as_numbers_and_as_text():
    for ids in ([5, 12], ["5", "12"]):
        assert answers("id = 12", id=ids) == [False, True]
        assert answers("id in ('5', '7')", id=ids) == [True, False]


def test_categories_and_objects_compare_as_their_values():
    assert answers("make = 'b'", make=pd.Series(["a", "b", None], dtype="category")) == [False, True, None]
    assert answers("flag", flag=pd.Series([True, None, False], dtype=object)) == [True, None, False]


def test_columns_of_any_name_and_texts_of_any_quotes():
    assert answers("[my column] > 1 and [true]", **{"my column": [2, 0], "true": [True, True]}) == [True, False]
    assert answers("""w = "it's" """, w=["it's", "b"]) == [True, False]
    assert answers("""w = 'say ""x""' or w = "a ""b"" c" """, w=['a "b" c', "x"]) == [True, False]
    assert answers("größe:2.x >= 1", **{"größe:2.x": [1]}) == [True]


def test_white_space_in_quotes_and_brackets_is_part_of_the_name():
    condition = expressions.parse(""" make  =\n'Go  "Pro'  and [my  column]  > 1 """)
    assert condition.text == """make = 'Go  "Pro' and [my  column] > 1"""
    assert expressions.parse(condition.text).node == condition.node
    assert answers("make = 'a  b'", make=["a b", "a  b"]) == [False, True]


def test_nan_beside_a_mask_is_unknown():
    values = pd.Series(pd.array([0.0, 1.0, None], dtype="Float64")) / 0
    assert answers("not x > 1", x=values) == [None, False, None]
    assert answers("x is null", x=values) == [True, False, True]


def test_any_column_can_be_unknown():
    lists = pd.Series([[0.7, 0.0], None, [0.5]])
    assert answers("x is not null", x=lists) == [True, False, True]
    assert answers("x is null", x=pd.Series([1, "a", None], dtype=object)) == [False, False, True]
    assert answers("x is null", x=pd.to_timedelta([1, None], unit="s")) == [False, True]
    with pytest.raises(FrameError, match="cannot be compared"):
        answers("x > 1 or x is null", x=lists)


def test_the_geometry_is_no_column_as_in_datasets(images):
    for text in ("geometry is null", "geometry = 1"):
        with pytest.raises(FrameError, match="column 'geometry'"):
            filter_images(images, where=text)


def test_columns_that_are_empty_throughout_are_unknown():
    assert answers("x > 1 or x = y", x=[None, None], y=[1, 2]) == [None, None]
    assert answers("x is null", x=[None, 1]) == [True, False]


def test_no_row_has_no_answer():
    assert answers("x > 1", x=pd.Series([], dtype="float64")) == []


@pytest.mark.parametrize(
    "text",
    ["", " ", "blur >=", ">= 1", "blur > 1 and", "blur > 1 blur < 2", "(blur > 1", "blur > 1)", "blur in ()", "blur in (a)", "blur in 1",
     "1 = 1", "'a'", "true", "not", "blur is 5", "blur not null", "__import__('os')", "blur; drop", "blur > 1e999", "blur = 'a",
     "a.b() > 1", "blur > $x", "x" * 100 + " >", "(" * 60 + "x" + ")" * 60, "blur > 1x", "blur + 1 > 2", "blur > 0x10"],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused_in_a_line(text):
    with pytest.raises(InputError, match="`where`") as refused:
        expressions.parse(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1 ()'\"<>=!,.[]-e" + "nortisul", max_size=40))
def test_any_text_is_a_condition_or_an_error(text):
    try:
        found = expressions.parse(text)
    except InputError:
        return
    assert found.columns


def test_the_error_names_the_place():
    with pytest.raises(InputError, match=r"at '\) or pano': expected 'null'"):
        expressions.parse("(blur is ) or pano")
    with pytest.raises(InputError, match=r"at its end: expected a column or a value"):
        expressions.parse("blur >")


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("x > 'a'", [1.5], "has numbers, and cannot be compared with 'a'"),
        ("x > 1", ["a"], "has text, and cannot be compared with 1"),
        ("x", [1], "has numbers, and cannot be compared with true"),
        ("x > true", [True], "has true or false, and cannot be compared with true"),
        ("x = 1", [True], "has true or false, and cannot be compared with 1"),
        ("x > 1", list(TIMES), "has times, and cannot be compared with 1"),
        ("x > 1", [[1], [2]], "is list<"),
        ("x > 1", [1, "a"], "is of several kinds of values"),
        ("x > '2024'", [pd.Timestamp("2024-01-01")], "is timestamp"),
    ],
)
def test_a_value_that_does_not_suit_its_column_is_refused(text, column, says):
    with pytest.raises(FrameError, match="`where`: column 'x'") as refused:
        answers(text, x=column)
    assert says in str(refused.value)


def test_columns_of_two_kinds_do_not_compare():
    with pytest.raises(FrameError, match="do not compare"):
        answers("x = y", x=[1], y=["a"])


def test_a_time_that_is_none_is_refused():
    with pytest.raises(InputError, match="`where`"):
        answers("x > 'soon'", x=TIMES)


@pytest.fixture
def measured(images):
    values = np.arange(len(images), dtype=float)
    values[:10] = np.nan
    return images.assign(blur=values)


def test_images_are_filtered_by_any_column_and_gaps_are_said(measured, caplog):
    found = filter_images(measured, where="blur >= 100 and is_pano")
    assert found.index.tolist() == measured.index[(measured["blur"] >= 100) & measured["is_pano"]].tolist()
    undecided = int(measured["is_pano"].iloc[:10].sum())
    assert caplog.messages == [
        f"{undecided} of {len(measured)} images have no blur, and the filters leave them out"
    ] * bool(undecided)


def test_white_space_in_a_text_is_not_lost_on_the_way(measured):
    made = measured.assign(make=["Go  Pro", "Go Pro"] * (len(measured) // 2) + ["x"] * (len(measured) % 2))
    assert set(filter_images(made, where="make = 'Go  Pro'")["make"]) == {"Go  Pro"}


def test_photos_of_ones_own_are_filtered_too(measured):
    """They may have no ids, and nobody says who took them."""
    photos = measured.drop(columns=["creator_id", "organization_id"]).assign(
        id=pd.array([None] * len(measured), "Int64")
    )
    found = filter_images(photos, where="blur >= 100 and id is null")
    assert found.index.tolist() == filter_images(measured, where="blur >= 100").index.tolist()
    with pytest.raises(FrameError, match="creator_id"):
        filter_images(photos, creator=5)


def test_where_joins_the_other_filters(measured):
    both = filter_images(measured, pano=True, where="blur < 200")
    assert both.equals(filter_images(filter_images(measured, where="blur < 200"), pano=True))


def test_a_column_that_is_not_there_is_named(images):
    with pytest.raises(FrameError, match="these images have no column 'blur', which the filters ask for"):
        filter_images(images, where="blur > 1")
    with pytest.raises(FrameError, match="'A', which") as caught:
        filter_images(images, where="sequence_id = A")
    assert caught.value.hint.endswith("; in `where`, put text in quotes")


def test_the_frame_is_not_changed(measured):
    before = measured.copy()
    filter_images(measured, where="blur > 1 and compass_angle is not null")
    assert isinstance(measured, gpd.GeoDataFrame)
    pd.testing.assert_frame_equal(measured, before)
