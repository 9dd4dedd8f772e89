"""
Changing JPEG files: writing EXIF and a panorama's XMP, or encoding the picture again.

Writing tags leaves the image data and every other segment unchanged byte by byte, and moves nothing
inside the EXIF block: maker notes, thumbnails and unknown tags stay in place. A file is replaced only
after the new one was read back from the disk and found complete.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlygeo import store, systems
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats import jpeg as segments
from mlygeo.formats import tiff, times, xmp
from mlygeo.formats.exif import (
    ASCII,
    TABLE,
    Clocks,
    Encoded,
    Tags,
    encode,
    heading,
    heading_tags,
    image_description,
    json_comment,
    new_segment,
    real,
    same_heading,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mlygeo.formats.exif import Value

log = logging.getLogger("mlygeo.photos.exif_writer")

ORIGINAL = "_original"
"""Suffix of the names of kept originals; ExifTool uses the same, and can restore them."""

_BEFORE_BLOCK = b"Exif\0\0"

_OF_PANORAMA = 1000
"""More bytes than the properties of a panorama have in XMP."""

_SHORT = 40
"""Values of a comment that are shorter, as ids are, always stay: leaving them out gains no room."""

MOST_PIXELS = 178_956_970
"""Most pixels of a picture that is decoded: half a gigabyte of memory, also Pillow's limit."""

QUALITY = 80
"""Default quality."""

_LONGEST_WEBP_SIDE = 16_383


def insert(jpeg: bytes, tags: Tags, *, doubts: list[str] | None = None) -> bytes:
    """
    Return a JPEG with tags written into it.

    Image data and all other segments are unchanged, byte by byte. An existing EXIF block is extended
    in place: values of other tags, maker notes and thumbnail keep their bytes and offsets. The index
    of further pictures (MPF) is corrected where necessary.

    Parameters
    ----------
    jpeg
        The file.
    tags
        The tags, from `picture_tags` or `description_tags`.
    doubts
        What is in doubt of what was written is added to this list, for people to read.

    Returns
    -------
    jpeg
        The file with the tags; writing them twice gives the same file.

    Raises
    ------
    FormatError
        If it is not a JPEG, if its EXIF or XMP is damaged where it has to be changed, or if the
        tags do not fit into the 64 kB of a segment.

    Examples
    --------
    >>> insert(jpeg, picture_tags(record))
    """
    found = segments.layout(jpeg)
    return _inserted(jpeg, found, _beside_its_own(jpeg, found, tags, doubts))


def _inserted(jpeg: bytes, found: segments.Layout, tags: Tags) -> bytes:
    """Return a picture, whose layout is known, with tags in it."""
    replaced: dict[segments.Segment, bytes] = {}
    behind = segments.place_for_exif(jpeg, found)
    added: list[tuple[int, bytes]] = []

    block = _exif_segment(jpeg, found)
    _, new = _planned(jpeg, found, tags)
    if block is not None:
        if new != segments.payload(jpeg, block):
            replaced[block] = new
        behind = block.end
    elif new:
        added.append((segments.APP1, new))
    _set_xmp(jpeg, found, tags, replaced, added)
    if not replaced and not added:
        return jpeg
    return segments.rebuilt(jpeg, found, replaced, {behind: tuple(added)} if added else {})


