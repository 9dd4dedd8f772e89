"""
The table of verbs. Each is the twin of a public function, whose signature and docstring give the
options, their defaults and their help; only what is said here is the command line's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlygeo.jobs import Output


@dataclass(frozen=True)
class Verb:
    """
    A verb of the command line.

    Parameters
    ----------
    name
        What is typed.
    function
        The public function, in `mlygeo.pipelines`.
    does
        One line for the list of verbs.
    example
        A command that someone would really type.
    output
        Where results go unless -o says otherwise; None where the verb takes no -o.
    output_help
        What -o names.
    writes
        What is written there.
    takes_region
        Whether the options that name a region belong to it.
    ids_only
        Whether it can print just the ids.
    arguments
        The parameter that takes the words without an option.
    words
        What those words are, for the help.
    """

    name: str
    function: str
    does: str
    example: str
    output: str | None
    output_help: str = ""
    writes: Output = "frame"
    takes_region: bool = True
    ids_only: bool = False
    arguments: str | None = None
    words: str = "FILE..."


VERBS = (
    Verb(
        "tiles",
        "tiles",
        "Fetch the vector tiles of a region; an images frame comes out.",
        "mlygeo tiles -c myconfig.json --since 2024-01-01 -o images.parquet",
        "images.parquet",
        "File for the images frame; its ending tells the format.",
    ),
    Verb(
        "streets",
        "streets",
        "Lay a point every so many metres along every street.",
        "mlygeo streets -c myconfig.json -S 28992 -I 50 -o mygrid.geojson",
        "street_points.parquet",
        "File for the street points; its ending tells the format.",
    ),
    Verb(
        "select",
        "select",
        "Select the nearest image for every street point of a region.",
        "mlygeo select -c stuttgart.json --streets edges.gpkg --interval 50 --srid 25832 -o out",
        "selection",
        "Folder for selection.parquet, image_ids.txt, street_points.parquet and summary.json.",
        writes="folder",
        ids_only=True,
    ),
    Verb(
        "map",
        "plot",
        "Draw frames as a picture, one upon the other.",
        "mlygeo map edges.gpkg out/street_points.parquet out/selection.parquet -o map.png",
        "map.png",
        "Picture to write: .png, .svg or .pdf.",
        writes="picture",
        takes_region=False,
        arguments="layers",
    ),
)
