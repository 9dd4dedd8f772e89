"""Where a box is, in words."""

from __future__ import annotations

import pytest

from mlygeo.spatial import boxes


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((9.16, 48.76, 9.18, 48.78), "48.76–48.78°N, 9.16–9.18°E, 1.5 km by 2.2 km"),
        ((170.0, -20.0, -170.0, 10.0), "20°S–10°N, 170°E–170°W, 2,200 km by 3,300 km"),
        ((-180.0, -90.0, 180.0, 90.0), "90°S–90°N, 180°W–180°E, 40,000 km by 20,000 km"),
        ((-0.0001, -1.0, 0.0, -0.9999), "1–0.9999°S, 0.0001–0°W, 11 m by 11 m"),
    ],
)
def test_a_box_in_words(bounds, text):
    assert boxes.place(bounds) == text


@pytest.mark.parametrize(
    ("bounds", "meant"),
    [
        ((48.76, 9.16, 48.78, 9.18), (9.16, 48.76, 9.18, 48.78)),
        ((100.0, 9.0, 101.0, 10.0), None),
        ((170.0, -20.0, -170.0, 10.0), None),
    ],
)
def test_what_may_be_meant(bounds, meant):
    assert boxes.exchanged(bounds) == meant
