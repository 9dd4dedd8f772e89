"""
Sampling a video against decoding all of it, and telemetry against ExifTool.

A video of a fixed seed is written first (1280 x 720, 25 frames a second, a key frame a second, as cameras write
them, or every ten seconds). Each round runs the tasks one after another; printed is the median of the rounds'
ratios. The ffmpeg program and ExifTool take part where they are installed.
"""

import logging
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import av
import video_files as made

import mlygeo
from mlygeo.actors import _frame_jpeg

ROUNDS, SECONDS, INTERVAL = 3, 40, 2.0
DATA = Path(__file__).parents[1] / "data" / "video"


def timed(task, *arguments):
    started = time.perf_counter()
    task(*arguments)
    return time.perf_counter() - started


def ours(video, folder):
    images = mlygeo.sample_video(video, import_path=folder, video_sample_interval=INTERVAL)
    assert images["error"].isna().all()
    assert len(images) == SECONDS / INTERVAL


def one_by_one(video, folder):
    folder.mkdir()
    encoder = _frame_jpeg.JpegEncoder()
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if number % round(25 * INTERVAL) == 0:
                (folder / f"{number}.jpg").write_bytes(encoder.encode(frame))


def program(video, folder):
    folder.mkdir()
    words = ["ffmpeg", "-v", "error", "-i", video, "-vf", f"fps=1/{INTERVAL}", "-qscale:v", "2", folder / "%06d.jpg"]
    subprocess.run([str(word) for word in words], check=True)


def sampling():
    rivals = {"every frame decoded": one_by_one} | ({"ffmpeg program": program} if shutil.which("ffmpeg") else {})
    for gop in (25, 250):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            video = made.pictures(folder / "v.mp4", seconds=SECONDS, size=(1280, 720), gop=gop)
            ratios = {rival: [] for rival in rivals}
            for number in range(ROUNDS):
                own = timed(ours, video, folder / f"ours{number}")
                for rival, task in rivals.items():
                    ratios[rival].append(timed(task, video, folder / f"{rival}{number}") / own)
            for rival, found in ratios.items():
                print(f"key frame every {gop} frames, one frame each {INTERVAL:g} s: {np.median(found):.1f} times as fast as {rival}")  # fmt: skip
    print(f"largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def telemetry():
    video = DATA / "gopro_max-heromode.mp4"
    mlygeo.read_video(video)
    own = np.median([timed(mlygeo.read_video, video) for _ in range(9)])
    print(f"track of {video.name}: {own * 1000:.1f} ms")
    if shutil.which("exiftool"):
        words = ["exiftool", "-ee", "-n", "-G3", str(video)]
        theirs = [timed(lambda: subprocess.run(words, capture_output=True, check=True)) for _ in range(5)]
        print(f"track of {video.name}: {np.median(theirs) / own:.0f} times as fast as ExifTool, started anew")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    telemetry()
    sampling()
