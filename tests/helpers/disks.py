"""File systems of other systems, mounted from a file: what they lack is felt as there."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

MEGABYTES = 24
KINDS = {
    "vfat": (["mkfs.vfat"], ["fusefat", "-o", "rw+"], False),
    "exfat": (["mkfs.exfat"], ["mount.exfat-fuse"], True),
    "ntfs": (["mkfs.ntfs", "-F", "-Q"], ["ntfs-3g"], False),
}
"""How each is made and mounted where the kernel does not know it, and whether that takes a device."""


@contextmanager
def disk_of(kind, folder):
    """An empty disk of a kind, as a folder; the test is skipped where none can be mounted."""
    image, place = folder / f"{kind}.disk", folder / kind
    place.mkdir()
    make, driver, needs_device = KINDS[kind]
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    if shutil.which(make[0], path=environment["PATH"]) is None:
        pytest.skip(f"{make[0]} is not installed")

    def done(*words):
        try:
            return subprocess.run([*map(str, words)], capture_output=True, text=True, env=environment)
        except FileNotFoundError:
            return subprocess.CompletedProcess(words, 127, "", f"{words[0]} is not installed")

    made = done(*make, image)
    assert made.returncode == 0, made.stderr
    device = None
    try:
        mounted = done("mount", "-i", "-t", kind, "-o", "loop", image, place)
        if mounted.returncode:
            if needs_device:
                device = done("losetup", "--find", "--show", image).stdout.strip()
            mounted = done(*driver, device or image, place)
        if mounted.returncode or not os.path.ismount(place):
            pytest.skip(f"{kind} cannot be mounted here: {mounted.stderr.strip()[-80:]}")
        try:
            yield place
        finally:
            assert done("umount", place).returncode == 0
    finally:
        if device:
            done("losetup", "--detach", device)
