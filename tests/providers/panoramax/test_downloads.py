"""Pictures of a real server, downloaded on a bad line by a program that is killed: each there once, byte for byte."""

import os
import threading
from dataclasses import replace

import pytest
import requests
from helpers.faulty_proxy import Proxy, killed_often
from helpers.photo_folders import folder_of
from helpers.processes import Forks
from helpers.unix import needs_unix

import mlygeo
from mlygeo.net.http import Retry
from mlygeo.providers.panoramax.service import Endpoints, Service

QUICKLY = """
import geopandas, pyarrow.parquet, mlygeo, mlygeo.pipelines.downloads
from mlygeo.net.http import Retry
from mlygeo.providers.panoramax import provider
from mlygeo.providers.panoramax.service import Endpoints, Service
retry = Retry(attempts=50, first_wait=0.01, longest_wait=0.1, rate_wait=0.05)
def main(listed, output, api):
    summary = mlygeo.download(
        imgid_file=listed, output=output, size="original", num_retries=49, workers=2, required_disk_space=0,
        service=Service(endpoints=Endpoints(api), retry=retry),
    ).attrs["summary"]
    return 3 if summary["failed"] or summary["gone"] else 0
"""

QUICK = Retry(attempts=50, first_wait=0.01, longest_wait=0.1, rate_wait=0.05)

PICTURES, KILLS = (
    int(os.environ.get(name, default)) for name, default in (("MLYGEO_PICTURES", 30), ("MLYGEO_KILLS", 6))
)


@pytest.fixture(scope="module")
def uploaded(panoramax, tmp_path_factory):
    """Ids of pictures on the server, and what it sends for each."""
    folder = tmp_path_factory.mktemp("uploaded") / "to be fetched"
    folder_of(folder, PICTURES, lon=61.0, heading=90.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLYGEO_UPLOAD_HISTORY", str(folder.parent / "history"))
        service = Service(
            endpoints=Endpoints(panoramax.api), token=panoramax.user("Jane of the downloads"), retry=QUICK
        )
        uploads = mlygeo.upload(folder, service=service)
    return {
        id_: requests.get(f"{panoramax.api}/pictures/{id_}/hd.jpg", timeout=60).content for id_ in uploads["picture_id"]
    }


@needs_unix("kill -9 for another process")
def test_kills_through_a_bad_line_lose_nothing_and_repeat_nothing(panoramax, uploaded, tmp_path):
    listed, output = tmp_path / "ids.txt", tmp_path / "out"
    listed.write_text("".join(f"{id_}\n" for id_ in uploaded))
    with Proxy(panoramax.api, share=0.3, seed=4, named=True) as proxy:
        with Forks(QUICKLY, listed, output, proxy.api, log=tmp_path / "log.txt") as program:
            killed_often(program, proxy, kills=KILLS, most=max(3, PICTURES // KILLS), seed=3)
        assert proxy.seen["GET hd.jpg"] >= PICTURES
    files = {path.stem: path.read_bytes() for path in output.rglob("*.jpg")}
    assert files == uploaded
    assert len(list(output.rglob("*.jpg"))) == PICTURES
    rows = mlygeo.transfers(output)
    assert rows["id"].is_unique
    assert set(rows["id"]) == set(uploaded)
    assert set(rows["status"]) <= {"done", "found"}
    assert set(rows["licence"]) == {"CC-BY-SA-4.0"}


def test_a_picture_in_the_works_is_waited_for(panoramax, uploaded, tmp_path, caplog):
    id_ = next(iter(uploaded))
    change = "UPDATE pictures SET status = '{}', preparing_status = '{}' WHERE id = '" + id_ + "'"
    panoramax.query(change.format("waiting-for-process", "not-processed"))
    said, over = "pictures that are not ready are asked for again", threading.Event()

    def make_ready():
        while said not in caplog.text and not over.wait(0.05):
            pass
        panoramax.query(change.format("ready", "prepared"))

    ready = threading.Thread(target=make_ready)
    ready.start()
    service = Service(endpoints=Endpoints(panoramax.api), retry=replace(QUICK, attempts=2))
    try:
        rows = mlygeo.download(
            id_, output=tmp_path, size="original", num_retries=49, required_disk_space=0, service=service
        )
    finally:
        over.set()
        ready.join()
    assert rows["status"].tolist() == ["done"]
    assert (tmp_path / rows["path"].iloc[0]).read_bytes() == uploaded[id_]
    assert said in caplog.text
