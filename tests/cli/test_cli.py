import inspect
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import STUTTGART
from helpers.command_line import run
from helpers.installed import needs
from helpers.processes import ended, start, wait_for
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo import cli
from mlygeo.cli import old_tools, sections, verbs
from mlygeo.cli import options as verb_options
from mlygeo.pipelines import options
from mlygeo.pipelines.job import Job

CONFIG = STUTTGART / "stuttgart_config.json"
EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"


@pytest.mark.parametrize(
    ("verb", "said", "shown"),
    [
        ("select", "`interval` must be a number", "--interval must be a number"),
        ("select", "use `srid=25832`, or `force_srid=True` to go on", "use --srid 25832, or --force-srid to go on"),
        ("select", "`pano=False` and `pano=True`", "--flat and --pano"),
        ("select", "give `region`", "give -c FILE, --bbox W,S,E,N, --region FILE or --place NAME"),
        ("select", "`region=(9.1, 48.7, 9.2, 48.8)`", "--bbox 9.1,48.7,9.2,48.8"),
        ("select", "`region=BBOX`, or `region=FILE` with its outline", "--bbox, or --region FILE with its outline"),
        ("convert", "did you mean `bbox=(9.1, 48.7, 9.2, 48.8)`", "did you mean --bbox 9.1,48.7,9.2,48.8"),
        ("select", "add `west=DEGREES`", "add --west DEGREES"),
        ("sample-video", "the program of `decoder='ffmpeg'`", "the program of --decoder ffmpeg"),
        ("download", "`output` names a folder here", "-o names a folder here"),
        ("download", "`user` and a list", "--user and a list"),
        ("find-sequences", "`user` and a list", "user and a list"),
        ("cut", "give `region`, or leave `srid` out", "give region, or leave srid out"),
        ("cut", "one ` alone, and `A B` in a name", "one ` alone, and `A B` in a name"),
    ],
)
def test_messages_name_flags(verb, said, shown):
    command = cli._command(next(each for each in verbs.VERBS if each.name == verb))
    assert verb_options.in_flags(said, command.params) == shown


