"""Jobs one after another: what they leave is what the single ones leave, and every option reaches its job."""

import inspect
import json

import pytest
from helpers import video_files
from helpers.photo_folders import LAT, LON, folder_of, gpx_of, pixels
from helpers.upload_folders import USER_TOKEN, clusters_of, described, service_of

import mlygeo
from mlygeo import cli
from mlygeo.cli import options as verb_options
from mlygeo.errors import FileError, InputError, MlygeoError

pytestmark = pytest.mark.usefixtures("history")


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
    expected, texts = {}, {}
    for step in steps:
        expected |= {name: each for name, each in inspect.signature(step).parameters.items() if name not in expected}
        texts = verb_options.parameter_texts(step) | texts
    if mlygeo.sample_video in steps:  # videos become photos there
        expected.pop("video_geotag_source")
        texts.pop("video_geotag_source")
    python_only = {"service", "progress"}  # come last
    assert ours.keys() == expected.keys()
    assert [name for name in ours if name not in python_only] == [name for name in expected if name not in python_only]
    for name, parameter in expected.items():
        assert ours[name].annotation == parameter.annotation, name
        assert ours[name].default == parameter.default, name
        assert (ours[name].kind is inspect.Parameter.KEYWORD_ONLY) == (name != subject), name
    assert verb_options.parameter_texts(chain) == texts
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
    descriptions = described(cluster)
    assert [round(one["MAPLatitude"], 6) for one in descriptions] == [round(LAT + n * 1e-4, 6) for n in range(6)]
    assert {one["MAPDeviceMake"] for one in descriptions} == {"GoPro"}
    assert {round(one["MAPLongitude"], 6) for one in descriptions} == {round(LON, 6)}
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


def test_a_folder_with_a_video_that_no_step_can_use(server, tmp_path, monkeypatch, capsys):
    folder_of(tmp_path / "photos", 3)
    video_files.pictures(tmp_path / "photos" / "drive.mp4", seconds=1)
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", f"{server.url}/upload")
    token = tmp_path / "token.txt"
    token.write_text(USER_TOKEN)
    words = ["process-and-upload", str(tmp_path / "photos"), "--file-types", "image", "--token-file", str(token)]
    status = cli.main([*words, "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    (reasons,) = [value for name, value in json.loads(out)["left_out"].items() if name.endswith("drive.mp4")]
    assert "contains no positions" in reasons
    assert len(clusters_of(tmp_path / "store")) == 1


def test_a_dry_run_writes_and_sends_nothing(server, tmp_path):
    paths = folder_of(tmp_path / "photos", 3)
    before = {path: path.read_bytes() for path in paths}
    mlygeo.process_and_upload(tmp_path / "photos", user_name="rehearsal", dry_run=True, service=service_of(server))
    assert server.count() == 0
    assert {path: path.read_bytes() for path in (tmp_path / "photos").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"user_name": "nobody"}, "nobody"),
        ({"organization_key": "77"}, "no organization 77"),
        ({"private": True}, "private images belong to an organization"),
    ],
)
def test_who_uploads_is_known_before_anything_is_touched(server, video, tmp_path, options, reason):
    paths = folder_of(tmp_path / "photos", 3)
    before = [path.read_bytes() for path in paths]
    if "user_name" not in options:
        options = {"service": service_of(server), **options}
    with pytest.raises(MlygeoError, match=reason):
        mlygeo.process_and_upload(tmp_path / "photos", **options)
    assert [path.read_bytes() for path in paths] == before
    assert sorted((tmp_path / "photos").iterdir()) == sorted(paths)
    with pytest.raises(MlygeoError, match=reason):
        mlygeo.video_process_and_upload(video, import_path=tmp_path / "frames", **options)
    assert not (tmp_path / "frames").exists()


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
    with pytest.raises(InputError, match="`dry_run`"):
        mlygeo.video_process(video, dry_run=True)
    other = video_files.pictures(tmp_path / "other.mp4", seconds=1)
    with pytest.raises(InputError, match="`geotag_source_path`"):
        mlygeo.video_process([video, other], geotag_source="gopro_videos")
    assert not (tmp_path / "mapillary_sampled_video_frames").exists()


