"""
The flags of mapillary_tools, of spring 2019 and of today: every verb takes those it had there, and says which
change nothing.
"""

import json
import re
import subprocess

import click
import pytest
from conftest import DATA
from helpers.mapillary_tools_oracle import program
from helpers.photo_folders import START_MS, folder_of, gpx_of
from helpers.upload_folders import USER_TOKEN
from helpers.video_files import pictures

import mlygeo
from mlygeo import cli
from mlygeo.cli import old_tools
from mlygeo.cli import options as verb_options
from mlygeo.errors import InputError
from mlygeo.providers.mapillary.accounts import Credentials, User
from mlygeo.standin import serve

GENERAL = "--import_path=photos --verbose --advanced --rerun --skip_subfolders"

USER = "--user_name=jane --organization_username=city --organization_key=2 --private"

META = (
    "--device_make=GoPro --device_model=HERO7 --add_file_name --exclude_import_path --exclude_path=/home "
    "--add_import_date --windows_path --orientation=90 --GPS_accuracy=2.5 --camera_uuid=front --custom_meta_data=a,b,c"
)

GEOTAG = (
    "--geotag_source=gpx --geotag_source_path=ride.gpx --local_time --sub_second_interval=0.5 --offset_time=2 "
    "--offset_angle=90 --use_gps_start_time"
)

SEQUENCE = (
    "--cutoff_distance=600.0 --cutoff_time=60.0 --interpolate_directions --keep_duplicates --duplicate_distance=0.1 "
    "--duplicate_angle=5 --offset_angle=90"
)

INSERT = (
    "--skip_EXIF_insert --keep_original --overwrite_all_EXIF_tags --overwrite_EXIF_time_tag --overwrite_EXIF_gps_tag "
    "--overwrite_EXIF_direction_tag --overwrite_EXIF_orientation_tag"
)

AFTERWARDS = (
    "--summarize --move_all_images --move_duplicates --move_uploaded --move_sequences --save_as_json "
    "--list_file_status --push_images --save_local_mapping"
)

SENDING = "--number_threads=5 --max_attempts=10"

VIDEO = (
    "--video_import_path=videos --video_sample_interval=2 --video_duration_ratio=1.0 --video_start_time=1550000000000"
)

PROCESS = f"{GENERAL} {USER} {META} {GEOTAG} {SEQUENCE} {INSERT} {AFTERWARDS} --split_import_path=sorted"

FLAGS = {
    "process": PROCESS,
    "upload": f"{GENERAL} {SENDING} --dry_run=True {AFTERWARDS}",
    "process_and_upload": f"{PROCESS} {SENDING}",
    "sample_video": f"{GENERAL} {VIDEO}",
    "video_process": f"{PROCESS} {VIDEO}",
    "video_process_and_upload": f"{PROCESS} {VIDEO} {SENDING}",
    "extract_user_data": f"{GENERAL} {USER}",
    "extract_import_meta_data": f"{GENERAL} {META}",
    "extract_geotag_data": f"{GENERAL} {GEOTAG}",
    "extract_sequence_data": f"{GENERAL} {SEQUENCE}",
    "extract_upload_params": f"{GENERAL} --user_name=jane",
    "exif_insert": f"{GENERAL} {INSERT}",
    "authenticate": "--advanced --verbose --config_file=config --user_name=jane --user_email=jane@example.org "
    "--user_password=secret --jwt=token --user_key=key --force_overwrite --api_version=1.0",
    "interpolate": f"{GENERAL} --data=missing_gps --max_time_delta=1.0 --file_in_path=log.csv --file_format=csv "
    "--time_column=1 --delimiter=, --time_utc --time_format=%Y-%m-%dT%H:%M:%SZ --header --keep_original",
    "process_csv": f"{GENERAL} --csv_path=log.csv --delimiter=, --convert_gps_time --convert_utc_time "
    "--filename_column=1 --timestamp_column=2 --latitude_column=3 --longitude_column=4 --heading_column=5 "
    "--altitude_column=6 --gps_week_column=7 --meta_columns=8,9 --meta_names=a,b --meta_types=string,long "
    "--time_format=%Y:%m:%d_%H:%M:%S.%f --header --keep_original",
    "post_process": f"{GENERAL} --video_file=ride.mp4 {AFTERWARDS} --split_import_path=sorted",
    "download": f"{GENERAL} --output_folder=originals --user_name=jane --by_property=uuid --organization_keys=2 "
    "--start_time=2019-01-01 --end_time=2019-06-01 --number_threads=10",
}
"""Verb -> all its flags, each with a value that makes sense."""


