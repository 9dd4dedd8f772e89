#!/usr/bin/env bash
# A download rehearsed on this machine: the stand-in serves the images, and one request in five fails.
# Usage: rehearse.sh FOLDER   (a folder with image_ids.txt, as 'mlygeo select -o FOLDER' leaves it)
set -euo pipefail
folder=${1:-.}
data="$(cd "$(dirname "$0")/../stuttgart" && pwd)"
address="$(mktemp)"

mlygeo standin --images "$data/stuttgart_images.parquet" --photos "$data/pictures" \
    --token rehearsal --fail 0.2 --latency 0.02 >"$address" &
standin=$!
trap 'kill "$standin" 2>/dev/null || true; rm -f "$address"' EXIT
until [ -s "$address" ]; do
    kill -0 "$standin"
    sleep 0.1
done

export MAPILLARY_GRAPH_API_ENDPOINT="$(head -n 1 "$address")"
export MAPILLARY_ACCESS_TOKEN=rehearsal
mlygeo download --imgid-file "$folder/image_ids.txt" --size 2048 --exif --required-disk-space 1 -o "$folder/pictures"
