"""What the site takes from the code when it is built: verbs, functions, frames and the picture of the demo."""

from __future__ import annotations

import inspect
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import griffe
from mkdocs.structure.files import File

import mlygeo
from mlygeo.cli import program
from mlygeo.cli.verbs import VERBS
from mlygeo.frames import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
COLUMNS = 80
"""Width that the verbs' help is set in."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the picture of the start page: the demo's own."""
    stuttgart = ROOT / "examples" / "stuttgart"
    edges = stuttgart / "stuttgart_osm_edges.gpkg"
    selection = mlygeo.select(stuttgart / "stuttgart_config.json", streets=edges, interval=50, srid=25832)
    points = mlygeo.street_points(mlygeo.street_network(path=edges), interval=50, srid=25832)
    picture = io.BytesIO()
    mlygeo.plot([edges, points, selection], dpi=100).savefig(picture, format="png")
    files.append(File.generated(config, "stuttgart.png", content=picture.getvalue()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Fill in what is generated."""
    for name, made in GENERATED.items():
        mark = f"<!-- generated: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown


def verbs() -> str:
    """Return a section for each verb, with its help as a terminal shows it."""
    # The help must not change with the terminal that builds the site.
    os.environ["COLUMNS"] = str(COLUMNS)
    context = click.Context(program, info_name="mlygeo", terminal_width=COLUMNS, max_content_width=COLUMNS)
    parts = [f"| verb | what it does |\n| --- | --- |\n{_table(VERBS)}\n"]
    for verb in VERBS:
        command = program.get_command(context, verb.name)
        if command is None:
            raise LookupError(verb.name)
        inner = click.Context(command, info_name=verb.name, parent=context, terminal_width=COLUMNS)
        parts.append(f"## {verb.name}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "\n".join(parts)


def _table(rows: Any) -> str:
    return "\n".join(f"| [{verb.name}](#{verb.name}) | {verb.does} |" for verb in rows)


def api() -> str:
    """Return a section for each public name, by what it is for."""
    groups: dict[str, list[str]] = {title: [] for title in TITLES.values()}
    for name in mlygeo.__all__:
        value = inspect.unwrap(getattr(mlygeo, name))
        module = inspect.getmodule(value)
        if module is None:
            raise LookupError(name)
        area = module.__name__.split(".")[1]
        groups[TITLES.get(area, TITLES["store"])].append(f"::: {module.__name__}.{value.__name__}\n")
    return "\n".join(f"## {title}\n\n" + "\n".join(entries) for title, entries in groups.items() if entries)


class PublicFunctions(griffe.Extension):
    """Show the functions of pipelines as users call them: the texts of their options are filled in at run time."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Take docstring and result from the function itself."""
        public = getattr(mlygeo, func.name, None) if func.name in mlygeo.__all__ else None
        if public is None or func.docstring is None or func.path != f"{inspect.unwrap(public).__module__}.{func.name}":
            return
        func.docstring.value = inspect.getdoc(public) or ""
        func.returns = str(inspect.signature(public).return_annotation)


TITLES = {
    "pipelines": "Verbs as functions",
    "store": "Regions, reading and writing",
    "readers": "Readers",
    "spatial": "Steps on frames",
    "plotting": "Maps",
}
"""Part of the package -> heading of its functions."""


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


GENERATED: dict[str, Callable[[], str]] = {"verbs": verbs, "api": api, "frames": frames}
