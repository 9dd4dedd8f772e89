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
    Upload images that were processed, archives of sequences, and videos with positions.

    The descriptions are those of mapillary_image_description.json in the folder or a subfolder, or
    what 'mlygeo process' left there, whichever is newer; what that file has no fields for
    (organization, privacy, user, photo UUID) is what 'mlygeo process' was given, else what the image
    says inside. Images of the Mapillary app have all inside, and go up as they are. The files stay as
    they are: a description is written only into the bytes that are sent. Duplicates and what failed
    to process are skipped and counted; that is no failure of the upload. Archives of a sequence (see
    'mlygeo zip') and videos of BlackVue and CAMM cameras go up whole; other archives are left out and
    named.

    Other videos with positions go up as copies with a CAMM track, which are made while they are sent:
    those of GoPro, those with sentences in a text track, and those whose positions are in the
    description file, which count instead of the video's own. The originals stay as they are. A copy has
    the pictures, the sound and all other tracks of the original. Videos without a usable track are left
    out, with the reason: without positions, in fragments, faster than 400 km/h, or standing still (all
    positions within 10 m). A track of another device is related to each video by the clock.

    Each image goes up for the organization that it names, and one that names none for the user alone,
    or the organization that 'mlygeo config edit' has set; a sequence of several owners becomes one
    for each. An organization that the service does not show to the user, and private images without
    one, are errors before anything is sent. Each photo and each video goes up once, whatever folder it
    lies in, whatever it is called and whatever its tags say: the history of this machine knows its picture
    and its original time, of a video the media data, and what mapillary_tools noted as uploaded counts too;
    of an archive, the images that are missing go up. Photos that another run is writing into, or
    uploading, are waited for. A run that was stopped, however it was stopped, is gone on with by
    the same command, in the middle of a sequence or of a file. Who uploads is said before anything is
    sent; at a terminal, one who has not signed in is asked to.

    Panoramax gets the photos of each folder as an upload set, by an instance (`endpoint`) where a user has
    signed in. It cuts them into sequences and drops duplicates itself, by its own rules ('mlygeo process' with
    `preset` shows what they lead to). The files are sent as they are, photos without a description too if they have
    position and time; what 'mlygeo process' or a description file says otherwise than the file goes with it. The
    instance publishes all pictures under its licence, which is shown first; to upload means to agree to it. Pictures
    that it still works on are waited for. What it rejects is a row with the reason; duplicates are counted, and no
    failure. Archives, videos, private images and organizations are for Mapillary alone.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files of it. An archive that is named
        has to be one of a sequence.
    output
        File for the history of these files (.parquet). Default: .mlygeo/upload_history.parquet in the folder.
    user_name
        The user to upload as. Default: the one that the images name, who has to have signed in; the
        one that signed in last where they name nobody.
    organization_key
        Upload for this organization, whatever the images name; "none" means for none. Archives that say
        inside whose they are cannot become those of another.
    organization_name
        Upload for the organization of this name; it has to be known from an earlier upload by key,
        or from 'mlygeo config edit'.
    private
        The images are private to the organization: also those that go up as they are otherwise.
        Archives have to say so inside; videos cannot.
    track
        Where the videos went, by the clock: a GPX, NMEA or CSV log, a tracks frame, or another video.
        Default: what a description file says, else what the camera recorded in the video.
    video_start_time
        Time of the start of the videos for `track`, milliseconds since 1970 (UTC). Default: the time of the
        GPS in the video, else the creation time in the file.
    blurred
        Faces and number plates are blurred already, so that the instance of Panoramax does not do it.
    dry_run
        Upload nothing; say what would be uploaded.

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
        If an archive that is named is none of a sequence, or `output` does not end in .parquet.
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

    An archive is called by the MD5 of its content, and the same images make the same archive; the
    images have their descriptions inside, in the fields that mapillary_tools knows. The organization and user that
    they name are in the comment of the archive: images of one sequence that are for several organizations become
    several archives. Only private images say inside whose they are, and that they are private. 'mlygeo upload' takes
    archives, and so does mapillary_tools, though that looks at no organization. Images that the history of this
    machine knows as uploaded are left out and counted, and of equal photos one is taken.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files of it.
    output
        Folder for the archives. Default: zips.
    private
        Say in each description that the image is private, also in those that images have inside.
    reupload
        Take also images that were uploaded before.

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