def parsed(words):
    """Return the verb that a command line reaches, and its parameters with what they were given."""
    context = click.Context(cli.program, info_name="mlygeo", token_normalize_func=verb_options.dashed)
    name, command, rest = cli.program.resolve_command(context, old_tools.translated(words))
    with command.make_context(name, rest, parent=context) as made:
        given = {
            key: value
            for key, value in made.params.items()
            if made.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE
            and value != ()  # click 8.2 says it also of files that are not named
        }
    return name, given


@pytest.mark.parametrize("verb", FLAGS)
def test_all_flags_of_a_verb_together(verb):
    words = FLAGS[verb].split()
    name, given = parsed([verb, *words])
    assert name.replace("-", "_") == verb or (verb, name) == ("download", "download-originals")
    ignored = {"--advanced"}
    assert len(given) == len({word.partition("=")[0] for word in words} - ignored)


@pytest.mark.parametrize("verb", FLAGS)
def test_dashes_and_values_apart_say_the_same(verb):
    words = FLAGS[verb].split()
    apart = [part for word in words for part in word.split("=", 1)]
    dashed = [word.replace("_", "-") if word.startswith("--") else word for word in apart]
    assert parsed([verb, *dashed]) == parsed([verb, *words])


@pytest.mark.parametrize("value", ["True", "False", "1"])
def test_a_dry_run_is_one_whatever_its_value(value):
    """The older tool took any value of `--dry_run` for yes."""
    for words in (["--dry_run", value], [f"--dry_run={value}"], ["--dry_run"]):
        _, given = parsed(["upload", *words, "--import_path", "photos"])
        assert given == {"dry_run": True, "import_path": ("photos",)}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    folder_of(tmp_path / "photos", 4)
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        yield tmp_path / "photos"


VALUES = {
    "--filetypes": "image,video",
    "--geotag_source": "camm",
    "--video_geotag_source": "native",
    "--video_start_time": "1550000000000",
    "--duplicate_angle": "5.0",
}
"""Values that make sense for flags of today to which a number would be none."""


def flags_of(text):
    """Return the spellings of each flag in a help of argparse, and whether it has a value."""
    found = []
    for line in re.findall(r"^  (-[^\n]*)", text, re.MULTILINE):
        spellings = re.split(r", ", re.split(r" {2,}", line)[0])
        names = [spelling.split()[0] for spelling in spellings]
        found.append((names, any(" " in spelling for spelling in spellings)))  # since 3.13 only the last says it
    return found


