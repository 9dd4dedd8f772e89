"""The pictures of the site that are drawn from the bundled data when it is built."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.image
import numpy as np
import pyproj
import shapely
from matplotlib.figure import Figure

import mlygeo

if TYPE_CHECKING:
    import geopandas as gpd

STUTTGART = Path(__file__).parents[1] / "examples" / "stuttgart"
SRID = 25832
PHOTO = 1138211467256565
"""The bundled picture, a panorama by ZXStreetview."""

STREET, POINT, IMAGE, SIGHT = "#8c8c96", "#0b72b5", "#d35400", "#8e1f5b"
"""Colours that are read on white and on black."""

CLASSES = (POINT, IMAGE, "#2a9d5c", SIGHT)
"""Of the street classes with most points: residential, tertiary, primary, footway."""

NORTH = 5_401_950
"""The pictures of samples show the streets north of here, metres."""

WIDTH = 320
"""Of a picture of samples, pixels."""

SEED = 7


def _in_plane(frame: gpd.GeoDataFrame) -> np.ndarray:
    """Return the geometries of a frame in metres, as an array."""
    to_plane = pyproj.Transformer.from_crs(4326, SRID, always_xy=True).transform
    return shapely.transform(frame.geometry.to_numpy(), lambda at: np.column_stack(to_plane(*at.T)))


def _streets() -> gpd.GeoDataFrame:
    return mlygeo.street_network(path=STUTTGART / "stuttgart_osm_edges.gpkg")


def opening() -> bytes:
    """Return the picture of the landing page, as JPEG: points, chosen images, and the picture of one of them."""
    streets = _streets()
    images = mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet", frame="images")
    points = mlygeo.street_points(streets, interval=50, srid=SRID)
    chosen = mlygeo.select_nearest(points, images, srid=SRID, max_distance=100)
    lines = _in_plane(streets)
    at = shapely.get_coordinates(_in_plane(points))
    seen = shapely.get_coordinates(_in_plane(chosen))
    if PHOTO not in set(chosen["id"]):
        raise LookupError(PHOTO)
    photo = shapely.get_coordinates(_in_plane(images[images["id"] == PHOTO]))[0]

    figure = Figure(figsize=(9, 5.2), dpi=110, facecolor="white")
    plane = figure.add_axes((0.0, 0.0, 0.5, 1.0))
    for line in lines:
        plane.plot(*shapely.get_coordinates(line).T, color=STREET, linewidth=2.5, zorder=1)
    of_point = at[points["point_id"].searchsorted(chosen["point_id"])]
    plane.plot(
        np.column_stack([of_point[:, 0], seen[:, 0]]).T, np.column_stack([of_point[:, 1], seen[:, 1]]).T,
        color="black", linewidth=0.8, zorder=2,
    )  # fmt: skip
    plane.scatter(*at.T, s=34, color="white", edgecolor=POINT, linewidth=1.8, zorder=3)
    plane.scatter(*seen.T, s=26, color=IMAGE, zorder=4)
    plane.scatter(*photo, s=150, color="none", edgecolor=SIGHT, linewidth=2.5, zorder=5)
    (west, east), (south, north) = photo[0] + np.array([-270, 390]), photo[1] + np.array([-190, 570])
    plane.set(xlim=(west, east), ylim=(south, north), aspect="equal")
    plane.axis("off")

    picture = matplotlib.image.imread(STUTTGART / "pictures" / f"{PHOTO}.jpg")[120:830, 350:1700]
    view = figure.add_axes((0.52, 0.48, 0.46, 0.48))
    view.imshow(picture)
    view.set(xticks=[], yticks=[])
    for side in view.spines.values():
        side.set(color=SIGHT, linewidth=2.5)
    words = figure.add_axes((0.52, 0.0, 0.46, 0.44))
    words.axis("off")
    words.set(xlim=(0, 1), ylim=(0, 1))
    rows = ((STREET, "streets"), (POINT, "a point every 50 metres"), (IMAGE, "the nearest image for each point"))
    for row, (colour, text) in enumerate(rows):
        y = 0.86 - 0.17 * row
        if colour == STREET:
            words.plot([0.02, 0.09], [y, y], color=colour, linewidth=2.5)
        else:
            face = colour if colour == IMAGE else "white"
            words.scatter(0.055, y, s=60, color=face, edgecolor=colour, linewidth=1.8)
        words.text(0.14, y, text, fontsize=13, verticalalignment="center")
    words.scatter(0.055, 0.35, s=150, color="none", edgecolor=SIGHT, linewidth=2.5)
    words.text(0.14, 0.35, "one of them, as downloaded", fontsize=13, verticalalignment="center")
    owners = "Photo: ZXStreetview, Mapillary, CC BY-SA 4.0\nStreets: © OpenStreetMap contributors, ODbL"
    words.text(0, 0.06, owners, fontsize=8, color="#555555")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="jpeg", pil_kwargs={"quality": 82})
    return drawn.getvalue()


def samples() -> dict[str, bytes]:
    """Return a picture for each way to choose points on streets, as SVG, by its name."""
    streets = _streets()

    def drawn(method: str, **how: object) -> gpd.GeoDataFrame:
        return mlygeo.sample_streets(streets, method=method, seed=SEED, srid=SRID, **how)

    points = {
        "even": mlygeo.street_points(streets, interval=50, srid=SRID),
        "percept": mlygeo.street_points(streets, interval=50, srid=SRID, method="percept"),
        "random": drawn("random", n=100),
        "stratified": drawn("stratified", n=100, by="highway"),
        "grid": drawn("grid", cell=200),
        "per_street": drawn("per-street", n=3, n_streets=30),
    }
    lines = _in_plane(streets)
    shown = [line for line in lines if shapely.bounds(line)[3] > NORTH]
    left, _, right, top = shapely.total_bounds(np.array(shown))
    return {f"sampling_{name}.svg": _svg(name, shown, frame, (left, right, top)) for name, frame in points.items()}


def _svg(name: str, lines: list, points: gpd.GeoDataFrame, bounds: tuple[float, float, float]) -> bytes:
    left, right, top = bounds
    scale = (WIDTH - 16) / (right - left)
    height = round((top - NORTH) * scale) + 16

    def placed(at: np.ndarray) -> np.ndarray:
        return np.round((at - (left, top)) * (scale, -scale) + 8, 1)

    ways = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in placed(shapely.get_coordinates(line))) for line in lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f'<path d="{ways}" fill="none" stroke="{STREET}" stroke-width="2.2" stroke-linecap="round"/>',
    ]
    if name == "grid":
        step = 200  # cells are counted from the origin of the plane
        across = placed(np.array([[x, top] for x in np.arange(left // step * step, right + step, step)]))[:, 0]
        down = placed(np.array([[left, y] for y in np.arange(NORTH // step * step, top + step, step)]))[:, 1]
        cells = "".join(f"M{x:g} 0V{height}" for x in across) + "".join(f"M0 {y:g}H{WIDTH}" for y in down)
        parts.append(f'<path d="{cells}" fill="none" stroke="{STREET}" stroke-width=".6" stroke-dasharray="3 3"/>')
    colours = [POINT] * len(points)
    if name == "stratified":
        most = points["stratum"].value_counts().index[: len(CLASSES)]
        colour_of = dict(zip(most, CLASSES, strict=True))
        colours = [colour_of.get(stratum, STREET) for stratum in points["stratum"]]
    weights = points["weight"].to_numpy() if "weight" in points else np.full(len(points), 50.0)
    at = placed(shapely.get_coordinates(_in_plane(points)))
    for (x, y), weight, colour in zip(at, weights, colours, strict=True):
        if 0 <= y <= height:
            radius = round(float(np.clip(0.6 * np.sqrt(weight), 1.6, 11)), 1)
            parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius}" fill="{colour}" fill-opacity=".75"/>')
    return ("\n".join(parts) + "\n</svg>\n").encode()