@pytest.mark.parametrize("verb", ["process", "video"])
def test_photos_are_sorted_after_they_are_uploaded(server, tmp_path, monkeypatch, capsys, request, verb):
    """Sorted before, they would all be yet to upload."""
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
    (tmp_path / "token.txt").write_text(USER_TOKEN)
    photos = tmp_path / "photos"
    subject = [photos]
    if verb == "process":
        folder_of(photos, 4)
        words = ["process-and-upload"]
    else:
        track = gpx_of(tmp_path / "ride.gpx", 20, start_ms=1_714_903_195_000)
        subject = [request.getfixturevalue("video"), "--import-path", photos, "--video-sample-interval", 2]
        words = ["video_process_and_upload", "--geotag-source", "gpx", "--geotag-source-path", track]
    words += [*subject, "--move-uploaded", "--summarize", "--save-as-json", "--token-file", tmp_path / "token.txt"]
    status = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert status == 0, err
    uploaded = [path for path in photos.rglob("*.jpg") if "uploaded" in path.parts]
    assert len(uploaded) == len(list(photos.rglob("*.jpg"))) > 1
    assert not (photos / "to_be_uploaded").exists()
    assert json.loads(out) == json.loads((photos / "mapillary_import_summary.json").read_text())


def test_the_frame_of_a_chain_that_sorts_is_that_of_the_upload(server, tmp_path):
    folder_of(tmp_path / "photos", 3)
    uploads = mlygeo.process_and_upload(
        tmp_path / "photos", user_name="rehearsal", move_all_images=True, service=service_of(server)
    )
    assert (uploads["status"] == "done").all()
    assert len(uploads) == 3


def test_a_goal_that_is_none_is_found_before_anything_is_done(server, tmp_path):
    paths = folder_of(tmp_path / "photos", 3)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(FileError, match="is not a folder"):
        mlygeo.process_and_upload(
            tmp_path / "photos", move_all_images=True, split_import_path=tmp_path / "no", service=service_of(server)
        )
    assert [path.read_bytes() for path in paths] == before
    assert server.count() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blurred": True}, "`blurred` has no effect for Mapillary"),
        ({"provider": "panoramax", "private": True}, "`private` has no effect for Panoramax"),
        ({"endpoint": "https://panoramax.example.org/api"}, "`endpoint` has no effect for Mapillary"),
        ({"provider": "panorama"}, "there is no provider 'panorama'"),
    ],
)
@pytest.mark.parametrize("chain", [mlygeo.process_and_upload, mlygeo.video_process_and_upload])
def test_a_chain_refuses_what_its_upload_has_no_use_for(tmp_path, chain, options, words):
    folder_of(tmp_path / "photos", 2)
    with pytest.raises(InputError, match=words):
        chain(tmp_path / "photos", **options)


@pytest.mark.parametrize("options", [{"track": "ride.gpx"}, {"video_start_time": 1_700_000_000_000}])
def test_a_chain_to_upload_sets_refuses_what_is_for_videos(tmp_path, options):
    """Photos are placed by `geotag_source_path`; whoever gives a track means videos, which Panoramax does not take."""
    paths = folder_of(tmp_path / "photos", 2)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(InputError, match=f"`{next(iter(options))}` has no effect for Panoramax"):
        mlygeo.process_and_upload(tmp_path / "photos", provider="panoramax", **options)
    assert [path.read_bytes() for path in paths] == before


def test_a_chain_needs_to_be_signed_in_at_the_instance_before_photos_are_changed(tmp_path):
    paths = folder_of(tmp_path / "photos", 2)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(MlygeoError, match=r"sign|token"):
        mlygeo.process_and_upload(tmp_path / "photos", provider="panoramax", endpoint="http://127.0.0.1:9/api")
    assert [path.read_bytes() for path in paths] == before
