"""
What only Unix has: the marks of tests that need it, and how such tests are found without a Windows at hand.

A test that needs something of `PARTS` has the mark `needs_unix`, `needs_proc` or `needs_symlinks`. `tests/test_unix.py` finds tests
that need something and lack the mark.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
"""Modules of the standard library that Windows lacks."""

OF_OS = (
    "chown", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getpgrp", "getuid",
    "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "sched_getaffinity", "sched_setaffinity", "setegid",
    "seteuid", "setgid", "setpgid", "setsid", "setuid", "statvfs", "sysconf", "uname", "wait4",
)  # fmt: skip
"""Functions of `os` that Windows lacks."""

OF_SIGNAL = (
    "ITIMER_REAL", "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGSTOP", "SIGUSR1", "SIGUSR2",
    "alarm", "pthread_sigmask", "setitimer",
)  # fmt: skip
"""Names of `signal` that Windows lacks."""

PARTS = {
    "modules of Unix": rf"^\s*(?:import|from) (?:{'|'.join(MODULES)})\b|importorskip\('resource'\)|\bimport resource\b",
    "functions of Unix": rf"\bos\.(?:{'|'.join(OF_OS)})\b",
    "signals of Unix": rf"\bsignal\.(?:{'|'.join(OF_SIGNAL)})\b|send_signal\(signal\.SIGINT\)|\bpreexec_fn=|\bpass_fds=",
    "files of Unix": r"['\"(=]/(?:dev|sys)/|\bAF_UNIX\b",
    "/proc": r"['\"(=]/proc/",
    "rights of Unix": r"\.chmod\(|\bumask\(|\bst_mode\b",
}
"""What a test may need that Windows lacks: the words of the mark's reason, and how source text shows it."""

LINKS = r"\.symlink_to\(|\bos\.symlink\("

GUARDS = r"\bskip_without_unix\(|/status['\"]\)\.exists\(\)|\bos\.name\b|\bsys\.platform\b|(?:hasattr|getattr)\((?:os|signal),"
"""How a function shows that it looks itself at the system."""


def needs_unix(what: str):
    """Skip a test on Windows, which lacks something: one of `PARTS` or other words."""
    return pytest.mark.skipif(os.name == "nt", reason=f"Windows has no {what}")


def skip_without_unix(what: str) -> None:
    """Skip the test that runs, on Windows, which lacks something; for helpers and fixtures."""
    if os.name == "nt":
        pytest.skip(f"Windows has no {what}")


@functools.cache
def has_symlinks() -> bool:
    """Return whether symbolic links can be made: on Windows that needs a right or the mode for developers."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.symlink("a", Path(folder, "b"))  # noqa: PTH211 - which the simulation of Windows lacks
        except (AttributeError, OSError):
            return False
    return True


needs_symlinks = pytest.mark.skipif(not has_symlinks(), reason="symbolic links cannot be made here")

needs_proc = pytest.mark.skipif(
    os.name == "nt" or not Path("/proc/self/status").exists(), reason="the system does not show processes in /proc"
)


class _Module:
    """The functions, classes and names of a test file or helper, by what they use."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.defined: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        self.always: list[str] = []  # fixtures that every test of the file has
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.defined.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"helpers", "conftest"}:
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = (node.module, alias.name)
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.defined.setdefault(target.id, node)
        for node in self.defined.values():
            if "autouse=True" in "".join(map(ast.unparse, getattr(node, "decorator_list", []))):
                self.always.append(node.name)


@functools.cache
def _module(path: Path) -> _Module:
    return _Module(path)


def _file_of(module: str, name: str) -> tuple[Path, str | None]:
    """Return the file of what a test imports, and its name there; None where that is the whole module."""
    if module == "helpers":
        return TESTS / "helpers" / f"{name}.py", None
    return TESTS.joinpath(*module.split(".")).with_suffix(".py"), name


def _bare(node: ast.stmt) -> ast.stmt:
    """Return a definition without comments, docstring and the marks of tests."""
    node = ast.parse(ast.unparse(node)).body[0]
    node.decorator_list = []
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
        node.body = node.body[1:] or [ast.Pass()]
    return node


@functools.cache
def needs(path: Path, name: str) -> frozenset[str]:
    """
    Return what a function of a test file or helper needs that Windows may lack: it, and what it uses there.

    Fixtures count as used by whoever names them as an argument. A function that looks at the system counts as one that
    needs nothing.
    """
    found: set[str] = set()
    seen: set[tuple[Path, str]] = set()
    waiting = [(path, each) for each in (name, *_module(path).always)]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        module = _module(here[0])
        node = module.defined.get(here[1])
        if node is None:
            if here[1] in module.imported:
                file, other = _file_of(*module.imported[here[1]])
                if other is not None and file.exists():
                    waiting.append((file, other))
            continue
        bare = _bare(node)
        text = ast.unparse(bare).replace("\\n", "\n")  # programs in strings are read like the rest
        if re.search(GUARDS, text):
            continue
        found |= {what for what, pattern in PARTS.items() if re.search(pattern, text, re.MULTILINE)}
        if re.search(LINKS, text):
            found.add("symbolic links")
        own = {each.id for each in ast.walk(bare) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        own = own if isinstance(node, ast.FunctionDef) else set()
        for each in ast.walk(bare):
            if isinstance(each, ast.Name) and each.id not in own:
                waiting.append((here[0], each.id))
            elif isinstance(each, ast.arg) and isinstance(node, ast.FunctionDef):
                is_here = each.arg in module.defined or each.arg in module.imported
                waiting.append((here[0] if is_here else TESTS / "conftest.py", each.arg))
            elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                imported = module.imported.get(each.value.id)
                if imported is not None and imported[0] == "helpers":
                    waiting.append((_file_of(*imported)[0], each.attr))
    return frozenset(found)
