"""The way to Mapillary, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


def upload(
    import_path: Any,
    *,
    output: PathLike | None = None,
    desc_path: PathLike | None = None,
    user_name: str | None = None,
    organization_key: str | None = None,
    organization_name: str | None = None,
    private: bool = False,
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
    progress: Progress | None = None,
) -> pd.DataFrame:
    """
    Upload images that were processed, archives of sequences, and videos with positions.

    The descriptions are those of mapillary_image_description.json in the folder or a subfolder, or
    what 'mlygeo process' left there, whichever is newer; what that file has no fields for
    (organization, privacy, user, photo UUID) is what 'mlygeo process' was told, else what the image
    says inside. Images of the Mapillary app have all inside, and go up as they are. The files stay as
    they are: a description is written only into the bytes that are sent. Duplicates and what failed
    to process are skipped and counted; that is no failure of the upload. Archives of a sequence (see
    'mlygeo zip') and videos of BlackVue and CAMM cameras go up whole; other archives are left out and
    named.

    Each image goes up for the organization that it names, and one that names none for the user alone,
    or the organization that 'mlygeo config edit' has set; a sequence of several owners becomes one
    for each. An organization that the service does not show to the user, and private images without
    one, are errors before anything is sent. No content goes up
    twice, whatever folder it lies in: the history of this machine knows its MD5, and what
    mapillary_tools noted as uploaded counts too. Photos that another run is writing into, or
    uploading, are waited for. A run that was stopped, however it was stopped, is gone on with by
    the same command, in the middle of a sequence or of a file.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files of it. An archive that is named
        has to be one of a sequence.
    output
        File for the history of these files. Default: .mlygeo/upload_history.parquet in the folder.
    desc_path
        Description file. Default: those of the folder and its subfolders.
    user_name
        The user to upload as. Default: the one that the images name, who has to have signed in; the
        one that signed in last where they name nobody.
    organization_key
        Upload for this organization, whatever the images name; an empty key means for none. Archives
        that say inside whose they are cannot become those of another.
    organization_name
        Upload for the organization of this name; it has to be known from an earlier upload by key,
        or from 'mlygeo config edit'.
    private
        The images are private to the organization: also those that go up as they are otherwise.
        Archives have to say so inside; videos cannot.
    reupload
        Upload also what was uploaded before.
    manual_done
        Upload everything, but do not tell the service that it is done: at a terminal it is asked
        for at the end, elsewhere the same command without this option does it.
    skip_subfolders
        Look only at the folder itself.
    file_types
        Only files of these types, with commas between: image, zip, blackvue, camm, and video for the
        last two. Default: all.
    number_threads
        Threads that prepare and send images; four of them send at once. Default: NUMBER_THREADS of
        the environment, else 5.
    max_attempts
        How often a request is tried until it counts as failed, tries in which bytes got through
        apart. Default: MAX_ATTEMPTS of the environment, else 50.
    dry_run
        Upload nothing; say what would be uploaded.
    token
        Access token of the user. Better sign in, or use a file.
    token_file
        File with the access token. Default: of the user that signed in last.
    config_file
        Credentials file; only users in it are meant then. Default: the one that MAPILLARY_CONFIG_PATH
        of the environment names, else credentials.json in the user's configuration folder.
    service
        The service to speak to, with the token of a user; made from the above unless given.
    progress
        Where progress is shown; None shows none.

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
        If an archive that is named is none of a sequence.
    CredentialsError
        If nobody has signed in, or not the user that the images name, or an organization is unknown.
    ServiceError
        If the service refuses the token or the address, or is down.

    Examples
    --------
    >>> upload("photos", user_name="jane").query("status == 'failed'")[["path", "reason"]]
    """
    uploads: pd.DataFrame = job_of("upload")(**locals()).result
    return uploads


def zip_sequences(
    import_path: Any,
    *,
    output: PathLike | None = None,
    desc_path: PathLike | None = None,
    skip_subfolders: bool = False,
    private: bool = False,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """
    Put each sequence of processed images into an archive, to upload it later.

    An archive is called by the MD5 of its content, and the same images make the same archive; the
    images have their descriptions inside, with the organization and user that they name: images of
    one sequence that are for several organizations become several archives. 'mlygeo upload' takes
    archives, and so does mapillary_tools, though that looks at no organization inside.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files of it.
    output
        Folder for the archives. Default: zips.
    desc_path
        Description file. Default: those of the folder and its subfolders.
    skip_subfolders
        Look only at the folder itself.
    private
        Say in each description that the image is private, also in those that images have inside.
    progress
        Where progress is shown; None shows none.

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
    archives: pd.DataFrame = job_of("zip_sequences")(**locals()).result
    return archives
