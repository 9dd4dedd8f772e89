"""Options on uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class User:
    """
    The owner of the photos.

    Parameters
    ----------
    user_name
        Mapillary user under whose name the photos are uploaded.
    organization_name
        Name of the organization to which they belong.
    organization_key
        Key of the organization to which they belong.
    private
        Mark them as private imagery of the organization.
    """

    user_name: str | None
    organization_name: str | None
    organization_key: str | None
    private: bool


@dataclass(frozen=True, kw_only=True)
class Described:
    """
    Which images of a folder are used: those in a description file.

    Parameters
    ----------
    desc_path
        Description file; on the command line a dash stands for standard input. Default: those of the folder and its
        subfolders.
    skip_subfolders
        Look only at the folder itself.
    """

    desc_path: PathLike | None
    skip_subfolders: bool


@dataclass(frozen=True, kw_only=True)
class Uploading:
    """
    What is uploaded, and how.

    Parameters
    ----------
    reupload
        Also upload what was uploaded before.
    manual_done
        Upload everything, but do not finish the uploads. At a terminal you are then asked whether to finish
        them; else the same command without this option finishes them.
    file_types
        Only files of these types, with commas between: image, zip, gopro, blackvue, camm, and video for
        all videos. Default: all.
    number_threads
        Threads that prepare and send images; four of them send at once. Default: the environment variable
        NUMBER_THREADS, else 5.
    max_attempts
        How often a request is tried before it counts as failed; a try that sent some bytes does not count.
        Default: the environment variable MAX_ATTEMPTS, else 50.
    """

    reupload: bool
    manual_done: bool
    file_types: str | None
    number_threads: int | None
    max_attempts: int | None
