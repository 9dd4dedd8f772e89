"""
A real Panoramax server for tests: geovisio of the package index, with PostgreSQL and PostGIS.

The first use on a machine sets it up, in about a minute: a virtual environment, a database with the server's schema,
20,000 pictures without files and some real ones. That is kept as a template in the user's cache folder (in /var/tmp
for root, since PostgreSQL runs as another user there; MLYGEO_PANORAMAX_TEST_FOLDER names another folder). Each test
session then starts a server of its own on a copy of the template, in some seconds, and removes the copy at its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import filelock
import platformdirs
import pytest
import requests
from helpers.photo_folders import tagged
from helpers.postgis_server import find_programs
from helpers.unix import skip_without_unix
from PIL import Image

GEOVISIO = "geovisio==2.15.1"

FOLDER_VARIABLE = "MLYGEO_PANORAMAX_TEST_FOLDER"

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

CACHE = Path(os.environ.get(FOLDER_VARIABLE) or (
    Path("/var/tmp/mlygeo-panoramax") if IS_ROOT else platformdirs.user_cache_path("mlygeo-panoramax-server", False)
))  # fmt: skip
LICENCE, LICENCE_URL = "CC-BY-SA-4.0", "https://spdx.org/licenses/CC-BY-SA-4.0.html"

SEQUENCES, PICTURES_EACH = 40, 500

UNUSED_S = 7 * 86_400.0
"""Seconds without use after which a template of another version is removed."""

STARTS_S = 90.0
"""Seconds after which a server that does not answer will not, on the slowest machine."""

BULK = f"""
DO $$
DECLARE owner uuid; sequence uuid; number int;
BEGIN
  INSERT INTO accounts(name) VALUES ('Ada'), ('Grace'), ('Åsa Öberg');
  FOR number IN 1..{SEQUENCES} LOOP
    SELECT id INTO owner FROM accounts WHERE name = (ARRAY['Ada', 'Grace', 'Åsa Öberg'])[1 + number % 3];
    INSERT INTO sequences(account_id, metadata, status, visibility)
      VALUES (owner, jsonb_build_object('title', 'bulk ' || number), 'ready', 'anyone') RETURNING id INTO sequence;
    WITH made AS (
      INSERT INTO pictures(ts, heading, heading_computed, metadata, account_id, geom, exif, status, preparing_status,
                           visibility, gps_accuracy_m)
      SELECT timestamptz '2024-01-01Z' + (number * 1000 + n) * interval '2 s' + n * interval '1 microsecond',
             CASE WHEN n % 50 = 0 THEN NULL ELSE (n * 7) % 360 END, n % 3 = 0,
             jsonb_build_object('type', CASE WHEN number % 2 = 0 THEN 'equirectangular' ELSE 'flat' END,
               'make', 'GoPro', 'model', 'Max', 'width', 5760, 'height', 2880, 'cols', 8, 'rows', 4,
               'field_of_view', CASE WHEN number % 2 = 0 THEN 360 ELSE 92 END,
               'originalFileName', n || '.jpg', 'originalFileSize', 4000000 + n, 'tz', 'UTC'),
             owner, ST_SetSRID(ST_MakePoint(9.10 + number * 0.001 + n * 0.00001, 48.70 + n * 0.00005), 4326),
             jsonb_build_object('Exif.GPSInfo.GPSAltitude', n || '/10', 'Exif.GPSInfo.GPSAltitudeRef', (n % 2)::text)
               || CASE WHEN n % 3 = 0 THEN '{{}}'::jsonb
                  ELSE jsonb_build_object('Exif.GPSInfo.GPSImgDirection', (n * 7) % 360 || '/1') END,
             'ready', 'prepared', 'anyone', CASE WHEN n % 2 = 0 THEN 4 END
      FROM generate_series(1, {PICTURES_EACH}) n RETURNING id, ts)
    INSERT INTO sequences_pictures(seq_id, rank, pic_id)
      SELECT sequence, row_number() OVER (ORDER BY ts), id FROM made;
  END LOOP;
