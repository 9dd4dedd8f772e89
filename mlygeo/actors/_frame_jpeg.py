"""Decoded frames as JPEG: upright, in the colours that JPEG viewers expect, with their tags."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mlygeo.actors import _frame_table
from mlygeo.photos import exif_writer

if TYPE_CHECKING:
    from collections.abc import Mapping

QUALITY = 2
"""FFmpeg's quantiser for JPEG, 1 (best) to 31; what mapillary_tools asks the ffmpeg program for."""

_NOT_OURS = ("Copyright", "Artist", "UserComment")
"""Tags that tell of an image of Mapillary's, which a frame of one's own video is not yet."""

_TURNS = {90: (("transpose", "clock"),), 180: (("hflip", ""), ("vflip", "")), 270: (("transpose", "cclock"),)}
"""FFmpeg's filters for each clockwise turn."""


class JpegEncoder:
    """Makes JPEGs of frames; not for several threads at once."""

    def __init__(self) -> None:
        self._av = _frame_table.library()
        self._context: Any = None
        self._count = 0

    def encode(self, frame: Any, *, quality: int = QUALITY) -> bytes:
        """
        Return a frame as JPEG.

        Parameters
        ----------
        frame
            A `av.VideoFrame`. Its display matrix is applied, so that the picture is upright.
        quality
            FFmpeg's quantiser, 1 (best) to 31.
        """
        frame = self._upright(frame)
        tagged = frame.colorspace in {space.value for space in self._av.video.reformatter.Colorspace}
        # JFIF knows one set of colours: ITU-R BT.601, full range. What a video does not tell is left as it is.
        picture = frame.reformat(
            format="yuvj420p",
            src_colorspace=frame.colorspace if tagged else None,
            dst_colorspace="ITU601" if tagged else None,
            dst_color_range="JPEG",
            threads=1,
        )
        self._count += 1  # the encoder asks for times that grow
        picture.pts, picture.time_base, picture.pict_type = self._count, Fraction(1, 25), 0
        context = self._encoder(picture.width, picture.height, quality)
        data = b"".join(bytes(packet) for packet in context.encode(picture))
        return data or b"".join(bytes(packet) for packet in self._flush())

    def _encoder(self, width: int, height: int, quality: int) -> Any:
        if self._context is None or (self._context.width, self._context.height) != (width, height):
            context = self._av.CodecContext.create("mjpeg", "w")
            context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
            context.time_base = Fraction(1, 25)
            context.thread_count = 1
            context.options = {"qmin": str(quality), "qmax": str(quality), "flags": "+bitexact"}
            context.color_range = 2
            self._context = context
        return self._context

    def _flush(self) -> Any:
        context, self._context = self._context, None
        return context.encode(None)

    def _upright(self, frame: Any) -> Any:
        turn = round(-frame.rotation / 90) * 90 % 360
        return self._turned(frame, turn) if turn else frame

    def _turned(self, frame: Any, turn: int) -> Any:
        graph = self._av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
        )
        steps = [graph.add(name, arguments or None) for name, arguments in _TURNS[turn]]
        graph.link_nodes(source, *steps, graph.add("buffersink")).configure()
        graph.push(frame)
        return graph.pull()


def with_tags(jpeg: bytes, image: Mapping[str, Any]) -> bytes:
    """
    Return a JPEG with what is known of it in EXIF: time, position, heading, camera.

    Parameters
    ----------
    jpeg
        The picture.
    image
        A row of an images frame.
    """
    tags = exif_writer.picture_tags(image)
    kept = {name: value for name, value in tags.exif.items() if name not in _NOT_OURS}
    return exif_writer.insert(jpeg, replace(tags, exif=kept))
