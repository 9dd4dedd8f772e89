"""The commands that a page shows, and whether they are verbs with options that exist."""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex

import click

from mlygeo import cli
from mlygeo.cli import mapillary_tools, old_tools

FENCE = re.compile(r"^(?P<indent>[ \t]*)```(?P<kind>\w+)\n(?P<text>.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)


OPERATORS = "|<>&;"
"""Characters with which a command of the shell ends."""


def inline_commands(text):
    """Return the commands in running text and tables: `mlygeo …`."""
    outside = FENCE.sub("", text)
    return [match for match in re.findall(r"`(mlygeo [^`]+)`", outside) if "…" not in match]


def check_options(command):
    """Raise unless a command names a verb, and options and values that it takes."""
    # What stands in quotes may have the shell's own characters.
    lexer = shlex.shlex(command, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    words = list(itertools.takewhile(lambda word: not set(word) <= set(OPERATORS), lexer))
    while "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]
    assert words[0] == "mlygeo", command
    if words[1:] in (["--help"], ["--version"], []) or words[1] == "VERB":
        return
    if words[1] in mapillary_tools.NAMES:  # the commands of another program
        with contextlib.suppress(IndexError):
            assert words[2] in {*mapillary_tools.COMMANDS, "--version", "COMMAND"}, command
        return
    if len(words) == 2:  # a verb by its name
        assert cli.program.get_command(click.Context(cli.program), words[1]) is not None, command
        return
    words = old_tools.translated(words[1:])
    context = click.Context(cli.program, info_name="mlygeo", **cli.program.context_settings)
    try:
        _, verb, rest = cli.program.resolve_command(context, words)
        if not {"--help", "-h"} & set(rest):
            verb.make_context(verb.name, rest, parent=context)
    except click.ClickException as error:
        raise AssertionError(f"{command}: {error.format_message()}") from error
