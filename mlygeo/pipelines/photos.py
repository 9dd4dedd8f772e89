"""Photos before and after processing: gaps filled, tables written into them, results sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os

    import geopandas as gpd

    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


def interpolate(
    import_path: PathLike | None = None,
    *,
    data: Literal["missing_gps", "identical_timestamps"],
    output: PathLike | None = None,
    max_time_delta: float = 1.0,
    file_in_path: PathLike | None = None,
    file_format: Literal["csv"] = "csv",
    time_column: int = 0,
    delimiter: str = ",",
    time_utc: bool = False,
    time_format: str = "%Y-%m-%dT%H:%M:%SZ",
    header: bool = False,
    keep_original: bool = False,
    skip_subfolders: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Fill in positions that photos lack, or spread capture times that repeat, and write them into the photos.

    "missing_gps" gives photos without a position one between those of their folder before and after them.
    "identical_timestamps" spreads photos of one time evenly up to the next time there is, for cameras that
    write whole seconds; of a table, its column of times.

    Parameters
    ----------
    import_path
        The folder of photos, with its subfolders; or one photo.
    data
        What is interpolated: missing_gps or identical_timestamps.
    output
        File for the frame of the photos; `.mlygeo/interpolated.parquet` in their folder unless given.
    max_time_delta
        Seconds before the first or after the last photo with a position for which the way is extended.
    file_in_path
        Table (CSV) whose times are interpolated, instead of photos.
    file_format
        Format of that file.
    time_column
        Column of the times in it, counting from 0, as the older tools do.
    delimiter
        What separates columns.
    time_utc
        Times are seconds or milliseconds since 1970; they are written in milliseconds.
    time_format
        How times are written in it.
    header
        Its first row names the columns.
    keep_original
        Keep photos as they were under their names with "_original" behind; of a table, write a new one,
        with "_processed" behind its name.
    skip_subfolders
        Leave out photos in subfolders.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame of local files, a row for each photo, or for each row of the table: what was read, with
        the interpolated values; `interpolated` (bool) tells where. What cannot be placed has an `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the table, or a time in it, has another form.

    Examples
    --------
    >>> interpolate("DCIM", data="missing_gps", max_time_delta=5)
    """
    return job_of("interpolate")(**locals()).result


def process_csv(
    import_path: PathLike,
    *,
    csv_path: PathLike,
    output: PathLike | None = None,
    delimiter: str = ",",
    convert_gps_time: bool = False,
    convert_utc_time: bool = False,
    time_format: str = "%Y:%m:%d %H:%M:%S.%f",
    filename_column: int | None = None,
    timestamp_column: int | None = None,
    latitude_column: int | None = None,
    longitude_column: int | None = None,
    heading_column: int | None = None,
    altitude_column: int | None = None,
    gps_week_column: int | None = None,
    meta_columns: str | None = None,
    meta_names: str | None = None,
    meta_types: str | None = None,
    header: bool = False,
    keep_original: bool = False,
    skip_subfolders: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Write times, positions, headings, altitudes and meta data of a table into photos.

    Run before `process`, which then finds them there. A row goes to the photo whose path ends with its file
    name, with or without the ending; a photo without a row, or with a value that makes no sense, is left as it is.

    Parameters
    ----------
    import_path
        The folder of photos, with its subfolders; or one photo.
    csv_path
        The table.
    output
        File for the frame of the photos; `.mlygeo/process_csv.parquet` in their folder unless given.
    delimiter
        What separates columns; "tab" for tabs.
    convert_gps_time
        Times are seconds of GPS: of the week in --gps-week-column, or since 6 January 1980.
    convert_utc_time
        Times are seconds or milliseconds since 1970, UTC.
    time_format
        How times are written otherwise; they are UTC.
    filename_column
        Column of file names, counting from 1. Without one, rows go to photos in the order of their names.
    timestamp_column
        Column of times.
    latitude_column
        Column of latitudes, degrees.
    longitude_column
        Column of longitudes, degrees.
    heading_column
        Column of headings, degrees clockwise from true north.
    altitude_column
        Column of altitudes, metres above sea level.
    gps_week_column
        Column of GPS weeks.
    meta_columns
        Columns of meta data, as "7,9,10".
    meta_names
        Their names, as "speed,weather,lanes".
    meta_types
        Their types, as "double,string,long"; there are string, double, long, date and boolean.
    header
        Its first row names the columns.
    keep_original
        Keep photos as they were under their names with "_original" behind.
    skip_subfolders
        Leave out photos in subfolders.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame of local files, a row for each photo, with the table's values; `csv_row` (Int64) is the
        row of the table, counting from 1; what could not be matched or read has an `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the table cannot be read, or lacks a column.

    Examples
    --------
    >>> process_csv("DCIM", csv_path="log.csv", filename_column=1, latitude_column=2, longitude_column=3)
    """
    return job_of("process_csv")(**locals()).result


def post_process(
    import_path: PathLike | None = None,
    *,
    video_import_path: PathLike | None = None,
    output: PathLike | None = None,
    skip_subfolders: bool = False,
    summarize: bool = False,
    list_file_status: bool = False,
    save_as_json: bool = False,
    save_local_mapping: bool = False,
    move_all_images: bool = False,
    move_duplicates: bool = False,
    move_uploaded: bool = False,
    move_sequences: bool = False,
    split_import_path: PathLike | None = None,
    push_images: bool = False,
    undo: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Sum up a folder of photos that was processed and uploaded, list its files by status, or sort them into folders.

    A photo is "duplicate", "uploaded", "failed_upload", "failed" (in processing) or "to_be_uploaded". Moving
    never overwrites a file; what was moved is noted first, so that `undo` can put it back, and `process`
    knows the photos where they are now.

    Parameters
    ----------
    import_path
        The folder of photos, with its subfolders; or one photo.
    video_import_path
        Folder of videos, or a video, whose sampled frames are meant.
    output
        Folder of the frames that `process` kept, if it was told one.
    skip_subfolders
        Leave out photos in subfolders.
    summarize
        Sum up what was processed and uploaded.
    list_file_status
        List the photos by status.
    save_as_json
        Write the summary and the list to files in the folder of photos.
    save_local_mapping
        Write a table of the photos' paths and ids, beside the folder of photos.
    move_all_images
        Move photos by status, duplicates and sequences.
    move_duplicates
        Move duplicates to a folder `duplicates`.
    move_uploaded
        Move photos to folders `uploaded`, `failed_upload` and `to_be_uploaded`.
    move_sequences
        Move photos to a numbered folder for each sequence.
    split_import_path
        Folder that photos are moved into; the folder of photos unless given.
    push_images
        Accepted for older scripts: uploads are finished as they are made, and nothing waits to be pushed.
    undo
        Put the photos back that an earlier run moved, and nothing else.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame of local files with `status` (str), `target` (str: where the photo was or would be moved;
        null where it stays) and `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> post_process("DCIM", summarize=True)["status"].value_counts()
    """
    return job_of("post_process")(**locals()).result
