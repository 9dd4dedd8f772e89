"""Checks of an installation: each result that can be made here, with real sockets and file systems."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest
from conftest import STUTTGART
from helpers.command_line import PROGRAM
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo.errors import InputError
from mlygeo.standin import serve


def doctor(*options, **environment):
    """Run the verb with an environment that has no token and asks nobody but this machine."""
    own = {name: value for name, value in os.environ.items() if "TOKEN" not in name and "ENDPOINT" not in name}
    nobody = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}
    return subprocess.run(
        [PROGRAM, "doctor", *options], env={**own, "PYTHONUTF8": "1", **nobody, **environment},
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


def checked(*options, **environment):
    """Return its status, and the checks by name."""
    found = doctor("--json", *options, **environment)
    return found.returncode, {each["check"]: each for each in json.loads(found.stdout)["checks"]}


@pytest.fixture
def service():
    with serve(mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet", frame="images"), token=TOKEN) as server:
        yield {"MAPILLARY_GRAPH_API_ENDPOINT": server.url, "MAPILLARY_TILES_ENDPOINT": server.url}


def test_a_token_that_the_service_accepts(service, tmp_path):
    status, checks = checked("--folder", str(tmp_path), MAPILLARY_ACCESS_TOKEN=TOKEN, **service)
    assert status == 0
    assert checks["token"]["status"] == "ok"
    assert checks["service mapillary"]["found"] == "answers, and accepts the token"
    assert not any(tmp_path.iterdir())


def test_a_token_that_the_service_refuses_is_a_problem_and_is_not_shown(service):
    wrong = "MLY|" + "9" * 30
    status, checks = checked(MAPILLARY_ACCESS_TOKEN=wrong, **service)
    assert status == 3
    assert checks["service mapillary"]["status"] == "problem"
    assert checks["service mapillary"]["advice"]
    assert wrong not in json.dumps(checks)


def test_without_a_token_the_service_is_not_asked(service):
    status, checks = checked(**service)
    assert status == 3
    assert checks["token"]["status"] == "problem"
    assert "dashboard/developers" in checks["token"]["advice"]
    assert checks["service mapillary"]["status"] == "note"


def test_a_service_that_is_down_or_silent():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    address = f"http://127.0.0.1:{closed}"
    status, checks = checked(MAPILLARY_ACCESS_TOKEN=TOKEN, MAPILLARY_GRAPH_API_ENDPOINT=address)
    assert status == 3
    assert checks["service mapillary"]["status"] == "problem"
    assert "network" in checks["service mapillary"]["advice"]


def test_panoramax_needs_no_token(service):
    _, checks = checked("--provider", "panoramax", "--endpoint", service["MAPILLARY_GRAPH_API_ENDPOINT"] + "/api")
    assert checks["token"]["found"] == "Panoramax needs none to read"
    assert checks["service panoramax"]["found"] == "answers"


def test_offline_asks_nobody():
    status, checks = checked("--offline", MAPILLARY_GRAPH_API_ENDPOINT="http://127.0.0.1:9")
    assert status == 0
    assert not {"service mapillary", "OpenStreetMap"} & set(checks)
    assert checks["token"]["status"] == "note"


def test_a_projection_that_is_wrong(monkeypatch):
    """As with PROJ data of another version, or without its grids, in a mixed environment."""
    from mlygeo.pipelines import installation

    assert installation._projections().status == "ok"
    monkeypatch.setattr(installation, "KNOWN_METRES", (155_000.0, 463_100.0))
    check = installation._projections()
    assert (check.status, check.found) == ("problem", "a known position is 100 m off in EPSG:28992")


def test_time_zones_without_data():
    code = (
        "import sys; sys.modules['tzdata'] = None;from mlygeo import cli; sys.exit(cli.main(['doctor', '--offline']))"
    )
    environment = {**os.environ, "PYTHONTZPATH": ""}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert re.search(r"problem +time zones: .*\n +-> pip install tzdata", found.stdout)


@needs_unix("rights of Unix")
def test_a_folder_that_cannot_be_written_to():
    status, checks = checked("--offline", "--folder", "/proc")
    assert status == 3
    assert checks["folder"]["status"] == "problem"


def test_the_text_names_what_to_do():
    found = doctor("--offline")
    lines = found.stdout.splitlines()
    assert all(re.match(r"(ok|note|problem) +\S|         -> ", line) for line in lines)
    assert re.search(r"\d+ checks: \d+ ok, \d+ notes?, 0 problems", found.stderr)


def test_extras_that_are_missing_come_with_a_command(monkeypatch):
    import importlib.metadata

    from mlygeo.pipelines import installation

    of = importlib.metadata.version

    def version(name):
        if name in {"numba", "pyproj"}:
            raise importlib.metadata.PackageNotFoundError(name)
        return of(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    checks = mlygeo.doctor(offline=True).set_index("check")
    assert checks.loc["extra speed", "status"] == "note"
    assert "[speed]" in checks.loc["extra speed", "advice"]
    assert checks.loc["packages", "status"] == "problem"
    assert checks.loc["packages", "advice"].startswith("pip install 'pyproj>=")
    assert installation._lacking([]) == []


def test_a_provider_that_there_is_not():
    with pytest.raises(InputError, match="no provider"):
        mlygeo.doctor(provider="nobody", offline=True)
