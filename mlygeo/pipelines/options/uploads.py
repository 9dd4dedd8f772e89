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
        Mapillary user who uploads the photos.
    organization_name
        Name of the organization that the photos belong to.
    organization_key
        Key of the organization that the photos belong to.
    private
        Mark the photos as private imagery of the organization.
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
        Description file; "-" reads standard input (in Python a path only). Default: those of the folder and its
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
        Also upload images that were uploaded before.
    manual_done
        Upload everything, but do not finish the uploads. In a terminal, mlygeo then asks whether to finish them;
        otherwise the same command without this option finishes them.
    file_types
        Use only files of these types, separated by commas: image, zip, gopro, blackvue, camm, or video for all
        videos. Default: all.
    number_threads
        Number of threads that prepare and send images; four of them send at once. Default: the environment variable
        NUMBER_THREADS, else 5.
    max_attempts
        Number of attempts before a request counts as failed. An attempt that sent some bytes does not count.
        Default: the environment variable MAX_ATTEMPTS, else 50.
    """

    reupload: bool
    manual_done: bool
    file_types: str | None
    number_threads: int | None
    max_attempts: int | None