def help_of(*words):
    done = subprocess.run([str(program()), *words, "--help"], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_every_flag_of_the_client_of_today_is_understood():
    """Its own help says what there is; each flag goes alone and with dashes or underscores to the verb of that name."""
    general = help_of()
    verbs = re.search(r"\{([a-z_,]+)\}", general)[1].split(",")
    assert len(verbs) >= 8
    tried = 0
    for verb in verbs:
        path = [] if verb == "authenticate" else ["photos"]
        for names, has_value in flags_of(help_of(verb)):
            if "--help" in names:
                continue
            for name in names:
                value = VALUES.get(names[0], "1") if has_value else None
                for spelling in {name, f"--{name[2:].replace('_', '-')}"}:
                    forms = [[spelling]] if value is None else [[spelling, value], [f"{spelling}={value}"]]
                    for words in forms:
                        reached, given = parsed([verb, *words, *path])
                        if name == "--delete":
                            assert (reached, given) == ("config", {"action": ("remove",)})
                        else:
                            assert reached == verb.replace("_", "-")
                            assert len(given) == 1 + len(path), (verb, words, given)
                        tried += 1
    assert tried > 200
    # Of its flags before the verb, one changes what is said and one asks for the version.
    assert {name for names, _ in flags_of(general) for name in names} == {"-h", "--help", "--version", "--verbose"}
    assert parsed(["--verbose", "process", "photos"]) == ("process", {"verbose": 1, "import_path": ("photos",)})
    assert cli.main(["--version"]) == 0


def test_all_flags_of_today_together():
    """None stands in another's way."""
    for verb in (
        "process",
        "upload",
        "process_and_upload",
        "sample_video",
        "video_process",
        "video_process_and_upload",
    ):
        flags = [(names[0], has_value) for names, has_value in flags_of(help_of(verb)) if "--help" not in names]
        words = [part for name, has_value in flags for part in ([name, VALUES.get(name, "1")] if has_value else [name])]
        reached, given = parsed([verb, *words, "photos"])
        assert reached == verb.replace("_", "-")
        assert len(given) == len(flags) + 1


def run(capsys, *words):
    status = cli.main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_upload_sums_up_and_moves_what_it_uploaded(capsys, photos):
    assert run(capsys, "process", "--import_path", photos, "--user_name", "rehearsal", "-q")[0] == 0
    status, out, err = run(
        capsys, "upload", "--import_path", photos, "--summarize", "--move_uploaded", "--save_as_json"
    )
    assert status == 0, err
    assert "4 images uploaded" in err
    assert "has no effect" not in err
    assert len(list((photos / "uploaded").glob("*.jpg"))) == 4
    assert json.loads(out) == json.loads((photos / "mapillary_import_summary.json").read_text())
    # What was moved is known where it is now.
    status, _, err = run(capsys, "upload", "--import_path", photos)
    assert status == 0, err
    assert "4 uploaded before" in err


def test_a_dry_run_moves_nothing(capsys, photos):
    run(capsys, "process", "--import_path", photos, "--user_name", "rehearsal", "-q")
    status, _, err = run(capsys, "upload", "--import_path", photos, "--dry_run", "--move_all_images")
    assert status == 0, err
    assert "nothing was uploaded" in err
    assert len(list(photos.glob("*.jpg"))) == 4


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("upload --dry_run --push_images", "--push-images"),
        ("upload --dry_run --rerun", "--rerun"),
        ("post_process --rerun", "--rerun"),
        ("post_process --push_images", "--push-images"),
        ("process --dry_run --push_images", "--push-images"),
        ("process --dry_run --skip_zigzag_check", "--skip-zigzag-check"),
        ("process --dry_run --num_processes 4", "--num-processes"),
        ("process_and_upload --dryrun --noresume", "--noresume"),
        ("upload --dryrun --noresume", "--noresume"),
    ],
)
def test_what_has_no_effect_is_said_in_one_line(capsys, photos, words, flag):
    run(capsys, "process", "--import_path", photos, "--user_name", "rehearsal", "-q")
    verb, *flags = words.split()
    status, _, err = run(capsys, verb, *flags, "--import_path", photos)
    assert status == 0, err
    [line] = [line for line in err.splitlines() if line.startswith("warning:")]
    assert line.startswith(f"warning: {flag} has no effect: ")
    assert "warning" not in run(capsys, verb, "--import_path", photos, "--dry_run")[2]


def test_authenticate_takes_a_version(capsys, photos, tmp_path):
    status, _, err = run(capsys, "authenticate", "--api_version", "1.0", "--jwt", "", "--config_file", tmp_path / "c")
    assert status == 2
    assert "warning: --api-version has no effect: the service has one version" in err


