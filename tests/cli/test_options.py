"""Options as help and messages show them: in the words of the command line, with values that say what they are."""

import inspect
import re

import click
import pytest
from conftest import STUTTGART

import mlygeo
from mlygeo import cli
from mlygeo.cli import options, verbs

VERBS = pytest.mark.parametrize("verb", verbs.VERBS, ids=lambda verb: verb.name)

PARAMETERS = {name for verb in verbs.VERBS for name in inspect.signature(getattr(mlygeo, verb.function)).parameters}

FILES = r"[./]\w*\.?(?:parquet|json)"
"""What stands behind a name that is the beginning of a file's."""


def shown(verb):
    """The texts of a verb's help: its own, and that of each option that is not hidden."""
    command = cli._command(verb)
    yield verb.name, command.help
    for each in command.params:
        if not getattr(each, "hidden", False):
            yield each.name, each.help


def run(capsys, *words):
    status = cli.main(list(map(str, words)))
    return status, capsys.readouterr().err


@VERBS
def test_help_names_options_and_verbs_as_they_are_typed(verb):
    """No parameter, function or mark-up of Python stands there."""
    functions = {name for name in mlygeo.__all__ if callable(getattr(mlygeo, name))}
    for name, text in shown(verb):
        assert "`" not in text, name
        assert "mlygeo." not in re.sub(r"mlygeo\.(toml|json)|https?://\S+", "", text), name
        named = set(re.findall(rf"\b[a-z]+(?:_[a-z]+)+\b(?!{FILES})", text))
        assert not named & (PARAMETERS | functions) - {"bounding_box", "tile_cache_dir"}, name
        assert not re.findall(r"\b\w+=(?!\W)\S*", text.replace("cell=q", "")), name
        assert "ython" not in text or verb.name == "info", name


@VERBS
def test_help_has_a_flag_for_each_option_that_a_docstring_marks(verb):
    command = cli._command(verb)
    flags = {each.name: each.opts[0] for each in command.params if isinstance(each, click.Option)}
    texts = options.parameter_texts(getattr(mlygeo, verb.function))
    help_of = dict(shown(verb))
    for name, text in texts.items():
        if name in help_of:
            for mentioned in re.findall(r"`([a-z_]+)`", options.ONLY_IN_PYTHON.sub("", text)):
                if mentioned in flags:
                    assert re.search(rf"(?<![\w-]){flags[mentioned]}\b", help_of[name]), (name, mentioned)


def test_a_docstring_in_the_words_of_the_command_line():
    select = cli._command(next(verb for verb in verbs.VERBS if verb.name == "select"))
    text = "See `max_distance`, `k=3`, the column `id`, `partition` and `mlygeo map` (in Python also a frame)."
    expected = "See --max-distance, --k 3, the column id, 'mlygeo partition' and 'mlygeo map'."
    assert options.in_help(text, select.params) == expected


@VERBS
def test_values_say_what_they_are(verb):
    if verb.name == "map":
        return
    for option in cli._command(verb).params:
        if not isinstance(option, click.Option) or option.is_flag or option.count or option.hidden:
            continue
        assert option.metavar or isinstance(option.type, click.Choice), option.name
        assert option.metavar != "X", option.name
        assert option.metavar != "TEXT" or option.name in {"title", "about"}, option.name


def test_each_value_that_is_named_belongs_to_an_option():
    assert set(options.VALUE_OF) <= PARAMETERS
    assert len(options.VALUE_OF) == sum(map(len, options.VALUES.values()))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["select", "--interval", "0"], "--interval must be a positive number of metres, not 0\n"),
        (["select", "--interval", "-5.50"], "--interval must be a positive number of metres, not -5.50\n"),
        (["select", "--max-along", "-2"], "--max-along must be 0 metres or more, not -2\n"),
        (["select", "--interval", "5e0", "--max-distance", "-1e1"], "not -1e1"),
        (["cut", "x.parquet", "--cutoff-time", "-3"], "--cutoff-time must be 0 or more, not -3\n"),
    ],
)
def test_numbers_in_errors_are_as_they_were_typed(capsys, words, said):
    box = ["--bbox", "9.1,48.7,9.2,48.8"] if words[0] == "select" else []
    status, err = run(capsys, *words, *box)
    assert status == 2
    assert said in err


WRITING = [verb for verb in verbs.VERBS if verb.output is not None]


@pytest.mark.parametrize("verb", WRITING, ids=lambda verb: verb.name)
def test_a_mistyped_ending_of_the_output_is_wrong_usage(capsys, tmp_path, monkeypatch, verb):
    """The command line alone tells it, so it is said before any input is looked for."""
    monkeypatch.chdir(tmp_path)
    words = re.sub(r"-c \S+", "--bbox 9.16,48.76,9.18,48.78", verb.example).split("-o ")[0].split()[1:]
    words = words[:-1] if verb.last_is_output else words
    status, err = run(capsys, *words, "-o", "out.parqet")
    assert status == 2, err
    assert "out.parqet" in err
    assert not (tmp_path / "out.parqet").exists()


OF_ONE_FRAME = [
    "cut",
    "geotag",
    "metadata",
    "quality",
    "views",
    "estimate",
    "select",
    "coverage",
    "standin",
    "download",
]


@pytest.mark.parametrize("name", OF_ONE_FRAME)
def test_an_error_on_a_frame_of_another_kind_names_its_file(capsys, tmp_path, name):
    edges = STUTTGART / "stuttgart_osm_edges.gpkg"
    words = {
        "coverage": ["--streets", edges, "--images", edges, "--bbox", "9.16,48.76,9.18,48.78"],
        "estimate": [edges, "--column", "name"],
        "select": ["--images", edges, "--streets", edges],
        "standin": ["--images", edges, "--port", 0],
        "views": [edges, "--pictures", tmp_path],
    }.get(name, [edges])
    output = [] if name in {"estimate", "standin"} else ["-o", tmp_path / "out.parquet"]
    output = ["-o", tmp_path / "out"] if name in {"views", "download", "coverage", "select"} else output
    status, err = run(capsys, name, *words, *output)
    assert status == 2, err
    assert re.search(r"^error: .*stuttgart_osm_edges\.gpkg", err, re.MULTILINE), err
