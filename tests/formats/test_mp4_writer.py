"""Videos with one more track: every byte of the media, every table and edit of the other tracks, and the new samples."""

import io
import struct
from itertools import pairwise

import numpy as np
import pytest
from helpers.video_files import box, extends, full, movie
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import FormatError
from mlygeo.formats import mp4, mp4_tables
from mlygeo.formats.mp4_writer import NewTrack, Spliced, with_track

NEW = NewTrack(b"camm", "positions", [b"one", b"second", b"3"], np.array([0.25, 1.0, 2.5]))


def head(kind, size, *, long):
    return struct.pack(">I4sQ", 1, kind, size + 16) if long else struct.pack(">I4s", size + 8, kind)


def trak(number, track, places):
    """The `trak` box of a track whose chunks lie at some places of the file."""
    samples = [sample for chunk in track["chunks"] for sample in chunk]
    total = 40 * len(samples)
    if track["version"] == 1:
        tkhd = full(b"tkhd", bytes(16), struct.pack(">IIQ", number, 0, total), bytes(60))
        tkhd = tkhd[:8] + b"\1" + tkhd[9:]
        elst = b"\1\0\0\0" + struct.pack(">I", len(track["edits"]))
        elst += b"".join(struct.pack(">QqI", *edit, 1 << 16) for edit in track["edits"])
    else:
        tkhd = full(b"tkhd", bytes(8), struct.pack(">III", number, 0, total), bytes(60))
        elst = bytes(4) + struct.pack(">I", len(track["edits"]))
        elst += b"".join(struct.pack(">IiI", *edit, 1 << 16) for edit in track["edits"])
    runs = [struct.pack(">III", at, len(chunk), 1) for at, chunk in enumerate(track["chunks"], 1)]
    stbl = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), box(track["kind"], bytes(6), b"\0\1")),
        full(b"stts", struct.pack(">III", 1, len(samples), 40)),
        full(b"stsc", struct.pack(">I", len(runs)), *runs),
        full(b"stsz", struct.pack(">II", 0, len(samples)), *(struct.pack(">I", len(one)) for one in samples)),
        full(b"co64" if track["co64"] else b"stco", struct.pack(">I", len(places)),
             *(struct.pack(">Q" if track["co64"] else ">I", place) for place in places)),
    )  # fmt: skip
    dref = full(b"dref", struct.pack(">I", 1), full(b"url "))
    dref = dref[:-1] + b"\1"
    media = box(
        b"mdia", full(b"mdhd", bytes(8), struct.pack(">III", 1000, total, 0)),
        full(b"hdlr", bytes(4), track["handler"], bytes(13)), box(b"minf", full(b"nmhd"), box(b"dinf", dref), stbl),
    )  # fmt: skip
    edits = [box(b"edts", box(b"elst", elst))] if track["edits"] else []
    return box(b"trak", tkhd, *edits, media, b"\0\0\0\0" * track["tail"])


def video(tracks, order, *, long=(), open_end=False, udta=b"", rest=b"", version=0):
    """A file of boxes in some order; `mdat` boxes have the chunks of all tracks, one after another, in turns."""
    chunks = [(number, at) for number, track in enumerate(tracks) for at in range(len(track["chunks"]))]
    media = [name for name in order if name.startswith("mdat")]
    held = {name: chunks[at :: len(media)] for at, name in enumerate(media)}

    def moov(places):
        if version:
            mvhd = b"\1\0\0\0" + struct.pack(">QQIQ", 3_900_000_000, 3_900_000_001, 600, 6000) + bytes(76)
        else:
            mvhd = bytes(4) + struct.pack(">IIII", 3_900_000_000, 3_900_000_001, 600, 6000) + bytes(76)
        mvhd += struct.pack(">I", len(tracks) + 1)
        found = [trak(number, track, places[number - 1]) for number, track in enumerate(tracks, 1)]
        return box(b"mvhd", mvhd) + b"".join(found) + udta

    def whole(places):
        content, there = b"", {number: [0] * len(track["chunks"]) for number, track in enumerate(tracks)}
        for name in order:
            kind = name[:4].encode()
            if kind == b"mdat":
                inside = b""
                start = len(content) + (16 if name in long else 8)
                for number, at in held[name]:
                    there[number][at] = start + len(inside)
                    inside += b"".join(tracks[number]["chunks"][at])
            else:
                inside = moov(places) if kind == b"moov" else {b"ftyp": b"mp42" + bytes(4)}.get(kind, b"filling")
            open_box = open_end and name == order[-1] and kind == b"mdat" and name not in long
            start = struct.pack(">I4s", 0, kind) if open_box else head(kind, len(inside), long=name in long)
            content += start + inside
        return content + rest, there

    nowhere = {number: [0] * len(track["chunks"]) for number, track in enumerate(tracks)}
    return whole(whole(nowhere)[1])[0]


