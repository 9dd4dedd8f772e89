"""What differs between systems and file systems: tried on real disks of others, and on consoles and zones that lack."""

from __future__ import annotations

import ast
import contextlib
import errno
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import program
from helpers.disks import KINDS, disk_of
from helpers.photo_folders import folder_of, pixels
from helpers.picture_downloads import fetch, pictures_in
from helpers.processes import process_of
from helpers.unix import needs_proc

import mlygeo
from mlygeo import systems
from mlygeo.errors import FileError, MlygeoError
from mlygeo.formats.exif import Tags
from mlygeo.locks import FolderLock, PhotoLock
from mlygeo.photos.exif_writer import write_exif
from mlygeo.processes import Processes
from mlygeo.standin import serve
from mlygeo.store.atomic import ALIVE, together, write_text

pytestmark = pytest.mark.usefixtures("history")

ONLY_IN_SYSTEMS = {
    "os": {"name", "kill", "link", "fork", "geteuid", "getuid", "umask", "supports_dir_fd"},
    "sys": {"platform"},
    "signal": {"SIG_IGN", "SIGTERM", "SIGKILL", "SIGHUP", "SIGALRM"},
}
"""What not every system has, or has otherwise."""


def test_differences_between_systems_stand_in_one_place():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "systems.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if {"fcntl", "msvcrt", "resource", "pwd", "grp"} & set(names):
                found.append(f"{path}:{node.lineno} imports {names}")
            if isinstance(node, ast.Attribute) and node.attr in ONLY_IN_SYSTEMS.get(ast.unparse(node.value), ()):
                found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
            if isinstance(node, ast.Attribute) and node.attr in {"hardlink_to", "flock"}:
                found.append(f"{path}:{node.lineno} {node.attr}")
    assert not found, "\n".join(found)


@pytest.fixture(scope="module", params=sorted(KINDS))
def disk(request, tmp_path_factory):
    """A disk without hard links or with names that it folds and refuses."""
    with disk_of(request.param, tmp_path_factory.mktemp("disks")) as place:
        yield place


def has_sqlite(disk):
    """Whether SQLite works there: FAT's driver for FUSE has no locks of parts of files, the kernel's own has."""
    try:
        with contextlib.closing(sqlite3.connect(disk / "tried.sqlite")) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE tried (number)")
    except sqlite3.OperationalError:
        return False
    finally:
        for path in disk.glob("tried.sqlite*"):
            path.unlink()
    return True


@pytest.mark.may_skip
def test_frames_are_written_read_and_replaced_there(disk, images):
    some = images.iloc[:500]
    names = ["images.parquet", "images.geojson", "images.csv", *["images.gpkg"] * has_sqlite(disk)]
    for name in names:
        path = disk / "frames" / name
        mlygeo.write_frame(some.iloc[:3], path)
        mlygeo.write_frame(some, path)
        assert mlygeo.read_frame(path)["id"].tolist() == some["id"].tolist()
    assert_geodataframe_equal(mlygeo.read_frame(disk / "frames" / "images.parquet"), some.reset_index(drop=True))
    assert sorted(each.name for each in (disk / "frames").iterdir()) == sorted(names)  # nothing is left over


@pytest.mark.may_skip
def test_a_selection_is_made_there(disk):
    config, streets = STUTTGART / "stuttgart_config.json", STUTTGART / "stuttgart_osm_edges.gpkg"
    words = ["select", "-c", str(config), "--streets", str(streets), "--interval", "200", "-o", str(disk / "out")]
    done = program(*words)
    assert done.returncode == 0, done.stderr
    assert mlygeo.read_frame(disk / "out" / "selection.parquet").shape[0] > 10
    again = program(*words)
    assert again.returncode == 0, again.stderr


@pytest.mark.may_skip
def test_pictures_are_downloaded_there_once(disk, images):
    few = images.iloc[:6]
    with serve(images=few) as server:
        if not has_sqlite(disk):
            with pytest.raises(FileError, match=r"ledger\.sqlite: disk I/O error"):
                fetch(server, few, disk / "pictures")
            return
        first = fetch(server, few, disk / "pictures")
        second = fetch(server, few, disk / "pictures")
    assert len(pictures_in(disk / "pictures")) == 6
    assert (first.attrs["summary"]["fetched"], second.attrs["summary"]["fetched"]) == (6, 0)