def test_each_flag_without_effect_has_its_reason():
    verbs = {verb.name for verb in cli.VERBS}
    assert {*old_tools.NO_EFFECT, *old_tools.AFTERWARDS} <= verbs
    assert all(why for options in old_tools.NO_EFFECT.values() for why in options.values())


@pytest.mark.parametrize("source", ["camm", "camm_videos", "camm-videos"])
@pytest.mark.parametrize("verb", ["process", "geotag"])
def test_both_names_of_a_source_of_positions(capsys, tmp_path, source, verb):
    folder_of(tmp_path / "photos", 3, lat=None, lon=None, ms=lambda number: 1_700_000_000_000 + number)
    video = DATA / "video" / "camm_from_gopro_max.mp4"
    words = ["--geotag_source", source, "--geotag_source_path", video]
    words += ["--interpolation_use_gpx_start_time", "-o", tmp_path / ("o" if verb == "process" else "o.parquet")]
    status, _, err = run(capsys, verb, tmp_path / "photos", *words)
    assert status == 0, err
    assert "--geotag-source" not in err


def test_names_of_sources_are_known_to_functions_too(tmp_path):
    folder_of(tmp_path / "photos", 2)
    for source in ("native", "native,exiftool_runtime", "native,gpx", ["gpx", "native"]):
        images = mlygeo.geotag_photos(tmp_path / "photos", geotag_source=source)
        assert images["error"].isna().all()
    with pytest.raises(InputError, match="no source 'gps'"):
        mlygeo.geotag_photos(tmp_path / "photos", geotag_source="native,gps")
    with pytest.raises(InputError, match="several videos"):
        mlygeo.video_process(["a.mp4", "b.mp4"], geotag_source="gopro")


