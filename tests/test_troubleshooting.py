"""The page of error messages: each message that it quotes is one of the code, in the words of the command line."""

import ast
import functools
import re

import pytest
from conftest import PACKAGE, ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.findall(r"^### `(.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
GAP = "\0"
"""Stands in a message of the code for what is filled in."""

LEAST_WORDS = 2


def said(node):
    """The text of a string in the code, with gaps."""
    if isinstance(node, ast.JoinedStr):
        return "".join(said(each) for each in node.values)
    return node.value if isinstance(node, ast.Constant) else GAP


@functools.cache
def messages():
    """All strings of the code, parameters written as the command line does."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                found.add(in_flags(said(node)))
    return found


def in_flags(text):
    def flag(mention):
        return "--" + mention[1].replace("_", "-")

    return re.sub(r"`([a-z]\w*)(?:=[^`]+)?`", flag, re.sub(rf"`{GAP}`", GAP, text))


def is_said(quoted):
    """Whether a message of the code is the quoted one: the same words, and gaps where the quotation has its sign."""
    # An option can be filled into a gap, too.
    pattern = re.sub(r"(--[a-z]+(?:-[a-z]+)*)", rf"(?:\1|{GAP})", re.escape(quoted).replace(r"\-", "-"))
    return any(re.fullmatch(pattern.replace("…", f"(?:[^A-Za-z]*{GAP}[^A-Za-z]*)+"), text) for text in messages())


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_in_the_code(quoted):
    assert len(re.findall(r"[A-Za-z]{2,}", quoted)) >= LEAST_WORDS
    assert is_said(quoted)


@pytest.mark.parametrize(
    "quoted", ["no acces token (looked at …)", "no region at …", "EPSG:25832 covers …", "… lies in …"]
)
def test_other_messages_are_not(quoted):
    assert not is_said(quoted)


def test_no_message_is_explained_twice():
    assert len(QUOTED) == len(set(QUOTED)) > 60
