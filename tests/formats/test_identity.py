"""What a photo and a video are known by: stable under all that does not change the picture, and different otherwise."""

import io
import shutil
import subprocess

import numpy as np
import pytest
from helpers.photo_folders import LAT, LON, START_MS, tagged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlygeo.formats import identity
from mlygeo.formats.exif import Tags
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags


def noise(number, size=(48, 32), **more):
    """Return a JPEG that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=88, **more)
    return out.getvalue()


def photo(number, *, ms=START_MS, progressive=False):
    return tagged(noise(number, progressive=progressive), ms=ms, lon=LON, lat=LAT)


def renamed(tags):
    return Tags(exif=tags)


def with_segment(jpeg, marker, payload, place=2):
    return jpeg[:place] + b"\xff" + bytes([marker]) + (len(payload) + 2).to_bytes(2, "big") + payload + jpeg[place:]


def without_metadata(jpeg):
    """Return a JPEG without the segments of applications and comments: what `exiftool -all=` leaves."""
    position, parts = 2, [jpeg[:2]]
    while jpeg[position + 1] != 0xDA:
        if jpeg[position + 1] == 0xFF:  # a fill byte
            position += 1
            continue
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if not (0xE0 <= jpeg[position + 1] <= 0xEF or jpeg[position + 1] == 0xFE):
            parts.append(jpeg[position:end])
        position = end
    return b"".join([*parts, jpeg[position:]])


DESCRIPTION = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": "2001_02_03_04_05_06_007"}

CHANGES = {
    "description": lambda jpeg: insert(jpeg, description_tags({}, description=DESCRIPTION)),
    "orientation": lambda jpeg: insert(jpeg, renamed({"Orientation": 6})),
    "position": lambda jpeg: tagged(jpeg, lon=1.0, lat=2.0, heading=3.0, altitude=4.0),
    "XMP": lambda jpeg: with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
    "IPTC": lambda jpeg: with_segment(jpeg, 0xED, b"Photoshop 3.0\0" + bytes(40)),
    "a comment": lambda jpeg: with_segment(jpeg, 0xFE, b"\xff\xd9 holiday"),
    "fill bytes": lambda jpeg: jpeg[:2] + b"\xff\xff\xff" + jpeg[2:],
    "fill bytes at the end": lambda jpeg: jpeg[:-2] + b"\xff\xff" + jpeg[-2:],
    "a trailer": lambda jpeg: jpeg + b"\0\0\1\x0a\x0e\0\0\0Image_UTC_Data1234567890123SEFHe",
    "a preview behind it": lambda jpeg: jpeg + noise(12345),
    "nothing left": without_metadata,
}


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_it_stays_where_the_picture_stays(change, progressive):
    jpeg = photo(1, progressive=progressive)
    changed = CHANGES[change](jpeg)
    assert changed != jpeg
    before, after = identity.of_photo(jpeg), identity.of_photo(changed)
    assert before.picture == after.picture
    assert before.is_same(after)
    assert after.is_same(before)


@settings(deadline=None, max_examples=60)
@given(changes=st.lists(st.sampled_from(sorted(CHANGES)), max_size=6), number=st.integers(0, 50))
def test_it_stays_under_any_changes_one_after_another(changes, number):
    jpeg = before = photo(number)
    for change in changes:
        jpeg = CHANGES[change](jpeg)
    assert identity.of_photo(jpeg).is_same(identity.of_photo(before))
    assert not identity.of_photo(jpeg).is_same(identity.of_photo(photo(number + 1)))


def test_other_pictures_are_other_photos():
    every = [identity.of_photo(photo(number)) for number in range(60)]
    assert len({each.picture for each in every}) == len({each.photo_uuid for each in every}) == 60


@pytest.mark.parametrize("step_ms", [1, 10, 1000, 3_600_000])
def test_black_frames_of_a_burst_are_told_apart_by_their_times(step_ms):
    black = io.BytesIO()
    Image.new("RGB", (64, 48)).save(black, "JPEG")
    burst = [tagged(black.getvalue(), ms=START_MS + number * step_ms) for number in range(5)]
    every = [identity.of_photo(each) for each in burst]
    assert len({each.picture for each in every}) == 1
    assert len({each.photo_uuid for each in every}) == 5
    assert not any(a.is_same(b) for a in every for b in every if a is not b)


def test_a_second_time_without_its_fraction_does_not_join_the_frames_of_a_burst():
    black = noise(3)
    one, two = (
        insert(
            black,
            renamed(
                {
                    "DateTimeOriginal": "2024:06:09 12:00:00",
                    "SubSecTimeOriginal": part,
                    "CreateDate": "2024:06:09 12:00:00",
                }
            ),
        )
        for part in ("10", "20")
    )
    assert not identity.of_photo(one).is_same(identity.of_photo(two))


def test_the_other_time_tells_where_one_was_changed():
    times = {"DateTimeOriginal": "2024:06:09 12:00:00", "CreateDate": "2024:06:09 12:00:00"}
    before = insert(noise(1), renamed(times))
    after = insert(before, renamed({"DateTimeOriginal": "2024:06:09 14:00:00"}))
    assert identity.of_photo(before).is_same(identity.of_photo(after))
    both = insert(after, renamed({"CreateDate": "2024:06:09 14:00:00"}))
    assert not identity.of_photo(before).is_same(identity.of_photo(both))


def test_an_id_once_given_stays_when_all_times_change():
    jpeg = photo(1)
    before = identity.of_photo(jpeg)
    given = insert(
        tagged(jpeg, ms=START_MS + 3_600_000),
        description_tags({}, description={**DESCRIPTION, "MAPPhotoUUID": before.photo_uuid}),
    )
    after = identity.of_photo(given)
    assert after.photo_uuid == before.photo_uuid
    assert after.times != before.times
    assert before.is_same(after)
    assert after.is_same(before)
    own = insert(jpeg, description_tags({}, description={**DESCRIPTION, "MAPPhotoUUID": "an-app-s-own"}))
    assert identity.of_photo(own).photo_uuid == "an-app-s-own"
    assert identity.of_photo(own).is_same(before)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"no picture", b"\x89PNG\r\n", noise(1)[:100]])
def test_what_is_no_jpeg_is_known_by_all_its_bytes(content):
    assert identity.of_photo(content) == identity.of_photo(bytes(content))
    assert not identity.of_photo(content).is_same(identity.of_photo(content + b"x"))


@settings(deadline=None)
@given(cut=st.integers(0, 3000), flips=st.lists(st.integers(0, 3000), max_size=5))
def test_damage_never_raises(cut, flips):
    content = bytearray(photo(1)[:cut])
    for place in flips:
        if place < len(content):
            content[place] ^= 0xFF
    assert len(identity.of_photo(bytes(content)).picture) == 32


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs ExifTool")
def test_exiftool_does_not_change_it(tmp_path):
    every = [photo(number, progressive=bool(number % 2)) for number in range(8)]
    for number, jpeg in enumerate(every):
        (tmp_path / f"{number}.jpg").write_bytes(CHANGES["a preview behind it"](jpeg))
    for words in (
        ["-Artist=jane", "-XMP:Rating=3", "-IPTC:Keywords=street"],
        ["-Orientation#=6", "-GPSLatitude=1", "-GPSLongitude=2"],
        ["-ImageDescription=", "-UserComment=x"],
        ["-DateTimeOriginal+=0:0:1 0:0:0"],
        ["-trailer:all="],
        ["-all="],
    ):
        subprocess.run(["exiftool", "-q", "-overwrite_original", *words, str(tmp_path)], check=True)
        for number, jpeg in enumerate(every):
            now = identity.of_photo((tmp_path / f"{number}.jpg").read_bytes())
            assert now.is_same(identity.of_photo(jpeg)), words


def boxed(kind, content):
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def test_a_video_is_known_by_its_media_data():
    import hashlib

    media = np.random.default_rng(1).integers(0, 255, 3_000_000, dtype=np.uint8).tobytes()
    kind = boxed(b"ftyp", b"isom0000isom")
    one = kind + boxed(b"moov", bytes(100)) + boxed(b"mdat", media)
    two = kind + boxed(b"mdat", media) + boxed(b"free", bytes(50)) + boxed(b"moov", b"another" * 30)
    whole = hashlib.md5(usedforsecurity=False)
    found = identity.of_video(io.BytesIO(one), len(one), whole=whole)
    assert whole.hexdigest() == hashlib.md5(one, usedforsecurity=False).hexdigest()
    assert found.is_same(identity.of_video(io.BytesIO(two), len(two)))
    other = kind + boxed(b"mdat", media[:-1] + b"\0") + boxed(b"moov", bytes(100))
    assert not found.is_same(identity.of_video(io.BytesIO(other), len(other)))
    for strange in (b"", b"x", kind, one[:-1_000_000]):
        assert not found.is_same(identity.of_video(io.BytesIO(strange), len(strange)))


def test_a_photo_whose_times_were_lost_and_written_anew_is_the_same():
    lost = identity.Identity("a" * 32)
    written = identity.Identity("a" * 32, ("20240609120002.5",), lost.photo_uuid)
    of_the_card = identity.Identity("a" * 32, ("20240609120000",))
    assert written.is_same(of_the_card)
    assert of_the_card.is_same(written)
    assert not written.is_same(identity.Identity("b" * 32, ("20240609120000",)))
