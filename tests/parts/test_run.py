"""Who does the parts makes no difference: loops, threads, processes, shares, Dask; whoever is killed meanwhile."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import PROGRAM, installed, program, run
from helpers.datasets import write_dataset
from helpers.over_parts import is_whole
from helpers.processes import ended, start, wait_for
from helpers.unix import needs_proc, needs_unix

import mlygeo
from mlygeo.errors import FileError, InputError
from mlygeo.parts import run as running

DASK = installed("dask")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with images and points in 48 places of the earth, each in a cell of its own; and what is selected."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(1)
    lats = np.degrees(np.arctan(np.sinh(np.pi * (1 - (np.arange(5, 11) + 0.5) / 8))))
    spots = [(lon, lat) for lon in np.arange(-78.75, 80, 22.5) for lat in lats]
    lon, lat = np.repeat(spots, 60, axis=0).T
    number = len(lon)
    images = gpd.GeoDataFrame(
        {
            "id": rng.permutation(number) + 1,
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, number), unit="s", utc=True).as_unit("ms"),
        },
        geometry=gpd.points_from_xy(lon + rng.integers(0, 40, number) * 1e-4, lat + rng.integers(0, 40, number) * 1e-4),
        crs=4326,
    )
    write_dataset(images, folder / "images", 1000)
    some = images.geometry.iloc[::7].translate(5e-5, 5e-5)
    points = gpd.GeoDataFrame({"point_id": rng.permutation(len(some))}, geometry=some.to_numpy(), crs=4326)
    mlygeo.write_frame(points, folder / "points.parquet")
    done = program(*words_of(folder), "-o", str(folder / "expected"))
    assert done.returncode == 0, done.stderr
    return folder


def words_of(world):
    files = [str(world / "points.parquet"), "--images", str(world / "images")]
    return ["select", "--points", *files, "--srid", "3857", "--max-distance", "40", "--k", "2"]


def parts_of(folder):
    return len([*folder.glob(".mlygeo/selection-*/result/cell=q*/part-0.parquet")])


def frame_of(world, **options):
    files = {"points": world / "points.parquet", "images": world / "images"}
    return mlygeo.select(**files, srid=3857, max_distance=40, k=2, **options)


def test_executors_of_python_give_the_frame_of_one_run(world):
    images = gpd.read_parquet(world / "images")
    expected = mlygeo.select(points=world / "points.parquet", images=images, srid=3857, max_distance=40, k=2)
    expected = expected.drop(columns=["cell"])  # the name of the folder, which readers of folders add
    assert len(expected) > 300
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        found = [frame_of(world), *(frame_of(world, executor=each) for each in (threads, processes))]
    for frame in found:
        assert_geodataframe_equal(frame, expected)
        for fact in ("points_covered", "images", "distance_m", "captured", "images_considered", "problems"):
            assert frame.attrs["summary"][fact] == expected.attrs["summary"][fact]


def test_processes_write_the_same_bytes(world, tmp_path, capsys):
    status, _, said = run(capsys, *words_of(world), "--workers", "2", "-o", tmp_path / "out")
    assert status == 0
    assert "parts: 48 of 48 parts" in said
    assert is_whole(tmp_path / "out", world)


def test_a_script_without_a_guard_uses_processes_too(world, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import mlygeo\n"
        "print(len(mlygeo.select(points='points.parquet', images='images', srid=3857, max_distance=40, k=2, workers=2)))\n"
    )

    done = subprocess.run([sys.executable, script], cwd=world, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(frame_of(world))}\n", "")


def test_shares_are_brought_together_by_the_same_command(world, tmp_path, capsys):
    out = tmp_path / "out"
    for share in ("2/3", "1/3", "3/3"):
        status, _, said = run(capsys, *words_of(world), "--part", share, "-o", out)
        assert status == 0
        assert "16 by this run" in said
        assert not (out / "summary.json").exists()
    assert "the same command without --part brings them together" in said
    before = {path: path.stat().st_mtime_ns for path in out.rglob("part-0.parquet")}
    assert run(capsys, *words_of(world), "-o", out)[0] == 0
    after = {path.stat().st_mtime_ns for path in out.rglob("part-0.parquet")}
    assert after == {*before.values()}
    assert is_whole(out, world)


def test_runs_with_parts_and_without_replace_each_other(world, tmp_path, capsys):
    out = tmp_path / "out"
    mlygeo.write_frame(mlygeo.read_frame(world / "images"), tmp_path / "images.parquet")
    whole = [tmp_path / "images.parquet" if word == str(world / "images") else word for word in words_of(world)]
    assert run(capsys, *whole, "-o", out)[0] == 0
    names = {"selection.parquet", "image_ids.txt", "street_points.parquet", "selection.lock.json", "summary.json"}
    assert {path.name for path in out.iterdir()} == names
    ids = sorted((out / "image_ids.txt").read_text().splitlines())
    assert run(capsys, *words_of(world), "-o", out)[0] == 0
    assert is_whole(out, world)
    assert sorted((out / "image_ids.txt").read_text().splitlines()) == ids
    assert run(capsys, *whole, "-o", out)[0] == 0
    assert {path.name for path in out.iterdir()} == names


def test_a_folder_of_somebody_else_stays(world, tmp_path, capsys):
    (tmp_path / "out" / "selection").mkdir(parents=True)
    (tmp_path / "out" / "selection" / "mine.txt").write_text("mine")
    status, _, said = run(capsys, *words_of(world), "-o", tmp_path / "out")
    assert status == 1
    assert "selection was not written by an earlier run" in said
    assert (tmp_path / "out" / "selection" / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out" / ".mlygeo").exists()


@pytest.mark.parametrize("place", ["images", "images/within", "images/within.gpkg", "out"])
def test_a_selection_does_not_change_its_images(world, tmp_path, capsys, place):
    shutil.copytree(world / "images", tmp_path / "images")
    shutil.copytree(world / "images", tmp_path / "out" / "selection")
    for name in ("images", "out/selection"):
        shutil.copy(world / "images.partitions.parquet", tmp_path / f"{name}.partitions.parquet")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    images = tmp_path / ("out/selection" if place == "out" else "images")
    words = ["select", "--points", world / "points.parquet", "--images", images, "-o", tmp_path / place]
    status, _, said = run(capsys, *words, "--srid", "3857", "--force-srid")
    assert status == (2 if place == "out" else 1)
    assert f"{images}" in said
    assert ("would be replaced" if place == "out" else "which would be changed") in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_dry_run_tells_the_parts_and_does_nothing(world, tmp_path, capsys):
    status, out, said = run(capsys, *words_of(world), "--dry-run", "--json", "--workers", "2", "-o", tmp_path / "out")
    assert status == 0
    assert not (tmp_path / "out").exists()
    summary = json.loads(out)
    assert summary["parts"] == 48
    assert summary["processes"] == 2
    assert 250e6 < summary["memory_bytes"] < 251e6
    assert "a process needs up to 250 MB" in said
    frame = frame_of(world, dry_run=True)
    assert frame["points"].sum() == summary["points"] == len(gpd.read_parquet(world / "points.parquet"))
    assert (frame["images"] >= 1).all()


def children(process):
    """Return the worker processes of a program."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


