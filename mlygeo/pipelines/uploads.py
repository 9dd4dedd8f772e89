"""Uploads, and archives for later uploads."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError, InputError
from mlygeo.pipelines.destination import Destination
from mlygeo.pipelines.job import Job, check_folder, public_with, version
from mlygeo.pipelines.options import Described, Server, SignedIn, Uploading, User
from mlygeo.pipelines.upload_parts import check_history, skipped_text
from mlygeo.pipelines.upload_sequences import nothing_to_send
from mlygeo.progress import counted, keep

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.uploads.found import Import
    from mlygeo.uploads.items import Photo
    from mlygeo.uploads.older import Before

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

NO_ORGANIZATION = "none"
"""In place of a key: the images are of no organization, whatever they name."""

ZIP_FOLDER = "zips"

ZIPPED = {
    "there": "uploaded before and left out",
    "older": "uploaded before by mapillary_tools and left out",
    "repeated": "the same as another",
}
"""What is said of images that are not put into an archive."""


@public_with(Described, SignedIn, Uploading, Server)
def upload(
    import_path: PathLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    desc_path: PathLike | None = None,
    user_name: str | None = None,
    organization_key: str | None = None,
    organization_name: str | None = None,
    private: bool = False,
    track: PathLike | None = None,
    video_start_time: int | None = None,
    reupload: bool = False,
    manual_done: bool = False,
    skip_subfolders: bool = False,
    file_types: str | None = None,
    number_threads: int | None = None,
    max_attempts: int | None = None,
    dry_run: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    config_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | None = None,
    endpoint: str | None = None,
    blurred: bool = False,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Upload processed images, archives of sequences, and videos with positions.

    The image descriptions come from mapillary_image_description.json in the folder or a subfolder, or from the
    results of 'mlygeo process' there, whichever is newer. Values for which that file has no field (organization,
    privacy, user, photo UUID) come from 'mlygeo process', else from the image itself. Images of the Mapillary app
    contain everything, and are uploaded unchanged. Your files are not changed: descriptions are added only to the
    bytes that are sent. Duplicates and photos that could not be processed are skipped and counted, which does not
    make the upload fail. Archives of a sequence (see 'mlygeo zip') and videos of BlackVue and CAMM cameras are
    uploaded as they are; other archives are left out and listed.

    Other videos with positions are uploaded as copies with a CAMM track, which are made while they are sent: GoPro
    videos, videos with sentences in a text track, and videos with positions in the description file, which take
    precedence over those in the video. A copy has the pictures, the sound and all other tracks of the original; the
    originals are not changed. Videos without a usable track are left out, with the reason: without positions, in
    fragments, faster than 400 km/h, or standing still (all positions within 10 m). The track of another device is
    matched to each video by the clock.

    Each image is uploaded for the organization that it names. An image that names none is uploaded for the user
    alone, or for the organization set with 'mlygeo config edit'. A sequence of several owners is split into one
    sequence for each. If the service does not show an organization to the user, or private images have no
    organization, an error is raised before anything is sent. Each photo and each video is uploaded once, regardless
    of folder, file name and tags: mlygeo recognises photos by their picture and original time and videos by their
    media data, and also considers what mapillary_tools recorded as uploaded. From an archive, missing images are
    uploaded. If another run is writing into or uploading photos, mlygeo waits for it. Repeat the command to continue
    an interrupted run, even in the middle of a sequence or a file. The uploading user is shown before anything is
    sent. If nobody has signed in, you are asked to in a terminal.

    For Panoramax, the photos of each folder are uploaded as an upload set to an instance (`endpoint`) where the user
    has signed in. It cuts them into sequences and drops duplicates by its own rules; 'mlygeo process --preset
    panoramax' shows the result. Files are sent unchanged, including photos without a description if they have
    position and time; values from 'mlygeo process' or a description file that differ from the file are sent with it.
    The instance publishes all pictures under its licence, which is shown first; by uploading you agree to it.
    Pictures that are still being processed are waited for. Rejected pictures get a row with the reason. Duplicates
    are counted and are no failure. Archives, videos, private images and organizations are supported for Mapillary
    only.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files in it. An archive that you name must be one
        of a sequence.
    output
        File for the history of these files (.parquet). Default: .mlygeo/upload_history.parquet in the folder.
    user_name
        User to upload as. Default: the user named by the images, who must have signed in; if they name nobody, the
        user who signed in last.
    organization_key
        Upload for this organization, whatever the images name; "none" means for no organization. Archives that
        contain their owner cannot be uploaded for another.
    organization_name
        Upload for the organization with this name. It must be known from an earlier upload by key, or from 'mlygeo
        config edit'.
    private
        Make the images private to the organization, including those that are otherwise uploaded unchanged. Archives
        must contain that they are private; videos cannot be private.
    track
        Track of the videos, matched by the clock: a GPX, NMEA or CSV log, a file of tracks (in Python also a
        frame), or another video. Default: the positions in a description file, else those that the camera recorded
        in the video.
    video_start_time
        Start time of the videos for `track`, milliseconds since 1970 (UTC). Default: the GPS time in the video,
        else the creation time in the file.
    blurred
        Faces and number plates are already blurred, so that the Panoramax instance does not blur them.
    dry_run
        Upload nothing; report what would be uploaded.

    Returns
    -------
    uploads
        The history of these files, as `upload_history` returns it; `attrs["summary"]` holds the
        summary.

    Raises
    ------
    InputError
        If there is nothing that could be uploaded, if the images name several users, if private images
        would belong to no organization, or an option makes no sense.
    FileError
        If a path does not exist.
    FormatError
        If a named archive is not one of a sequence, or `output` does not end in .parquet.
    CredentialsError
        If nobody has signed in, or not the user that the images name, or an organization is unknown.
    ServiceError
        If the service refuses the token or the address, or is down.

    Examples
    --------
    >>> upload("photos", user_name="jane").query("status == 'failed'")[["path", "reason"]]
    """
    check_history(output)
    described = Described(desc_path=desc_path, skip_subfolders=skip_subfolders)
    user = User(
        user_name=user_name,
        organization_name=organization_name,
        organization_key="" if organization_key == NO_ORGANIZATION else organization_key,
        private=private,
    )
    signed_in = SignedIn(token=token, token_file=token_file, config_file=config_file, service=service)
    to = Destination.of(provider=provider, endpoint=endpoint, blurred=blurred, service=service)
    uploading = Uploading(
        reupload=reupload,
        manual_done=manual_done,
        file_types=file_types,
        number_threads=number_threads,
        max_attempts=max_attempts,
    )
    return to.upload(
        import_path, described=described, user=user, signed_in=signed_in, uploading=uploading, output=output,
        dry_run=dry_run, progress=progress, track=track, video_start_time=video_start_time,
    )  # fmt: skip


