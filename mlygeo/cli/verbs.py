"""
The table of verbs. Each is the twin of a public function, whose signature and docstring give the
options, their defaults and their help; only what is said here is the command line's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlygeo.pipelines.job import Output


Subject = Literal["sample", "images", "photos", "units", "uploads", "frames", "project"]

SUBJECTS: dict[Subject, str] = {
    "sample": "Sample the streets of a region",
    "images": "Find, download and measure images",
    "photos": "Process photos and videos of your own",
    "units": "Steps of process",
    "uploads": "Upload",
    "frames": "Convert and show frames",
    "project": "Project and installation",
}
"""What verbs are for -> title of their section in the list of verbs, in this order."""


@dataclass(frozen=True)
class Verb:
    """
    A verb of the command line.

    Parameters
    ----------
    name
        What is typed.
    function
        The public function, in `mlygeo`.
    does
        One line for the list of verbs.
    example
        A command that someone would really type.
    output
        Where results go unless -o says otherwise; None where the verb takes no -o.
    output_help
        What -o names.
    writes
        What is written there.
    takes_region
        Whether the options that name a region belong to it.
    instead_of_region
        Parameters that name what to work on, too; beside them, the region of a configuration that was not
        named but found is not used.
    takes_token
        Whether it asks the service with a token, but for no region: of a configuration, it uses the token file.
    ids_only
        Whether it can print just the ids.
    arguments
        The parameter that takes the words without an option.
    words
        What those words are, for the help.
    acts
        Whether the function writes while it works, and gets the path of -o itself.
    last_is_output
        Whether the last of several words is that path, where there is no -o.
    makes_datasets
        Whether -o may name a dataset, too, which the function writes while it works: then it gets the path of -o.
    subject
        What it is for: its section in the list of verbs.
    """

    name: str
    function: str
    does: str
    example: str
    output: str | None
    output_help: str = ""
    writes: Output = "frame"
    takes_region: bool = True
    instead_of_region: tuple[str, ...] = ()
    takes_token: bool = False
    ids_only: bool = False
    arguments: str | None = None
    words: str = "FILE..."
    acts: bool = False
    last_is_output: bool = False
    makes_datasets: bool = False
    subject: Subject = "project"


def _on_photos(
    name: str,
    function: str,
    does: str,
    example: str,
    *,
    arguments: str = "import_path",
    words: str = "DIR",
    subject: Subject = "photos",
) -> Verb:
    """Return a verb that processes a folder of photos, and stores its frames there by default."""
    return Verb(
        name, function, does, example, "DIR/.mlygeo", "Folder for images.parquet and sequences.parquet.",
        writes="folder", takes_region=False, arguments=arguments, words=words, acts=True, subject=subject,
    )  # fmt: skip


VERBS = (
    Verb(
        "tiles",
        "tiles",
        "Fetch the vector tiles of a region, and write their images to a file.",
        "mlygeo tiles -c myconfig.json --since 2024-01-01 -o images.parquet",
        "images.parquet",
        "File for the images; its ending sets the format. A folder name that ends in a slash (images/), or an existing "
        "dataset, writes a dataset of images.",
        makes_datasets=True,
        subject="sample",
    ),
    Verb(
        "streets",
        "streets",
        "Put points on the streets of a region: at a regular distance, or at random.",
        "mlygeo streets -c myconfig.json -S 28992 -I 50 -o mygrid.geojson",
        "street_points.parquet",
        "File for the street points; its ending sets the format. A folder name that ends in a slash (points/) writes a "
        "dataset of points, part by part.",
        makes_datasets=True,
        subject="sample",
    ),
    Verb(
        "select",
        "select",
        "Select the nearest image for every street point of a region.",
        "mlygeo select -c stuttgart.json --streets edges.gpkg --interval 50 --srid 25832 -o out",
        "selection",
        "Folder for selection.parquet, image_ids.txt, street_points.parquet, selection.lock.json and summary.json; "
        "or a file such as selection.gpkg, which gets a layer for each of them (in a format without layers, only the "
        "selection).",
        writes="frames",
        instead_of_region=("lock",),
        ids_only=True,
        subject="sample",
    ),
    Verb(
        "estimate",
        "estimate",
        "Estimate a share or mean of the streets, with its error, from randomly drawn points.",
        "mlygeo estimate drawn.parquet --values labels.csv --column green --by stratum",
        None,
        takes_region=False,
        arguments="points",
        words="FILE...",
        subject="sample",
    ),
    Verb(
        "verify",
        "verify",
        "Report what disappeared, moved or changed since a selection was made.",
        "mlygeo verify out/selection.lock.json",
        None,
        takes_region=False,
        takes_token=True,
        arguments="lock",
        words="LOCK",
        subject="sample",
    ),
    Verb(
        "publish",
        "publish",
        "Describe results so that others can cite and reuse them: RO-Crate, Croissant, list of pictures.",
        "mlygeo publish out --format ro-crate --creator 'Jane Doe' --dry-run",
        None,
        takes_region=False,
        arguments="folder",
        words="DIR",
        subject="sample",
    ),
    Verb(
        "metadata",
        "metadata",
        "Add metadata from the service to images: camera, size, altitude, computed position.",
        "mlygeo metadata selection/selection.parquet --fields altitude,camera_type -o with_altitude.parquet",
        "metadata.parquet",
        "File for the images; its ending sets the format.",
        takes_region=False,
        takes_token=True,
        arguments="images",
        words="FILE|ID...",
        subject="images",
    ),
    Verb(
        "find-sequences",
        "find_sequences",
        "Find the sequences of a user, an organization or a region.",
        "mlygeo find-sequences irvinfly --filter 360 -o lists",
        ".",
        "Folder for sequences_USER.parquet and the list sequences_USER.txt.",
        writes="folder",
        instead_of_region=("user", "organization"),
        arguments="user",
        words="[USER]",
        subject="images",
    ),
    Verb(
        "download",
        "download",
        "Download the pictures of a selection, list, sequence, user or region.",
        "mlygeo download out/selection.parquet --size 2048 --exif -o pictures",
        "seqdir of -c, else downloads",
        "Folder for the pictures.",
        writes="folder",
        instead_of_region=(
            "images",
            "regions_file",
            "imgid_file",
            "sequence",
            "sequence_file",
            "user",
            "organization",
            "retry_failed",
        ),
        arguments="images",
        words="[FILE | ID]...",
        acts=True,
        subject="images",
    ),
    Verb(
        "views",
        "views",
        "Cut perspective views out of panoramas: left and right of the street, or all around.",
        "mlygeo views out/selection.parquet --pictures pictures --fov 90 --size 640x640 -o views",
        "views",
        "Folder for the views and views.parquet.",
        writes="folder",
        takes_region=False,
        takes_token=True,
        arguments="images",
        acts=True,
        subject="images",
    ),
    Verb(
        "inspect",
        "inspect",
        "Show all metadata of single images from the service.",
        "mlygeo inspect 498763468214164",
        None,
        takes_region=False,
        takes_token=True,
        arguments="ids",
        words="ID...",
        subject="images",
    ),
    Verb(
        "coverage",
        "coverage",
        "Measure which share of the streets has images, how recent, by whom, and where there are none.",
        "mlygeo coverage -c stuttgart.json --streets edges.gpkg --distance 20 -o coverage",
        "coverage",
        "Folder for coverage.parquet, gaps.parquet, summary.json and coverage.png, and districts.parquet, "
        "cells.parquet and compared.parquet if you ask for them; or a file such as coverage.gpkg, "
        "which gets a layer for each of them (in a format without layers, only the streets).",
        writes="frames",
        subject="sample",
    ),
    Verb(
        "quality",
        "quality",
        "Measure how sharp, bright and contrasted pictures are, and where the sun was.",
        "mlygeo quality selection/selection.parquet --pictures pictures -o quality.parquet",
        "quality.parquet",
        "File for the images; its ending sets the format.",
        takes_region=False,
        arguments="images",
        words="FILE|DIR...",
        subject="images",
    ),
    Verb(
        "tracks",
        "tracks",
        "Read the tracks in videos (GoPro, BlackVue, CAMM) and in GPX, NMEA and CSV files.",
        "mlygeo tracks GH010042.MP4 GH020042.MP4 -o tracks.gpx",
        "tracks.parquet",
        "File for the tracks; its ending sets the format, such as .gpx or .parquet.",
        writes="track",
        takes_region=False,
        arguments="paths",
        words="VIDEO|FILE|DIR...",
        subject="photos",
    ),
    Verb(
        "sample-video",
        "sample_video",
        "Sample videos into pictures with time, position and heading.",
        "mlygeo sample-video GH010042.MP4 --video-sample-distance 3 -o frames.parquet",
        "video_frames.parquet",
        "File for the images; its ending sets the format.",
        takes_region=False,
        arguments="videos",
        words="[VIDEO|DIR]...",
        subject="photos",
    ),
    Verb(
        "map",
        "plot",
        "Show images, points and streets on an interactive map (.html) or in a picture (.png).",
        "mlygeo map edges.gpkg out/street_points.parquet out/selection.parquet -o map.html",
        "map.png",
        "Map to write: .html (interactive, one file, needs no network), .png, .svg or .pdf.",
        writes="picture",
        takes_region=False,
        arguments="layers",
        subject="frames",
    ),
    Verb(
        "convert",
        "convert",
        "Convert files between GeoParquet, GeoPackage, GeoJSON, FlatGeobuf, CSV and PostGIS.",
        "mlygeo convert images.parquet images.gpkg",
        "the last word",
        "File or table to write; its ending sets the format.",
        takes_region=False,
        arguments="frame",
        words="FILE... FILE",
        acts=True,
        last_is_output=True,
        subject="frames",
    ),
    Verb(
        "partition",
        "partition",
        "Write files of any size as a dataset: a folder with a part for each cell of the world.",
        "mlygeo partition city-*.parquet -o images",
        "dataset",
        "Folder of the dataset.",
        writes="dataset",
        instead_of_region=("inputs",),
        arguments="inputs",
        acts=True,
        subject="frames",
    ),
    Verb(
        "upload",
        "upload",
        "Upload processed images, archives of them, and videos with positions.",
        "mlygeo upload photos --user-name jane",
        ".mlygeo/upload_history.parquet in the import path",
        "File for the history of uploads, a table (.parquet).",
        takes_region=False,
        arguments="import_path",
        words="DIR|FILE...",
        acts=True,
        subject="uploads",
    ),
    Verb(
        "zip",
        "zip_sequences",
        "Put each sequence of processed images into an archive to upload later.",
        "mlygeo zip photos -o zips",
        "zips",
        "Folder for the archives.",
        writes="folder",
        takes_region=False,
        arguments="import_path",
        words="DIR|FILE...",
        acts=True,
        subject="uploads",
    ),
    Verb(
        "authenticate",
        "authenticate",
        "Sign in to upload: with a user's token, or with email, password and a client token.",
        "mlygeo authenticate --user-name jane --user-email jane@example.org --token-file client_token.txt",
        None,
        takes_region=False,
        subject="uploads",
    ),
    Verb(
        "config",
        "edit_config",
        "List, change or remove the users who have signed in.",
        "mlygeo config edit --user-name jane --organization-key 1234567890",
        None,
        takes_region=False,
        arguments="action",
        words="[list|edit|remove]",
        subject="uploads",
    ),
    Verb(
        "download-originals",
        "download_originals",
        "Download the blurred originals of your own images.",
        "mlygeo download-originals photos --output-folder originals",
        "downloads",
        "Folder for the pictures.",
        writes="folder",
        takes_region=False,
        arguments="import_path",
        words="[DIR|FILE]...",
        acts=True,
        subject="uploads",
    ),
    _on_photos(
        "process",
        "process",
        "Geotag photos, cut them into sequences, flag duplicates, and write the results into them.",
        "mlygeo process DCIM --geotag-source gpx --geotag-source-path ride.gpx --offset-time 2",
        words="DIR|FILE...",
    ),
    _on_photos(
        "extract-user-data",
        "extract_user_data",
        "One step of process: record who owns the photos.",
        "mlygeo extract-user-data DCIM --user-name jane",
        subject="units",
    ),
    _on_photos(
        "extract-import-meta-data",
        "extract_import_meta_data",
        "One step of process: record the metadata of camera and files.",
        "mlygeo extract-import-meta-data DCIM --device-make GoPro --device-model 'HERO11 Black'",
        subject="units",
    ),
    _on_photos(
        "extract-geotag-data",
        "extract_geotag_data",
        "One step of process: give photos time, position and heading.",
        "mlygeo extract-geotag-data DCIM --geotag-source nmea --geotag-source-path ride.nmea",
        subject="units",
    ),
    _on_photos(
        "extract-sequence-data",
        "extract_sequence_data",
        "One step of process: cut photos into sequences, flag duplicates, derive headings.",
        "mlygeo extract-sequence-data DCIM --cutoff-distance 100 --cutoff-time 120",
        subject="units",
    ),
    _on_photos(
        "extract-upload-params",
        "extract_upload_params",
        "One step of process: write the image description file for the upload.",
        "mlygeo extract-upload-params DCIM --user-name jane",
        subject="units",
    ),
    _on_photos(
        "exif-insert",
        "exif_insert",
        "One step of process: write the results into the photos.",
        "mlygeo exif-insert DCIM --overwrite-exif-gps-tag --keep-original",
        subject="units",
    ),
    Verb(
        "geotag",
        "geotag_photos",
        "Give photos positions and headings from a track or video.",
        "mlygeo geotag DCIM --geotag-source gpx --geotag-source-path ride.gpx -o images.parquet",
        "images.parquet",
        "File for the images; its ending sets the format.",
        takes_region=False,
        arguments="images",
        words="FILE|DIR...",
        subject="photos",
    ),
    Verb(
        "cut",
        "cut",
        "Cut images into sequences, flag duplicates, derive headings.",
        "mlygeo cut images.parquet --cutoff-distance 100 -o cut.parquet",
        "cut.parquet",
        "File for the images; its ending sets the format. A folder name that ends in a slash (cut/) writes a dataset "
        "of images.",
        takes_region=False,
        makes_datasets=True,
        arguments="images",
        words="FILE|DIR...",
        subject="photos",
    ),
    Verb(
        "interpolate",
        "interpolate",
        "Fill in missing positions of photos, or spread repeated capture times.",
        "mlygeo interpolate DCIM --data identical_timestamps --keep-original",
        "DIR/.mlygeo/interpolated.parquet",
        "File for a table of the photos.",
        takes_region=False,
        arguments="import_path",
        words="[DIR]",
        acts=True,
        subject="photos",
    ),
    Verb(
        "process-csv",
        "process_csv",
        "Write times, positions and metadata from a table into photos.",
        "mlygeo process-csv DCIM --csv-path log.csv --filename-column 1 --latitude-column 2 --longitude-column 3",
        "DIR/.mlygeo/process_csv.parquet",
        "File for a table of the photos.",
        takes_region=False,
        arguments="import_path",
        words="DIR",
        acts=True,
        subject="photos",
    ),
    Verb(
        "post-process",
        "post_process",
        "Summarize processed photos, list them by status, or sort them into folders.",
        "mlygeo post-process DCIM --summarize --move-duplicates --split-import-path sorted",
        "DIR/.mlygeo",
        "Folder of the frames of process, if you gave it one.",
        writes="folder",
        takes_region=False,
        arguments="import_path",
        words="[DIR]",
        acts=True,
        subject="photos",
    ),
    _on_photos(
        "process-and-upload",
        "process_and_upload",
        "Process photos, and upload them.",
        "mlygeo process-and-upload DCIM --user-name jane",
        words="DIR|FILE...",
    ),
    _on_photos(
        "video-process",
        "video_process",
        "Sample videos into photos, and process them.",
        "mlygeo video-process GH010042.MP4 --video-sample-distance 3 --user-name jane",
        arguments="videos",
        words="[VIDEO|DIR]...",
    ),
    _on_photos(
        "video-process-and-upload",
        "video_process_and_upload",
        "Sample videos into photos, process and upload them.",
        "mlygeo video-process-and-upload GH010042.MP4 --video-sample-distance 3 --user-name jane",
        arguments="videos",
        words="[VIDEO|DIR]...",
    ),
    Verb(
        "init",
        "init",
        "Write the configuration of a project, so that commands in its folder know the region.",
        "mlygeo init --bbox 9.161,48.762,9.176,48.779 --tile-cache tiles",
        None,
        takes_region=False,
        arguments="path",
        words="[FILE]",
    ),
    Verb(
        "standin",
        "run_standin",
        "Run a local server that answers like Mapillary and Panoramax, to rehearse a job.",
        "mlygeo standin --images images.parquet --photos pictures --latency 0.05 --fail 0.05",
        None,
        takes_region=False,
    ),
    Verb(
        "doctor",
        "doctor",
        "Check the installation, the disk, the access token and the services, and suggest remedies.",
        "mlygeo doctor --offline",
        None,
        takes_region=False,
        takes_token=True,
    ),
    Verb(
        "demo",
        "demo",
        "Make a small project with data of Stuttgart and run its commands, without token or network.",
        "mlygeo demo -o demo",
        "mlygeo-demo",
        "Folder for the project; it must be new or empty.",
        writes="folder",
        takes_region=False,
        acts=True,
    ),
    Verb(
        "info",
        "info",
        "Show the versions of mlygeo and its libraries, for bug reports.",
        "mlygeo info",
        None,
        takes_region=False,
    ),
)

MEANT = {
    "check": "doctor", "clip": "views", "crop": "views", "diagnose": "doctor", "draw": "map", "example": "demo",
    "explore": "map", "export": "convert", "fetch": "tiles", "get": "download", "help": "--help", "images": "tiles",
    "login": "authenticate", "nearest": "select", "network": "streets", "points": "streets", "plot": "map",
    "sample": "select", "search": "find-sequences", "sequences": "find-sequences", "sign-in": "authenticate",
    "split": "cut", "tutorial": "demo", "validate": "verify", "versions": "info",
}  # fmt: skip
"""Words that are no verb, but near in meaning -> the verb."""
