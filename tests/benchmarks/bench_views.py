"""
Views of a panorama: mlygeo, a loop over pixels, py360convert and equilib.

Run `python tests/benchmarks/bench_views.py [PANORAMA [SIDE [ROUNDS]]]`. Each samples the same views (90 degrees,
level) of one decoded panorama, in turn; figures are medians of
processor seconds for a view, and ratios within the run. py360convert and equilib are used where they are installed (`pip install py360convert pyequilib`
into an environment of its own, or beside this), and left out where they are not. They take one sample a pixel, and so
does mlygeo where the panorama has no more pixels than the view; where it has more, mlygeo takes several, and is
measured with one, too. How far the pictures are apart is told as the share of pixels that differ by more than three
levels, away from the edges of the view: the others have the centres of the first and the last pixel at the ends of the
field of view, and mlygeo the edges of these pixels, so that pictures of fine detail differ.
"""

from __future__ import annotations

import importlib.util
import io
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from mlygeo.perspective import sampling
from mlygeo.perspective.sampling import Source, View, framed, sample
from mlygeo.spatial import rotations

SIDE, ROUNDS = 640, 7
HEADINGS = (0.0, 90.0, 180.0, 270.0)
LOOPED = 64
"""Side of the view that is made by the loop, which is counted up to the others by its pixels."""


def made(width=2048):
    """A panorama of soft colours, as noise would differ everywhere by how it is rounded."""
    x, y = np.meshgrid(np.linspace(0, 2 * np.pi, width, endpoint=False), np.linspace(0, np.pi, width // 2))
    waves = [np.sin(3 * x) * np.sin(y), np.cos(5 * x) * np.sin(y) ** 2, np.cos(4 * y)]
    return np.round(127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def loop(picture, view):
    """One sample a pixel, one pixel at a time; a picture of lists, as arrays give their numbers slowly."""
    height, width = len(picture), len(picture[0])
    turn = rotations.of_angles(np.zeros(1), np.zeros(1), np.zeros(1))[0] @ view.matrix().T
    turn = turn.tolist()
    found = np.empty((view.height, view.width, 3), dtype=np.uint8)
    for row in range(view.height):
        for column in range(view.width):
            a = (column + 0.5 - view.width / 2) / view.focal_pixels
            b = (row + 0.5 - view.height / 2) / view.focal_pixels
            rx, ry, rz = (line[0] * a + line[1] * b + line[2] for line in turn)
            x = (math.atan2(rx, rz) / math.tau + 0.5) * width - 0.5
            y = (math.atan2(ry, math.hypot(rx, rz)) / math.pi + 0.5) * height - 0.5
            left, top = math.floor(x), math.floor(y)
            right, down = x - left, y - top
            lines = picture[min(max(top, 0), height - 1)], picture[min(max(top + 1, 0), height - 1)]
            one, two = left % width, (left + 1) % width
            found[row, column] = [
                round(
                    (lines[0][one][c] * (1 - right) + lines[0][two][c] * right) * (1 - down)
                    + (lines[1][one][c] * (1 - right) + lines[1][two][c] * right) * down
                )
                for c in range(3)
            ]
    return found


def others(pixels, side):
    """The other programs that are installed: a function of a heading each."""
    found = {}
    if importlib.util.find_spec("py360convert"):
        import py360convert

        found["py360convert"] = lambda heading: py360convert.e2p(
            pixels, fov_deg=(90, 90), u_deg=(heading + 180) % 360 - 180, v_deg=0, out_hw=(side, side), mode="bilinear"
        )
    if importlib.util.find_spec("equilib"):
        from equilib import equi2pers

        channels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        found["equilib (NumPy)"] = lambda heading: equi2pers(
            equi=channels, rots={"roll": 0.0, "pitch": 0.0, "yaw": -np.radians(heading)}, height=side, width=side,
            fov_x=90.0, mode="bilinear",
        ).transpose(1, 2, 0)  # fmt: skip
    return found


def main():
    words = sys.argv[1:]
    if words and Path(words[0]).is_file():
        from PIL import Image

        with Image.open(io.BytesIO(Path(words[0]).read_bytes())) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    else:
        pixels = made()
    side = int(words[1]) if len(words) > 1 else SIDE
    rounds = int(words[2]) if len(words) > 2 else ROUNDS
    height, width = pixels.shape[:2]
    four = np.dstack([pixels, np.zeros((height, width), dtype=np.uint8)]).view("<u4")[..., 0]
    source = Source(framed(four, around=True, to_poles=True), full_width=width, full_height=height)
    north = rotations.of_angles(np.zeros(1), np.zeros(1), np.zeros(1))[0]

    def view(heading):
        return sample(source, north, View(heading, 0.0, 90.0, side, side))[0]

    def one_sample(heading):
        spacing, sampling.SPACING = sampling.SPACING, 1e9
        try:
            return view(heading)
        finally:
            sampling.SPACING = spacing

    each = sampling.samples_of(source.focal_pixels, View(0.0, 0.0, 90.0, side, side))
    programs = {f"mlygeo ({each * each} samples a pixel)": view}
    programs |= {"mlygeo (one sample)": one_sample} if each > 1 else {}
    programs |= others(pixels, side)
    seconds = {name: [] for name in programs}
    pictures = {}
    for number in range(rounds):
        for heading in HEADINGS:
            for name, make in programs.items():
                start = time.process_time()
                picture = make(heading + number)  # another each time: nobody has its places from before
                seconds[name].append(time.process_time() - start)
                if heading == 90.0 and number == 0:
                    pictures[name] = np.asarray(picture)
    lists = pixels.tolist()
    start = time.process_time()
    loop(lists, View(0.0, 0.0, 90.0, LOOPED, LOOPED))
    looped = (time.process_time() - start) * side**2 / LOOPED**2
    first = next(iter(seconds))
    plain = "mlygeo (one sample)" if each > 1 else first
    base = statistics.median(seconds[first])
    print(f"panorama {width} x {height}, view {side} x {side}")
    for name, times in seconds.items():
        median = statistics.median(times)
        apart = np.abs(pictures[name][8:-8, 8:-8].astype(int) - pictures[plain][8:-8, 8:-8]).max(axis=2) > 3
        print(f"{name:32} {median * 1000:8.1f} ms  {median / base:6.2f} times  {apart.mean():7.2%} differ")
    print(f"{'a loop over pixels':32} {looped * 1000:8.0f} ms  {looped / base:6.0f} times")


if __name__ == "__main__":
    main()
