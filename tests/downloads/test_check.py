"""Whole pictures and others: the walk over a JPEG against Pillow's decoder, over every cut and many changes."""

import io
import random
import tracemalloc
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
    size, head = check._walk(KINDS[kind])  # without the decoder's help
    assert size == (67, 41)
    check._decode_head(head)


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


def changed(chance):
    """A picture with some bytes of its headers changed: its kind, where and to what, and the bytes."""
    kind = chance.choice(sorted(KINDS))
    content = bytearray(KINDS[kind])
    start = content.index(b"\xff\xda") + 14
    places = {chance.randint(2, start): chance.randint(0, 255) for _ in range(chance.randint(1, 3))}
    for place, value in places.items():
        content[place] = value
    return kind, places, bytes(content)


def test_what_passes_can_be_decoded():
    """Always the same changes: `benchmarks/bench_pictures.py` looks for others, for as long as one likes."""
    chance, passed = random.Random(1), 0
    for _ in range(2000):
        kind, places, content = changed(chance)
        try:
            check_picture(content)
        except FormatError:
            continue
        passed += 1
        assert decodes(content), (kind, places)
    assert passed > 100


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("baseline", 172, 49),  # found by chance: components of which the samples are no whole multiple of each other
        ("baseline", 175, 49),
        ("optimised", 172, 49),
        ("optimised", 175, 49),
    ],
)
def test_headers_that_a_walk_takes_and_a_decoder_does_not(kind, place, value):
    content = bytearray(KINDS[kind])
    content[place] = value
    assert not decodes(bytes(content))
    assert check._walk(bytes(content))[0] == (67, 41)
    with pytest.raises(FormatError, match="decoded"):
        check_picture(bytes(content))


SAMPLINGS = [across << 4 | down for across in (0, 1, 2, 3, 4, 5) for down in (1, 2)]


@pytest.mark.parametrize("kind", ["baseline", "progressive", "CMYK"])
def test_every_sampling_of_two_components(kind):
    """All pairs of factors: what passes is just what decodes."""
    start = KINDS[kind].index(b"\xff\xc2" if kind == "progressive" else b"\xff\xc0") + 11
    for first in SAMPLINGS:
        for second in SAMPLINGS:
            content = bytearray(KINDS[kind])
            content[start], content[start + 3] = first, second
            try:
                check_picture(bytes(content))
                passes = True
            except FormatError:
                passes = False
            assert passes == decodes(bytes(content)), (first, second)


def test_codes_of_every_length():
    """Huffman tables with a code more or less of each length, tables of quantisation with any number and precision."""
    for kind in ("baseline", "progressive"):
        whole = KINDS[kind]
        tables = [place for place in range(len(whole)) if whole[place : place + 2] in {b"\xff\xc4", b"\xff\xdb"}]
        for table in tables:
            for place in range(table + 4, table + 21):
                for value in {0, 1, 2, 16, 17, 32, 49, 64, 255, whole[place] + 1, whole[place] - 1} & {*range(256)}:
                    content = bytearray(whole)
                    content[place] = value
                    try:
                        check_picture(bytes(content))
                    except FormatError:
                        continue
                    assert decodes(bytes(content)), (kind, place, value)


def test_memory_stays_bounded():
    """Pictures that are all marks, all scans, or need all their coefficients at once."""
    head = KINDS["baseline"][: KINDS["baseline"].index(b"\xff\xda")]
    scan = KINDS["baseline"][len(head) : len(head) + 14]
    tracemalloc.start()
    try:
        for content, says in (
            (head + scan + b"x" + b"\xff\xff" * (8 << 20), "cut short"),
            (head + scan + b"x" + b"\xff\xc1\x00\x02" * (4 << 20), "damaged|decoded|cut short|frame"),
            (head + (scan + b"xx") * 100_000 + b"\xff\xd9", "more than 200 scans"),
            (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 1_000_000 + head[2:], "longer than"),
            (b"\xff\xd8\xff\xfe\x00\x02rubbish" + b"\xff\xfe\x00\x02" * 1_000_000 + head[2:], "longer than"),
            (b"\xff\xd8\xff" + b"\x00" * (2 << 20) + head[2:], "longer than"),
            (b"\xff\xd8\xff" + b"\xff" * (2 << 20) + head[2:], "longer than|cut short"),
            (b"\xff\xd8" + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)) * 600 + head[2:], "longer than"),
        ):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with pytest.raises(FormatError, match=says):
                check_picture(content)
            assert tracemalloc.get_traced_memory()[1] - before < 2 * len(content) + (64 << 20)
    finally:
        tracemalloc.stop()
    large = bytearray(KINDS["progressive"].replace(b"\xff\xc4", b"rubbish\xff\xc4", 1))  # the decoder has to decide
    place = large.index(b"\xff\xc2") + 5
    large[place : place + 4] = (18_000).to_bytes(2, "big") * 2
    with pytest.raises(FormatError, match="too large"):
        check_picture(bytes(large))


def test_a_restart_interval_of_the_wrong_length():
    content = bytearray(KINDS["with EXIF and ICC"])
    content[content.index(b"ICC_PROFILE") - 3] = 0xDD
    with pytest.raises(FormatError, match="damaged"):
        check_picture(bytes(content))


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None, derandomize=True)
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
    """Cameras pad with zeros, and append pictures of their own; a second half of nothing is not harm."""
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