def copy_of(content, track=NEW, texts=None):
    return Spliced(io.BytesIO(content), with_track(io.BytesIO(content), len(content), track, texts=texts))


def samples_of(content, kind):
    """Return, for each track of a format, its samples, their times, and its edits."""
    file = io.BytesIO(content)
    found = mp4.read_movie(file, len(content))
    return [
        (
            [sample for _, sample in mp4.read_samples(file, track, np.arange(len(track.samples.size)), largest=1 << 20)],
            track.samples.time.tolist(), track.samples.shown.tolist(), track.edits, track.number,
        )
        for track in found.tracks if kind in track.formats
    ]  # fmt: skip


CHUNKS = st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=5)
TRACKS = st.lists(
    st.fixed_dictionaries({
        "kind": st.sampled_from([b"avc1", b"mp4a", b"gpmd", b"tmcd"]),
        "handler": st.sampled_from([b"vide", b"soun", b"meta"]),
        "chunks": CHUNKS,
        "co64": st.booleans(),
        "version": st.sampled_from([0, 1]),
        "tail": st.booleans(),
        "edits": st.lists(st.tuples(st.integers(0, 5000), st.sampled_from([-1, 0, 40, 80])), max_size=3),
    }),
    min_size=1, max_size=4,
)  # fmt: skip
ORDERS = st.tuples(
    st.sampled_from([(), ("ftyp",), ("ftyp", "free0")]),
    st.permutations(["moov", "mdat1", "mdat2", "uuid", "free1", "wide"]),
    st.integers(1, 6),
).map(lambda parts: [*parts[0], *dict.fromkeys(["moov", "mdat1", *parts[1][: parts[2]]])])


@st.composite
def videos(draw):
    tracks, order = draw(TRACKS), draw(ORDERS.flatmap(lambda names: st.permutations(names[1:]).map(
        lambda others: [names[0], *others] if names[0] == "ftyp" else [*others, names[0]])))  # fmt: skip
    long = draw(st.sets(st.sampled_from(order)))
    udta = draw(st.sampled_from([b"", box(b"udta"), box(b"udta", box(b"@mak", b"Old"), box(b"FIRM", b"1.2"))]))
    open_end = draw(st.booleans())
    ends_open = open_end and order[-1].startswith("mdat") and order[-1] not in long
    rest = b"" if ends_open else draw(st.sampled_from([b"", b"\0\0\0", b"no box at all, but the notes of a camera"]))
    return video(
        tracks, order, long=long, open_end=open_end, udta=udta, rest=rest, version=draw(st.sampled_from([0, 1]))
    )