@pytest.mark.may_skip
def test_originals_are_kept_there_without_hard_links(disk):
    photo = folder_of(disk / "photos", 1)[0]
    before, shown = photo.read_bytes(), pixels(photo)
    assert write_exif(photo, Tags({"Make": "Acme"}), keep_original=True)
    assert photo.with_name(f"{photo.name}_original").read_bytes() == before
    assert photo.read_bytes() != before
    assert pixels(photo) == shown


@pytest.mark.may_skip
def test_two_runs_are_kept_apart_there(disk):
    with FolderLock(disk / "locked"):
        code = f"from pathlib import Path; from mlygeo.locks import FolderLock; FolderLock(Path({str(disk / 'locked')!r})).__enter__()"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert other.returncode == 1
        assert "another run is at work" in other.stderr
    with FolderLock(disk / "locked"):
        pass


@pytest.mark.may_skip
def test_a_folder_in_other_letters_is_the_same_folder_there(disk):
    """Two runs on it are kept apart."""
    (disk / "Trip" / "Photos").mkdir(parents=True)
    if not (disk / "TRIP").exists():
        pytest.skip("this driver tells them apart")
    with (
        PhotoLock([disk / "Trip"], "upload"),
        pytest.raises(FileError),
        PhotoLock([disk / "TRIP" / "photos"], "writing"),
    ):
        pass


@pytest.mark.may_skip
@pytest.mark.parametrize("name", ["a:b.parquet", "what?.parquet", "x|y.geojson", 'quoted".csv', "ends.parquet "])
def test_a_name_that_the_disk_refuses_is_an_error_of_one_line(disk, images, name):
    """FUSE takes some that the system itself refuses; then the file is there and reads."""
    target, said = disk / "names" / name, None
    try:
        mlygeo.write_frame(images.iloc[:3], target)
    except MlygeoError as error:
        said = str(error)
    assert target.exists() if said is None else name.strip() in said
    assert said is None or "\n" not in said


def test_no_hard_links_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "old").write_text("photo")
    assert systems.linked(tmp_path / "new", tmp_path / "old")
    with pytest.raises(FileExistsError):
        systems.linked(tmp_path / "new", tmp_path / "old")

    def refused(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert not systems.linked(tmp_path / "third", tmp_path / "old")


class Busy:
    """os.replace where another program has the file open, as Windows answers."""

    def __init__(self, refusals):
        self.left, self.replace = refusals, os.replace

    def __call__(self, old, new):
        if self.left:
            self.left -= 1
            raise PermissionError(errno.EACCES, "Access is denied", str(new))
        self.replace(old, new)


def test_a_file_that_is_open_elsewhere_is_replaced_a_moment_later(tmp_path, monkeypatch):
    monkeypatch.setattr(systems, "WINDOWS", True)
    monkeypatch.setattr(os, "replace", Busy(3))
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    systems.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"


def test_a_file_that_stays_open_elsewhere_is_an_error(tmp_path, monkeypatch, images):
    path = tmp_path / "images.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", Busy(1000))
    with pytest.raises(FileError, match="Access is denied"):
        mlygeo.write_frame(images.iloc[:3], path)
    assert path.read_text() == "old"


@pytest.fixture
def open_files_stay(monkeypatch):
    """Files that are open or mapped cannot be removed, as Windows has it; there it is so anyway."""
    if systems.WINDOWS:
        return
    unlink, process = os.unlink, Path("/proc/self")
    if not process.exists():
        pytest.skip("what is open is read from /proc")

    def refuse(path, **more):
        whole = str(Path(path).absolute())
        is_open = whole in {os.path.realpath(each) for each in (process / "fd").iterdir()}
        if whole.endswith(ALIVE):  # a lock, which is closed before only on Windows
            is_open = False
        elif not is_open:
            is_open = whole in (process / "maps").read_text(encoding="utf-8")
        if is_open:
            raise PermissionError(errno.EACCES, "it is open", str(path))
        unlink(path, **more)

    monkeypatch.setattr(os, "unlink", refuse)


