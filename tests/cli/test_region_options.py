import json

import pytest
from conftest import STUTTGART
from helpers.command_line import run

GPX = """<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="48.765" lon="9.165"/><trkpt lat="48.775" lon="9.172"/></trkseg></trk></gpx>"""


def test_the_images_around_a_track(capsys, tmp_path):
    (tmp_path / "ride.gpx").write_text(GPX)
    asked = ["tiles", "--region", tmp_path / "ride.gpx", "--tile-cache", STUTTGART / "stuttgart_tile_cache"]
    found = {}
    for metres in (50, 200):
        status, out, _ = run(capsys, *asked, "--buffer", metres, "-o", tmp_path / f"{metres}.parquet", "--json")
        assert status == 0
        found[metres] = json.loads(out)["images"]
    assert 0 < found[50] < found[200] < 1298


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--region", "ride.gpx"], ["contains no polygon, only 1 line", "--buffer METRES takes what lies around them"]),
        (["--buffer", "200"], ["--buffer has no effect without a region"]),
        (["--bbox", "9.16,48.76,9.18,48.78", "--buffer", "nan"], ["--buffer", "nan"]),
        (["--bbox", "9.16,48.76,9.18,48.78", "--buffer", "-1"], ["would leave nothing"]),
        (["--bbox", "9.16,48.76,9.18,48.78", "--buffer", "2000000"], ["wider than 1,000 km"]),
        (["--bbox", "9.16,48.76,9.18,48.78", "--buffer", "wide"], ["--buffer"]),
    ],
)
def test_buffers_and_shapes_without_sense(capsys, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ride.gpx").write_text(GPX)
    status, _, err = run(capsys, "tiles", *options)
    assert status == 2
    for word in words:
        assert word in err


def test_a_region_beyond_the_projection_is_warned_of_once(capsys):
    status, _, err = run(capsys, "tiles", "--bbox", "9,84.9,9.01,85.2", "--dry-run")
    assert status == 0
    assert [line for line in err.splitlines() if line.startswith("warning: ")] == [
        "warning: the bounding box reaches beyond 85.0511° of latitude, where the service has no tiles"
    ]
