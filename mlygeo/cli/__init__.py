"""
The command line: the verbs, what they print, and their exit statuses.

Exit status: 0 all done; 1 failed; 2 wrong usage; 3 done, but some items failed; 130 interrupted.
Results go to files or standard output, everything else to standard error. Nothing heavy is
imported until a verb needs it.

A command is built from the function that it is the twin of: names, types and defaults from the
signature, help texts from the Parameters section of the docstring, so that the command line and the
Python API cannot drift apart.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import mlygeo
from mlygeo import progress
from mlygeo.cli import mapillary_tools, old_tools, sections
from mlygeo.cli.options import (
    NO_CONFIG,
    REGION_NAMES,
    REGION_OPTIONS,
    SIDES,
    Words,
    dashed,
    in_flags,
    in_help,
    options_of,
    shortened,
    summary_of,
    with_typed_numbers,
)
from mlygeo.cli.verbs import MEANT, VERBS, Verb
from mlygeo.errors import InputError, MlygeoError, RegionError
from mlygeo.own_process import without_pandas
from mlygeo.pipelines import renamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlygeo.config import Config
    from mlygeo.pipelines.job import Job


log = logging.getLogger("mlygeo")


SOME_FAILED, INTERRUPTED = 3, 130

COMPLETION = "_MLYGEO_COMPLETE"
"""Environment variable by which a shell asks for completions, without words."""

LONGEST_INPUT = 256 << 20
"""Bytes that standard input may have in place of a file."""

LONE_NUMBERS = re.compile(r"arguments? \((-?\d+(\.\d+)?[ )])+$|option '-\d'")
"""What click says of numbers behind the first of a box that was typed with spaces."""

EXTRA_WORDS = re.compile(r"unexpected extra arguments? \((.+)\)$")
"""What click says of words that no option takes."""

LACKS_VALUE = re.compile(r"Option '(--?[\w-]+)' requires an argument")
"""What click says of an option at the end of the line, or in front of another one."""

DRAWN_METHOD = re.compile(r"'--method': '(random|stratified|grid|per-street)'")
"""A method of 'mlygeo streets' alone, given to another verb."""

BLANKS = frozenset({"delimiter"})
"""Options whose value may be white space."""

INPUTS = frozenset({"FILE", "DIR", "URL|FILE"})
"""What options are of which the value may be any name that a file can have."""

MAY_BE_EMPTY = frozenset({"jwt", "user_password"})
"""Options of which the function says what an empty value means, or that there is none."""


class _VerbCommand(click.Command):
    """A verb; an error of its function names flags where the function names parameters."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections.write_options(self, ctx, formatter)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write no section of their own, as click does from 8.5 on: the words stand above the options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            flags = {flag for each in self.params for flag in each.opts + each.secondary_opts}
            args = _typed_anew(args, flags)
            try:
                self._check(args, ctx)
            except click.UsageError as error:
                error.ctx = error.ctx or ctx  # click leaves it out where an option lacks its value
                raise
        return super().parse_args(ctx, args)

    def _check(self, args: list[str], ctx: click.Context) -> None:
        """Raise if an option has two values where it takes one, or a value is empty, as of an unset variable."""
        collecting = click.Command(self.name, params=[_collecting(each) for each in self.params])
        given, _, _ = collecting.make_parser(ctx).parse_args(args=list(args))
        for parameter in self.params:
            values = given.get(str(parameter.name))
            values = list(values) if isinstance(values, list | tuple) else [values]
            flag = parameter.human_readable_name
            if isinstance(parameter, click.Option):
                flag = parameter.opts[0]
                if not parameter.multiple and any(value != values[0] for value in values):
                    raise click.UsageError(_contradiction(parameter, values), ctx)
            if parameter.name not in MAY_BE_EMPTY and any(_is_empty(value, parameter) for value in values):
                raise click.UsageError(f"{flag} is empty; is a variable of the shell not set?", ctx)
            if parameter.metavar not in INPUTS and any(_is_no_text(value) for value in values):
                raise click.UsageError(f"{flag} is not text in UTF-8", ctx)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MlygeoError as error:
            return _failed(error, ctx)