@pytest.mark.parametrize(
    "name", ["CON.parquet", "nul.csv", "COM1.gpkg", "lpt9.geojson", "aux .csv", "a.csv.", "a.csv "]
)
def test_names_that_windows_reserves_are_refused_there(tmp_path, monkeypatch, images, name):
    """A driver of a device would get the frame, or wait for ever."""
    monkeypatch.setattr(systems, "WINDOWS", True)
    with pytest.raises(MlygeoError) as caught:
        mlygeo.write_frame(images.iloc[:3], tmp_path / name)
    assert "Windows reserves this name" in str(caught.value) or name.endswith((".", " "))
    assert systems.is_reserved(tmp_path / name)
    assert not systems.is_reserved(tmp_path / f"my{name.rstrip(' .')}")
    assert not list(tmp_path.iterdir())


class Descriptor:
    """A file that is open until nothing refers to it, as those of Arrow are."""

    def __init__(self, path):
        self.path, self.number = path, os.open(path, os.O_RDWR | os.O_CREAT)

    def __del__(self):
        os.close(self.number)


@needs_proc
def test_what_an_error_holds_open_is_removed_all_the_same(tmp_path, open_files_stay):
    path = tmp_path / "file"

    def failing():
        descriptor = Descriptor(path)
        raise ValueError(descriptor.path)

    def cleared():
        try:
            failing()
        finally:
            systems.remove(path)

    with pytest.raises(ValueError, match="file"):
        cleared()
    assert not path.exists()
    with path.open("wb"), pytest.raises(PermissionError):
        systems.remove(path)  # open in earnest


