"""Shared fixtures: the bundled data, an environment without tokens, and no network."""

from __future__ import annotations

import logging
import os
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.processes import end_all
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
PACKAGE = Path(find_spec("mlygeo").origin).parent  # the installed one, which a source archive's tests are about
STUTTGART = ROOT / "examples" / "stuttgart"
DATA = Path(__file__).parent / "data"
OWN_VARIABLES = {"MLYGEO_NO_PROGRESS", "MLYGEO_PANORAMAX_URL", "MLYGEO_PANORAMAX_TOKEN"}

# A shell starts what runs in the background with Ctrl-C ignored, and so would every program that a test starts be.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


settings.register_profile(
    "mlygeo",
    deadline=None,  # how long an example takes depends on what else the machine does,
    suppress_health_check=[HealthCheck.too_slow],  # and so does how fast examples are made
    derandomize="CI" in os.environ,  # what CI says of a commit does not change; elsewhere each run tries others
    print_blob=True,
)
settings.load_profile("mlygeo")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No token, endpoint or user folder of whoever runs the tests plays a part in them."""
    for name in list(os.environ):
        if name.startswith(("MAPILLARY_", "MLY_")) or name in OWN_VARIABLES:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", str(home / "local"))  # all of these folders, on Windows
    monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MLYGEO_PANORAMAX_URL", "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def no_program_left():
    """A program that a failed test left running does no harm to the tests after it."""
    yield
    end_all()


@pytest.fixture(autouse=True, scope="session")
def logging_at_first():
    """How the program logs that imports mlygeo: its handlers, whether it propagates, and its level."""
    import mlygeo  # noqa: F401 - which may set up its logger

    logger = logging.getLogger("mlygeo")
    return logger.handlers[:], logger.propagate, logger.level


@pytest.fixture(autouse=True)
def logging_as_it_was(logging_at_first):
    """A verb sets logging up for its process; a test finds it as a program that imports mlygeo does."""
    logger = logging.getLogger("mlygeo")

    def reset():
        logger.handlers[:], logger.propagate = logging_at_first[:2]
        logger.setLevel(logging_at_first[2])

    reset()  # a fixture of a module may have run a verb
    yield
    reset()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """A test that would leave this machine fails."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and str(address[0]) not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where MLYGEO_NO_SKIP is set, as in CI, a test that is skipped for want of something fails."""
    outcome = yield
    report = outcome.get_result()
    allowed = item.get_closest_marker("may_skip") is not None
    if report.skipped and os.environ.get("MLYGEO_NO_SKIP") and not allowed and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although MLYGEO_NO_SKIP is set: {report.longrepr}"


@pytest.fixture
def history(tmp_path, monkeypatch):
    """A history of uploads and a home for one test; for a module: `pytestmark = pytest.mark.usefixtures("history")`."""
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server(tmp_path):
    """A stand-in that takes uploads; a module that needs another has a fixture of this name itself."""
    from helpers.upload_folders import USER_TOKEN

    from mlygeo.standin import serve

    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        yield server


@pytest.fixture(scope="session")
def panoramax():
    """A real Panoramax server with 20,000 pictures without files and six with; see `helpers.panoramax_server`."""
    from helpers.panoramax_server import running

    with running() as server:
        yield server


@pytest.fixture
def stuttgart():
    """The folder of the bundled data."""
    return STUTTGART


@pytest.fixture(scope="session")
def images():
    """The images frame of the bundled data."""
    from mlygeo.providers.mapillary.layers import read_tiles

    return read_tiles(STUTTGART / "stuttgart_tile_cache")


@pytest.fixture(scope="session")
def edges():
    """The streets frame of the bundled data."""
    from mlygeo.readers.streets import street_network

    return street_network(path=STUTTGART / "stuttgart_osm_edges.gpkg")


@pytest.fixture(scope="session")
def every_frame(images, edges):
    """A frame of each kind that can be drawn."""
    import geopandas as gpd
    import pandas as pd
    import shapely

    import mlygeo

    points = mlygeo.street_points(edges, interval=50, srid=25832)
    some = images.iloc[:200]
    tracks = gpd.GeoDataFrame(
        {"track_id": some["sequence_id"], "time": some["captured_at"].dt.as_unit("us"), "altitude": 1.0},
        geometry=some.geometry,
    )
    lines = images.groupby("sequence_id").geometry.apply(lambda places: shapely.LineString(list(places)))
    return {
        "streets": edges,
        "points": points,
        "images": images,
        "selection": mlygeo.select_nearest(points, images, srid=25832),
        "tracks": tracks,
        "sequences": gpd.GeoDataFrame(
            {"sequence_id": pd.Series(lines.index, dtype="str"), "images": 1}, geometry=list(lines), crs=4326
        ),
        "coverage": mlygeo.street_coverage(edges, images, srid=25832),
        "gaps": mlygeo.coverage_gaps(edges, images, srid=25832),
        "areas": gpd.GeoDataFrame(geometry=[shapely.box(*images.total_bounds)], crs=4326),
    }