def _collecting(parameter: click.Parameter) -> click.Parameter:
    """Return an option like this one that takes several values."""
    if not isinstance(parameter, click.Option) or parameter.count:
        return parameter
    several = copy.copy(parameter)
    several.multiple = True
    return several


def _contradiction(option: click.Option, values: list[Any]) -> str:
    if option.is_flag:
        return f"{option.opts[0]} and {option.secondary_opts[0]} contradict each other"
    secret = option.name in {"token", "jwt", "user_password"}
    shown = "" if secret else f": {' and '.join(map(str, dict.fromkeys(values)))}"
    return f"{option.opts[0]} is given {'twice' if len(values) == 2 else f'{len(values)} times'}{shown}"


def _is_no_text(value: object) -> bool:
    """Return whether a value has bytes that are not UTF-8, which Python keeps as halves of characters."""
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_empty(value: object, parameter: click.Parameter) -> bool:
    return isinstance(value, str) and not (value if parameter.name in BLANKS else value.strip())


class _Verbs(click.Group):
    """The group of verbs; a verb's options are built when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [verb.name for verb in VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        name = cmd_name.replace("_", "-")
        name = old_tools.VERBS.get(name, name)
        verb = next((verb for verb in VERBS if verb.name == name), None)
        return None if verb is None else _command(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        sections.write_verbs(formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = _nearest_verb(args[0])
            meant = f"; did you mean '{near}'?" if near else ""
            raise click.UsageError(f"there is no verb '{args[0]}'{meant}", ctx)
        return super().resolve_command(ctx, args)


def _nearest_verb(word: str) -> str | None:
    """Return the verb, also of an older tool, that a word means which is mistyped or near in meaning."""
    import difflib

    word = word.lower().replace("_", "-")
    names = [verb.name for verb in VERBS] + [*old_tools.VERBS, *old_tools.COMMANDS]
    near = [] if word in MEANT else difflib.get_close_matches(word, names, n=1)
    near = near or difflib.get_close_matches(word, MEANT, n=1)
    return MEANT.get(near[0], near[0]) if near else None


def _typed_anew(words: list[str], flags: set[str]) -> list[str]:
    """Return the words after a verb with the new names of renamed options, and say so for each."""
    found: list[str] = []
    for at, word in enumerate(words):
        if word == "--":
            return [*found, *words[at:]]
        flag, sign, value = word.partition("=")
        old = flag.removeprefix("--").replace("-", "_")
        if flag.startswith("--") and flag not in flags and old in renamed.RENAMED:
            new = f"--{dashed(renamed.RENAMED[old].now)}"
            if new in flags:
                click.echo(renamed.said(old, lambda name: f"--{dashed(name)}"), err=True)
                flag = new
        found.append(f"{flag}{sign}{value}")
    return found


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from mlygeo.pipelines import versions

        click.echo(versions.line())
        ctx.exit()


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": dashed, "max_content_width": 100},
    epilog="Example:  mlygeo select --bbox 9.161,48.762,9.176,48.779 --interval 50 -o stuttgart",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the versions of mlygeo, GDAL, PROJ and GEOS, and exit.",
)
def program() -> None:
    """
    Street-level imagery as GeoDataFrames: from a region to a selection of images.

    'mlygeo VERB --help' explains a verb. Results are GeoParquet, for DuckDB and GeoPandas,
    or GeoPackage, for QGIS.
    """


def _command(verb: Verb) -> click.Command:

    function = getattr(mlygeo, verb.function)
    own = [
        click.Option(["as_json", "--json"], is_flag=True, help="Print the summary as JSON to standard output."),
        click.Option(["quiet", "-q", "--quiet"], is_flag=True, help="Show only errors."),
        click.Option(["verbose", "-v", "--verbose"], count=True, help="Show more messages; -vv shows all."),
    ]
    if verb.ids_only:
        text = "Print only the ids to standard output; write files only if -o is given."
        own.insert(0, click.Option(["ids_only", "--ids-only"], is_flag=True, help=text))
    if verb.output is not None:
        text = f"{verb.output_help}  [default: {verb.output}]"
        short, *others = old_tools.OPTIONS["output"]
        own.insert(0, click.Option(["output", short, "--output", *others], metavar="PATH", help=text))
    own += [
        click.Option([name, f"--{dashed(name)}"], is_flag=True, help=text)
        for name, text in old_tools.SKIPPING.get(verb.name, {}).items()
    ]
    silent = dict.fromkeys(old_tools.AFTERWARDS.get(verb.name, ()), "As of 'mlygeo post-process'.")
    own += [
        click.Option(
            [name, f"--{dashed(name)}"], is_flag=name not in old_tools.WITH_VALUE or None, hidden=True, help=text
        )
        for name, text in (silent | old_tools.NO_EFFECT.get(verb.name, {})).items()
    ]
    region = list(REGION_OPTIONS) if verb.takes_region else []
    region += [NO_CONFIG] if verb.takes_region or verb.takes_token else []
    parameters = [*region, *options_of(function, arguments=verb.arguments, words=verb.words), *own]
    for each in parameters:
        if isinstance(each, click.Option | Words) and each.help:
            each.help = in_help(each.help, parameters)
    return _VerbCommand(
        verb.name,
        params=parameters,
        callback=lambda **given: _run(verb, given),
        help=in_help(summary_of(function), parameters),
        short_help=verb.does,
        epilog=f"\b\nExample:\n  {verb.example}",
    )


def _run(verb: Verb, given: dict[str, Any]) -> int:
    """Run a verb: parse, call one function, write what it returns."""
    from mlygeo.pipelines import own_files
    from mlygeo.pipelines.arguments import given_by_user
    from mlygeo.pipelines.job import body_of, check_output
    from mlygeo.store.datasets import layout

    typed = _typed(given)
    given = {name: None if value == () else value for name, value in given.items()}
    output, as_json, quiet = given.pop("output", None), given.pop("as_json"), given.pop("quiet")
    ids_only = given.pop("ids_only", False)
    parameters = click.get_current_context().command.params
    _set_up_logging(given.pop("verbose"), parameters, quiet=quiet)
    if as_json and ids_only:
        raise InputError("--json and --ids-only both want standard output", hint="give one of them")
    asked_with: dict[str, Any] = {name: given[name] for name in ("config", "region_file") if name in given}
    if verb.takes_region or verb.takes_token:
        settings = _configure(verb, given, quiet=quiet)
        if settings is not None and asked_with.get("region_file") is None:
            asked_with["region_file"] = settings.region
    # Verbs that ask the service also take a file with the token; the stand-in's token is not a secret.
    asks_service = "token_file" in given
    for name in ("token", "user_password", "jwt"):
        # A dash stands for standard input, which nobody else sees.
        if asks_service and given.get(name) not in {None, "-"}:
            flag = f"--{name.replace('_', '-')}"
            better = "a token file" if name == "token" else f"'{flag} -', or to be asked"
            _say(
                f"warning: {flag} stays in the shell's history and is seen by other users; better {better}", quiet=quiet
            )
    skipping = [given.pop(name) for name in old_tools.SKIPPING.get(verb.name, {})]
    _take_second_path(verb, given, output)
    if verb.name in old_tools.DESCRIBED and given.get("desc_path") == "-":
        given["desc_path"] = _standard_input()
    passed_over = old_tools.NO_EFFECT.get(verb.name, {})
    for name, why in passed_over.items():
        if given.pop(name):
            _say(f"warning: --{dashed(name)} has no effect: {why}", quiet=quiet)
    if given.get("offset_time") and click.get_current_context().obj is None:
        _say("--offset-time is subtracted from capture times, as in 2019; mapillary_tools adds it today", quiet=quiet)
    afterwards = {name: given.pop(name) for name in old_tools.AFTERWARDS.get(verb.name, ())}
    body = body_of(getattr(mlygeo, verb.function))
    display = progress.for_terminal(quiet=quiet, words=lambda text: in_flags(text, parameters))
    click.get_current_context().with_resource(progress.running(display))
    if "progress" in inspect.signature(body).parameters:
        given["progress"] = display
    target = None
    if verb.last_is_output and output is None:
        output = _taken_last(verb, given)
    if verb.makes_datasets and output is not None and layout.is_named(output):
        given["output"] = output
        check_output("dataset", Path(output).expanduser())
    elif verb.acts:
        given["output"] = given.get("output") or output
        if output is not None:
            own_files.refuse_inputs(verb.function, Path(output).expanduser(), asked_with)
        if output is not None and not verb.last_is_output:  # what may be a table or a track is checked there
            check_output(verb.writes, Path(output).expanduser())
    elif verb.output is not None and (output is not None or not ids_only):
        target = Path(output or verb.output).expanduser()
        check_output(verb.writes, target, or_dataset=verb.makes_datasets)
        own_files.check(verb.function, target, {**given, **asked_with}, is_named=output is not None)
    with given_by_user(typed):
        job = body(**given)
        if any(afterwards.values()):
            job = _then_sorted(job, given, afterwards)
    files = []
    if target is not None:
        with progress.writing():
            files = job.write(target)
    wait = job.wait() if job.wait is not None else None
    _say(in_flags(job.headline, parameters), quiet=quiet)
    if files and job.headline.partition(", ")[0] != str(files[0]):  # which may have said it
        _say("  ".join(str(file) for file in files), quiet=quiet)
    if as_json:
        click.echo(json.dumps(_summary(job, parameters), indent=2, ensure_ascii=False))
    if job.text is not None and not as_json:
        click.echo(job.text())
    if ids_only and job.ids is not None:
        click.echo("".join(f"{value}\n" for value in job.ids()), nl=False)
    if wait is not None:
        wait()
    statuses: mapillary_tools.Command | None = click.get_current_context().obj
    some_failed = SOME_FAILED if statuses is None else statuses.failed
    return some_failed if job.failed and not any(skipping) else 0


def _typed(given: Iterable[str]) -> set[str]:
    """
    Return the options that the user typed, with whatever value.

    A configuration file is for many verbs: what only that says may be of no use to one of them.
    """
    context = click.get_current_context()
    program: mapillary_tools.Command | None = context.obj
    added = {option.name for option in context.command.params if program is not None and program.added & {*option.opts}}
    sources = {name: context.get_parameter_source(name) for name in given}
    return {name for name, source in sources.items() if source is click.core.ParameterSource.COMMANDLINE} - added


def _standard_input() -> str:
    """Return a file of what standard input says; it is gone at the end of the verb."""
    import tempfile

    file = click.get_current_context().with_resource(tempfile.NamedTemporaryFile(suffix=".json"))  # noqa: SIM115
    content = sys.stdin.buffer.read(LONGEST_INPUT + 1)
    if len(content) > LONGEST_INPUT:
        raise InputError(f"more than {LONGEST_INPUT >> 20} MiB come from standard input", hint="name a file instead")
    file.write(content)
    file.flush()
    return file.name


def _taken_last(verb: Verb, given: dict[str, Any]) -> str:
    """Take the last word as the place where results go."""
    *words, last = given[verb.arguments or ""]
    if not words:
        raise InputError(f"{last} is the only file given", hint=f"name the file to write, too: {verb.example}")
    if len(words) > 1 and Path(last).expanduser().exists():
        raise InputError(
            f"{last} is there already, and may be meant as an input", hint=f"name the output with -o {last}"
        )
    given[verb.arguments or ""] = tuple(words)
    return str(last)


def _take_second_path(verb: Verb, given: dict[str, Any], output: str | None) -> None:
    """
    Take the last of two words as the place where results go, as mapillary_tools does.

    Raises
    ------
    InputError
        If that holds photos, too: it may be meant as an input.
    """
    option = old_tools.SECOND_PATH.get(verb.name)
    words = given.get(verb.arguments or "")
    if option is None or not words or len(words) != 2 or given.get(option) or (option == "output" and output):
        return
    last = Path(words[1]).expanduser()
    if last.is_file() or not old_tools.may_be_target(verb.name, last):
        return
    given[verb.arguments or ""], given[option] = tuple(words[:1]), words[1]


def _then_sorted(job: Job[Any], given: dict[str, Any], afterwards: dict[str, Any]) -> Job[Any]:
    """Run post-process on the folders of a verb after it, with the options that older tools took there."""
    from mlygeo.pipelines.job import body_of, one_after_another

    post_process = body_of(mlygeo.post_process)
    shared = {name: given[name] for name in ("skip_subfolders", "dry_run", "progress")}
    for folder in given["import_path"]:
        job = one_after_another(job, post_process(folder, **shared, **afterwards))
    return job


def _configure(verb: Verb, given: dict[str, Any], *, quiet: bool) -> Config | None:
    """Put the region that the options name among those of the function; return the configuration, if there is one."""
    from mlygeo import config
    from mlygeo.pipelines.inputs import NO_REGION

    named = {name: given.pop(name) for name in REGION_NAMES if name in given}
    no_config, path = named.pop("no_config"), named.pop("config", None)
    if path is not None and no_config:
        raise InputError("`config` and `no_config` contradict each other", hint="give one of them")
    settings = config.load(path) if path is not None else None
    if path is None and not no_config and (found := config.find()) is not None:
        settings = config.load(found)
        beside = [name for name in verb.instead_of_region if given.get(name)]
        if beside and all(value is None for value in named.values()):
            settings = dataclasses.replace(settings, bounding_box=None, region=None, place=None)
        text = f"configuration: {found.name if found.parent == Path.cwd() else found}"
        text += f"; its region is not used with `{beside[0]}`" if beside else ""
        _say(in_flags(text, click.get_current_context().command.params), quiet=quiet)
    if verb.takes_region:
        given["region"] = _region(named, settings, is_named=path is not None)
        needed = inspect.signature(getattr(mlygeo, verb.function)).parameters["region"].default
        if given["region"] is None and needed is inspect.Parameter.empty:
            raise RegionError("no region", hint=NO_REGION)
    elif settings is not None and given.get("token") is None and given.get("token_file") is None:
        given["token_file"] = settings.token_file
    return settings


def _region(named: dict[str, Any], settings: Config | None, *, is_named: bool) -> Any:
    """Return what the region options name: a region, with its configuration; None where none was given."""
    from mlygeo import regions
    from mlygeo.spatial import boxes

    if all(value is None for value in named.values()):
        if settings is None:
            return None
        if not is_named and not (settings.bounding_box or settings.region or settings.place):
            return regions.Configured(None, settings)
    bbox = boxes.parse(named["bbox"]) if named["bbox"] is not None else None
    sides = {side: named[side] for side in SIDES}
    region = regions.from_parts(
        config=settings, bbox=bbox, sides=sides, file=named["region_file"], place=named["place"], buffer=named["buffer"]
    )
    return region if settings is None else regions.Configured(region, settings)


def _set_up_logging(verbose: int, parameters: Sequence[click.Parameter], *, quiet: bool) -> None:
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain(parameters))
    handler.addFilter(_Once())
    logger = logging.getLogger("mlygeo")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level)
    if not verbose:
        warnings.simplefilter("ignore")


class _Once(logging.Filter):
    """Lets each warning through once: a dry run, an estimate and the run itself look at the same region and files."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        message = record.getMessage()
        is_new = message not in self._said
        self._said.add(message)
        return is_new


