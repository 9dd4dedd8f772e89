"""The types of files that a call is about, as mapillary_tools names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError

if TYPE_CHECKING:
    from mlygeo.uploads.found import Import

TYPES = ("image", "zip", "video", "blackvue", "camm", "gopro")

IMAGE = "image"

_OF_THE_SERVICE = {"zip": {"zip"}, "mly_blackvue_video": {"blackvue", "video"}, "mly_camm_video": {"camm", "video"}}
"""What the service calls a file that goes up as it is -> the types that it is of."""


def named(text: Any) -> frozenset[str]:
    """
    Return the types that a call names; all of them where it names none.

    Parameters
    ----------
    text
        Types with commas between, or several of them.

    Raises
    ------
    InputError
        If one is none.
    """
    if text is None:
        return frozenset(TYPES)
    words = text.split(",") if isinstance(text, str) else [str(word) for word in text]
    types = frozenset(word.strip().lower() for word in words)
    if unknown := sorted(types - {*TYPES}):
        raise InputError(f"{unknown[0]!r} is no type of file", hint=f"--file-types takes {', '.join(TYPES)}")
    return types


def only(found: Import, types: frozenset[str]) -> Import:
    """Return what lies in import paths, but for what is of other types; that is counted as skipped."""
    if IMAGE not in types:
        found.skipped["of another type"] += sum(len(sequence.photos) for sequence in found.sequences)
        # What has no description is of no interest either.
        found.skipped["not processed"] = 0
        found.sequences, found.images = [], None
    files = [file for file in found.files if _OF_THE_SERVICE[file.file_type] & types]
    found.skipped["of another type"] += len(found.files) - len(files)
    found.files = files
    return found
