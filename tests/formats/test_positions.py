"""Coordinates as text: understood in full, with their side, or not at all."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.formats import positions


@pytest.mark.parametrize(
    ("text", "axis", "ref", "expected"),
    [
        ("48.7758", "lat", None, 48.7758), ("-33.85", "lat", None, -33.85), ("\u221233.85", "lat", None, -33.85),
        ("48.7758°", "lat", None, 48.7758), ("33.85S", "lat", None, -33.85), ("s 33.85", "lat", None, -33.85),
        ("33.85 South", "lat", None, -33.85), ("33.85", "lat", "S", -33.85), ("-33.85", "lat", "S", -33.85),
        ("-33.85", "lat", "N", None), ("33.85S", "lat", "N", None), ("33.85E", "lat", None, None), ("33.85", "lat", "Q", None),
        ("9,17", "lon", None, 9.17), ("9,17E", "lon", None, None), ("48,7758N", "lat", None, 48.7758),
        ("53,21.5679N", "lat", None, 53.359465), ("53,21,34N", "lat", None, 53 + 21 / 60 + 34 / 3600),
        ("33 51 00S", "lat", None, -33.85), ("33°51\u203200\u2033S", "lat", None, -33.85), ("33º51'00\"S", "lat", None, -33.85),
        ("33°51'00''S", "lat", None, -33.85), ("33d51m00s", "lat", None, 33.85), ("33d51m00sS", "lat", None, -33.85),
        ("33D51M00S", "lat", None, None), ("33 51 00 s", "lat", None, None), ("9 10 00S", "lon", None, None),
        ("4807.038", "lat", None, None), ("4807.038N", "lat", None, None), ("0048.038", "lat", None, None),
        ("48.5 30", "lat", None, None), ("48 60", "lat", None, None), ("5e-05", "lat", None, 5e-05),
        ("1e1", "lat", None, None), ("1_0", "lat", None, None), ("91", "lat", None, None), ("181", "lon", None, None),
        ("-180", "lon", None, -180), ("", "lat", None, None), (None, "lat", None, None), ("north", "lat", None, None),
        ("\uff14\uff18.5", "lat", None, 48.5), ("48.7758 foo", "lat", None, None), ("N48.7758N", "lat", None, 48.7758),
    ],
)  # fmt: skip
def test_texts(text, axis, ref, expected):
    found = positions.from_text(text, axis, ref)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def oracle(text, axis, ref):
    """Return a coordinate of the plain forms, piece by piece; None for none; "?" for forms it does not know."""
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip()
    letters = {"lat": "NS", "lon": "EW"}[axis]
    sides = re.findall("[NSEW]", text) + ([ref] if ref else [])
    match = re.fullmatch(
        r"([NSEW]?) ?(-?)(\d+(?:\.\d+)?)(?:° ?(\d+(?:\.\d+)?)'(?: ?(\d+(?:\.\d+)?)\")?)? ?([NSEW]?)", text
    )
    if match is None:
        return "?"
    if len(match[3].split(".")[0]) > 3 or any(side not in letters for side in sides) or len(set(sides)) > 1:
        return None
    numbers = [float(match[at] or 0) for at in (3, 4, 5)]
    if max(numbers[1:]) >= 60 or (match[4] and "." in match[3]) or (match[5] and "." in match[4]):
        return None
    sign = -1 if match[2] or (sides and sides[0] == letters[1]) else 1
    if match[2] and sides and sides[0] == letters[0]:
        return None
    value = sign * (numbers[0] + numbers[1] / 60 + numbers[2] / 3600)
    return value if abs(value) <= positions.LIMIT[axis] else None


NUMBERS = st.one_of(
    st.integers(0, 200).map(str), st.integers(0, 20_000).map("{:04d}".format),
    st.integers(0, 200_000_000).map(lambda micro: f"{micro / 1e6:.6f}"),
)  # fmt: skip
SMALL = st.integers(0, 6100).map(lambda hundredth: f"{hundredth / 100:g}")
SIDES = st.sampled_from(["", "N", "S", "E", "W"])
TEXTS = st.builds(
    lambda before, sign, degrees, rest, space, behind: f"{before}{sign}{degrees}{rest}{space}{behind}",
    SIDES, st.sampled_from(["", "", "-", "\u2212"]), NUMBERS,
    st.one_of(st.just(""), SMALL.map("°{}'".format), st.tuples(SMALL, SMALL).map(lambda two: "°{}'{}\"".format(*two))),
    st.sampled_from(["", " "]), SIDES,
)  # fmt: skip


@given(TEXTS, st.sampled_from(["lat", "lon"]), st.sampled_from([None, None, "N", "S", "E", "W"]))
@settings(deadline=None, max_examples=1000)
def test_texts_as_a_plain_oracle_reads_them(text, axis, ref):
    expected = oracle(text, axis, ref)
    assert expected != "?"
    found = positions.from_text(text, axis, ref)
    assert (found is None) == (expected is None), (text, found, expected)
    assert expected is None or found == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.tuples(st.one_of(TEXTS, NUMBERS, st.text(max_size=5)), SIDES), max_size=6),
    st.booleans(),
    st.sampled_from(["lat", "lon"]),
)
@settings(deadline=None, max_examples=500)
def test_columns_are_their_texts(cells, with_sides, axis):
    texts, refs = [text.strip() for text, _ in cells], [ref for _, ref in cells]
    values = positions.from_texts(texts, axis, refs if with_sides else None)
    for text, ref, value in zip(texts, refs, values.tolist(), strict=True):
        expected = None if with_sides and not ref else positions.from_text(text, axis, ref if with_sides else None)
        if np.isfinite(value) and abs(value) <= positions.LIMIT[axis]:
            plain = float(text) if re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text, re.IGNORECASE) else None
            assert expected == pytest.approx(value, abs=1e-9) or (expected is None and plain is not None), (text, ref)
        else:
            assert expected is None, (text, ref, value)


@pytest.mark.parametrize(
    ("lon", "lat", "why"),
    [(0, 0, "(0, 0)"), (-0.0, 0.0, "(0, 0)"), (181, 0, "out of range"), (0, -90.1, "out of range"), (float("nan"), 1, "without a position"),
     (float("inf"), 1, "without a position"), (0, 1, None), (1, 0, None), (180, -90, None)],
)  # fmt: skip
def test_what_is_no_position(lon, lat, why):
    assert positions.why_none(lon, lat) == why
    assert positions.position(lon, lat) == (None if why else (lon, lat))
    placed, left_out = positions.possible(np.array([lon, 5.0]), np.array([lat, 5.0]))
    assert placed.tolist() == [why is None, True]
    assert left_out == ({why: 1} if why else {})