@settings(max_examples=40)
@given(content=videos(), times_s=st.lists(st.floats(0, 2000), min_size=1, max_size=30).map(sorted), data=st.data())
def test_a_copy_has_every_sample_and_every_byte(content, times_s, data):
    new = NewTrack(b"camm", "é", [bytes([number]) * (1 + number % 3) for number in range(len(times_s))],
                   np.array(times_s))  # fmt: skip
    with copy_of(content, new, {b"@mak": "Göpro", b"@mod": ""}) as file:
        copied = file.read()
        assert len(copied) == file.size
        for _ in range(5):
            start, length = data.draw(st.integers(0, len(copied))), data.draw(st.integers(0, 100))
            assert file.seek(start) == start
            assert file.read(length) == copied[start : start + length]
    for kind in (b"avc1", b"mp4a", b"gpmd", b"tmcd"):
        assert samples_of(copied, kind) == samples_of(content, kind)
    [(samples, _, _, _, number)] = samples_of(copied, b"camm")
    assert samples == list(new.samples)
    found = mp4.read_movie(io.BytesIO(copied), len(copied))
    assert len({track.number for track in found.tracks}) == len(found.tracks)
    assert number == max(track.number for track in found.tracks)
    track = next(track for track in found.tracks if track.formats == (b"camm",))
    shown_s = track.samples.time / track.timescale + (track.edits[0][0] / 600 if track.edits else 0)
    assert [edit[1] for edit in track.edits] in ([], [-1, 0])
    # The first one comes with a unit of the movie's timescale, and no later one before it.
    assert abs(shown_s[0] - times_s[0]) <= 0.5 / 600 + 1e-6
    later = np.array(times_s) > times_s[0] + 1 / 600
    np.testing.assert_allclose(shown_s[later], np.array(times_s)[later], rtol=0, atol=2e-6)
    assert found.texts["make"] == "Göpro"
    assert found.created == mp4.read_movie(io.BytesIO(content), len(content)).created

    # What is left without the new boxes is the original without its headers.
    new_boxes = [each for each in mp4_tables.file_boxes(io.BytesIO(copied), len(copied)) if each.kind == b"moov"]
    [moov] = new_boxes
    media_stop = moov.stop + 8 + sum(map(len, new.samples))
    [old] = [each for each in mp4_tables.file_boxes(io.BytesIO(content), len(content)) if each.kind == b"moov"]
    assert copied[: moov.begin] + copied[media_stop:] == content[: old.begin] + content[old.stop :]


def test_a_track_of_the_same_format_is_replaced():
    content = movie(b"camm", b"camm", [b"old", b"older"], [500, 500])
    with copy_of(content) as file:
        [(samples, *_)] = samples_of(file.read(), b"camm")
    assert samples == NEW.samples


def test_offsets_become_long_where_they_no_longer_fit(tmp_path):
    """The last chunk lies just below 4 GiB, and after the new headers just above; the file is full of nothing."""
    path, place = tmp_path / "large.mp4", (1 << 32) - 20
    start = box(b"ftyp", b"mp42", bytes(4))
    plain = movie(b"avc1", b"vide", [b"picture"], [40])
    headers = plain[plain.index(b"moov") - 4 : plain.index(b"mdat") - 4]
    at = headers.index(b"stco") + 12
    headers = headers[:at] + struct.pack(">I", place) + headers[at + 4 :]
    with path.open("wb") as file:
        file.write(start + headers)
        file.write(struct.pack(">I4sQ", 1, b"mdat", place + 100 - file.tell()))
        file.seek(place)
        file.write(b"picture")
        file.truncate(place + 100)
    with path.open("rb") as original:
        pieces = with_track(original, place + 100, NEW)
        assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) < 2000
        copy = Spliced(path.open("rb"), pieces)
        found = mp4.read_movie(copy, copy.size)
        [track] = [track for track in found.tracks if track.is_video]
        assert mp4_tables.child(track.table, b"co64") is not None
        assert mp4_tables.child(track.table, b"stco") is None
        offset = int(track.samples.offset[0])
        assert offset > 1 << 32
        copy.seek(offset)
        assert copy.read(7) == b"picture"
        assert copy.seek(-3, io.SEEK_END) == copy.size - 3
        assert copy.read() == bytes(3)
        copy.close()