def write_exif(
    path: str | os.PathLike[str],
    tags: Tags | Callable[[bytes, segments.Layout], Tags | None],
    *,
    keep_original: bool = False,
    target: str | os.PathLike[str] | None = None,
    doubts: list[str] | None = None,
) -> bool:
    """
    Write tags into a JPEG file, safely.

    The new file is written beside the old one, synced to the disk, read back and compared: the
    image data and every segment but EXIF and XMP must equal the original's, and the tags must be
    there. Only then is it renamed to the old name, in one step: whenever the program stops, there
    is either the old or the new file, and it is complete. Mode and times are preserved.

    Parameters
    ----------
    path
        The file. A symbolic link stays a link; its target is replaced.
    tags
        The tags, from `picture_tags` or `description_tags`; or a function of the content of the file and its layout
        that returns them, or None to leave the file as it is.
    keep_original
        Keep the original under its name with "_original" appended; an existing such file stays,
        since it is older.
    target
        Write the new file here and leave the old one unchanged.
    doubts
        What is in doubt of what was written is added to this list, for people to read.

    Returns
    -------
    written
        False if the file has all these tags already or gets none, and was not written.

    Raises
    ------
    FormatError
        If it is not a JPEG, if its metadata is damaged where it has to be changed, or if the tags
        do not fit.
    FileError
        If it cannot be read or replaced, or another program changed it meanwhile. After any error
        the file is unchanged.

    Examples
    --------
    >>> write_exif("DSC00001.JPG", description_tags(row), keep_original=True)
    True
    """
    source = Path(path).expanduser()
    try:
        source = source.resolve(strict=True)
        with source.open("rb") as file:
            before = os.fstat(file.fileno())
            jpeg = file.read()
    except (OSError, RuntimeError) as error:  # RuntimeError: circular links, before Python 3.13
        raise store.file_error(error if isinstance(error, OSError) else OSError(str(error)), Path(path)) from error
    try:
        found = segments.layout(jpeg)
        wanted = tags(jpeg, found) if callable(tags) else tags
        if wanted is None:
            return False
        wanted = _beside_its_own(jpeg, found, wanted, doubts)
        new = _inserted(jpeg, found, wanted)
    except FormatError as error:
        raise FormatError(f"{source.name}: {error}", hint=error.hint) from error
    goal = source if target is None else Path(target).expanduser()
    if new == jpeg and goal == source:
        return False
    with store.atomic(goal) as temporary:
        _write(temporary, new)
        _check(temporary.read_bytes(), new, jpeg, wanted, name=source.name, old_layout=found, doubts=doubts)
        # fsync needs a file that is open for writing.
        systems.copy_rights(source, temporary, stat.S_IMODE(before.st_mode) | stat.S_IWUSR)
        if goal == source:
            _must_be_unchanged(source, before)
            if keep_original:
                _keep(source)
    if not before.st_mode & stat.S_IWUSR:
        goal.chmod(stat.S_IMODE(before.st_mode))
    log.debug("wrote %d tags into %s", len(wanted.exif), goal.name)
    return True


def _exif_segment(jpeg: bytes, found: segments.Layout) -> segments.Segment | None:
    blocks = segments.named(jpeg, found, segments.APP1, segments.EXIF_NAME)
    if len(blocks) > 1 and not jpeg.startswith(tuple(tiff.HEADERS), blocks[1].start + 4 + len(_BEFORE_BLOCK)):
        raise FormatError("its EXIF goes on over several segments, and cannot be extended")
    return blocks[0] if blocks else None