def test_the_log_and_summaries_name_flags_too(capsys, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    _, _, err = run(capsys, "post-process", photos, "--push-images")
    assert "warning: --push-images has no effect" in err
    video = tmp_path / "ride.mp4"
    job = Job(lambda: None, {"failed": {str(video): "give `video_start_time`"}, "images": 3, "folder": "`a`"}, "")
    command = cli._command(next(each for each in verbs.VERBS if each.name == "sample-video"))
    shown = cli._summary(job, command.params)
    assert shown == {"failed": {str(video): "give --video-start-time"}, "images": 3, "folder": "`a`"}


@pytest.mark.parametrize("verb", verbs.VERBS, ids=lambda verb: verb.name)
def test_every_verb_is_the_twin_of_a_public_function(verb):
    function = getattr(mlygeo, verb.function)
    command = cli._command(verb)
    options = {option.name: option for option in command.params}
    context = click.Context(command)
    for name, parameter in inspect.signature(function).parameters.items():
        if name in verb_options.PYTHON_ONLY:
            continue
        assert name in options, f"{verb.name} has no option for {name}"
        default = parameter.default
        if default is not inspect.Parameter.empty:
            found = options[name].get_default(context)
            if options[name].multiple:  # several have one default at most
                found = found[0] if isinstance(found, tuple) and found else None
            assert found == default, name
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY or name in (verb.arguments, "region")
    own = {"output", "as_json", "quiet", "verbose", "ids_only", *verb_options.REGION_NAMES}
    own |= {name for name, option in options.items() if getattr(option, "hidden", False)}
    own |= set(old_tools.SKIPPING.get(verb.name, {}))
    assert set(options) - own <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize("verb", verbs.VERBS, ids=lambda verb: verb.name)
def test_every_option_has_help_and_every_verb_an_example(capsys, verb):
    status, out, _ = run(capsys, verb.name, "--help")
    assert status == 0
    assert f"Example:\n    {verb.example}" in out
    for option in cli._command(verb).params:
        assert option.help
        if option.name == verb.arguments:
            words = " ".join(out.split("\nOptions:\n")[1].split())
            assert words.startswith(f"{verb.words} {' '.join(option.help.split())[:30]}"), "what they are comes first"


def test_help_lists_all_verbs(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for verb in verbs.VERBS:
        assert f"  {verb.name} " in out


def test_twins_cover_the_pipelines():
    public = {name for name in mlygeo.__all__ if getattr(mlygeo, name).__module__.startswith("mlygeo.pipelines.")}
    assert public == {verb.function for verb in verbs.VERBS}


@pytest.mark.parametrize(("old", "new"), old_tools.VERBS.items())
def test_old_verbs(capsys, old, new):
    assert run(capsys, old, "--help")[1].replace(old, new) == run(capsys, new, "--help")[1]


def test_old_options(capsys, tmp_path):
    """The words of make_street_points.py, and underscores for dashes."""
    status, _, err = run(capsys, "make_street_points", "-c", CONFIG, "-S", 25832, "-I", 50, "--streets", EDGES,
                         "--method", "percept", "-o", tmp_path / "grid.geojson")  # fmt: skip
    assert status == 0, err
    assert len(json.loads((tmp_path / "grid.geojson").read_text())["features"]) == 94
    status, _, err = run(
        capsys,
        "tiles",
        "--configfile",
        CONFIG,
        "--tile_cache_dir",
        STUTTGART / "stuttgart_tile_cache",
        "--tiles_only",
        "-q",
    )
    assert status == 0, err


STREETS = ["--streets", EDGES]
BOX = ["--bbox", "9.1616,48.7624,9.1759,48.7789"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["select", *BOX, *STREETS, "--srid", 99999], 2, ["EPSG", "99999"]),
        (["select", *BOX, *STREETS, "--srid", 4326], 2, ["4326", "degrees"]),
        (["streets", *BOX, *STREETS, "--srid", 28992], 2, ["covers the Netherlands", "--srid 25832"]),
        (["streets", "--bbox", "9.16,48.76,9.16,48.78", *STREETS], 2, ["no width"]),
        (["streets", "--bbox", "9.2,48.76,9.1,48.78", *STREETS], 2, ["wide", "--bbox 9.1,48.76,9.2,48.78"]),
        (["streets", "--bbox", "48.76,9.16,48.78,9.18", *STREETS], 2, ["no street", "swapped"]),
        (["streets", "--bbox", "9.16,95,9.18,96", *STREETS], 2, ["latitude", "95"]),
        (["streets", *BOX, *STREETS, "--interval", 0], 2, ["interval", "0"]),
        (["streets", *BOX, *STREETS, "--interval", -5], 2, ["interval", "-5"]),
        (["streets", *BOX, *STREETS, "--interval", "nan"], 2, ["interval"]),
        (["select", *BOX, *STREETS, "--max-distance", -1], 2, ["max-distance", "-1"]),
        (["select", *BOX, *STREETS, "--k", 0], 2, ["k"]),
        (["streets", "-c", "missing.json", *STREETS], 1, ["missing.json"]),
        (["streets", "-c", "broken.json", *STREETS], 2, ["broken.json"]),
        (["streets"], 2, ["no region"]),
        (["select", *BOX, "--streets", "missing.osm.pbf"], 1, ["missing.osm.pbf", "does not exist"]),
        (["select", *BOX, "--streets", "points.geojson"], 2, ["points.geojson"]),
        pytest.param(["select", *BOX, "--streets", "broken.osm.pbf"], 1, ["broken.osm.pbf"], marks=needs("osm")),
        (["select", "--region", "points.geojson", *STREETS], 2, ["no polygon"]),
        (["select", *BOX, *STREETS, "--images", "points.geojson"], 2, ["no column 'id'"]),
        (["select", *BOX, *STREETS, "--images", "missing.parquet"], 1, ["missing.parquet"]),
        (["tiles", *BOX], 2, ["6 of 6 tiles", "token"]),
        (["tiles", *BOX, "--token-file", "nowhere.txt"], 1, ["nowhere.txt"]),
        (["tiles", *BOX, "--token", TOKEN, "--tile-cache", "cache"], 1, ["could not", "127.0.0.1"]),
        (["tiles", *BOX, "--tile-list-file", "empty.txt"], 2, ["empty.txt"]),
        (["tiles", *BOX, "--since", "never"], 2, ["never"]),
        (["tiles", "--bbox", "1,2,3"], 2, ["1,2,3"]),
        (["tiles", *BOX, "--region", "points.geojson"], 2, ["both name a region"]),
        (["tiles", *BOX, "--workers", "0"], 2, ["workers"]),
        (["streets", *BOX, *STREETS, "-o", "x.shp"], 2, ["shapefile"]),
        (["select", *BOX, *STREETS, "-o", "broken.json"], 1, ["folder"]),
        (["map", "points.geojson", "-o", "x.doc"], 2, [".png"]),
        (["fly"], 2, ["no verb 'fly'"]),
        (["select", "--wrong"], 2, ["--wrong"]),
        (["select", *BOX, *STREETS, "--json", "--ids-only"], 2, ["--json"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_touches_nothing(capsys, tmp_path, monkeypatch, arguments, status, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    Path("broken.json").write_text('{"bounding_box": {"west": 9.1,')
    Path("broken.osm.pbf").write_bytes(b"\x00\x00\x00\x0d garbage that is not an OSM data")
    Path("empty.txt").write_text("\n")
    Path("points.geojson").write_text('{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},'
                                      '"geometry":{"type":"Point","coordinates":[9.17,48.77]}}]}')  # fmt: skip
    before = sorted(path.name for path in tmp_path.iterdir())
    found, out, err = run(capsys, *arguments)
    lines = [line for line in err.splitlines() if line and not line.startswith(("hint:", "warning: --token"))]
    assert found == status, err
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in err
    assert TOKEN not in err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == before
    assert not list(tmp_path.glob("cache/*mly*"))


def test_a_damaged_tile_is_named_where_it_cannot_be_fetched_anew(capsys, tmp_path):
    import shutil

    cache = tmp_path / "cache"
    shutil.copytree(STUTTGART / "stuttgart_tile_cache", cache)
    (cache / "mly1_public_8609_5642_14").write_text('{"type": "FeatureCollection", "features": [')
    status, _, err = run(capsys, "tiles", "-c", CONFIG, "--tile-cache", cache, "-o", tmp_path / "x.parquet")
    assert status == 1
    assert "mly1_public_8609_5642_14" in err
    assert not (tmp_path / "x.parquet").exists()


def test_running_as_a_module_and_version():
    found = subprocess.run([sys.executable, "-m", "mlygeo", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("mlygeo, version 0.1.0 (GDAL ")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from mlygeo import cli; cli.main(['--help']);"
        "[cli.main([verb.name, '--help']) for verb in cli.VERBS];"
        "heavy = {'numpy', 'pandas', 'geopandas', 'osmnx', 'pyogrio', 'numba', 'requests', 'shapely', 'rich', 'pyarrow',"
        " 'PIL', 'av', 'urllib3', 'matplotlib', 'sqlite3', 'email', 'socket', 'zipfile', 'http', 'importlib.metadata'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "[]"


def test_the_help_of_a_verb_loads_the_module_of_that_verb_alone():
    code = (
        "import sys; from mlygeo import cli; cli.main(['select', '--help']);"
        "print(sorted(name for name in sys.modules if name.startswith('mlygeo.pipelines.')"
        " and 'options.' not in name), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == (
        "['mlygeo.pipelines.arguments', 'mlygeo.pipelines.job', 'mlygeo.pipelines.options',"
        " 'mlygeo.pipelines.renamed', 'mlygeo.pipelines.selecting', 'mlygeo.pipelines.sources']"
    )


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m mlygeo select -c {CONFIG} --streets {EDGES} --interval 5 --ids-only -q | head -n 1"
    found = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert found.stderr == ""
    assert found.stdout.strip().isdigit()


@needs_unix("signals of Unix")
def test_control_c(tmp_path):
    """Interrupted while it waits for a tile: status 130 at once, and a line that says how to go on."""
    import http.server
    import threading

    reached, over = threading.Event(), threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            reached.set()
            over.wait(600)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "MAPILLARY_TILES_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "MAPILLARY_ACCESS_TOKEN": TOKEN,
    }
    process = start(
        [sys.executable, "-m", "mlygeo", "tiles", "-c", str(CONFIG), "--tile-cache", str(tmp_path / "cache"), "-o", str(tmp_path / "x.parquet")],
        env=environment,
    )  # fmt: skip
    try:
        wait_for(reached.is_set, process)
        process.send_signal(signal.SIGINT)
        _, err = ended(process)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
    assert process.returncode == 130
    assert "interrupted" in err
    assert TOKEN not in err
    assert not (tmp_path / "x.parquet").exists()


def test_the_program_alone_greets_and_names_commands_that_exist(capsys):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert out.startswith("mlygeo 0.1.0: ")
    assert len(out.splitlines()) < 12
    assert all(len(line) <= 80 for line in out.splitlines())
    named = set(re.findall(r"mlygeo ([a-z-]+)", out)) - {"--help"}
    assert {"demo", "init", "doctor"} == named <= {verb.name for verb in verbs.VERBS}


def test_help_lists_verbs_by_what_they_are_for():
    listed = [verb for _, members in sections.of_verbs() for verb in members]
    assert sorted(listed, key=verbs.VERBS.index) == list(verbs.VERBS)
    assert all(members for _, members in sections.of_verbs())


@pytest.mark.parametrize("verb", verbs.VERBS, ids=lambda verb: verb.name)
def test_help_shows_each_option_once_in_a_section(capsys, verb):
    context = click.Context(cli._command(verb), info_name=verb.name, help_option_names=["-h", "--help"])
    found = sections.of_options(context.command, context)
    shown = [option for _, options in found for option in options]
    assert len(shown) == len(set(shown))
    assert set(shown) == {each for each in context.command.get_params(context) if each.get_help_record(context)}
    assert found[-1][0] == sections.COMMON
    assert "--help" in found[-1][1][-1].opts
    lone = [title for title, options in found if len(options) == 1 and title != sections.OWN]
    assert not lone
    out = run(capsys, verb.name, "--help")[1]
    places = [out.index(f"\n{title}:\n") for title, _ in found]
    assert places == sorted(places)


def test_each_group_of_options_has_a_section_or_belongs_to_the_verbs_own():
    placed = {group for _, groups in options.SECTIONS for group in groups}
    assert {group.__name__ for group in options.GROUPS} - {group.__name__ for group in placed} == {
        "Shared", "PhotoFolder",
    }  # fmt: skip


def test_words_near_in_meaning_name_verbs():
    assert set(verbs.MEANT.values()) - {"--help"} <= {verb.name for verb in verbs.VERBS}
    assert not set(verbs.MEANT) & {verb.name for verb in verbs.VERBS}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("selct", "select"),
        ("fetch", "tiles"),
        ("explore", "map"),
        ("login", "authenticate"),
        ("points", "streets"),
        ("diagnos", "doctor"),
        ("help", "--help"),
        ("Select", "select"),
        ("downlaod", "download"),
        ("find_sequence", "find-sequences"),
        ("make_street_point.py", "make-street-points.py"),
        ("select --intervall 5", "--interval"),
        ("select --max_distanc 5", "--max-distance"),
        ("tiles --tiles-onyl", "--tiles-only"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(capsys, words, meant):
    status, out, err = run(capsys, *words.split())
    assert (status, out) == (2, "")
    assert f"'{meant}'" in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("tiles --bbox 9.16 48.76 9.18 48.78", "commas between them and no spaces: --bbox 9.16,48.76,9.18,48.78"),
        ("tiles --bbox -9.16 -48.76 9.18 48.78", "commas between them"),
        ("download-originals 5 -4", "'mlygeo download-originals --help' shows the options"),
        ("tiles there", "'mlygeo tiles --help' shows the options"),
        ("tiles 2024-06", "'mlygeo tiles --help' shows the options"),
        ("coverage images.gpkg", "name a file with its option: --streets FILE or --images FILE"),
        ("select city.json", "a configuration file is named with -c: mlygeo select -c city.json"),
        ("there", "'mlygeo --help' lists the verbs"),
        ("select --place", "'mlygeo select --help' shows the options"),
        ("select --method random", "'mlygeo streets --method random … -o points.parquet'"),
    ],
)
def test_a_word_too_many_gets_a_hint(capsys, words, hint):
    status, _, err = run(capsys, *words.split())
    assert status == 2
    assert hint in err.split("hint: ")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--interval abc", "'--interval' / '-I': 'abc' is not a number"),
        ("--interval 50m", "'--interval' / '-I': '50m' is not a number; write it without a unit"),
        ("--max-distance 2,5", "'--max-distance': '2,5' is not a number; write a point instead of the comma"),
        ("--k 1.5", "'--k': '1.5' is not a whole number"),
        ("--srid utm", "'--srid' / '-S': 'utm' is not a whole number"),
    ],
)
def test_a_value_that_is_not_a_number(capsys, words, said):
    status, _, err = run(capsys, "select", *words.split())
    assert (status, err.splitlines()[0]) == (2, f"error: Invalid value for {said}")


@pytest.mark.parametrize("written", ["28992", "EPSG:28992", "epsg:28992"])
def test_a_coordinate_system_as_gis_programs_write_it(capsys, written):
    status, _, err = run(
        capsys,
        "streets",
        "--streets",
        str(STUTTGART / "stuttgart_osm_edges.gpkg"),
        "--srid",
        written,
        "-o",
        "x.parquet",
    )
    assert status == 2
    assert err.startswith("error: EPSG:28992 covers the Netherlands")


def test_a_folder_of_results_without_an_option_is_drawn_by_map(capsys, tmp_path):
    (tmp_path / "coverage.parquet").touch()
    status, _, err = run(capsys, "coverage", str(tmp_path))
    assert status == 2
    assert err.startswith(f"error: 'mlygeo coverage' takes no files or names without an option: {tmp_path}\n")
    assert f"'mlygeo map {tmp_path}' draws" in err


def test_an_option_without_its_value_says_what_it_is(capsys):
    assert run(capsys, "select", "--place")[2].startswith("error: --place has no value: --place NAME\n")


def test_help_names_sources_as_its_text_does(capsys):
    said = " ".join(run(capsys, "process", "--help")[1].split())
    assert "--gps-source [exif|gpx|nmea|csv|gopro_videos|" in said
    assert "--video-geotag-source [native|gpx|nmea|csv|gopro_videos|" in said


@pytest.mark.parametrize(
    "words",
    [
        "select --images {0} --streets {0}", "select --streets {0}", "select --points {0}", "select --region {0}", "map {0}",
        "convert {0} x.parquet", "partition {0} -o x", "quality {0}", "cut {0}", "process {0}", "upload {0}",
        "geotag {0}", "tracks {0}", "video-process {0}", "download {0}", "verify {0}", "tiles -c {0}",
        "views {0}", "estimate {0} --column x", "metadata {0}", "publish {0}", "sample-video {0}",
        "select --images a.parquet --points b.parquet --prefer {0}",
    ],
)  # fmt: skip
def test_a_missing_file_reads_the_same_in_every_verb(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / name).touch()
    status, _, err = run(capsys, *words.format("nope.gpkg").split())
    assert status in {1, 2}
    assert re.search(r"^error: (configuration file )?nope\.gpkg does not exist$", err, re.MULTILINE), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--interval 50 --interval 20", "--interval is given twice: 50 and 20"),
        ("-I 50 --interval 20 --interval=50", "--interval is given 3 times: 50 and 20"),
        ("--pano --flat", "--pano and --flat contradict each other"),
        ("-o a --seqdir b", "-o is given twice: a and b"),
        ("--token a --token b", "--token is given twice"),
        ("-c a.json --configfile b.json", "-c is given twice: a.json and b.json"),
    ],
)
def test_an_option_with_two_values_is_in_doubt(capsys, words, said):
    status, out, err = run(capsys, "select", *words.split())
    assert (status, out, err.splitlines()[0]) == (2, "", f"error: {said}")


def test_what_is_said_twice_alike_is_not(capsys, tmp_path):
    words = [
        "streets",
        "--streets",
        EDGES,
        "--srid",
        25832,
        "--srid",
        25832,
        "-q",
        "-q",
        "--force-srid",
        "--force-srid",
    ]
    assert run(capsys, *words, "-o", tmp_path / "x.parquet")[0] == 0
    command = cli._command(next(verb for verb in verbs.VERBS if verb.name == "select"))
    context = command.make_context("select", ["--creator", "1", "--creator", "2", "-v", "-v"])
    assert (list(context.params["creator"]), context.params["verbose"]) == (["1", "2"], 2)


VALUED = [
    (verb.name, option.opts[-1])
    for verb in verbs.VERBS
    for option in cli._command(verb).params
    if isinstance(option, click.Option) and not (option.is_flag or option.count or option.name in cli.MAY_BE_EMPTY)
]


@pytest.mark.parametrize("empty", ["", " \t"])
def test_an_empty_value_is_an_error_for_every_option(capsys, tmp_path, monkeypatch, empty):
    """As of a variable of the shell that is not set; a blank is a delimiter all the same."""
    monkeypatch.chdir(tmp_path)
    assert len(VALUED) > 200
    for verb, flag in VALUED:
        if empty and flag == "--delimiter":
            continue
        for words in ([flag, empty], [f"{flag}={empty}"] if flag.startswith("--") else [flag, empty]):
            status, out, err = run(capsys, verb, *words)
            first = err.splitlines()[0]
            assert (status, out) == (2, ""), (verb, words, err)
            assert re.fullmatch(r"error: -\S+ is empty; is a variable of the shell not set\?", first), (
                verb,
                words,
                err,
            )
    for verb in verbs.VERBS:
        if verb.arguments:
            status, _, err = run(capsys, verb.name, empty)
            assert (status, "is empty" in err.splitlines()[0]) == (2, True), verb.name
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        "streets --interval 0",
        "streets --interval -5",
        "streets --interval nan",
        "streets --interval 1e999",
        "select -I 0",
        "select --k 0",
        "coverage --distance 0",
        "tiles --workers 0",
        "tiles --max-age -1",
        "download --workers 0",
        "download --num-retries -1",
        "download --min-quality 7",
        "find-sequences nobody --max-pages 0",
        "find-sequences nobody --workers 0",
    ],
)
def test_a_number_that_makes_no_sense_is_refused_before_the_network_is_asked(capsys, monkeypatch, words):
    """No test may leave this machine: to ask OpenStreetMap would be another error."""
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
    verb, *rest = words.split()
    box = [] if verb == "find-sequences" else BOX
    status, out, err = run(capsys, verb, *rest, *box)
    assert (status, out) == (2, "")
    flag = "--interval" if "-I" in rest else rest[-2]
    assert flag in err or "4326" in err
    assert "tiles, 0 cached" not in err
