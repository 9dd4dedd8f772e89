"""Which frames a video has, in the order they are stored and with the time each is shown, without decoding one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import DependencyError, FileError, FormatError
from mlygeo.formats import mp4

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Wholes = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FrameTable:
    """
    The frames of the largest video stream of a file.

    `pts` (when a frame is shown) and `dts` (when it is decoded) count units of `time_base`; `key` marks
    frames that need no others; `shown` those that the video's edit list leaves in. All are in the order
    of the file. `stream` is the index of the stream, `offset` what was added to its own times.
    """

    stream: int
    time_base: Fraction
    pts: Wholes
    dts: Wholes
    key: Flags
    shown: Flags
    offset: int = 0

    def seconds(self, rows: Wholes) -> npt.NDArray[np.float64]:
        """Return the times of frames, seconds from the start of the video."""
        seconds: npt.NDArray[np.float64] = np.multiply(self.pts[rows], float(self.time_base), dtype=np.float64)
        return seconds

    def in_order(self) -> Wholes:
        """Return the rows of the frames that are shown, in the order of time, each moment once."""
        rows = np.flatnonzero(self.shown)
        rows = rows[np.argsort(self.pts[rows], kind="stable")]
        first = np.ones(len(rows), dtype=bool)
        first[1:] = np.diff(self.pts[rows]) > 0
        return rows[first]


def library() -> Any:
    """
    Return PyAV.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise DependencyError("videos are decoded with PyAV, which is missing", hint="pip install av") from error
    return av


def frame_table(path: Path) -> FrameTable:
    """
    Return the frames of a video: from the tables in its headers, or by reading through its packets.

    Parameters
    ----------
    path
        The video.

    Raises
    ------
    DependencyError
        If PyAV is missing.
    FileError
        If the file cannot be read.
    FormatError
        If it holds no pictures, or nothing says where they are.
    """
    av = library()
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            streams = [stream for stream in container.streams.video if stream.codec_context is not None]
            if not streams:
                raise FormatError(f"{path.name} holds no pictures that can be decoded")
            stream = max(streams, key=lambda found: (found.width * found.height, -found.index))
            for other in container.streams:
                if other is not stream:
                    other.discard = av.stream.Discard.all
            table = _from_headers(path, stream) or _from_packets(av, container, stream)
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, FileError):
            raise
        lost = isinstance(error, av.InvalidDataError)
        why = "it is no video, or its headers are lost" if lost else str(getattr(error, "strerror", error))
        raise (FormatError if lost else FileError)(f"{path.name} cannot be opened: {why}") from error
    if not len(table.pts):
        raise FormatError(f"{path.name} holds no frames")
    return table


def _from_headers(path: Path, stream: Any) -> FrameTable | None:
    """Return the table of an MP4's headers; None where they do not tell all."""
    with path.open("rb", buffering=mp4.BUFFER) as file:
        movie = mp4.read_movie(file, path.stat().st_size)
    # Of a fragment that was cut off FFmpeg gives what is there.
    if movie is None or (movie.fragmented and movie.damage):
        return None
    track = next((track for track in movie.tracks if track.number == stream.id and track.is_video), None)
    if track is None or track.delay is None or Fraction(1, track.timescale) != stream.time_base:
        return None
    samples = track.samples
    if movie.fragmented:
        # FFmpeg counts the frames of the first part alone, and moves those shown before their decoding time in
        # each fragment anew.
        known = not (samples.shown < samples.time).any()
    else:
        known = not stream.frames or stream.frames == len(samples.size)
    if not len(samples.size) or not known:
        return None
    pts = samples.shown + track.delay - track.start
    shown = pts >= 0
    if track.edits and track.edits[-1][0]:
        lengths = sum(length for length, _, _ in track.edits)
        scale = max(track.movie_timescale, 1)
        shown &= pts < (2 * lengths * track.timescale + scale) // (2 * scale)
    dts = samples.time + track.delay - track.start
    return FrameTable(stream.index, stream.time_base, pts, dts, samples.key, shown, -track.start)


def _from_packets(av: Any, container: Any, stream: Any) -> FrameTable:
    rows = []
    try:
        for packet in container.demux(stream):
            if packet.size and (packet.pts is not None or packet.dts is not None):
                pts = packet.dts if packet.pts is None else packet.pts
                dts = pts if packet.dts is None else packet.dts
                rows.append((pts, dts, packet.is_keyframe, not packet.is_discard))
    except av.FFmpegError:
        if not rows:
            raise
    pts, dts, key, shown = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    start = int(stream.start_time or 0)
    # Streams that are cut out of a broadcast start at any number; the first frame is the start of the video.
    start = start if abs(start * stream.time_base) > 10 else 0
    return FrameTable(
        stream.index, stream.time_base, pts - start, dts - start, key.astype(bool), shown.astype(bool), -start
    )
