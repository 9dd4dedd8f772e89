"""The walk over the segments of a JPEG file: one answer, whoever asks it, whole files and rubbish between segments."""

import io
import random
from itertools import pairwise

import pytest
from conftest import DATA

from mlygeo.downloads.check import check_picture
from mlygeo.errors import FormatError
from mlygeo.formats import exif, jpeg, tiff

PHOTOS = sorted((DATA / "photos").glob("*.jpg"))

FRAME = b"\xff\xc0\x00\x0b\x08\x00\x30\x00\x40\x01\x01\x11\x00"
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
COMMENT = b"\xff\xfe\x00\x05abc"


def in_pieces(content, first):
    """Walk over a file of which only the first bytes are in memory."""
    return list(jpeg.walk(content[:first], more=lambda position, size: content[position : position + size]))


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_a_file_read_in_pieces_has_the_same_segments(path):
    content = path.read_bytes()
    whole = list(jpeg.walk(content))
    assert whole[-1].marker == jpeg.SOS
    assert all(before.end == after.start for before, after in pairwise(whole))
    for first in (2, 3, 4, 100, 5000):
        assert in_pieces(content, first) == whole


@pytest.mark.parametrize(
    ("rubbish", "counted"),
    [
        (b"", 0),
        (b"\xff\xff\xff", 0),  # fill bytes, which belong to the next marker
        (b"\x00", 1),
        (b"abc\x00", 4),
        (b"\xff\x00", 2),  # a byte of image data, and no marker
        (b"\xff\x00\xff\xff", 4),
        (b"x\xff\x42\x00\x04", 5),  # a marker that the standard leaves free, among rubbish
        (b"x" * 5000, 5000),
    ],
)
def test_reading_and_rebuilding_pass_over_the_same_rubbish(rubbish, counted):
    content = b"\xff\xd8" + COMMENT + rubbish + FRAME + SCAN
    head, found = jpeg.read_head(io.BytesIO(content)), jpeg.layout(content)
    assert (head.width, head.height) == (found.width, found.height) == (64, 48)
    assert [segment.rubbish for segment in found.segments] == [0, counted]
    assert (head.problem is not None) == (counted > 0)
    assert in_pieces(content, 12) == list(jpeg.walk(content))


def test_no_bytes_make_a_walk_fail_or_go_back():
    random.seed(3)
    content = PHOTOS[0].read_bytes()[:3000]
    for _ in range(500):
        broken = bytearray(content)
        for _ in range(8):
            broken[random.randrange(2, len(broken))] = random.choice((0x00, 0x01, 0xD8, 0xE1, 0xFF))
        broken = bytes(broken[: random.randrange(2, len(broken))])
        segments = list(jpeg.walk(broken))
        assert all(before.start < after.start for before, after in pairwise(segments))
        assert in_pieces(broken, 64) == segments


def test_restart_markers_between_segments_are_the_decoders_to_judge(tmp_path):
    from PIL import Image

    made = io.BytesIO()
    Image.new("L", (16, 16)).save(made, "JPEG")
    content = made.getvalue()
    assert check_picture(content[:2] + b"\xff\xd0" + content[2:]).width == 16
    with pytest.raises(FormatError, match="cut short"):
        check_picture(content[:-2])


def test_one_number_is_one_tag():
    places = [(tag.directory, tag.number) for tag in exif.TABLE.values()]
    assert len(set(places)) == len(places)
    assert set(exif.TABLE) >= exif.READ


def test_sizes_of_values_are_those_of_the_specification():
    # TIFF 6.0, section 2; 13 (IFD): TIFF technical note 1; 129 (UTF-8): Exif 3.0
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
    assert sizes == tiff.SIZES
