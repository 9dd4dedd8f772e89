"""
The jobs behind the verbs, as functions: the same names, options and defaults.

Each returns a frame, where its verb writes files; what joins readers, spatial steps and actors
for both is in `mlygeo.jobs`.
"""

from mlygeo.pipelines.account import authenticate, edit_config
from mlygeo.pipelines.chains import process_and_upload, video_process, video_process_and_upload
from mlygeo.pipelines.coverage import coverage
from mlygeo.pipelines.download import download
from mlygeo.pipelines.drawing import plot
from mlygeo.pipelines.geotagging import cut, extract_geotag_data, extract_sequence_data, geotag_photos
from mlygeo.pipelines.graph import find_sequences, inspect, metadata
from mlygeo.pipelines.info import info
from mlygeo.pipelines.photos import interpolate, post_process, process_csv
from mlygeo.pipelines.process import process
from mlygeo.pipelines.process_units import (
    exif_insert,
    extract_import_meta_data,
    extract_upload_params,
    extract_user_data,
)
from mlygeo.pipelines.region import select, streets, tiles
from mlygeo.pipelines.rehearsal import run_standin
from mlygeo.pipelines.upload import download_originals, upload, zip_sequences
from mlygeo.pipelines.video import sample_video, tracks

__all__ = [
    "authenticate",
    "coverage",
    "cut",
    "download",
    "download_originals",
    "edit_config",
    "exif_insert",
    "extract_geotag_data",
    "extract_import_meta_data",
    "extract_sequence_data",
    "extract_upload_params",
    "extract_user_data",
    "find_sequences",
    "geotag_photos",
    "info",
    "inspect",
    "interpolate",
    "metadata",
    "plot",
    "post_process",
    "process",
    "process_and_upload",
    "process_csv",
    "run_standin",
    "sample_video",
    "select",
    "streets",
    "tiles",
    "tracks",
    "upload",
    "video_process",
    "video_process_and_upload",
    "zip_sequences",
]