def test_an_offset_of_the_track_alone(tmp_path):
    """Positions and times are those of the official client."""
    folder_of(tmp_path / "photos", 5, lat=None, lon=None)
    track = gpx_of(tmp_path / "ride.gpx", 12)
    done = subprocess.run(
        [str(program()), "process", str(tmp_path / "photos"), "--geotag_source", "gpx", "--geotag_source_path",
         str(track), "--interpolation_offset_time", "2.5", "--desc_path", str(tmp_path / "theirs.json")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = {entry["filename"]: entry for entry in json.loads((tmp_path / "theirs.json").read_text())}
    words = ["geotag", tmp_path / "photos", "--geotag_source=gpx", "--geotag_source_path", track]
    words += ["--interpolation_offset_time", "2.5", "-o", tmp_path / "ours.parquet", "-q"]
    assert cli.main([str(word) for word in words]) == 0
    ours = mlygeo.read_frame(tmp_path / "ours.parquet")
    for path, place, time in zip(ours["path"], ours.geometry, ours["captured_at"], strict=True):
        assert abs(place.y - theirs[path]["MAPLatitude"]) < 1e-7
        assert f"{time:%Y_%m_%d_%H_%M_%S_%f}"[:-3] == theirs[path]["MAPCaptureTime"]
    with pytest.raises(InputError, match="needs a track"):
        mlygeo.geotag_photos(tmp_path / "photos", interpolation_offset_time=1)


def test_types_of_files(capsys, photos):
    """Of a folder with photos, an archive of them, and a video, those that are asked for."""
    run(capsys, "process", photos, "--user_name", "rehearsal", "-q")
    mlygeo.zip_sequences(photos, output=photos / "zips")
    (photos / "drive.mp4").write_bytes((DATA / "video" / "blackvue_form_leeds.mp4").read_bytes())
    for types, images, files in (
        ("image", 4, 0),
        ("zip,image", 4, 1),
        ("blackvue", 0, 1),
        ("video", 0, 1),
        ("camm,gopro", 0, 0),
    ):
        status, out, err = run(capsys, "upload", photos, "--dryrun", "--filetypes", types, "--json")
        assert status == 0, err
        result = json.loads(out)
        assert (result["images"], result.get("files", 0)) == (images, files), types
    status, _, err = run(capsys, "upload", photos, "--filetypes", "pictures")
    assert status == 2
    assert "'pictures' is not a type of file" in err
    status, _, err = run(capsys, "process", photos, "--filetypes", "zip")
    assert status == 2
    assert "leaves out photos and videos" in err
    status, out, err = run(capsys, "process", photos, "--filetypes", "video", "--json")
    assert status == 0, err
    assert (json.loads(out)["photos"], json.loads(out)["videos"]) == (0, 1)
    before = {path: path.read_bytes() for path in photos.glob("*.jpg")}
    status, _, err = run(capsys, "process_and_upload", photos, "--filetypes", "zip", "--offset_time", "3")
    assert status == 0, err
    assert "1 archive finished" in err
    assert {path: path.read_bytes() for path in photos.glob("*.jpg")} == before


@pytest.mark.parametrize("sampled", ["rides", "rides/ride.mp4"])
def test_frames_of_videos_are_found_where_they_were_in_2019(capsys, tmp_path, sampled):
    """The three commands of its README, by the paths that stand there."""
    (tmp_path / "rides").mkdir()
    pictures(tmp_path / "rides" / "ride.mp4", seconds=5.0, created=None)
    track = gpx_of(tmp_path / "ride.gpx", 12)
    start = str(START_MS)
    video = tmp_path / sampled
    words = ["sample_video", "--video_import_path", video, "--video_start_time", start, "--advanced"]
    assert run(capsys, *words, "-o", tmp_path / "frames.parquet")[0] == 0
    there = video.parent / ".mapillary" / "sampled_video_frames" / video.name
    words = ["--import_path", there, "--user_name", "jane", "--geotag_source", "gpx", "--geotag_source_path", track]
    status, out, err = run(capsys, "process", "--advanced", *words, "--overwrite_all_EXIF_tags", "--json")
    assert status == 0, err
    assert json.loads(out)["ready"] == 3
    # Frames that the older program left are taken from its own folder.
    there.mkdir(parents=True)
    folder_of(there, 2)
    status, out, err = run(capsys, "process", "--import_path", there, "--json")
    assert json.loads(out)["photos"] == 2, err


def test_a_profile_is_deleted(capsys, photos):
    Credentials().keep(User("jane", "token-of-jane"))
    Credentials().keep(User("joe", "token-of-joe"))
    status, _, err = run(capsys, "authenticate", "--delete", "--user_name=jane", "--user_email", "a@b.c")
    assert status == 0, err
    assert set(Credentials().users) == {"joe"}
    assert run(capsys, "authenticate", "--user_name", "joe", "--delete", "-q")[0] == 0
    assert not Credentials().users
    assert run(capsys, "authenticate", "--delete")[0] == 2


def test_the_script_of_2018_that_edits_a_file_signs_in_anew(capsys, photos, tmp_path):
    status, _, err = run(capsys, "edit_config.py", tmp_path / "config", "--user_name", "jane", "--jwt", USER_TOKEN)
    assert status == 0, err
    assert Credentials(tmp_path / "config").find("jane").token == USER_TOKEN
    translated = old_tools.translated
    assert translated(["edit_config.py"]) == ["authenticate"]
    assert translated(["edit_config", "edit", "--user_name", "jane"]) == ["config", "edit", "--user_name", "jane"]
    assert translated(["edit_config"]) == ["config"]


@pytest.mark.parametrize(
    ("line", "room"),
    [
        ("mapillary_jpg_download.py --imgid-file a.txt", "100"),
        ("mapillary_jpg_download --required-disk-space 5 a", "5"),
        ("mapillary_jpg_download.py -c c.json --tiles_only", None),
        ("sequence_downloader.py x", None),
    ],
)
def test_only_the_tool_that_left_100_gb_free_still_does(line, room):
    words = old_tools.translated(line.split())
    named = [words[place + 1] for place, word in enumerate(words) if word == "--required-disk-space"]
    assert named == ([] if room is None else [room])
