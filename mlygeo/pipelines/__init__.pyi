from .account import authenticate as authenticate
from .account import edit_config as edit_config
from .chains import process_and_upload as process_and_upload
from .chains import video_process as video_process
from .chains import video_process_and_upload as video_process_and_upload
from .downloads import download as download
from .drawing import plot as plot
from .geotagging import cut as cut
from .geotagging import geotag_photos as geotag_photos
from .graph import inspect as inspect
from .graph import metadata as metadata
from .originals import download_originals as download_originals
from .photos import interpolate as interpolate
from .photos import process_csv as process_csv
from .process_units import exif_insert as exif_insert
from .process_units import extract_geotag_data as extract_geotag_data
from .process_units import extract_import_meta_data as extract_import_meta_data
from .process_units import extract_sequence_data as extract_sequence_data
from .process_units import extract_upload_params as extract_upload_params
from .process_units import extract_user_data as extract_user_data
from .processing import process as process
from .region import select as select
from .region import streets as streets
from .region import tiles as tiles
from .rehearsal import run_standin as run_standin
from .sequence_search import find_sequences as find_sequences
from .sorting import post_process as post_process
from .street_imagery import coverage as coverage
from .uploads import upload as upload
from .uploads import zip_sequences as zip_sequences
from .versions import info as info
from .video import sample_video as sample_video
from .video import tracks as tracks

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
