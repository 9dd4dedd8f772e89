"""
The options of a verb: made from the signature and the docstring of the function that it is the twin of.

And the words of a function in those of the command line, which has flags where Python has parameters.
"""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from typing import TYPE_CHECKING, Any, get_args

import click

from mlygeo.cli import old_tools
from mlygeo.cli.verbs import VERBS
from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TYPED_NUMBERS = "mlygeo.typed_numbers"
"""Where the context of a command keeps its numbers: as Python writes each -> as it was typed."""

LONGEST_VALUE = 100
"""Letters of a value that messages show."""


class _Real(click.types.FloatParamType):
    """A number; no option takes one that is none, and what is too large for one is not without limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(_no_number(value, "number"), param, ctx)
        is_limit = number == math.inf and "inf" in str(value).lower()  # as of `--max-distance inf`
        if not (math.isfinite(number) or is_limit):
            self.fail(f"{shortened(repr(value))} is not a number that can be used", param, ctx)
        if ctx is not None:
            ctx.meta.setdefault(TYPED_NUMBERS, {})[repr(number)] = str(value).strip()
        return number


class _Whole(click.types.IntParamType):
    """A whole number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value)
        except ValueError:
            self.fail(_no_number(value, "whole number"), param, ctx)


class _Srid(_Whole):
    """The EPSG code of a coordinate system, also as GIS programs write it: EPSG:25832."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return super().convert(re.sub(r"^\s*epsg:+", "", str(value), flags=re.IGNORECASE), param, ctx)


def _no_number(value: Any, kind: str) -> str:
    """Return what is said of a value that is not a number: its unit and its comma are what people add."""
    said = f"{shortened(repr(value))} is not a {kind}"
    if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", str(value)):
        return f"{said}; write a point instead of the comma"
    if re.fullmatch(r"\s*[-+]?\d+(\.\d+)?\s*[a-zA-Zµ°%]+\s*", str(value)):
        return f"{said}; write it without a unit"
    return said


REAL = _Real()

WHOLE = _Whole()

SRID = _Srid()

REGION_OPTIONS = (
    click.Option(
        ["config", "-c", "--config", *old_tools.OPTIONS["config"]],
        metavar="FILE",
        help="Configuration file (JSON or TOML) with bounding_box {west, south, east, north} and tile_cache_dir.",
    ),
    click.Option(["bbox", "--bbox"], metavar="W,S,E,N", help="Bounding box, degrees."),
    click.Option(["west", "--west"], type=REAL, metavar="LON", help="Western edge; overrides the configuration file."),
    click.Option(["south", "--south"], type=REAL, metavar="LAT", help="Southern edge."),
    click.Option(["east", "--east"], type=REAL, metavar="LON", help="Eastern edge."),
    click.Option(["north", "--north"], type=REAL, metavar="LAT", help="Northern edge."),
    click.Option(
        ["region_file", "--region"],
        metavar="FILE",
        help="File of polygons in any vector format, with --buffer also of lines or points. FILE:LAYER names a layer.",
    ),
    click.Option(["place", "--place"], metavar="NAME", help='Name of a place, such as "Utrecht, Netherlands".'),
    click.Option(
        ["buffer", "--buffer"], type=REAL, metavar="METRES", help="Extend the region by this distance on all sides."
    ),
)

NO_CONFIG = click.Option(
    ["no_config", "--no-config"],
    is_flag=True,
    help="Ignore the project configuration: mlygeo.toml, mlygeo.json or [tool.mlygeo] in pyproject.toml, in the "
    "working folder or a folder above.",
)

REGION_NAMES = tuple(str(option.name) for option in (*REGION_OPTIONS, NO_CONFIG))

SIDES = ("west", "south", "east", "north")
"""Those of them that name a region together only."""

MENTION = re.compile(r"`([a-z]\w*)(?:=([^`]+))?`")
"""A parameter as messages name it: `interval`, `srid=25832`, `force_srid=True`."""

COMMAND = re.compile(r"`(mlygeo [^`]+)`")
"""A command in a docstring."""

ONLY_IN_PYTHON = re.compile(r" \(in Python[^()]*\)")
"""What a docstring says for Python alone."""

QUOTES = "\"'"

VALUES = {
    "CELLS": ("cells",),
    "CHARACTER": ("delimiter",),
    "COLUMN": ("by", "column", "district_name"),
    "CONDITION": ("where",),
    "DAYS": ("max_age",),
    "DEGREES": (
        "apart", "duplicate_angle", "field_of_view", "fov", "low_sun", "max_heading_difference", "offset_angle",
        "orientation", "pitch",
    ),
    "DIRECTION,...": ("directions",),
    "DOP": ("max_dop",),
    "EMAIL": ("user_email",),
    "EPSG": ("srid",),
    "FIELD,...": ("fields",),
    "FORMAT": ("time_format",),
    "GIGABYTES": ("required_disk_space",),
    "I/N": ("part",),
    "ID": ("organization", "user_key"),
    "KEY": ("organization_key",),
    "KM/H": ("max_speed",),
    "METRES": (
        "cutoff_distance", "distance", "duplicate_distance", "gps_accuracy", "interval", "max_across", "max_along",
        "max_distance", "max_move", "min_distance", "min_gap", "video_sample_distance",
    ),
    "METRES|CELLS": ("cell",),
    "N,...": ("meta_columns",),
    "NAME": (
        "camera_uuid", "columns", "creator", "device_make", "device_model", "hardware", "layer", "organization_name",
        "place", "preset", "provider", "publisher", "user", "user_name",
    ),
    "NAME,...": ("meta_names",),
    "NAME,TYPE,VALUE;...": ("custom_meta_data",),
    "PASSWORD": ("user_password",),
    "PATH": ("exclude_path",),
    "PERIOD|PROVIDER|FILE": ("compare",),
    "PORT": ("port",),
    "RATIO": ("video_duration_ratio",),
    "SCORE": ("min_quality",),
    "SECONDS": (
        "cutoff_time", "interpolation_offset_time", "latency", "max_gap", "max_time_delta", "offset_time",
        "sub_second_interval", "url_lifetime", "video_sample_interval",
    ),
    "SHARE": ("fail", "level", "missing", "overlap"),
    "TIME": ("video_start_time",),
    "TOKEN": ("jwt", "token"),
    "TYPE,...": ("file_types", "meta_types"),
    "URL": ("address", "endpoint", "scheduler"),
    "URL|FILE": ("basemap",),
    "WxH": ("size",),
    "ZONE": ("time_zone",),
    "missing_gps|identical_timestamps": ("data",),
    "pyav|ffmpeg|PATH": ("decoder",),
    "street|camera|north|COLUMN": ("relative_to",),
}  # fmt: skip
"""What the value of an option is, or its unit -> the options; it stands in help where the type alone does not tell."""

VALUE_OF = {name: value for value, names in VALUES.items() for name in names}

PYTHON_ONLY = frozenset({"region", "service", "progress", "output", "executor", "client"})
"""Parameters that the command line fills by its own means."""

METAVARS = {
    "bool": None,
    "int": "N",
    "float": "X",
    "PathLike": "FILE",
    "PathLike | pd.DataFrame": "FILE",
    "PathLike | Mapping[str, int]": "proportional|equal|FILE",
    "tuple[float, float, float, float]": "W,S,E,N",
    "FrameLike": "FILE",
    "str | datetime": "TIME",
    "str | Sequence[float]": "W,S,E,N",
    "str": "TEXT",
}


def dashed(name: str) -> str:
    """Return the name of a parameter as it is typed."""
    return name.replace("_", "-")


def in_flags(text: str, parameters: Sequence[click.Parameter]) -> str:
    """
    Return what the library says in the words of the command line: each option of a verb as its flag.

    Other parameters lose their backticks: words without an option, and what the verb does not take.

    Parameters
    ----------
    text
        Names parameters as in Python, in backticks: `interval`, `srid=25832`, `force_srid=True`, `region=FILE`.
    parameters
        What the verb takes.
    """
    options = {option.name: option for option in parameters if isinstance(option, click.Option)}

    def typed(mention: re.Match[str]) -> str:
        name, value = mention.groups()
        if name == "region" and options.keys() >= set(REGION_NAMES):
            return _region_typed(value)
        if name not in options:
            return mention[0].strip("`")
        option = options[name]
        if value is None or option.is_flag:
            return (option.secondary_opts if value == "False" and option.secondary_opts else option.opts)[0]
        numbers = value[1:-1].replace(" ", "") if value.startswith("(") else value.strip(QUOTES)
        return f"{option.opts[0]} {numbers}"

    return MENTION.sub(typed, text)


def in_help(text: str, parameters: Sequence[click.Parameter]) -> str:
    """
    Return the text of a docstring in the words of the command line.

    Options become flags and functions become verbs; what only Python has, "(in Python …)", is left out.

    Parameters
    ----------
    text
        Names options, functions and columns in backticks.
    parameters
        What the verb takes.
    """
    text = ONLY_IN_PYTHON.sub("", text)
    options = {each.name for each in parameters if isinstance(each, click.Option)}
    verbs = {verb.function: verb.name for verb in VERBS}

    def typed(mention: re.Match[str]) -> str:
        name = mention[1]
        return f"'mlygeo {verbs[name]}'" if name in verbs and name not in options else mention[0]

    text = COMMAND.sub(r"'\1'", MENTION.sub(typed, text))
    return in_flags(text, parameters).replace("`", "")


def with_typed_numbers(text: str, ctx: click.Context) -> str:
    """
    Return a message with the numbers of the command line as they were typed, such as 0 where Python writes 0.0.

    Parameters
    ----------
    text
        The message.
    ctx
        The context of the command.
    """
    for number, typed in ctx.meta.get(TYPED_NUMBERS, {}).items():
        text = re.sub(rf"(?<![\w.+-]){re.escape(number)}(?![\w.]*\w)", typed, text)
    return text


def _region_typed(value: str | None) -> str:
    """Return the options that name a region, or that for a box or a file."""
    if value is None:
        *most, last = (
            f"{option.opts[0]} {option.metavar}" for option in REGION_OPTIONS if option.name not in {*SIDES, "buffer"}
        )
        return f"{', '.join(most)} or {last}"
    if value == "BBOX":
        return "--bbox"
    return f"--bbox {value[1:-1].replace(' ', '')}" if value.startswith("(") else f"--region {value}"


def shortened(text: str) -> str:
    """Return a value as messages show it."""
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def options_of(
    function: Callable[..., Any], *, arguments: str | None = None, words: str = "FILE..."
) -> list[click.Parameter]:
    """
    Return the options of a function, one for each of its keyword-only parameters.

    Parameters
    ----------
    function
        A public function with annotations and a numpydoc docstring.
    arguments
        The parameter that takes the words without an option; it is required where it has no default.
    words
        What those words are.
    """
    texts = parameter_texts(function)
    made: list[click.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name == arguments:
            required = parameter.default is inspect.Parameter.empty
            optional: dict[str, Any] = {} if required else {"default": None, "callback": _none_if_no_words}
            made.append(Words(name, texts[name], required=required, metavar=words, **optional))
        elif name not in PYTHON_ONLY:
            made.append(_option(name, str(parameter.annotation), parameter.default, texts[name]))
    return made


def _option(name: str, annotation: str, default: Any, text: str) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    others = list(old_tools.OPTIONS.get(name, ()))
    kind = annotation.removesuffix(" | None")
    if default is inspect.Parameter.empty:
        return click.Option([name, flag, *others], required=True, metavar=_value(name, kind, text), help=text)
    if name == "pano":
        return click.Option(["pano", "--pano/--flat"], default=None, help=text)
    if kind == "Sources":
        return click.Option(
            [name, flag, *others], multiple=True, type=_Source(_sources(name)), callback=_one_or_several,
            help=text, default=None if default is None else (default,), show_default=default is not None,
        )  # fmt: skip
    if kind == "bool":
        return click.Option([name, flag, *others], is_flag=True, default=default, help=text)
    if values := _choices(kind):
        return click.Option(
            [name, flag, *others], type=click.Choice(values), default=default, show_default=True, help=text
        )
    if "Iterable[" in kind:
        choices = [single or double for single, double in re.findall(r"'([^']+)'|\"([^\"]+)\"", kind)]
        word = "ID" if "int" in kind else VALUE_OF.get(name, "ID")
        word = "FILE" if kind.startswith(("PathLike", "FrameLike")) else word
        of = {"type": click.Choice(choices)} if choices else {"metavar": word}
        return click.Option([name, flag, *others], multiple=True, callback=_none_if_empty, help=text, **of)
    if kind == "FrameLike" and default is None:
        return click.Option([name, flag, *others], multiple=True, callback=_one_or_several, metavar="FILE", help=text)
    types: dict[str, Any] = {"int": SRID if name == "srid" else WHOLE, "float": REAL}
    return click.Option(
        [name, flag, *others],
        type=types.get(kind, str),
        default=default,
        show_default=default is not None and not isinstance(default, float),
        metavar=_value(name, kind, text),
        help=f"{text}  [default: {default:g}]" if isinstance(default, float) else text,
    )


def _value(name: str, kind: str, text: str) -> str | None:
    """Return what help calls the value of an option."""
    if text.startswith("Folder"):
        return "DIR"
    return VALUE_OF.get(name) or METAVARS.get(kind, "TEXT")


def _choices(kind: str) -> list[str]:
    """Return the values of a closed choice, written out or by its name in the options, or among the cameras."""
    if kind.startswith("Literal["):
        return [single or double for single, double in re.findall(r"'([^']+)'|\"([^\"]+)\"", kind)]
    from mlygeo.pipelines import options
    from mlygeo.readers import cameras

    return [str(value) for value in get_args(getattr(options, kind, getattr(cameras, kind, None)))]


def _sources(option: str) -> list[str]:
    """Return the names of sources; what a file says itself is called `native` for videos, which have no EXIF."""
    from mlygeo.pipelines.sources import NATIVE

    return [NATIVE if name == "exif" and option == "video_geotag_source" else name for name in _choices("GeotagSource")]


class _Source(click.Choice[str]):
    """The name of a source, several with commas between, or an object of mapillary_tools; the function checks it."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """Return the names as the help text and Python have them; click would write hyphens."""
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from mlygeo.pipelines.sources import sources_named

        try:
            sources_named(value)
        except InputError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self.fail(f"{MENTION.sub('', str(error)).replace(' ()', '')}{hint}", param, ctx)
        return value


def _one_or_several(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> str | list[str] | None:
    return value[0] if len(value) == 1 else list(value) or None


def _none_if_empty(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> list[str] | None:
    return list(value) or None


def _none_if_no_words(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    return value or None


def parameter_texts(function: Callable[..., Any]) -> dict[str, str]:
    """
    Return what a numpydoc docstring says of each parameter, in one line each.

    Parameters
    ----------
    function
        A function with a Parameters section.
    """
    from mlygeo.pipelines import options

    texts = options.parameter_texts(function.__doc__ or "")
    return {name: " ".join(text.split()) for name, text in texts.items()}


def summary_of(function: Callable[..., Any]) -> str:
    """Return the text of a docstring above its first section."""
    text = inspect.cleandoc(function.__doc__ or "")
    head = re.split(r"\n\n[A-Z]\w+\n---", text)[0]
    return textwrap.dedent(head)


class Words(click.Argument):
    """The words of a verb without an option; help tells what they are, which click does from 8.5 on only."""

    def __init__(self, name: str, text: str, **attributes: Any) -> None:
        super().__init__([name], nargs=-1, **attributes)
        self.help = text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the words and what they are."""
        return self.make_metavar(ctx), self.help or ""