def _planned(
    jpeg: bytes, found: segments.Layout, tags: Tags, doubts: list[str] | None = None
) -> tuple[dict[str, Value], bytes]:
    """Return the values that replace those of a picture, and its new EXIF segment; empty where it gets none."""
    block = _exif_segment(jpeg, found)
    old = None if block is None else segments.payload(jpeg, block)
    exif = _measured(tags, found)
    if tags.captured is not None:
        clocks = Clocks() if old is None else _clocks(old[len(_BEFORE_BLOCK) :])
        more, doubt = clocks.tags(tags.captured, now_us=time.time_ns() // 1000)
        exif |= more
        if doubt is not None and doubts is not None:
            doubts.append(doubt)

    def built() -> bytes:
        if old is not None:
            return _extended(old, exif, tags.absent)
        if not exif:
            return b""
        return _BEFORE_BLOCK + tiff.laid_out(new_segment({**tags.absent, **exif})[len(_BEFORE_BLOCK) :])

    if tags.comment is None:
        return exif, built()
    comment = dict(tags.comment)
    left_out: list[str] = []
    while True:
        exif["UserComment"] = json_comment({**comment, "left_out": left_out} if left_out else comment)
        new = built()
        lengths = {name: len(json.dumps(value)) for name, value in comment.items()}
        if len(new) <= segments.LONGEST_PAYLOAD or not lengths or max(lengths.values()) < _SHORT:
            break
        longest = max(lengths, key=lengths.__getitem__)
        del comment[longest]
        left_out.append(longest)
    if left_out:
        log.warning("no room in the EXIF of a picture for %s", ", ".join(left_out))
    return exif, new


def _clocks(block: bytes) -> Clocks:
    """Return the times that an EXIF block tells."""
    fields = tiff.Fields(block)

    def reading(date: str, subsec: str, offset: str) -> times.Reading | None:
        values = fields.picture
        return times.read(
            fields.text(values.get(date)),
            subsec=fields.text(values.get(subsec), strip=False),
            offset=fields.text(values.get(offset)),
        )

    stamp = fields.gps.get("GPSTimeStamp")
    clock = times.fractions(fields.text(stamp)) if stamp is not None and stamp.type == ASCII else fields.numbers(stamp)
    return Clocks(
        reading("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal"),
        reading("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized"),
        reading("ModifyDate", "SubSecTime", "OffsetTime"),
        times.gps_time(fields.text(fields.gps.get("GPSDateStamp")), clock),
    )


def _measured(tags: Tags, found: segments.Layout) -> dict[str, Value]:
    exif = dict(tags.exif)
    if tags.measured and found.width and found.height:
        exif |= {"ExifImageWidth": found.width, "ExifImageHeight": found.height}
        if "FocalPlaneResolutionUnit" in exif:  # of a frame whose larger side is 3.6 cm
            resolution = ((max(found.width, found.height) * 10, 36),)
            exif |= {"FocalPlaneXResolution": resolution, "FocalPlaneYResolution": resolution}
    return exif


def _extended(old: bytes, exif: Mapping[str, Value], absent: Mapping[str, Value]) -> bytes:
    name = old[: len(_BEFORE_BLOCK)]
    block = tiff.Block(old[len(name) :])
    missing = {key: value for key, value in absent.items() if not block.has(TABLE[key].directory, TABLE[key].number)}
    block.extend(_by_directory({**missing, **exif}, block.order))
    return name + bytes(block)


def _by_directory(values: Mapping[str, Value], order: str) -> dict[str, dict[int, Encoded]]:
    wanted: dict[str, dict[int, Encoded]] = {}
    for name, value in values.items():
        tag = TABLE[name]
        wanted.setdefault(tag.directory, {})[tag.number] = encode(name, value, order)
    return wanted


def _set_xmp(
    jpeg: bytes,
    found: segments.Layout,
    tags: Tags,
    replaced: dict[segments.Segment, bytes],
    added: list[tuple[int, bytes]],
) -> None:
    there = segments.named(jpeg, found, segments.APP1, segments.XMP_NAME)
    old = _packet(jpeg, found)
    new = old
    if tags.panorama is not None and found.width and found.height:
        new = xmp.with_panorama(new, tags.panorama.properties(found.width, found.height))
    if tags.statement is not None:
        new = xmp.with_statement(new, tags.statement) or None
    if new is None or new == old:
        return
    if there:
        replaced[there[0]] = segments.XMP_NAME + new
    else:
        added.append((segments.APP1, segments.XMP_NAME + new))


def _packet(jpeg: bytes, found: segments.Layout) -> bytes | None:
    there = segments.named(jpeg, found, segments.APP1, segments.XMP_NAME)
    return segments.payload(jpeg, there[0])[len(segments.XMP_NAME) :] if there else None


def _beside_its_own(jpeg: bytes, found: segments.Layout, tags: Tags, doubts: list[str] | None) -> Tags:
    """Return tags without what a picture says itself of its heading, owner and licence, since that stays."""
    return _stated(jpeg, found, _headed(jpeg, found, tags, doubts))


def _headed(jpeg: bytes, found: segments.Layout, tags: Tags, doubts: list[str] | None) -> Tags:
    """
    Return tags with the heading that a picture is to have: its own stays, as that may be finer, or known better.

    Its own is what EXIF, the image description or the XMP of a panorama says, in this order. Where the camera noted
    only the direction of its motion, that gives the fraction of a degree.
    """
    if tags.heading is None:
        return tags
    segment = _exif_segment(jpeg, found)
    fields = tiff.Fields(b"" if segment is None else segments.payload(jpeg, segment)[len(_BEFORE_BLOCK) :])
    described = image_description(fields.text(fields.picture.get("ImageDescription"))) or {}
    compass = described.get("MAPCompassHeading")
    pose = xmp.Properties(_packet(jpeg, found)).text("GPano:PoseHeadingDegrees")
    shown = heading(fields.real(fields.gps.get("GPSImgDirection")))
    further = [
        heading(real(str(compass.get("TrueHeading") if isinstance(compass, dict) else compass))),
        heading(real(pose)) or None,  # programs write 0 where they know none
    ]
    own = [each for each in (shown, *further) if each is not None]
    track = heading(fields.real(fields.gps.get("GPSTrack")))
    exact = tags.heading
    if own:
        exact = own[0]
    elif track is not None and same_heading(track, tags.heading):
        exact = track
    apart = [each for each in own if not same_heading(each, tags.heading)]
    comment = tags.comment
    if own and comment is not None and "computed" in comment:
        left = [each for each in comment["computed"] if each != "heading"]
        comment = {name: value for name, value in comment.items() if name != "computed"}
        comment |= {"computed": left} if left else {}
    if apart:
        doubt = f"its heading is {apart[0]:.6g}° in the picture and {tags.heading:.6g}° by its source"
        if doubts is None:
            log.warning("%s; the picture's stays", doubt)
        else:
            doubts.append(doubt)
        comment = None if comment is None else {**comment, "in_doubt": ["heading"]}
    panorama = tags.panorama
    if panorama is not None:  # a heading that stands in the XMP stays
        panorama = replace(panorama, heading=None if further[1] is not None else exact)
    exif = dict(tags.exif)
    if shown is None and not apart:
        exif |= heading_tags(exact)
    return replace(tags, exif=exif, panorama=panorama, comment=comment, heading=None)


def _stated(jpeg: bytes, found: segments.Layout, tags: Tags) -> Tags:
    """
    Return tags with as much of their statement of owner and licence as a picture does not make itself.

    Artist and dc:creator are one thing, and so are Copyright and dc:rights (Metadata Working Group, guidelines for
    image metadata 2.0): a picture that has the one gets neither. A tag of spaces says nothing.
    """
    wanted = tags.statement
    if wanted is None:
        return tags
    packet = _packet(jpeg, found)
    problem = None
    try:
        there = xmp.stated(packet)
    except FormatError as error:
        there, problem = {}, str(error)
    segment = _exif_segment(jpeg, found)
    block = None if segment is None else tiff.Block(segments.payload(jpeg, segment)[len(_BEFORE_BLOCK) :])
    exif = dict(tags.exif)
    for name, part in (("Artist", "creator"), ("Copyright", "rights")):
        own = None if block is None else block.value(TABLE[name].directory, TABLE[name].number)
        if (own or b"").strip(b"\0 \t\r\n") or there.get(part):
            wanted = replace(wanted, **{part: None})
        elif (value := getattr(wanted, part)) is not None:
            exif[name] = value
    if problem is None:
        problem = _refusal(packet, wanted)
    if problem is not None:
        log.warning("owner and licence are not written into the XMP of a picture: %s", problem)
    return replace(tags, exif=exif, statement=wanted if problem is None else None)


def _refusal(packet: bytes | None, wanted: xmp.Statement) -> str | None:
    """Return why a packet cannot be extended by a statement; None where it can be."""
    try:
        new = xmp.with_statement(packet, wanted)
    except FormatError as error:
        return str(error)
    # A panorama's properties, which may come too, are short.
    return "there is no room" if new != packet and len(new) + _OF_PANORAMA > segments.LONGEST_PAYLOAD else None


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _check(
    written: bytes,
    new: bytes,
    jpeg: bytes,
    tags: Tags,
    *,
    name: str,
    old_layout: segments.Layout,
    doubts: list[str] | None,
) -> None:
    """Raise unless the file read back from disk is complete, has the tags, and otherwise equals the original."""
    if written != new:
        raise FileError(f"{name}: what was written came back different from the disk; the file was left as it was")
    new_layout = segments.layout(written)
    # Comparing two memoryviews goes number by number; this runs at the speed of memory, without a copy.
    pictures = memoryview(jpeg)[old_layout.scan :]
    same = len(pictures) == len(written) - new_layout.scan and written.endswith(pictures)
    same = same and list(_others(jpeg, old_layout)) == list(_others(written, new_layout))
    block = _exif_segment(written, new_layout)
    there = None if block is None else tiff.Block(segments.payload(written, block)[len(_BEFORE_BLOCK) :])
    settled = tags.captured is None and tags.comment is None
    wanted = _measured(tags, new_layout) if settled else _planned(jpeg, old_layout, tags, doubts)[0]
    for key, value in wanted.items():
        tag = TABLE[key]
        same = same and there is not None
        same = same and there.value(tag.directory, tag.number) == encode(key, value, there.order).raw  # type: ignore[union-attr]
    if not same:
        raise FileError(f"{name}: the new file did not pass its check; the file was left as it was")


def _others(jpeg: bytes, found: segments.Layout) -> Iterable[tuple[int, bytes]]:
    """Yield the segments that writing tags does not change; of an index of further pictures, only its presence."""
    changed = {
        id(segment)
        for name in (segments.EXIF_NAME, segments.XMP_NAME)
        for segment in segments.named(jpeg, found, segments.APP1, name)[:1]
    }
    indexes = {id(segment) for segment in segments.named(jpeg, found, segments.APP2, segments.MPF_NAME)}
    for segment in found.segments:
        if id(segment) not in changed:
            yield segment.marker, b"" if id(segment) in indexes else segments.payload(jpeg, segment)


def _must_be_unchanged(path: Path, before: os.stat_result) -> None:
    now = path.stat()
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
        raise FileError(f"{path.name} was changed by another program meanwhile; it was left alone", hint="try again")


def _keep(path: Path) -> None:
    """Keep a file under its name with "_original" appended: as a hard link, or as a copy where links are impossible."""
    kept = path.with_name(path.name + ORIGINAL)
    with suppress(FileExistsError):
        if not systems.linked(kept, path):
            with store.atomic(kept) as copy:
                systems.copy(path, copy)


# Encoding again, smaller or as WebP, with the picture's metadata.


def recode(data: bytes, *, quality: int | None = None, format: Literal["jpg", "webp"] = "jpg") -> bytes:  # noqa: A002
    """
    Encode a JPEG again, with its EXIF, XMP and colour profile.

    Parameters
    ----------
    data
        A JPEG file.
    quality
        1 (smallest) to 100 (best); None is 80 for WebP, and leaves a JPEG file unchanged.
    format
        "jpg" or "webp".

    Returns
    -------
    data
        The new file.

    Raises
    ------
    FormatError
        If it is not a complete JPEG, has too many pixels, or cannot be written in that format.
    InputError
        If the quality or the format is invalid.

    Examples
    --------
    >>> recode(jpeg, quality=85, format="webp")
    """
    if format not in {"jpg", "webp"}:
        raise InputError(f"pictures cannot be written as {format!r}", hint='use "jpg" or "webp"')
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality {quality} does not lie between 1 and 100")
    found = segments.layout(data)
    if quality is None and format == "jpg":
        return data
    if found.width * found.height > MOST_PIXELS:
        raise FormatError(f"a picture of {found.width:,} by {found.height:,} pixels is not decoded: too many")
    if format == "webp" and max(found.width, found.height) > _LONGEST_WEBP_SIDE:
        raise FormatError(
            f"WebP has {_LONGEST_WEBP_SIDE:,} pixels a side at most, the picture {max(found.width, found.height):,}",
            hint="write it as jpg",
        )
    return _encoded(data, QUALITY if quality is None else quality, format)


def _encoded(data: bytes, quality: int, kind: Literal["jpg", "webp"]) -> bytes:
    from PIL.JpegImagePlugin import JpegImageFile

    written = BytesIO()
    try:
        # Not Image.open: it tries other formats too, and warns of the size of panoramas.
        with JpegImageFile(BytesIO(data)) as picture:
            options: dict[str, Any] = {
                name: picture.info[name] for name in ("exif", "xmp", "icc_profile") if picture.info.get(name)
            }
            picture.load()
            if kind == "webp":
                plain = picture if picture.mode in {"RGB", "L"} else picture.convert("RGB")
                if plain is not picture:
                    options.pop("icc_profile", None)  # the profile of the old colours
                plain.save(written, "WEBP", quality=quality, **options)
            else:
                # The same colour resolution as before; Pillow's default would halve it.
                picture.save(written, "JPEG", quality=quality, subsampling="keep", optimize=True, **options)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FormatError(f"the picture cannot be encoded anew: {error}") from error
    return written.getvalue()