@needs_proc
def test_a_frame_that_cannot_be_written_leaves_nothing(tmp_path, images, open_files_stay):
    odd = images.iloc[:3].assign(odd=[{}, {}, {}])
    with pytest.raises(MlygeoError, match="odd"):
        mlygeo.write_frame(odd, tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


@needs_proc
def test_a_dataset_that_cannot_be_made_says_why_and_leaves_nothing(tmp_path, open_files_stay):
    rows = [{"type": "Feature", "properties": {"a": 1}, "geometry": {"type": "Point", "coordinates": [longitude, 48]}}
            for longitude in (9, 9, 500)]  # fmt: skip
    (tmp_path / "rows.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    with pytest.raises(MlygeoError, match="row 3 lies at 500, 48"):
        mlygeo.partition(tmp_path / "rows.geojson", tmp_path / "parts")
    assert [path.name for path in tmp_path.rglob("*.parquet")] == []


def test_files_of_a_run_are_replaced_all_or_none(tmp_path, monkeypatch):
    """One of them is open in another program, which Windows does not replace."""
    for name in ("a.csv", "last.json"):
        (tmp_path / name).write_text("old")

    def made():
        with together(tmp_path, last="last.json"):
            for name in ("a.csv", "last.json"):
                write_text("new", tmp_path / name)

    if systems.WINDOWS:
        with (tmp_path / "a.csv").open(), pytest.raises(FileError):
            made()
    else:
        with monkeypatch.context() as patched:
            patched.setattr(systems, "WINDOWS", True)
            patched.setattr(systems, "locked", lambda _: True)
            patched.setattr(systems, "REPLACE_S", 0.1)
            patched.setattr(os, "replace", Busy(1000))
            with pytest.raises(FileError, match="Access is denied"):
                made()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.csv": "old", "last.json": "old"}
    made()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.csv": "new", "last.json": "new"}


def test_a_process_of_another_number_is_asked_for_only_where_that_does_no_harm(monkeypatch):
    if not systems.WINDOWS:
        assert systems.is_running(os.getpid()) is True
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        assert systems.is_running(child.pid) is False
    monkeypatch.setattr(systems, "WINDOWS", True)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("that ends a process on Windows"))
    assert systems.is_running(os.getpid()) is None


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437"])
def test_what_a_console_cannot_show_is_no_traceback(tmp_path, encoding):
    """Japanese and Hebrew names in an error, a warning and the output; bytes of the output are UTF-8 on any console."""
    missing = program("select", "-c", str(tmp_path / "東京.json"), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert missing.returncode in {1, 2}
    assert "Traceback" not in missing.stderr
    assert missing.stderr.startswith("error: ")
    folder = tmp_path / "רחוב"
    words = ["convert", str(STUTTGART / "stuttgart_images.parquet"), str(folder / "images.csv")]
    done = program(*words, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert mlygeo.read_frame(folder / "images.csv").shape[0] > 1000
    helped = program("select", "--help", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert helped.returncode == 0


NO_ZONES = """
import sys, zoneinfo
sys.modules["tzdata"] = None
zoneinfo.reset_tzpath(())
"""


def python(code):
    return subprocess.run(
        [sys.executable, "-c", NO_ZONES + code], capture_output=True, text=True, env={**os.environ, "PYTHONTZPATH": ""}
    )


def test_times_without_zones_of_the_system_are_told():
    done = python(
        "import logging; logging.basicConfig(level='WARNING'); from datetime import UTC, datetime\n"
        "from mlygeo.photos import tags\n"
        "print(tags.local_time(datetime(2024, 6, 1, 12, tzinfo=UTC), (9.18, 48.78)).isoformat())"
    )
    assert done.stdout == "2024-06-01T12:00:00+00:00\n", done.stderr
    assert "the time zone Europe/Berlin is not known here; times there are written in UTC" in done.stderr


@pytest.mark.may_skip
def test_years_and_texts_of_times_need_no_zones_of_the_system(tmp_path):
    """Arrow reads those of the system alone, which small containers and Windows do not have."""
    apart = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /usr/share/zoneinfo && exec "$@"', "sh"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the folder of zones cannot be hidden here")
    images, streets = STUTTGART / "stuttgart_images.parquet", STUTTGART / "stuttgart_osm_edges.gpkg"
    out = tmp_path / "out"
    sources = ["--images", images, "--streets", streets, "--interval", "200"]
    for words in (
        ["select", *sources, "--prefer", "newest", "--k", "2", "--per", "year", "-o", out],
        ["convert", out / "selection.parquet", "-o", tmp_path / "selection.csv"],
        ["coverage", "--images", images, "--streets", streets, "--by", "year", "-o", tmp_path / "covered"],
    ):
        done = subprocess.run(
            [*apart, sys.executable, "-m", "mlygeo", *map(str, words)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert set(json.loads((out / "summary.json").read_text(encoding="utf-8"))["captured"]) == {"2024"}


def test_a_zone_that_is_asked_for_and_unknown_is_an_error():
    done = python(
        "from mlygeo.cli import main\n"
        f"sys.exit(main(['coverage', '--images', {str(STUTTGART / 'stuttgart_images.parquet')!r}, '--streets', "
        f"{str(STUTTGART / 'stuttgart_osm_edges.gpkg')!r}, '--time-zone', 'Europe/Berlin', '-o', 'never']))"
    )
    assert done.returncode == 2, done.stderr
    assert "Europe/Berlin" in done.stderr
    assert "Traceback" not in done.stderr


def test_paths_of_windows_in_files_are_found_again(tmp_path):
    """A table or description that was written there names its photos with drive letters and backslashes."""
    from mlygeo.places import find_moved, natural_key

    photo = folder_of(tmp_path / "DCIM" / "100MSDCF", 1)[0]
    there = f"D:\\\\Trip 2024\\\\DCIM\\\\100MSDCF\\\\{photo.name}".replace("\\\\", "\\")
    assert find_moved(there, str(tmp_path)) == str(photo)
    names = [r"C:\photos\IMG_10.JPG", r"C:\photos\IMG_9.JPG", "C:/photos/img_2.jpg"]
    assert sorted(names, key=natural_key) == names[::-1]


def test_processes_are_spawned_as_on_macos_and_windows():
    """Not copies of their parent, which would lack its threads."""
    with Processes(2) as processes:
        found = dict(processes.each(process_of, [1, 2], too_often=lambda _: FileError("ended")))
    names = {name for name, _ in found.values()}
    assert len(names) == 2
    assert all(name.startswith("SpawnProcess-") for name in names)
    assert os.getpid() not in {number for _, number in found.values()}


def test_only_signals_that_exist_are_listened_to():
    assert all(isinstance(number, int) for number in systems.ENDINGS)
    assert json.dumps([number.name for number in systems.ENDINGS]) == '["SIGINT", "SIGTERM"]' or systems.WINDOWS