END $$;
DELETE FROM job_queue;
ANALYZE;
"""
"""
A trigger orders to process each picture, which would find no file. Without ANALYZE a search by box takes minutes, and
fails.
"""

SUPERVISED = '"$@" & cat >/dev/null; kill -INT "$(head -n 1 "$MLYGEO_PID_FILE")"; wait'
"""Runs a program until the standard input ends, as it does with this process, however that ends."""

REAL = ("measured", "computed", "computed_too", "turned", "sphere", "alone")
"""The pictures with files: by their names, without `.jpg`."""


class Server:
    """A running server."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        self._running: list[subprocess.Popen] = []
        self._pg_port, self.port = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/api"
        self.token = ""
        """The token of the server's own account, which may do everything."""
        self.ids: dict[str, str] = {}
        """Ids of the pictures with files, by the names of `REAL`."""

    def start_database(self) -> None:
        data = self.folder / "data"
        words = ["postgres", "-D", str(data), "-p", str(self._pg_port)]
        for setting in (
            "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "synchronous_commit=off",
            "full_page_writes=off", "shared_buffers=64MB", "max_connections=40", "timezone=UTC",
        ):  # fmt: skip
            words += ["-c", setting]
        words[0] = str(self._programs / "postgres")
        self._supervise([*as_postgres(), *words], data / "postmaster.pid", "postgres.log")
        self._wait(self._is_ready, "PostgreSQL")

    def start(self) -> None:
        pid = self.folder / "api.pid"
        words = ["gunicorn", "--no-control-socket", "-b", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "4"]
        words += ["--pid", str(pid), "geovisio:create_api()"]
        words[0] = str(scripts() / words[0])
        self._supervise(words, pid, "api.log", env=self.environment())
        self._wait(lambda: requests.get(f"{self.api}/configuration", timeout=10).ok, "the server")

    def stop(self) -> None:
        """End what was started, in reverse."""
        while self._running:
            process = self._running.pop()
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{scripts()}{os.pathsep}{os.environ['PATH']}",
            "DB_URL": f"postgres://panoramax@127.0.0.1:{self._pg_port}/panoramax",
            "FS_URL": str(self.folder / "files"),
            "FLASK_APP": "geovisio",
            "FLASK_SECRET_KEY": "only-for-tests-" + "0123456789abcdef" * 2,
            "API_PICTURES_LICENSE_SPDX_ID": LICENCE,
            "API_PICTURES_LICENSE_URL": LICENCE_URL,
            "API_FORCE_AUTH_ON_UPLOAD": "true",
            "API_REGISTRATION_IS_OPEN": "true",
            "API_LOG_LEVEL": "warning",
            "PICTURE_PROCESS_THREADS_LIMIT": "1",
            "PICTURE_PROCESS_DERIVATES_STRATEGY": "PREPROCESS",
        }

    def command(self, *words: str) -> str:
        """Run the server's own program; return what it wrote."""
        with (self.folder / "command.log").open("ab") as log:
            done = subprocess.run(
                [str(scripts() / "panoramax_backend"), *words], env=self.environment(), cwd=self.folder, text=True,
                stdout=subprocess.PIPE, stderr=log, timeout=300, check=True,
            )  # fmt: skip
        return done.stdout

    def query(self, sql: str, database: str = "panoramax") -> str:
        """Run SQL in the database; return what it says, a row a line."""
        words = ["-qAt", "-h", "127.0.0.1", "-p", str(self._pg_port), "-U", "panoramax", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(
            [str(self._programs / "psql"), *words, "-d", database], input=sql, text=True, timeout=300, check=True,
            capture_output=True, env={**os.environ, "PGCLIENTENCODING": "UTF8"},
        ).stdout.strip()  # fmt: skip

    def user(self, name: str) -> str:
        """Return a token of another user, made if there is none: what signing in with a browser leads to."""
        made = requests.post(f"{self.api}/auth/tokens/generate", timeout=30).json()
        quoted = name.replace("'", "''")
        self.query(
            f"INSERT INTO accounts(name) SELECT '{quoted}' WHERE NOT EXISTS"
            f" (SELECT FROM accounts WHERE name = '{quoted}');"
            f"UPDATE tokens SET account_id = (SELECT id FROM accounts WHERE name = '{quoted}') WHERE id = '{made['id']}'"
        )
        return made["jwt_token"]

    def upload(self, pictures: dict[str, bytes], *, token: str | None = None, **of_set: object) -> str:
        """Upload pictures as a set, wait until all are ready, and return the set's id."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        said = {"title": "pictures", "estimated_nb_files": len(pictures), **of_set}
        made = requests.post(f"{self.api}/upload_sets", json=said, headers=headers, timeout=30)
        made.raise_for_status()
        one = f"{self.api}/upload_sets/{made.json()['id']}"
        for name, content in pictures.items():
            file = {"file": (f"{name}.jpg", content, "image/jpeg")}
            requests.post(f"{one}/files", files=file, headers=headers, timeout=60).raise_for_status()
        self._wait(lambda: requests.get(one, headers=headers, timeout=30).json()["ready"], "the pictures")
        return made.json()["id"]

    def _supervise(self, words: list[str], pid: Path, log: str, **options: object) -> None:
        env = {**options.pop("env", os.environ), "MLYGEO_PID_FILE": str(pid)}
        with (self.folder / log).open("ab") as file:
            self._running.append(
                subprocess.Popen(
                    ["sh", "-c", SUPERVISED, "sh", *words], stdin=subprocess.PIPE, stdout=file, stderr=file,
                    cwd=self.folder, env=env, start_new_session=True,
                )
            )  # fmt: skip

    def _is_ready(self) -> bool:
        words = ["-q", "-h", "127.0.0.1", "-p", str(self._pg_port), "-U", "panoramax"]
        return subprocess.run([str(self._programs / "pg_isready"), *words], timeout=30, check=False).returncode == 0

    def _wait(self, there, what: str) -> None:
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until:
            with contextlib.suppress(requests.RequestException):
                if there():
                    return
            time.sleep(0.1)
        logs = "\n".join(path.read_text(errors="replace")[-2_000:] for path in sorted(self.folder.glob("*.log")))
        raise RuntimeError(f"{what} did not get ready in {STARTS_S:.0f} s\n{logs}")


@contextlib.contextmanager
def running():
    """A running server on a copy of the template, which is removed afterwards; for tests: the fixture `panoramax`."""
    skip_without_unix("Debian's PostgreSQL")
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL with PostGIS is not installed (Debian: postgresql, postgresql-NN-postgis-3)")
    template = _template(programs)
    folder = Path(tempfile.mkdtemp(prefix="mlygeo-panoramax-"))
    server = Server(folder, programs)
    try:
        folder.chmod(0o755)
        shutil.copytree(template, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
        _give_to_postgres(folder / "data")
        state = json.loads((folder / "state.json").read_text())
        server.token, server.ids = state["token"], state["ids"]
        server.start_database()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def real_pictures() -> dict[str, bytes]:
    """The pictures with files, as they are uploaded: near each other in Paris, but for the one that is alone."""
    start = 1_718_000_000_123
    places = {"lon": 2.3522, "lat": 48.8566}
    made = {
        "measured": tagged(_jpeg(640, 480, 1), ms=start, heading=123.4, altitude=-12.5, **places),
        "computed": tagged(_jpeg(640, 480, 2), ms=start + 4_000, lon=2.3522, lat=48.8570),
        "computed_too": tagged(_jpeg(640, 480, 3), ms=start + 8_000, lon=2.3522, lat=48.8574),
        "turned": _turned(tagged(_jpeg(640, 480, 4), ms=start + 12_000, lon=2.3522, lat=48.8578, heading=10.0)),
        "sphere": _sphere(tagged(_jpeg(1024, 512, 5), ms=start + 16_000, lon=2.3522, lat=48.8582, heading=350.0)),
        "alone": tagged(_jpeg(640, 480, 6), ms=start, lon=2.40, lat=48.80),
    }
    assert tuple(made) == REAL
    return made


def _jpeg(width: int, height: int, shade: int) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((shade * 40, 0, 255 - shade * 40), (0, 0, width // 4, height // 4))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _turned(jpeg: bytes) -> bytes:
    """Return a picture that its EXIF says to turn by a quarter."""
    image = Image.open(io.BytesIO(jpeg))
    exif = image.getexif()
    exif[274] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, exif=exif)
    return out.getvalue()


def _sphere(jpeg: bytes) -> bytes:
    """Return a picture whose XMP says that it is a panorama."""
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:ProjectionType='
        b'"equirectangular" GPano:PosePitchDegrees="2.5" GPano:PoseRollDegrees="-1.5"/></rdf:RDF></x:xmpmeta>'
    )
    said = b"http://ns.adobe.com/xap/1.0/\0" + packet
    return jpeg[:2] + b"\xff\xe1" + (len(said) + 2).to_bytes(2, "big") + said + jpeg[2:]


def _template(programs: Path) -> Path:
    """Return the folder of a server that does not run, set up at the first use."""
    made_of = [Path(__file__).read_bytes(), str(programs).encode(), *real_pictures().values()]
    version = hashlib.sha256(b"".join(made_of)).hexdigest()[:12]
    template = CACHE / f"template-{version}"
    CACHE.mkdir(parents=True, exist_ok=True, mode=0o755)
    with filelock.FileLock(CACHE / "lock"):
        if not (template / "state.json").exists():
            _install()
            shutil.rmtree(template, ignore_errors=True)  # what an interrupted set-up left
            for state in CACHE.glob("template-*/state.json"):  # of another version, which another clone may use
                if time.time() - state.stat().st_mtime > UNUSED_S:
                    shutil.rmtree(state.parent, ignore_errors=True)
            _set_up(template, programs)
        os.utime(template / "state.json")
    return template


def _install() -> None:
    """Install the server into a virtual environment of its own: its licence and its versions stay there."""
    done = CACHE / f"{GEOVISIO}.installed"
    if done.exists():
        return
    shutil.rmtree(CACHE / "venv", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(CACHE / "venv")], check=True, timeout=300)
    installed = subprocess.run(
        [str(scripts() / "python"), "-m", "pip", "install", "-q", GEOVISIO], timeout=1_200, check=False,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if installed.returncode != 0:
        last = installed.stdout.strip().splitlines()[-1:]
        pytest.skip(f"{GEOVISIO}, a real Panoramax server, cannot be installed: {' '.join(last)}")
    done.touch()


def _set_up(template: Path, programs: Path) -> None:
    template.mkdir(mode=0o755)
    (template / "files").mkdir()
    data = template / "data"
    data.mkdir(mode=0o700)
    _give_to_postgres(data)
    subprocess.run(
        [*as_postgres(), str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "panoramax", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"],
        check=True, cwd=template, stdout=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    server = Server(template, programs)
    try:
        server.start_database()
        server.query("CREATE DATABASE panoramax ENCODING 'UTF-8' TEMPLATE template0", "postgres")
        server.query("CREATE EXTENSION postgis")
        server.command("db", "upgrade")
        server.query(BULK)
        server.token = server.command("default-account-tokens", "get").split()[-1]
        server.start()
        server.upload(real_pictures())
        found = server.query("SELECT metadata->>'originalFileName', id FROM pictures WHERE upload_set_id IS NOT NULL")
        ids = {Path(name).stem: id_ for name, id_ in (line.split("|") for line in found.splitlines())}
        server.query("ANALYZE")
    finally:
        server.stop()
    if missing := set(REAL) - ids.keys():
        raise RuntimeError(f"the server did not take {missing}")
    (template / "state.json").write_text(json.dumps({"token": server.token, "ids": ids}))


def as_postgres() -> list[str]:
    """Return what lets a program run as another user than root, as which PostgreSQL does not run."""
    return ["runuser", "-u", "postgres", "--"] if IS_ROOT else []


def scripts() -> Path:
    """Return the folder of the server's programs."""
    return CACHE / "venv" / "bin"


def _give_to_postgres(data: Path) -> None:
    data.chmod(0o700)
    if IS_ROOT:
        subprocess.run(["chown", "-R", "postgres", str(data)], check=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
