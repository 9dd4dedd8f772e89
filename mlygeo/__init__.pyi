from .frames import filter_images as filter_images
from .pipelines import plot as plot
from .pipelines import select as select
from .pipelines import streets as streets
from .pipelines import tiles as tiles
from .readers.mvt import read_tile as read_tile
from .readers.osm import street_network as street_network
from .readers.tiles import read_tiles as read_tiles
from .regions import Region as Region
from .service.tiles import fetch_tiles as fetch_tiles
from .spatial.nearest import select_nearest as select_nearest
from .spatial.streets import street_points as street_points
from .store import read_frame as read_frame
from .store import write_frame as write_frame

__all__ = [
    "Region",
    "fetch_tiles",
    "filter_images",
    "plot",
    "read_frame",
    "read_tile",
    "read_tiles",
    "select",
    "select_nearest",
    "street_network",
    "street_points",
    "streets",
    "tiles",
    "write_frame",
]
