#!/usr/bin/env bash
# Command lines of mapillary_tools (2019), as they stand in old scripts. Usage: run.sh FOLDER
set -euo pipefail
out=${1:-mapillary_tools_out}
here="$(cd "$(dirname "$0")/.." && pwd)"
mkdir -p "$out"
cp -r "$here/gpx_import/photos" "$out/photos"
mlygeo process --import_path "$out/photos" --user_name someone --geotag_source gpx \
    --geotag_source_path "$here/gpx_import/ride.gpx" --offset_time 3 --duplicate_distance 0.5 --cutoff_time 60
mlygeo post_process --import_path "$out/photos" --summarize
mlygeo upload --import_path "$out/photos" --dry_run