class _Plain(logging.Formatter):
    def __init__(self, parameters: Sequence[click.Parameter]) -> None:
        super().__init__()
        self._parameters = parameters

    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return prefix + in_flags(super().format(record), self._parameters)


def _summary(job: Job[Any], parameters: Sequence[click.Parameter]) -> dict[str, Any]:
    """Return the summary of a job; the reasons in it, each beside the name of its file, name flags."""
    return {
        name: {key: in_flags(each, parameters) if isinstance(each, str) else each for key, each in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in job.summary.items()
    }


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        click.echo(text, err=True)


def main(arguments: list[str] | None = None, *, statuses: mapillary_tools.Command | None = None) -> int:
    """
    Run the command line.

    Parameters
    ----------
    arguments
        The words after `mlygeo`; those of this process unless given.
    statuses
        The exit statuses of errors, and where some items failed, if they are another program's.

    Returns
    -------
    status
        The exit status.
    """
    with contextlib.suppress(AttributeError, ValueError):
        # A name of a file may be bytes that are no text.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    if arguments is None:
        without_pandas()
    with progress.running() as run:
        try:
            return _main(arguments, statuses)
        except (click.Abort, KeyboardInterrupt):
            click.echo(f"interrupted; {run.left_behind()}", err=True)
            return INTERRUPTED


def _main(arguments: list[str] | None, statuses: mapillary_tools.Command | None) -> int:
    try:
        given = sys.argv[1:] if arguments is None else arguments
        if given[:1] and given[0] in mapillary_tools.NAMES:
            return mapillary_tools.run(given[1:], main)
        words = old_tools.translated(given)
        if not words and COMPLETION not in os.environ:
            click.echo(sections.greeting(mlygeo.__version__))
            return 0
        status = program.main(words, prog_name="mlygeo", standalone_mode=False, obj=statuses)
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except click.UsageError as error:
        return _fail(_usage_message(error), _usage_hint(error), 2)
    except click.ClickException as error:
        return _fail(error.format_message(), None, 2)
    except MlygeoError as error:
        return _failed(error, click.Context(program, obj=statuses))
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # Such as a name that is too long for the disk, or a folder that may not be looked into.
        log.debug("in full:", exc_info=True)
        where = "" if error.filename is None else f"{shortened(os.fsdecode(error.filename))}: "
        return _fail(f"{where}{error.strerror or error}", None, 1)
    except UnicodeEncodeError as error:
        return _fail(f"{shortened(ascii(error.object))} is not text in UTF-8, which is needed here", None, 1)
    except MemoryError:
        return _fail("there is not enough memory", "take a smaller region, or --images as GeoParquet", 1)
    return int(status or 0)


def _usage_message(error: click.UsageError) -> str:
    """Return what click says, in plainer words where it has words of its own."""
    said = error.format_message()
    if error.ctx is None:
        return said
    if extra := EXTRA_WORDS.search(said):
        return f"'{error.ctx.command_path}' takes no files or names without an option: {extra[1]}"
    if lacks := LACKS_VALUE.search(said):
        option = next((each for each in error.ctx.command.params if lacks[1] in each.opts), None)
        return f"{lacks[1]} has no value{'' if option is None else f': {lacks[1]} {option.make_metavar(error.ctx)}'}"
    return said


def _usage_hint(error: click.UsageError) -> str | None:
    path = error.ctx.command_path if error.ctx else "mlygeo"
    is_of_others = isinstance(error, click.NoSuchOption) and error.option_name in {"--provider", "--endpoint"}
    if is_of_others and path.endswith(" download-originals"):
        return "originals of Panoramax are public: 'mlygeo download --size original --provider panoramax'"
    takes_box = error.ctx is not None and any(each.name == "bbox" for each in error.ctx.command.params)
    if takes_box and LONE_NUMBERS.search(error.format_message()):
        return "the numbers of a box have commas between them and no spaces: --bbox 9.16,48.76,9.18,48.78"
    if error.ctx is not None and (extra := EXTRA_WORDS.search(error.format_message())):
        return _hint_of_words(extra[1], error.ctx)
    if path.endswith(" select") and (method := DRAWN_METHOD.search(error.format_message())):
        return (
            f"draw the points first: 'mlygeo streets --method {method[1]} … -o points.parquet', then"
            " 'mlygeo select --points points.parquet'"
        )
    return f"'{path} --help' {'lists the verbs' if path == 'mlygeo' else 'shows the options'}"


def _hint_of_words(words: str, ctx: click.Context) -> str:
    """Return what to do with words that a verb does not take: its options for files, and what draws a folder."""
    if any((Path(words) / name).is_file() for name in ("selection.parquet", "coverage.parquet")):
        return f"'mlygeo map {words}' draws the results in this folder"
    options = {each.name: each for each in ctx.command.params if isinstance(each, click.Option)}
    if "config" in options and words.endswith((".json", ".toml")):
        return f"a configuration file is named with -c: {ctx.command_path} -c {words}"
    files = [options[name] for name in ("streets", "points", "images", "ids") if name in options]
    named = " or ".join(f"{each.opts[0]} {each.make_metavar(ctx)}" for each in files)
    help_of = f"'{ctx.command_path} --help' shows the options"
    return f"name a file with its option: {named}; {help_of}" if named else help_of


def _failed(error: MlygeoError, ctx: click.Context) -> int:
    statuses: mapillary_tools.Command | None = ctx.obj
    status = error.exit_status if statuses is None else statuses.status_of(error)
    said = [
        None if text is None else with_typed_numbers(in_flags(text, ctx.command.params), ctx)
        for text in (str(error), error.hint)
    ]
    return _fail(said[0] or "", said[1], status)


def _fail(message: str, hint: str | None, status: int) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"\nhint: {hint}", err=True)
    return status