@needs_unix("signals of Unix")
def test_a_killed_worker_costs_its_part_alone(world, tmp_path):
    out = tmp_path / "out"
    process = start([PROGRAM, *words_of(world), "--workers", "2", "-o", out])
    for least in (1, 10):
        wait_for(lambda least=least: parts_of(out) >= least, process)
        wait_for(lambda: children(process), process)
        os.kill(children(process)[0], signal.SIGKILL)
    _, said = ended(process)
    assert process.returncode == 0, said
    assert is_whole(out, world)


@needs_proc
def test_a_killed_run_goes_on_where_it_was(world, tmp_path):
    out = tmp_path / "out"
    rng = np.random.default_rng()
    for workers in ("2", "1"):
        done = parts_of(out)
        least = done + int(rng.integers(1, 15))
        process = start([PROGRAM, *words_of(world), "--workers", workers, "-o", out])
        wait_for(lambda least=least: parts_of(out) >= least, process)
        below = children(process)
        process.kill()
        process.wait()
        wait_for(lambda below=below: not any(Path(f"/proc/{pid}").exists() for pid in below))
        assert parts_of(out) > done
        assert not (out / "summary.json").exists()
    done = program(*words_of(world), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert is_whole(out, world)


HOOKED = """
import os, signal, sys, time
def hooked(event, about):
    if event == "open" and "{words}" in str(about[0]):
        {action}
sys.addaudithook(hooked)
"""

DIES = "os.kill(os.getpid(), signal.SIGKILL)"
STOPS = "os.kill(os.getpid(), signal.SIGSTOP)"
GROWS = "held = b'x' * 600_000_000; time.sleep(1)"


def hooked(folder, words, action):
    """Return an environment in which a program does something as soon as it opens a file with such a name."""
    place = folder / "hooked"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(HOOKED.format(words=words, action=action))
    path = os.pathsep.join([str(place), str(Path(mlygeo.__file__).parents[1])])
    return {**os.environ, "PYTHONPATH": path}


def file_of(cell):
    """Return how the name of the file ends that a part is written to first."""
    return f"/{cell.removeprefix('cell=')}.parquet"


def one_cell(world):
    return sorted(path.parent.name for path in (world / "expected").glob("selection/cell=q*/*"))[20]


@needs_unix("signals of Unix")
def test_a_part_that_ends_its_worker_again_and_again_is_named(world, tmp_path):
    out = tmp_path / "out"
    cell = one_cell(world)
    environment = hooked(tmp_path, file_of(cell), DIES)
    process = start([PROGRAM, *words_of(world), "--workers", "2", "-o", out], env=environment)
    _, said = ended(process)
    assert process.returncode == 1
    assert f"(cell {cell.removeprefix('cell=q')}) ended its worker 3 times; it needs about 250 MB for" in said
    assert "Traceback" not in said
    assert program(*words_of(world), "-o", str(out)).returncode == 0
    assert is_whole(out, world)


@needs_unix("signals of Unix")
def test_an_executor_that_broke_is_one_line(world):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        with pytest.raises(FileError, match="a worker of the executor was ended") as caught:
            frame_of(world, executor=pool)
    assert "\n" not in str(caught.value)


@contextlib.contextmanager
def dask_cluster(folder, *options, workers=2, environment=None):
    """Run a Dask scheduler and workers, started by its own programs; yield its address, and these."""
    folder.mkdir(exist_ok=True)
    told = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", told]
    scheduler = start([DASK, "scheduler", *words], **quiet)
    programs = [scheduler]
    try:
        wait_for(lambda: told.exists() and told.read_text().endswith("}"), scheduler)
        for number in range(workers):
            place = ["--local-directory", folder / f"worker{number}"]
            words = ["--scheduler-file", told, "--nthreads", "1", "--no-dashboard", *place, *options]
            programs.append(start([DASK, "worker", *words], **quiet))
        yield json.loads(told.read_text())["address"], programs
    finally:
        for each in reversed(programs):
            for pid in descendants(each.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            each.kill()
            each.wait()


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two workers: address, scheduler, workers."""
    with dask_cluster(tmp_path / "dask") as made:
        yield made


def descendants(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    below = [int(line) for line in found.stdout.split()]
    return [each for child in below for each in [*descendants(child), child]]


def state_of(pid):
    """Return the state of a process as `ps` tells it; None where it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1]
    return None


def dask_words(world, address, out):
    return [*words_of(world), "--scheduler", address, "-o", out]


@needs_unix("signals of Unix")
def test_a_cluster_writes_the_same_bytes_whoever_is_killed(world, tmp_path, cluster):
    address, (scheduler, one, _) = cluster
    # A worker is killed, and its nanny starts another.
    out = tmp_path / "worker killed"
    process = start([PROGRAM, *dask_words(world, address, out)])
    wait_for(lambda: parts_of(out) >= 2, process)
    os.kill(descendants(one.pid)[-1], signal.SIGKILL)
    _, said = ended(process)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert is_whole(out, world)
    # The client is killed, and the same command goes on. The scheduler is killed, and without it the command goes on.
    out = tmp_path / "client killed"
    process = start([PROGRAM, *dask_words(world, address, out)])
    wait_for(lambda: parts_of(out) >= 2, process)
    process.kill()
    process.wait()
    assert not (out / "summary.json").exists()
    process = start([PROGRAM, *dask_words(world, address, out)])
    least = parts_of(out)
    wait_for(lambda: parts_of(out) >= least + 5, process)
    scheduler.kill()
    _, said = ended(process)
    assert process.returncode == 1
    assert "error: the scheduler or its workers are gone" in said
    assert "Traceback" not in said
    assert program(*words_of(world), "-o", str(out)).returncode == 0
    assert is_whole(out, world)


@needs_unix("signals of Unix")
def test_a_part_that_needs_more_memory_than_a_worker_may_have_is_named(world, tmp_path):
    out, cell = tmp_path / "out", one_cell(world)
    environment = {**hooked(tmp_path, file_of(cell), GROWS), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with dask_cluster(tmp_path / "small", "--memory-limit", "500MB", environment=environment) as (address, _):
        _, said = ended(process := start([PROGRAM, *dask_words(world, address, out)]))
    assert process.returncode == 1
    error = next(line for line in said.splitlines() if line.startswith("error"))
    assert re.search(rf"part \d+ of 48 \(cell {cell.removeprefix('cell=q')}\) ended its worker 2 times", error)
    assert "needs about 250 MB for 60 images in reach, and a worker may have 500 MB" in error
    kept = {path: path.stat().st_mtime_ns for path in out.glob(".mlygeo/selection-*/result/cell=q*/*")}
    assert int(re.search(r"; (\d+) parts? ", error)[1]) == len(kept) >= 46  # all but those blamed with it
    assert not any(cell in str(path) for path in kept)
    with dask_cluster(tmp_path / "large", "--memory-limit", "2GB", environment=environment) as (address, _):
        _, said = ended(process := start([PROGRAM, *dask_words(world, address, out)]))
    assert process.returncode == 0, said
    written = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("selection/cell=q*/*")}
    assert {path.parent.name: written[path.parent.name] for path in kept} == {
        path.parent.name: changed for path, changed in kept.items()
    }
    assert is_whole(out, world)


@needs_proc
def test_a_worker_that_is_late_leaves_nothing(world, tmp_path):
    distributed = pytest.importorskip("distributed")
    out, cell = tmp_path / "out", one_cell(world)
    environment = hooked(tmp_path, file_of(cell), STOPS)
    with dask_cluster(tmp_path / "dask", environment=environment) as (address, programs):
        process = start([PROGRAM, *dask_words(world, address, out)])
        stopped = []

        def is_stopped():
            below = [pid for each in programs[1:] for pid in descendants(each.pid)]
            stopped[:] = [pid for pid in below if state_of(pid) == "T"]
            return stopped

        wait_for(is_stopped, process)
        process.kill()
        process.wait()
        assert program(*words_of(world), "-o", str(out)).returncode == 0
        assert is_whole(out, world)
        os.kill(stopped[0], signal.SIGCONT)
        with distributed.Client(address) as client:
            for worker in client.nthreads():  # which does one task after another
                client.submit(os.getpid, workers=[worker], pure=False).result()
        assert is_whole(out, world)


@needs_unix("signals of Unix")
def test_a_scheduler_without_workers_is_told(world, tmp_path):
    with dask_cluster(tmp_path / "dask", workers=0) as (address, _), (tmp_path / "said").open("w+") as said:
        process = start([PROGRAM, *dask_words(world, address, tmp_path / "out")], stderr=said)
        wait_for(lambda: "has no workers yet; the parts wait" in (tmp_path / "said").read_text(), process)
        process.kill()
        process.wait()


def test_a_scheduler_that_is_not_there_is_one_line(world):
    with pytest.raises(FileError, match=r"the scheduler at tcp://127\.0\.0\.1:1 does not answer") as caught:
        frame_of(world, scheduler="tcp://127.0.0.1:1")
    assert "\n" not in str(caught.value)


@needs_unix("signals of Unix")
def test_a_client_of_python_gives_the_frame_of_one_run(world, cluster):
    distributed = pytest.importorskip("distributed")
    expected = frame_of(world)
    address, _ = cluster
    with distributed.Client(address) as client:
        assert_geodataframe_equal(frame_of(world, client=client), expected)
        assert client.status == "running"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "`workers` and `scheduler` all say who works"),
        ({"executor": 3}, "`executor` takes an executor of concurrent.futures, not int"),
        ({"client": "x"}, "`client` takes a Dask client, not str"),
        ({"part": "4/3"}, "`part` is a share such as 3/8"),
        ({"part": "half"}, "`part` is a share such as 3/8"),
        ({"part": "1/3"}, "`part` needs a folder"),
        ({"part": "1/3", "dry_run": True}, "`dry_run` has no effect with `part`"),
        ({"overwrite": True}, "`overwrite` has no effect with `images`"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(world, options, said):
    with pytest.raises(InputError) as caught:
        mlygeo.select(points=world / "points.parquet", images=world / "images", srid=3857, **options)
    assert said in str(caught.value)


@pytest.mark.parametrize("option", [{"scheduler": "x"}, {"part": "1/2"}, {"dry_run": True}, {"executor": 1}])
def test_without_a_dataset_they_are_of_no_use(world, option):
    with pytest.raises(InputError, match=f"`{next(iter(option))}` has no effect without a dataset"):
        mlygeo.select(points=world / "points.parquet", images=gpd.read_parquet(world / "images"), **option)


def test_threads_of_a_worker_are_those_that_it_is_told(world):
    from mlygeo import arrays

    with arrays.most_threads(1):
        assert arrays.workers() == 1
        with arrays.most_threads(None):
            assert arrays.workers() == 1
    assert running.peak() > 10_000_000
