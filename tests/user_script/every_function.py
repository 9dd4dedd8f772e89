"""
A script as a user writes it, with a call of every public function; it is never run.

`test_types.py` has mypy (strict) and pyright read it in an environment as a user has it, and fails
where a public function is not called here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd

import mlygeo

# From a region to a selection --------------------------------------------------

BOX = (9.16, 48.76, 9.18, 48.78)
region = mlygeo.Region.from_bbox(*BOX)

images = mlygeo.tiles(BOX, since="2024-01-01", pano=True, creator=[101, "102"], tile_cache=Path("tiles"))
points = mlygeo.streets("stuttgart.json", interval=20, srid=25832, method="percept")
selection = mlygeo.select(
    region, streets="edges.gpkg", images=images, points=None, interval=50, max_distance=None, k=3, unique=True,
    max_heading_difference=45, until=datetime(2025, 1, 1, tzinfo=UTC), min_quality=0.5, force_srid=True,
)  # fmt: skip
differences: pd.DataFrame = mlygeo.verify("out/selection.lock.json", offline=True)
again = mlygeo.select(lock=Path("out"))
described: pd.DataFrame = mlygeo.publish("out", format="croissant", creator=["Jane Doe"], dry_run=True)
covered = mlygeo.coverage(
    region, streets="edges.gpkg", distance=15, by=["year", "hour", "district"], time_zone="Europe/Berlin",
    districts="districts.gpkg", district_name="title", expected=True, cells="h3:9", compare=["../2021", "../2024"],
)  # fmt: skip
sequences = mlygeo.find_sequences("someone", filter="360", max_pages=5)
known = mlygeo.metadata(selection, fields=["altitude", "camera_type"], workers=8)
single = mlygeo.inspect([498763468214164, "498763468214165"])
newest: float = selection["distance_m"].max()

project = mlygeo.init("stuttgart.toml", bbox=BOX, tile_cache=Path("tiles"), force=True)
kept_in: Path | None = project.tile_cache_dir

older = mlygeo.MapillaryDownloader("MLY|…")
files: list[Path] = [older.download_image(image, output_dir="1") for image in older.get_images_in_bbox("1,2,3,4")]

# The same in steps -------------------------------------------------------------

fetched = mlygeo.fetch_tiles(region, tile_cache="tiles", max_age=30, workers=2)
images = mlygeo.read_tiles(fetched, region=region, computed=True)
images = mlygeo.read_tile(Path("tile.mvt").read_bytes(), 8574, 5735)
images = mlygeo.filter_images(images, pano=False, organization=1234567890)
network = mlygeo.street_network(region, retain_all=True)
points = mlygeo.street_points(network, interval=20, srid=25832, method="even")
drawn = mlygeo.sample_streets(network, method="stratified", n=200, by="highway", allocation="equal", seed=7)
drawn = mlygeo.streets(region, streets="edges.gpkg", method="grid", cell="h3:9", n=1, seed=7, srid=25832)
shares: pd.DataFrame = mlygeo.estimate(drawn, values="labels.csv", column="green", by="stratum", level=0.9)
nearest: gpd.GeoDataFrame = mlygeo.select_nearest(points, images, max_distance=50, k=2)
by_year = mlygeo.street_coverage(network, images, distance=15, by="year", time_zone=None)
gaps = mlygeo.coverage_gaps(network, images, min_length=50)
mlygeo.write_frame(nearest.to_crs(25832), Path("nearest.gpkg"))
nearest = mlygeo.read_frame("nearest.gpkg", frame="selection", bbox=BOX, columns=["id", "point_id"])

selected = mlygeo.convert(["nearest.gpkg", nearest], "nearest.fgb", columns=["id"])
index: pd.DataFrame = mlygeo.partition(["images.parquet", images], "images", rows_per_part=500_000, workers=2)

# Pictures and maps -------------------------------------------------------------

pictures: pd.DataFrame = mlygeo.download(
    "selection.parquet", output="pictures", size="2048", layout="flat", format="webp", quality=80, exif=True
)
measured = mlygeo.quality("selection.parquet", pictures=Path("pictures"), preset="percept", field_of_view=90, workers=2)
by_day = mlygeo.sun_position(measured, low_sun=20).query("sun_phase == 'day'")
unique = mlygeo.flag_copies(measured, max_distance=10, max_bits=4).query("not is_copy")
sharp = mlygeo.filter_images(measured, where="blur >= 100 and sun_altitude > 0")
failed = mlygeo.transfers("pictures").query("status == 'failed'")
planned: gpd.GeoDataFrame = mlygeo.plan_views(images, directions=["left", 45], relative_to="camera", fov=75)
cut: gpd.GeoDataFrame = mlygeo.views(
    "selection.parquet", pictures="pictures", output="views", overlap=0.2, size="800x600"
)
mlygeo.plot([network, "selection.parquet"], title="Stuttgart", dpi=300).savefig("map.png")
mlygeo.explore([network, nearest], colour="captured_at").save("map.html")
versions = mlygeo.info(packages="all")["GDAL"]
problems = mlygeo.doctor(folder="out", offline=True).query("status == 'problem'")
bundled: gpd.GeoDataFrame = mlygeo.demo(output="demo")
with mlygeo.run_standin(images=images, photos="pictures", latency=0.05, fail=0.1, seed=4) as server:
    print(server.url)

# Photos, tracks and videos -----------------------------------------------------

photos = mlygeo.read_photos(["DCIM/100GOPRO", Path("DCIM/101GOPRO")], local_time=True, workers=2)
track = mlygeo.read_track("ride.gpx", format="gpx", points="tracks")
ridden = mlygeo.read_video("GH010042.MP4", source="gopro", max_dop=5)
seconds: float | None = mlygeo.video_info("GH010042.MP4").duration_s
logs = mlygeo.tracks(["GH010042.MP4", "walk.gpx"], source="auto", keep_outliers=True)
mlygeo.write_track(logs, "ride.gpx")

tagged = mlygeo.geotag(photos, track, offset_time=2, max_gap=30)
tagged = mlygeo.estimate_subseconds(tagged, sub_second_interval=0.5)
tagged = mlygeo.interpolate_positions(mlygeo.interpolate_times(mlygeo.spread_subseconds(tagged)), max_time_delta=5)
cut = mlygeo.split_sequences(mlygeo.flag_duplicates(mlygeo.cut_sequences(tagged, cutoff_time=120)), max_images=200)
cut = mlygeo.interpolate_directions(cut, offset_angle=90, overwrite=True)
checked = mlygeo.check_images(cut, track=track, max_speed=200)
lengths = mlygeo.summarise(checked)["length_m"]
described = mlygeo.read_descriptions(mlygeo.write_descriptions(checked, "DCIM"))

photos = mlygeo.sample_video("GH010042.MP4", import_path="frames", video_sample_distance=3)
photos = mlygeo.geotag_photos("DCIM", geotag_source="gpx", geotag_source_path="ride.gpx")
photos = mlygeo.cut(photos, cutoff_distance=100, interpolate_directions=True)
photos = mlygeo.process("DCIM", geotag_source="nmea", geotag_source_path="ride.nmea", user_name="jane", orientation=90)
photos = mlygeo.extract_user_data("DCIM", user_name="jane", private=True)
photos = mlygeo.extract_import_meta_data("DCIM", device_make="GoPro", device_model="HERO11 Black")
photos = mlygeo.extract_geotag_data("DCIM", geotag_source="exif", offset_angle=90, dry_run=True)
photos = mlygeo.extract_sequence_data("DCIM", cutoff_distance=100, cutoff_time=120)
photos = mlygeo.extract_upload_params("DCIM", user_name="jane")
photos = mlygeo.exif_insert("DCIM", overwrite_exif_gps_tag=True, keep_original=True)
photos = mlygeo.interpolate("DCIM", data="missing_gps", max_time_delta=5)
photos = mlygeo.process_csv("DCIM", csv_path="log.csv", filename_column=1, latitude_column=2, longitude_column=3)
photos = mlygeo.post_process("DCIM", summarize=True, move_duplicates=True)

# Uploads -----------------------------------------------------------------------

users: pd.DataFrame = mlygeo.authenticate(
    user_name="jane", user_email="jane@example.org", user_password="a pass phrase"
)
users = mlygeo.edit_config("edit", user_name="jane", organization_key="1234567890")
archives = mlygeo.zip_sequences("DCIM", output="zips")["path"]
uploads = mlygeo.upload("DCIM", user_name="jane", number_threads=4, dry_run=True)
refused = mlygeo.upload_history("DCIM").query("status != 'done'")
originals = mlygeo.download_originals("DCIM", output="originals", by_property="uuid")

# Chains ------------------------------------------------------------------------

uploads = mlygeo.process_and_upload("DCIM", user_name="jane", geotag_source="gpx", geotag_source_path="ride.gpx")
photos = mlygeo.video_process("GH010042.MP4", import_path="frames", video_sample_distance=3, cutoff_time=120)
uploads = mlygeo.video_process_and_upload("GH010042.MP4", import_path="frames", user_name="jane", number_threads=4)
