"""What help shows in which order: verbs by what they are for, options by what they are about; and the greeting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlygeo.cli.verbs import SUBJECTS, VERBS

if TYPE_CHECKING:
    from mlygeo.cli.verbs import Verb

OWN, REGION, COMMON = "Options", "Region", "Common options"
"""Sections of every verb: its own options first, those that most verbs have last."""

OF_REGION = ("config", "bbox", "west", "south", "east", "north", "region_file", "place", "buffer", "no_config")

OF_ALL = ("output", "dry_run", "workers", "ids_only", "as_json", "quiet", "verbose")

LEAST = 2
"""Options that a section has at least; a single option stands among the verb's own."""

WIDTH = 28
"""Letters for the names of verbs and options, beside their texts."""

FIRST = (
    ("mlygeo demo", "select images along the streets of Stuttgart, from data that comes with mlygeo"),
    ("mlygeo init", "write the configuration of your own project"),
    ("mlygeo --help", "list all commands"),
)
"""What someone new does first."""


def greeting(version: str) -> str:
    """
    Return what `mlygeo` prints without a verb.

    Parameters
    ----------
    version
        The version of mlygeo.
    """
    formatter = click.HelpFormatter()
    formatter.write_text(f"mlygeo {version}: street-level imagery as GeoDataFrames")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_dl(FIRST)
    formatter.write_paragraph()
    formatter.write_text("If something does not work, 'mlygeo doctor' tells why.")
    return formatter.getvalue().rstrip()


def of_verbs() -> list[tuple[str, list[Verb]]]:
    """Return the verbs by what they are for: title and verbs of each section."""
    return [(title, [verb for verb in VERBS if verb.subject == subject]) for subject, title in SUBJECTS.items()]


def of_options(command: click.Command, ctx: click.Context) -> list[tuple[str, list[click.Parameter]]]:
    """
    Return the options of a verb by what they are about: title and options of each section, without hidden ones.

    Parameters
    ----------
    command
        The command of the verb.
    ctx
        Its context, which knows the names of the option for help.
    """
    from mlygeo.pipelines.options import SECTIONS

    titles = _titles()
    options = [option for option in command.get_params(ctx) if option.get_help_record(ctx) is not None]
    options.sort(key=lambda option: not isinstance(option, click.Argument))
    about = [COMMON if "--help" in option.opts else titles.get(str(option.name), OWN) for option in options]
    lone = {title for title in about if about.count(title) < LEAST} - {COMMON}
    shown = [OWN if title in lone else title for title in about]
    in_order = [OWN, REGION, *(title for title, _ in SECTIONS), COMMON]
    found = {title: [option for option, of in zip(options, shown, strict=True) if of == title] for title in in_order}
    return [(title, members) for title, members in found.items() if members]


def _titles() -> dict[str, str]:
    """Return the title of the section of each option that has a group; what several groups have is in the last."""
    from mlygeo.pipelines.options import SECTIONS, Shared, parameter_texts
    from mlygeo.pipelines.options.photos import PhotoFolder

    titles = dict.fromkeys(OF_REGION, REGION)
    groups: tuple[type, ...]
    for title, groups in (*SECTIONS, (OWN, (Shared, PhotoFolder))):
        for group in groups:
            titles |= dict.fromkeys(parameter_texts(group.__doc__ or ""), title)
    return titles | dict.fromkeys(OF_ALL, COMMON)


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """
    Write the options of a verb, section by section.

    Parameters
    ----------
    command
        The command of the verb.
    ctx
        Its context.
    formatter
        Where to.
    """
    for title, options in of_options(command, ctx):
        rows = [record for option in options if (record := option.get_help_record(ctx)) is not None]
        _write(title, rows, formatter)


def write_verbs(formatter: click.HelpFormatter) -> None:
    """
    Write the verbs, section by section.

    Parameters
    ----------
    formatter
        Where to.
    """
    for title, verbs in of_verbs():
        _write(title, [(verb.name, verb.does) for verb in verbs], formatter)


def _write(title: str, rows: list[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    with formatter.section(title):
        # Padded, so that the texts of all sections begin in one column.
        formatter.write_dl([(name.ljust(WIDTH), text) for name, text in rows], col_max=WIDTH)
