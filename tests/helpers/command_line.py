"""Verbs run inside the test's own process, and the program as a user calls it."""

import os
import subprocess
import sysconfig
from pathlib import Path

from mlygeo import cli

PROGRAMS = Path(sysconfig.get_path("scripts"))
"""The folder of the programs that were installed with packages: on Windows not that of Python, except in a venv."""


def installed(name):
    """Return the path of a program that was installed with a package."""
    return PROGRAMS / (f"{name}.exe" if os.name == "nt" else name)


PROGRAM = installed("mlygeo")


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def program(*words, **environment):
    return subprocess.run(
        [str(PROGRAM), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "MAPILLARY_ACCESS_TOKEN": "secret-word", **environment},
    )
