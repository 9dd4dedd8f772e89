"""Whole pictures and others: the walk over a JPEG against Pillow's decoder, over every cut and many changes."""

import io
import random
import warnings

import numpy as np
import pytest
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from mlygeo.downloads import check
from mlygeo.downloads.check import BombError, check_picture
from mlygeo.errors import FormatError


def picture(*, progressive=False, mode="RGB", size=(67, 41), **options):
    rng = np.random.default_rng(7)
    bands = {"RGB": (3,), "L": (), "CMYK": (4,)}[mode]
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], *bands), dtype=np.uint8), mode=mode) if mode != "CMYK" \
        else Image.frombytes("CMYK", size, rng.integers(0, 256, size[0] * size[1] * 4, dtype=np.uint8).tobytes())  # fmt: skip
    written = io.BytesIO()
    image.save(written, "JPEG", progressive=progressive, **options)
    return written.getvalue()


KINDS = {
    "baseline": picture(),
    "progressive": picture(progressive=True),
    "grey": picture(mode="L"),
    "CMYK": picture(mode="CMYK"),
    "restarts": picture(restart_marker_blocks=2),
    "optimised": picture(optimize=True, quality=20),
    "with EXIF and ICC": picture(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", icc_profile=bytes(70_000)),
    "with a comment that looks like an end": picture(comment=b"\xff\xd9\xff\xda\xff\xd8"),
}


def decodes(content):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, which does not touch the picture
            with JpegImagePlugin.JpegImageFile(io.BytesIO(content)) as image:
                image.load()
    except Exception:  # noqa: BLE001 - whatever Pillow raises, it does not decode
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_whole_pictures(kind):
    found = check_picture(KINDS[kind])
    assert (found.format, found.width, found.height) == ("jpg", 67, 41)
    assert check._walk(KINDS[kind]) == (67, 41)  # without the decoder's help


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_cut_anywhere_is_not_whole(kind):
    content = KINDS[kind]
    step = max(1, len(content) // 700)
    for length in [*range(0, len(content), step), *range(len(content) - 40, len(content))]:
        with pytest.raises(FormatError):
            check_picture(content[:length])


def test_cut_at_the_end_of_the_thumbnail_inside():
    """The cut picture then ends as a whole one does."""
    thumbnail = picture(size=(16, 12))
    content = picture(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail)
    end = content.index(thumbnail) + len(thumbnail)
    assert content[:end].endswith(b"\xff\xd9")
    with pytest.raises(FormatError, match="cut short"):
        check_picture(content[:end])


def test_what_passes_can_be_decoded():
    """Headers that were changed in many places, always the same: whatever the walk lets pass, Pillow decodes."""
    chance, passed = random.Random(1), 0
    for _ in range(2000):
        kind = chance.choice(sorted(KINDS))
        content = bytearray(KINDS[kind])
        start = content.index(b"\xff\xda") + 14
        places = {chance.randint(2, start): chance.randint(0, 255) for _ in range(chance.randint(1, 3))}
        for place, value in places.items():
            content[place] = value
        try:
            check_picture(bytes(content))
        except FormatError:
            continue
        passed += 1
        assert decodes(bytes(content)), (kind, places)
    assert passed > 100


def test_a_restart_interval_of_the_wrong_length():
    content = bytearray(KINDS["with EXIF and ICC"])
    content[content.index(b"ICC_PROFILE") - 3] = 0xDD
    with pytest.raises(FormatError, match="damaged"):
        check_picture(bytes(content))


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_give_a_verdict(content):
    for start in (b"", b"\xff\xd8\xff"):
        try:
            check_picture(start + content)
        except FormatError:
            continue
        assert decodes(start + content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html>", "a web page"),
        (b'  {"error": 1}', "a JSON text"),
        (b"\x89PNG\r\n", "a PNG"),
        (b"RIFF0000WEBPVP8 ", "a WebP"),
        (b"\xff\xd8\xff\xd9", "holds no picture"),
        (b"hello", "something else"),
    ],
)
def test_what_it_is_instead(content, words):
    with pytest.raises(FormatError, match=words):
        check_picture(content)


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_decompression_bombs(kind):
    content = bytearray(KINDS[kind])
    place = content.index(b"\xff\xc0" if kind == "baseline" else b"\xff\xc2") + 5
    content[place : place + 4] = (65_500).to_bytes(2, "big") * 2
    with pytest.raises(BombError, match="65,500 x 65,500"):
        check_picture(bytes(content))


def test_more_after_the_end():
    """Cameras pad with zeros, and append pictures of their own; a second half of nothing is no harm."""
    content = KINDS["baseline"]
    assert check_picture(content + bytes(1000)).width == 67
    assert check_picture(content + KINDS["progressive"]).width == 67


def test_webp():
    written = io.BytesIO()
    Image.open(io.BytesIO(KINDS["baseline"])).save(written, "WEBP")
    content = written.getvalue()
    assert check_picture(content, format="webp").height == 41
    for broken in (content[: len(content) // 2], b"", KINDS["baseline"], b"RIFF"):
        with pytest.raises(FormatError):
            check_picture(broken, format="webp")
    with pytest.raises(FormatError, match="a WebP"):
        check_picture(content)


def test_pictures_of_the_examples():
    for path in DATA.rglob("*.jpg"):
        content = path.read_bytes()
        try:
            check_picture(content)
            whole = True
        except FormatError:
            whole = False
        assert not whole or decodes(content), path.name