def test_the_time_steps_of_a_long_gap_fit():
    times_s = np.array([0.0, 1.0, 3600.0, 90_000.0])
    with copy_of(movie(b"avc1", b"vide", [b"x"], [40]), NewTrack(b"camm", "", [b"a"] * 4, times_s)) as file:
        content = file.read()
    track = mp4.read_movie(io.BytesIO(content), len(content)).tracks[-1]
    assert (track.samples.time / track.timescale).tolist() == times_s.tolist()
    assert max(later - sooner for sooner, later in pairwise(track.samples.time.tolist())) < 1 << 31
    with pytest.raises(FormatError, match="weeks apart"):
        copy_of(movie(b"avc1", b"vide", [b"x"], [40]), NewTrack(b"camm", "", [b"a"] * 2, np.array([0.0, 1e7])))


def elsewhere(content):
    """A video whose media are in another file."""
    dref = full(b"dref", struct.pack(">I", 1), full(b"url ", b"file:///other.mov\0"))
    return wrapped(content, b"minf", box(b"dinf", dref))


def wrapped(content, inside, more):
    """Return the headers of a video with one more box inside another, as a file."""
    start, stop = content.index(b"moov") - 4, content.index(b"mdat") - 4

    def grown(part):
        found = b""
        for kind, held in mp4_tables.boxes(memoryview(part)):
            nested = kind in {b"moov", b"trak", b"mdia", b"minf", b"stbl"} and kind != inside
            found += box(kind, grown(bytes(held)) if nested else bytes(held), more if kind == inside else b"")
        return found

    return content[:start] + grown(content[start:stop]) + content[stop:]


PLAIN = movie(b"avc1", b"vide", [b"picture"], [40])
REFUSED = {
    "fragments": (PLAIN + box(b"moof"), "in fragments"),
    "fragments to come": (wrapped(PLAIN, b"moov", extends(1)), "in fragments"),
    "no headers": (box(b"ftyp", b"mp42") + box(b"mdat", b"x"), "headers are lost"),
    "nothing": (b"", "headers are lost"),
    "rubbish": (b"rubbish" * 100, "headers are lost"),
    "headers twice": (PLAIN + PLAIN[PLAIN.index(b"moov") - 4 : PLAIN.index(b"mdat") - 4], "more than once"),
    "media cut off": (PLAIN[:-3], "ends inside its 'mdat' box"),
    "headers cut off": (PLAIN[: PLAIN.index(b"stbl")], "ends inside its 'moov' box"),
    "headers without tracks": (box(b"moov", full(b"mvhd", bytes(96))) + box(b"mdat"), "list no tracks"),
    "compressed headers": (box(b"moov", box(b"cmov", b"?")) + box(b"mdat"), "list no tracks"),
    "media elsewhere": (elsewhere(PLAIN), "another file"),
    "encrypted": (wrapped(PLAIN, b"stbl", full(b"saio", bytes(4))), "encrypted"),
    "items by their place": (PLAIN + full(b"meta", full(b"iloc", bytes(8))), "items by their place"),
    "chunks in the headers": (PLAIN.replace(struct.pack(">I", PLAIN.index(b"picture")), struct.pack(">I", 60)),
                              "no media are"),
    "chunks after the end": (PLAIN.replace(struct.pack(">I", PLAIN.index(b"picture")), b"\x7f\0\0\0"), "no media are"),
    "table cut off": (PLAIN.replace(b"stco\0\0\0\0\0\0\0\1", b"stco\0\0\0\0\0\0\1\1"), "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_cannot_be_copied_say_why(what):
    content, reason = REFUSED[what]
    with pytest.raises(FormatError, match=reason):
        copy_of(content)


def test_an_original_that_became_shorter_is_an_error():
    pieces = with_track(io.BytesIO(PLAIN), len(PLAIN), NEW)
    with Spliced(io.BytesIO(PLAIN[:-7]), pieces) as file, pytest.raises(OSError, match="became shorter"):
        file.read()


@given(content=st.binary(max_size=400), place=st.integers(0, 700), change=st.binary(max_size=8))
def test_damaged_files_are_refused_or_copied_whole(content, place, change):
    for damaged in (content, PLAIN[:place] + change + PLAIN[place + len(change) :]):
        try:
            file = copy_of(damaged)
        except FormatError:
            continue
        with file:
            assert len(file.read()) == file.size
