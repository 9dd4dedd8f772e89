"""Jobs one after another: what they leave is what the single ones leave, and every option reaches its job."""

import inspect

import pytest
import video_files
from photo_folders import LAT, LON, folder_of, gpx_of, pixels
from upload_folders import USER_TOKEN, clusters_of, described, service_of

import mlygeo
from mlygeo import cli
from mlygeo.errors import CredentialsError, InputError
from mlygeo.standin import serve


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server(tmp_path):
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        yield server


@pytest.fixture
def video(tmp_path):
    (tmp_path / "videos").mkdir()
    return video_files.pictures(tmp_path / "videos" / "drive.mp4", seconds=6)


@pytest.mark.parametrize(
    ("chain", "steps"),
    [
        (mlygeo.process_and_upload, [mlygeo.process, mlygeo.upload]),
        (mlygeo.video_process, [mlygeo.sample_video, mlygeo.process]),
        (mlygeo.video_process_and_upload, [mlygeo.sample_video, mlygeo.process, mlygeo.upload]),
    ],
)
def test_a_chain_has_the_options_and_defaults_of_its_steps(chain, steps):
    ours = inspect.signature(chain).parameters
    subject = next(iter(ours))
    for step in steps:
        for name, parameter in inspect.signature(step).parameters.items():
            if name not in {subject, "import_path"}:
                assert ours[name].default == parameter.default, name
    with pytest.raises(TypeError):
        chain("x", no_such_option=1)


def test_process_and_upload(server, tmp_path):
    paths = folder_of(tmp_path / "photos", 6)
    before = [pixels(path) for path in paths]
    uploads = mlygeo.process_and_upload(
        tmp_path / "photos", user_name="rehearsal", device_make="GoPro", service=service_of(server)
    )
    assert (uploads["status"] == "done").all()
    (cluster,) = clusters_of(tmp_path / "store")
    told = described(cluster)
    assert [round(one["MAPLatitude"], 6) for one in told] == [round(LAT + n * 1e-4, 6) for n in range(6)]
    assert {one["MAPDeviceMake"] for one in told} == {"GoPro"}
    assert {round(one["MAPLongitude"], 6) for one in told} == {round(LON, 6)}
    assert [pixels(path) for path in paths] == before


def test_the_verb_says_both(server, tmp_path, monkeypatch, capsys):
    folder_of(tmp_path / "photos", 3)
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", f"{server.url}/upload")
    token = tmp_path / "token.txt"
    token.write_text(USER_TOKEN)
    words = ["process_and_upload", "--import_path", str(tmp_path / "photos"), "--user_name", "rehearsal", "--advanced"]
    status = cli.main([*words, "--token-file", str(token)])
    err = capsys.readouterr().err
    assert status == 0, err
    assert "3 photos" in err or "3 images" in err
    assert len(clusters_of(tmp_path / "store")) == 1
    assert USER_TOKEN not in err


def test_a_dry_run_writes_and_sends_nothing(server, tmp_path):
    paths = folder_of(tmp_path / "photos", 3)
    before = {path: path.read_bytes() for path in paths}
    mlygeo.process_and_upload(tmp_path / "photos", user_name="rehearsal", dry_run=True, service=service_of(server))
    assert server.count() == 0
    assert {path: path.read_bytes() for path in (tmp_path / "photos").rglob("*") if path.is_file()} == before


def test_without_a_token_what_was_processed_stays(tmp_path, monkeypatch):
    folder_of(tmp_path / "photos", 3)
    with pytest.raises(CredentialsError):
        mlygeo.process_and_upload(tmp_path / "photos", user_name="rehearsal")
    assert len(mlygeo.read_frame(tmp_path / "photos" / ".mlygeo" / "images.parquet")) == 3


def test_video_process_with_a_track_beside_it(video, tmp_path):
    track = gpx_of(tmp_path / "ride.gpx", 20, start_ms=1_714_903_195_000)  # five seconds before the video
    images = mlygeo.video_process(
        video,
        import_path=tmp_path / "frames",
        video_sample_interval=1,
        geotag_source="gpx",
        geotag_source_path=track,
        user_name="rehearsal",
    )
    assert len(images) == 6
    assert images["error"].isna().all()
    assert images.geometry.y.is_monotonic_increasing
    assert (images.geometry.x - LON).abs().max() < 1e-7
    assert (tmp_path / "frames" / "mapillary_image_description.json").exists()


def test_video_process_and_upload(server, video, tmp_path):
    track = gpx_of(tmp_path / "ride.gpx", 20, start_ms=1_714_903_195_000)
    uploads = mlygeo.video_process_and_upload(
        video,
        import_path=tmp_path / "frames",
        video_sample_interval=2,
        geotag_source="gpx",
        geotag_source_path=track,
        user_name="rehearsal",
        service=service_of(server),
    )
    assert (uploads["status"] == "done").all()
    assert sum(len(described(cluster)) for cluster in clusters_of(tmp_path / "store")) == 3


def test_what_makes_no_sense_is_said_first(video, tmp_path):
    with pytest.raises(InputError, match="--dry-run"):
        mlygeo.video_process(video, dry_run=True)
    other = video_files.pictures(tmp_path / "other.mp4", seconds=1)
    with pytest.raises(InputError, match="--geotag-source-path"):
        mlygeo.video_process([video, other], geotag_source="gopro_videos")
    assert not (tmp_path / "mapillary_sampled_video_frames").exists()
