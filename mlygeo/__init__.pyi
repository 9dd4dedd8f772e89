from .downloads.ledger import transfers as transfers
from .frames import filter_images as filter_images
from .pipelines import authenticate as authenticate
from .pipelines import coverage as coverage
from .pipelines import cut as cut
from .pipelines import download as download
from .pipelines import download_originals as download_originals
from .pipelines import edit_config as edit_config
from .pipelines import exif_insert as exif_insert
from .pipelines import extract_geotag_data as extract_geotag_data
from .pipelines import extract_import_meta_data as extract_import_meta_data
from .pipelines import extract_sequence_data as extract_sequence_data
from .pipelines import extract_upload_params as extract_upload_params
from .pipelines import extract_user_data as extract_user_data
from .pipelines import find_sequences as find_sequences
from .pipelines import geotag_photos as geotag_photos
from .pipelines import info as info
from .pipelines import inspect as inspect
from .pipelines import interpolate as interpolate
from .pipelines import metadata as metadata
from .pipelines import plot as plot
from .pipelines import post_process as post_process
from .pipelines import process as process
from .pipelines import process_and_upload as process_and_upload
from .pipelines import process_csv as process_csv
from .pipelines import run_standin as run_standin
from .pipelines import sample_video as sample_video
from .pipelines import select as select
from .pipelines import streets as streets
from .pipelines import tiles as tiles
from .pipelines import tracks as tracks
from .pipelines import upload as upload
from .pipelines import video_process as video_process
from .pipelines import video_process_and_upload as video_process_and_upload
from .pipelines import zip_sequences as zip_sequences
from .plotting import explore as explore
from .providers.mapillary.descriptions import read_descriptions as read_descriptions
from .providers.mapillary.descriptions import write_descriptions as write_descriptions
from .providers.mapillary.layers import read_tile as read_tile
from .providers.mapillary.layers import read_tiles as read_tiles
from .providers.mapillary.tiles import fetch_tiles as fetch_tiles
from .readers.photos import read_photos as read_photos
from .readers.streets import street_network as street_network
from .readers.tracks import read_track as read_track
from .readers.tracks import write_track as write_track
from .readers.video import read_video as read_video
from .readers.video import video_info as video_info
from .regions import Region as Region
from .spatial.checks import check_images as check_images
from .spatial.coverage import coverage_gaps as coverage_gaps
from .spatial.coverage import street_coverage as street_coverage
from .spatial.duplicates import flag_duplicates as flag_duplicates
from .spatial.geotag import geotag as geotag
from .spatial.geotag import interpolate_positions as interpolate_positions
from .spatial.nearest import select_nearest as select_nearest
from .spatial.sequences import cut_sequences as cut_sequences
from .spatial.sequences import interpolate_directions as interpolate_directions
from .spatial.sequences import split_sequences as split_sequences
from .spatial.sequences import summarise as summarise
from .spatial.streets import street_points as street_points
from .spatial.times import estimate_subseconds as estimate_subseconds
from .spatial.times import interpolate_times as interpolate_times
from .spatial.times import spread_subseconds as spread_subseconds
from .store import read_frame as read_frame
from .store import write_frame as write_frame
from .uploads.ledger import upload_history as upload_history

__all__ = [
    "Region",
    "authenticate",
    "check_images",
    "coverage",
    "coverage_gaps",
    "cut",
    "cut_sequences",
    "download",
    "download_originals",
    "edit_config",
    "estimate_subseconds",
    "exif_insert",
    "explore",
    "extract_geotag_data",
    "extract_import_meta_data",
    "extract_sequence_data",
    "extract_upload_params",
    "extract_user_data",
    "fetch_tiles",
    "filter_images",
    "find_sequences",
    "flag_duplicates",
    "geotag",
    "geotag_photos",
    "info",
    "inspect",
    "interpolate",
    "interpolate_directions",
    "interpolate_positions",
    "interpolate_times",
    "metadata",
    "plot",
    "post_process",
    "process",
    "process_and_upload",
    "process_csv",
    "read_descriptions",
    "read_frame",
    "read_photos",
    "read_tile",
    "read_tiles",
    "read_track",
    "read_video",
    "run_standin",
    "sample_video",
    "select",
    "select_nearest",
    "split_sequences",
    "spread_subseconds",
    "street_coverage",
    "street_network",
    "street_points",
    "streets",
    "summarise",
    "tiles",
    "tracks",
    "transfers",
    "upload",
    "upload_history",
    "video_info",
    "video_process",
    "video_process_and_upload",
    "write_descriptions",
    "write_frame",
    "write_track",
    "zip_sequences",
]
