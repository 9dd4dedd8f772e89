"""
Regions: a bounding box, shapes, a file of them, the name of a place or a configuration file -> one `Region`.

Its shape is one of polygons in longitude and latitude, none of which leaves [-180, 180]: what crosses the
antimeridian is cut there in two.
"""

from mlygeo.regions.given import Configured, RegionLike, as_region, settle
from mlygeo.regions.region import Origin, Region, from_parts, outside_hint, widened

__all__ = [
    "Configured",
    "Origin",
    "Region",
    "RegionLike",
    "as_region",
    "from_parts",
    "outside_hint",
    "settle",
    "widened",
]
