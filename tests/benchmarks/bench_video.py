"""
Sampling a video against the ffmpeg program and against decoding all of it, and telemetry against ExifTool.

A minute of a drive is written first (a scene that passes by, under the noise of a sensor; 1280 x 720, 30 frames
and 14 Mbit a second), with a key frame every half second, as action cameras write them, and every eight seconds.
Each round runs the tasks one after another, whole processes with whole processes; printed is the median of the
rounds' ratios. The ffmpeg program and ExifTool take part where they are installed.
"""

import logging
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import mlygeo
from mlygeo.video import frames

ROUNDS, SECONDS, RATE, SIZE = 3, 60, 30, (1280, 720)
DATA = Path(__file__).parents[1] / "data" / "video"


def drive(path, *, gop):
    random = np.random.default_rng(20240505)
    width, height = SIZE
    scene = np.full((height + 80, 3 * width), 128.0, dtype=np.float32)
    for cell, contrast in ((96, 70), (24, 40), (6, 25)):
        patches = random.random((scene.shape[0] // cell + 1, scene.shape[1] // cell + 1), dtype=np.float32) - 0.5
        scene += contrast * np.kron(patches, np.ones((cell, cell), np.float32))[: scene.shape[0], : scene.shape[1]]
    noise = random.normal(0, 3, (16, height, width)).astype(np.float32)
    with av.open(str(path), "w") as output:
        output.metadata["creation_time"] = "2024-05-05T10:00:00Z"
        options = {"preset": "veryfast", "b": "14M", "maxrate": "16M", "bufsize": "16M"}
        stream = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, 0 if gop < RATE else 2
        for number in range(SECONDS * RATE):
            left, top = number * 9 % (2 * width), int(40 + 39 * np.sin(number / 7))
            picture = np.full((height * 3 // 2, width), 128, np.uint8)
            picture[:height] = np.clip(scene[top : top + height, left : left + width] + noise[number % 16], 0, 255)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def timed(task, *arguments):
    started = time.perf_counter()
    task(*arguments)
    return time.perf_counter() - started


def inside(video, folder, interval):
    images = mlygeo.sample_video(video, import_path=folder, video_sample_interval=interval)
    assert images["error"].isna().all()
    assert len(images) == SECONDS / interval


def process(video, folder, interval):
    words = [sys.executable, "-m", "mlygeo", "sample-video", video, "--import-path", folder, "--quiet",
             "--video-sample-interval", interval, "-o", folder.with_suffix(".parquet")]  # fmt: skip
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    assert len(list(folder.rglob("*.jpg"))) == SECONDS / interval


def one_by_one(video, folder, interval):
    folder.mkdir()
    encoder = frames.JpegEncoder()
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if number % round(RATE * interval) == 0:
                (folder / f"{number}.jpg").write_bytes(encoder.encode(frame))


def program(video, folder, interval):
    folder.mkdir()
    words = ["ffmpeg", "-v", "error", "-i", video, "-vf", f"fps=1/{interval}", "-qscale:v", "2", folder / "%06d.jpg"]
    subprocess.run([str(word) for word in words], check=True)


def sampling():
    pairs = [("in this process", inside, "every frame decoded", one_by_one)]
    if shutil.which("ffmpeg"):
        pairs.append(("as a process", process, "the ffmpeg program", program))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for gop in (15, 250):
            video = drive(folder / f"{gop}.mp4", gop=gop)
            for interval in (0.5, 2.0):
                for own_name, own, rival_name, rival in pairs:
                    ratios = []
                    for _ in range(ROUNDS):
                        taken = timed(own, video, folder / "own", interval)
                        ratios.append(timed(rival, video, folder / "rival", interval) / taken)
                        shutil.rmtree(folder / "own")
                        shutil.rmtree(folder / "rival")
                    print(f"key frame every {gop} frames, one frame each {interval:g} s, {own_name}: {np.median(ratios):.1f} times as fast as {rival_name}")  # fmt: skip
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
