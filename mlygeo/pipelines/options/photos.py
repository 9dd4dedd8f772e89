"""Options on folders of photos: how they are read, described, written into, and sorted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os

    from mlygeo.photos.tags import Overwrite
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

TURNS = {0: 1, 90: 8, 180: 3, 270: 6}
"""EXIF's orientation for the clockwise rotation of a stored picture, degrees, as in the older tools."""


@dataclass(frozen=True, kw_only=True)
class PhotoFolder:
    """
    How a folder of photos is read, and where its frames are stored.

    Parameters
    ----------
    output
        Folder for the frames. Default: `.mlygeo` in the folder of photos.
    rerun
        Read photos again that were read before (except photos that tags were written into), forget photos that no
        longer exist, and also replace the results of uploaded photos.
    skip_subfolders
        Leave out photos in subfolders.
    dry_run
        Report what would be done, and write nothing: neither frames nor tags.
    """

    output: PathLike | None
    rerun: bool
    skip_subfolders: bool
    dry_run: bool
    progress: Progress | None


@dataclass(frozen=True, kw_only=True)
class MetaData:
    """
    Camera and file metadata added to the photos' own.

    Parameters
    ----------
    device_make
        Maker of the camera; replaces the value in the photos.
    device_model
        Model of the camera; replaces the value in the photos.
    add_file_name
        Keep the whole path of each photo in its description, not just its name.
    exclude_import_path
        With `add_file_name`: leave out the folder of photos.
    exclude_path
        With `add_file_name`: leave out this part of the path.
    windows_path
        With `add_file_name`: write backslashes instead of slashes.
    add_import_date
        Add the time of this run to the metadata.
    orientation
        Clockwise rotation of the stored pictures: 0, 90, 180 or 270 (written to EXIF as 1, 8, 3 and 6, as in the
        older tools); replaces the value in the photos.
    gps_accuracy
        Accuracy of the positions, metres.
    camera_uuid
        Name that identifies this camera; replaces the serial numbers in the photos.
    custom_meta_data
        Additional metadata, as "name,type,value;name,type,value". Types are string, double, long, date and boolean.
    """

    device_make: str | None
    device_model: str | None
    add_file_name: bool
    exclude_import_path: bool
    exclude_path: str | None
    windows_path: bool
    add_import_date: bool
    orientation: int | None
    gps_accuracy: float | None
    camera_uuid: str | None
    custom_meta_data: str | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.orientation is not None and self.orientation not in TURNS:
            raise InputError(f"`orientation` is 0, 90, 180 or 270 degrees, not {self.orientation}")
        if self.gps_accuracy is not None and not 0 <= self.gps_accuracy < float("inf"):
            raise InputError(f"`gps_accuracy` must be 0 metres or more, not {self.gps_accuracy}")
        if not self.add_file_name:
            of_no_use(("exclude_import_path", "exclude_path", "windows_path"), "without `add_file_name`")
        if self.exclude_import_path and self.exclude_path:
            raise InputError("`exclude_import_path` and `exclude_path` both say what is cut off", hint="give one")


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """
    The tags written into photos, and the files written beside them.

    Parameters
    ----------
    skip_exif_insert
        Do not write into photos. The image description file is enough for an upload.
    keep_original
        Do not change photos; write the tags into copies in `processed_images` beside the frames. The next run
        replaces all copies.
    overwrite_all_exif_tags
        Also write time, position, heading and orientation into their EXIF tags.
    overwrite_exif_time_tag
        Also write the capture time into its EXIF tags. The time on the camera clock stays, with the UTC offset that
        makes it correct, unless the time was corrected.
    overwrite_exif_gps_tag
        Also write position and altitude into their EXIF tags.
    overwrite_exif_direction_tag
        Also write the heading into its EXIF tag.
    overwrite_exif_orientation_tag
        Also write the orientation into its EXIF tag.
    desc_path
        File for the image descriptions of all folders; "-" prints them. Default: `mapillary_image_description.json`
        in each folder of photos.
    """

    skip_exif_insert: bool
    keep_original: bool
    overwrite_all_exif_tags: bool
    overwrite_exif_time_tag: bool
    overwrite_exif_gps_tag: bool
    overwrite_exif_direction_tag: bool
    overwrite_exif_orientation_tag: bool
    desc_path: PathLike | None

    def __post_init__(self) -> None:
        """Raise for what has no effect."""
        if self.skip_exif_insert:
            of_no_use([name for name in INSERTED if name != "skip_exif_insert"], "with `skip_exif_insert`")

    @property
    def overwrite(self) -> tuple[Overwrite, ...]:
        """The tags that are written in addition to the image description."""
        kinds: dict[Overwrite, bool] = {
            "all": self.overwrite_all_exif_tags,
            "time": self.overwrite_exif_time_tag,
            "gps": self.overwrite_exif_gps_tag,
            "direction": self.overwrite_exif_direction_tag,
            "orientation": self.overwrite_exif_orientation_tag,
        }
        return tuple(kind for kind, asked in kinds.items() if asked)


INSERTED = (
    "skip_exif_insert", "keep_original", "overwrite_all_exif_tags", "overwrite_exif_time_tag",
    "overwrite_exif_gps_tag", "overwrite_exif_direction_tag", "overwrite_exif_orientation_tag",
)  # fmt: skip
"""Options on what is written into photos."""


@dataclass(frozen=True, kw_only=True)
class Sorting:
    """
    Sorting and summarising a folder of photos after processing and upload.

    Parameters
    ----------
    summarize
        Print a summary of what was processed and uploaded.
    list_file_status
        List the photos by status.
    save_as_json
        Write the summary and the list to files in the folder of photos.
    save_local_mapping
        Write a table of photo paths and ids beside the folder of photos.
    move_all_images
        Move photos by status, duplicates and sequences.
    move_duplicates
        Move duplicates to a folder named `duplicates`.
    move_uploaded
        Move photos to folders named `uploaded`, `failed_upload` and `to_be_uploaded`.
    move_sequences
        Move photos to a numbered folder for each sequence.
    split_import_path
        Folder to move photos to. Default: the folder of photos.
    push_images
        Has no effect; accepted for older scripts. Uploads are finished as they are made.
    """

    summarize: bool
    list_file_status: bool
    save_as_json: bool
    save_local_mapping: bool
    move_all_images: bool
    move_duplicates: bool
    move_uploaded: bool
    move_sequences: bool
    split_import_path: PathLike | None
    push_images: bool

    def __post_init__(self) -> None:
        """Raise if moved photos have no target folder, before anything is done."""
        goal = self.split_import_path
        if goal is not None and not Path(goal).expanduser().is_dir():
            raise FileError(f"{goal} is not a folder", hint="make it, or leave `split_import_path` out")
        if not (self.summarize or self.list_file_status):
            of_no_use(("save_as_json",), "without `summarize` or `list_file_status`")
        if not self.moves:
            of_no_use(("split_import_path",), "without an option that moves photos, such as `move_all_images`")

    @property
    def moves(self) -> bool:
        """Whether photos are moved."""
        return self.move_all_images or self.move_duplicates or self.move_uploaded or self.move_sequences

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return self.moves or self.summarize or self.list_file_status or self.save_local_mapping

    def warn(self) -> None:
        """Warn of options that have no effect."""
        if self.push_images:
            log.warning("`push_images` has no effect: uploads are finished as they are made")
