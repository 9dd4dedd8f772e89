"""A PostgreSQL server with PostGIS, started for the tests that need one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

import filelock
import pytest
from helpers.unix import skip_without_unix

PASSWORD = "no one's password: 50 % & more"


@pytest.fixture(scope="module")
def database():
    """The URL of an empty PostGIS database, of a server of our own that asks for a password."""
    pytest.importorskip("psycopg", reason="PostGIS needs mlygeo[postgis]")
    skip_without_unix("Debian's PostgreSQL")
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL with PostGIS is not installed (Debian: postgresql, postgresql-NN-postgis-3)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="mlygeo-postgis-"))
    (folder / "password").write_text(PASSWORD)
    # PostgreSQL will not run as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        subprocess.run(["chown", "-R", "postgres", str(folder)], check=True)

    def run(program, *words):
        subprocess.run(
            [*as_user, str(programs / program), *words], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60
        )

    data = folder / "data"
    run("initdb", "-D", str(data), "-U", "tester", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}",
        "-E", "UTF8", "--locale=C", "--no-sync")  # fmt: skip
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o",
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off", "start")  # fmt: skip
    try:
        import psycopg

        url = f"postgresql://tester:{urllib.parse.quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION postgis")
            connection.execute("CREATE SCHEMA street_level")
        yield url
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path | None:
    """The folder of PostgreSQL's programs; on a machine of its own (root, Debian) it is installed."""
    if found := _installed():
        return found
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") and os.environ.get("MLYGEO_NO_SKIP"):
        with filelock.FileLock(Path(tempfile.gettempdir()) / "mlygeo-apt.lock"):
            if _installed() is None:
                quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
                subprocess.run(["apt-get", "-qq", "update"], **quiet, timeout=300)
                names = subprocess.run(
                    ["apt-cache", "search", "--names-only", r"^postgresql-[0-9]+-postgis-3$"],
                    capture_output=True, text=True, timeout=60,
                ).stdout.split()  # fmt: skip
                packages = sorted(name for name in names if re.fullmatch(r"postgresql-\d+-postgis-3", name))
                subprocess.run(
                    ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages[-1:]], **quiet, timeout=900
                )
    return _installed()


def _installed() -> Path | None:
    for share in sorted(Path("/usr/share/postgresql").glob("*/extension/postgis.control"), reverse=True):
        programs = Path("/usr/lib/postgresql") / share.parts[4] / "bin"
        if (programs / "pg_ctl").exists():
            return programs
    return None
