import pytest

from mlygeo.formats.chapters import are_sides, named_chapter, original_of, possible_chapters


@pytest.mark.parametrize(
    ("stem", "recording", "number"),
    [
        ("GX010042", "GX0042", 0), ("GX020042", "GX0042", 1), ("GH110042", "GH0042", 10), ("GS020042", "GS0042", 1),
        ("gx020042", "GX0042", 1), ("GOPR0042", "GP0042", 0), ("GP010042", "GP0042", 1), ("GP110042", "GP0042", 11),
        ("GPFR0042", "GF0042", 0), ("GF010042", "GF0042", 1), ("GPBK0042", "GB0042", 0), ("GB020042", "GB0042", 2),
    ],
)  # fmt: skip
def test_names_of_gopros(stem, recording, number):
    assert named_chapter(stem) == (recording, number)


@pytest.mark.parametrize("stem", ["GX10042", "GX0100421", "IMG_0042", "DJI_0042", "XGX010042", ""])
def test_other_names(stem):
    assert named_chapter(stem) is None


def test_every_number_may_be_that_of_a_chapter():
    assert list(possible_chapters("VID_20240505_100000_00_002")) == [
        ("VID_20240505_#_00_002", 100000), ("VID_20240505_100000_#_002", 0), ("VID_20240505_100000_00_#", 2),
    ]  # fmt: skip


def test_low_resolution_copies():
    assert original_of("GL010042") == ("GH010042", "GX010042", "GS010042")
    assert original_of("GOPR0042") == ("GOPR0042",)
    assert original_of("LRV_20240505_100000_11_002") == ("VID_20240505_100000_11_002",)


def test_lenses_of_a_dashboard_camera():
    assert are_sides("20240505_100000_NF", "20240505_100000_NR")
    assert are_sides("2024_0505_100000_001F", "2024_0505_100000_001R")
    assert not are_sides("20240505_100000_NF", "20240505_100100_NR")
    assert not are_sides("a", "b")
