"""The reference pages that are made from the code: verbs, functions, frames."""

from __future__ import annotations

import html
import inspect
import json
import re
from typing import Any

import click
import griffe

import mlygeo
from mlygeo import cli
from mlygeo.cli import sections
from mlygeo.cli.verbs import SUBJECTS, VERBS, Verb
from mlygeo.frames import SCHEMAS

TITLES = {
    "store": "Regions, reading and writing",
    "readers": "Readers",
    "spatial": "Steps on frames",
    "plotting": "Maps",
}
"""Part of the package -> heading of its functions; those of `pipelines` go by what the verb is for."""

PAGES = SUBJECTS | TITLES
"""Name of a page of functions -> its heading."""


def _context() -> click.Context:
    return click.Context(cli.program, info_name="mlygeo")


# Verbs -----------------------------------------------------------------------


def verbs() -> str:
    """Return the overview of verbs: a table for each thing that they are for."""
    parts = []
    for title, shown in sections.of_verbs():
        rows = "\n".join(f"| [{verb.name}](verbs/{verb.name}.md) | {verb.does} |" for verb in shown)
        parts.append(f"## {title}\n\n| verb | what it does |\n| --- | --- |\n{rows}\n")
    return "\n".join(parts)


def verb_pages() -> dict[str, str]:
    """Return the page of each verb, by its place below the pages."""
    return {f"reference/verbs/{verb.name}.md": _verb_page(verb) for verb in VERBS}


def _verb_page(verb: Verb) -> str:
    command = cli.program.get_command(_context(), verb.name)
    if command is None:
        raise LookupError(verb.name)
    function = inspect.unwrap(getattr(mlygeo, verb.function))
    place = f"{function.__module__}.{function.__name__}"
    words = [each for each in command.params if isinstance(each, click.Argument)]
    usage = " ".join(["mlygeo", verb.name, "[OPTIONS]", *(each.metavar or "" for each in words)])
    head = re.split(r"\n\n[A-Z]\w+\n---", inspect.getdoc(getattr(mlygeo, verb.function)) or "")[0]
    writes = "Nothing; it prints its result." if verb.output is None else _written(verb)
    parts = [
        f"---\ntitle: {verb.name}\ndescription: {json.dumps(verb.does)}\n---\n\n# mlygeo {verb.name}\n",
        f"{head}\n",
        f"```console\n$ {verb.example}\n```\n",
        f"Usage: `{usage}`. In Python: [`mlygeo.{verb.function}`][{place}].\n",
        f"## What it writes\n\n{writes}\n",
        "## Options\n",
    ]
    for title, shown in sections.of_options(command, _context()):
        given = [each for each in shown if "--help" not in each.opts]
        rows = "\n".join(f"<tr><td>{_named(option)}</td><td>{_said(option)}</td></tr>" for option in given)
        head = "<thead><tr><th>option</th><th>what it does</th></tr></thead>"
        table = f"<table>{head}<tbody>\n{rows}\n</tbody></table>"
        heading = "Its own options" if title == sections.OWN else title
        parts.append(f'### {heading}\n\n<div class="options">{table}</div>\n')
    return "\n".join(parts)


def _written(verb: Verb) -> str:
    place = f"`{verb.output}`" if " " not in (verb.output or "") else verb.output
    return f"{verb.output_help} Without `-o`: {place}."


def _named(option: click.Parameter) -> str:
    """Return how an option is typed: its names, and what its value is; of words without an option, what they are."""
    if not isinstance(option, click.Option):
        return f"<code>{html.escape(option.make_metavar(_context()))}</code>"
    first, *others = option.opts
    value = ""
    if isinstance(option.type, click.Choice) and not option.is_flag:
        value = "VALUE"
    elif not option.is_flag and not option.count:
        value = option.make_metavar(_context())
    shown = [f"{first} {value}".strip(), *others, *option.secondary_opts]
    return "<br>".join(f"<code>{html.escape(each)}</code>" for each in shown)


