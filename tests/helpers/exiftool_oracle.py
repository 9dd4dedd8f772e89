"""ExifTool as an oracle: one process, kept open, that says what it reads from a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

PACKAGE = "libimage-exiftool-perl"


def program() -> str:
    """Return the path of ExifTool; install it where that is possible, else skip (in CI: fail)."""
    found = shutil.which("exiftool")
    if found is None and shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", PACKAGE], check=False, capture_output=True)
        found = shutil.which("exiftool")
    if found is None:
        reason = f"ExifTool is not on the PATH (Debian package {PACKAGE})"
        (pytest.fail if os.environ.get("MLYGEO_NO_SKIP") else pytest.skip)(reason)
    return found


class ExifTool:
    """Reads files in one process, since starting Perl takes longer than reading."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [program(), "-stay_open", "True", "-@", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.write(b"-stay_open\nFalse\n")
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def run(self, *arguments) -> bytes:
        self._process.stdin.write("".join(f"{argument}\n" for argument in (*arguments, "-execute")).encode())
        answer = b""
        while not answer.endswith(b"{ready}\n"):
            answer += (piece := os.read(self._process.stdout.fileno(), 1 << 20))
            if not piece:
                raise EOFError("ExifTool ended")
        return answer[: -len(b"{ready}\n")]

    def read(self, path, *arguments) -> dict:
        """Return tags by name with their group, values as numbers, of this file."""
        grouping = () if "-G1:4" in arguments else ("-G1",)
        answer = self.run("-j", "-n", *grouping, *arguments, path)
        return json.loads(answer)[0] if answer else {}

    def faults(self, path) -> list[str]:
        """Return what ExifTool's validation finds in the structure of a file; tags that a camera has may be missing."""
        said = self.run("-validate", "-warning", "-error", "-a", "-s3", path).decode().splitlines()
        assert said, f"ExifTool says nothing of {path}"
        return [line for line in said[1:] if not line.startswith("Missing required JPEG")]

    def dump(self, path) -> dict:
        """
        Return everything: unknown tags and binary values too, of a tag that stands several times all its values.

        What depends on time and place of the file is left out.
        """
        everything = self.read(path, "-a", "-U", "-b", "-G1:4")
        beside = ("SourceFile", "System", "ExifTool:ExifTool", "File:ExifByteOrder", "Composite", "File:FileType")
        found = {}
        for name, value in everything.items():
            if not name.startswith(beside):
                found.setdefault(re.sub(r":Copy\d+:", ":", name), []).append(value)
        return found