@public_with(Described)
def zip_sequences(
    import_path: PathLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    desc_path: PathLike | None = None,
    skip_subfolders: bool = False,
    private: bool = False,
    reupload: bool = False,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Put each sequence of processed images into an archive, to upload it later.

    An archive is named by the MD5 of its content, and the same images give the same archive. The images contain their
    descriptions, in the fields that mapillary_tools knows. The organization and user of the images are in the comment
    of the archive; if images of one sequence are for several organizations, each organization gets an archive. Only
    private images contain their owner, and that they are private. 'mlygeo upload' accepts archives, and so does
    mapillary_tools, which ignores the organization. Images that were uploaded from this computer are left out and
    counted, and of identical photos only one is taken.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files in it.
    output
        Folder for the archives. Default: zips.
    private
        Mark the image as private in each description, including descriptions inside images.
    reupload
        Include images that were uploaded before.

    Returns
    -------
    archives
        A row for each archive: path, sequence_id, images and bytes (int64).

    Raises
    ------
    InputError
        If there is no image with a description, or one names its organization without the key.
    FileError
        If a path does not exist, or the folder cannot be written to.

    Examples
    --------
    >>> zip_sequences("photos", output="zips")["path"]
    """
    import pandas as pd

    from mlygeo.pipelines import inputs
    from mlygeo.store.atomic import clear_leftovers
    from mlygeo.uploads.found import gather

    described = Described(desc_path=desc_path, skip_subfolders=skip_subfolders)
    folder = Path(output or ZIP_FOLDER).expanduser()
    check_folder(folder)
    clear_leftovers(folder)
    with inputs.held(import_path, "archives", dry_run=False, progress=progress):
        found = gather(
            import_path,
            desc_path=described.desc_path,
            skip_subfolders=described.skip_subfolders,
            private=private,
        )
        if not found.paths:
            return nothing_to_send(found)
        _must_have_keys(found)
        counts: dict[str, int] = {}
        rows = _zipped(found, folder, counts, reupload=reupload, progress=progress)
    frame = pd.DataFrame.from_records(rows, columns=["path", "sequence_id", "images", "bytes"])
    frame = frame.astype({"path": "str", "sequence_id": "str", "images": "int64", "bytes": "int64"})
    images = int(frame["images"].sum())
    summary = {
        "archives": len(rows), "images": images, "bytes": int(frame["bytes"].sum()),
        "there": counts.get("there", 0), "there_by_mapillary_tools": counts.get("older", 0),
        "repeated": counts.get("repeated", 0), "folder": str(folder), "skipped": dict(+found.skipped),
        "failed": len(found.failed), "version": version(),
    }  # fmt: skip
    headline = f"{counted(len(rows), 'archive')} of {counted(images, 'image')} in {folder}"
    headline += "".join(f", {number:,} {ZIPPED[outcome]}" for outcome, number in counts.items())
    headline += skipped_text(found)
    return Job(lambda: frame, summary, headline, failed=sorted(found.failed))


def _must_have_keys(found: Import) -> None:
    """Raise if archives would lack the key of their organization."""
    names = {owner.organization_name for owner in found.owners if owner.organization_name is not None}
    if names:
        raise InputError(
            f"the images are for the organization {', '.join(map(repr, sorted(names)))}, and archives have no place "
            "for its name",
            hint="process them with `organization_key`",
        )


def _zipped(
    found: Import, folder: Path, counts: dict[str, int], *, reupload: bool, progress: Progress | None
) -> list[tuple[str, str, int, int]]:
    """Write the archives; return path, sequence, number of images and bytes of each. Count what is left out."""
    from mlygeo.progress import Progress
    from mlygeo.providers import needed, provider
    from mlygeo.uploads.archives import write_zip
    from mlygeo.uploads.older import Before

    rows: list[tuple[str, str, int, int]] = []
    who = provider()
    place = needed(who.uploads, who, "uploads").place(None)
    with (
        (progress or Progress()).bar("zipping", total=len(found.sequences), unit="sequences") as bar,
        Before(place, reupload=reupload) as before,
    ):
        for sequence in found.sequences:
            contents = _Contents(sequence.photos, found.failed, before, counts)
            path = write_zip(contents, folder, owner=contents.owner)
            if contents.number:
                keep("the archives written so far are whole")
                rows.append((str(path), sequence.name, contents.number, path.stat().st_size))
            else:
                path.unlink()
            bar.advance()
    return rows


class _Contents:
    """
    The images of a sequence for its archive, one after another; `number` counts them.

    The descriptions inside keep to the fields that the service documents; `owner` has the values of the others.
    """

    def __init__(self, photos: Iterable[Photo], failed: dict[str, str], before: Before, counts: dict[str, int]) -> None:
        self._photos, self._failed, self._before, self._counts = photos, failed, before, counts
        self.number = 0
        self.owner: dict[str, list[Any]] = {}

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        import io

        from mlygeo.providers import descriptions
        from mlygeo.uploads.items import described, known_by, prepared

        for photo in self._photos:
            try:
                original = Path(photo.path).read_bytes()
                md5 = hashlib.md5(original, usedforsecurity=False).hexdigest()
                known = known_by(original, photo.description, photo.recorded)
                if (outcome := self._before.outcome_of(photo, md5, known)) is not None:
                    self._counts[outcome] = self._counts.get(outcome, 0) + 1
                    continue
                wanted = described(photo, known)
                said = (descriptions().inside(io.BytesIO(original)) or {}) if wanted is None else wanted
                public, owner = descriptions().parted(said)
                body = prepared(original, public if public != said else wanted)
            except (OSError, FormatError, InputError) as error:
                self._failed[photo.path] = getattr(error, "strerror", None) or str(error)
                continue
            self.number += 1
            for name, value in owner.items():
                values = self.owner.setdefault(name, [])
                values += [value] * (value not in values)
            yield md5, body