def _said(option: click.Parameter) -> str:
    """Return what an option does, the values it takes, and its default."""
    text = html.escape(re.sub(r"\s*\[default: [^\]]*\]$", "", getattr(option, "help", None) or ""))
    text = re.sub(r"&quot;([^&\s]*)&quot;", r"<code>\1</code>", text)
    extra = []
    if isinstance(option.type, click.Choice) and not option.is_flag:
        values = ", ".join(f"<code>{html.escape(str(value))}</code>" for value in option.type.choices)
        extra.append(f"One of {values}.")
    if option.required:
        extra.append("Required.")
    if not isinstance(option, click.Option):
        return " ".join([text, *extra])
    default = option.get_default(_context())
    if option.show_default and not option.is_flag and default not in {None, ()}:
        shown = ", ".join(map(str, default)) if isinstance(default, list | tuple) else default
        extra.append(f"Default: <code>{html.escape(str(shown))}</code>.")
    return " ".join([text, *extra])


# Functions -------------------------------------------------------------------


def _groups() -> dict[str, list[str]]:
    """Return the public functions, as module and name, by the name of their page."""
    of_verb = {verb.function: verb.subject for verb in VERBS}
    groups: dict[str, list[str]] = {page: [] for page in PAGES}
    for name in mlygeo.__all__:
        value = inspect.unwrap(getattr(mlygeo, name))
        module = inspect.getmodule(value)
        if module is None:
            raise LookupError(name)
        area = module.__name__.split(".")[1]
        groups[of_verb.get(name) or (area if area in TITLES else "store")].append(f"{module.__name__}.{value.__name__}")
    return groups


def api() -> str:
    """Return the overview of the functions: a table for each page."""
    parts = []
    for page, places in _groups().items():
        rows = "\n".join(f"| [`{_public_name(place)}`][{place}] | {_summary(place)} |" for place in places)
        parts.append(f"### [{PAGES[page]}](api/{page}.md)\n\n| name | what it does |\n| --- | --- |\n{rows}\n")
    return "## Functions\n\n" + "\n".join(parts)


def _public_name(place: str) -> str:
    return place.rsplit(".", 1)[-1]


def _summary(place: str) -> str:
    text = inspect.getdoc(getattr(mlygeo, _public_name(place))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def api_pages() -> dict[str, str]:
    """Return a page for each group of functions, by its place."""
    pages = {}
    for page, places in _groups().items():
        entries = "\n\n".join(f"::: {place}" for place in places)
        pages[f"reference/api/{page}.md"] = f"# {PAGES[page]}\n\n{entries}\n"
    return pages


class PublicFunctions(griffe.Extension):
    """Show the functions of pipelines as users call them: the texts of their options are filled in at run time."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Take docstring and result from the function itself."""
        public = getattr(mlygeo, func.name, None) if func.name in mlygeo.__all__ else None
        if public is None or func.docstring is None or func.path != f"{inspect.unwrap(public).__module__}.{func.name}":
            return
        func.docstring.value = inspect.getdoc(public) or ""
        func.returns = str(inspect.signature(public).return_annotation)


# Frames ----------------------------------------------------------------------


def frames() -> str:
    """Return a table for each kind of frame."""
    parts = []
    for schema in SCHEMAS.values():
        rows = "\n".join(
            f"| {'*' if column.optional else ''}`{column.name}`{'*' if column.optional else ''} "
            f"| {column.dtype} | {column.meaning} |"
            for column in schema.columns
        )
        head = "| column | dtype | meaning |\n| --- | --- | --- |\n"
        geometry = f"| `geometry` | {schema.geometry} | EPSG:4326 |"
        parts.append(f"## {schema.name.replace('_', ' ')}\n\n`frame={schema.name!r}`\n\n{head}{rows}\n{geometry}\n")
    return "\n".join(parts)
