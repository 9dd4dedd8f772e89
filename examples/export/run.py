"""
Export a selection to GeoPackage, with a style that QGIS opens it with, and to PostGIS.

    python examples/export/run.py FOLDER [postgresql://user@host/database]

The GeoPackage holds the layers images, street_points, streets, coverage and selection. The styles of three
are inside (the table layer_styles), so QGIS draws points as small circles, the streets of coverage by the
share that is covered, and of the selection panoramas and flat pictures apart, with an arrow for each heading.
The password of a database comes from PGPASSWORD or ~/.pgpass.
"""

import sqlite3
import sys
from pathlib import Path

import pyogrio

import mlygeo

HERE = Path(__file__).parent
STUTTGART = HERE.parent / "stuttgart"


def main(folder: Path, database: str | None) -> None:
    """Write stuttgart.gpkg to a folder, and tables to a database."""
    selection = mlygeo.select(
        STUTTGART / "stuttgart_config.json", streets=STUTTGART / "stuttgart_osm_edges.gpkg", interval=50, srid=25832
    )
    streets = mlygeo.street_network(path=STUTTGART / "stuttgart_osm_edges.gpkg")
    images = mlygeo.read_tiles(STUTTGART / "stuttgart_tile_cache")
    layers = {
        "images": images,
        "street_points": mlygeo.street_points(streets, interval=50, srid=25832),
        "streets": streets,
        "coverage": mlygeo.street_coverage(streets, images, srid=25832),
        "selection": selection,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "stuttgart.gpkg"
    path.unlink(missing_ok=True)
    for name, frame in layers.items():
        pyogrio.write_dataframe(frame, path, layer=name, driver="GPKG", VERSION="1.2")
    for name in ("selection", "coverage", "street_points"):
        add_style(path, name, (HERE / f"{name}.qml").read_text(encoding="utf-8"))
    print(f"{path.name}: {', '.join(f'{len(frame)} {name}' for name, frame in layers.items())}")
    if database is not None:
        for name, frame in layers.items():
            mlygeo.write_frame(frame, f"{database}?table={name}")
        nearest = mlygeo.read_frame(f"{database}?table=selection", frame="selection", bbox=(9.16, 48.77, 9.17, 48.78))
        print(f"PostGIS: {len(layers)} tables; {len(nearest)} selected images in the north-western corner")


def add_style(path: Path, layer: str, style: str) -> None:
    """Put a QGIS style into a GeoPackage as the default of a layer, where QGIS looks for it."""
    with sqlite3.connect(path) as database:
        database.execute(
            """CREATE TABLE IF NOT EXISTS layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
            f_table_catalog TEXT, f_table_schema TEXT, f_table_name TEXT, f_geometry_column TEXT, styleName TEXT,
            styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT, ui TEXT,
            update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))"""
        )
        database.execute(
            "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier) VALUES "
            "('layer_styles', 'attributes', 'layer_styles')"
        )
        (geometry,) = database.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", [layer]
        ).fetchone()
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, useAsDefault, description) VALUES ('', '', ?, ?, 'mlygeo', ?, 1, 'as mlygeo draws it')",
            [layer, geometry, style],
        )
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "export_out"), sys.argv[2] if len(sys.argv) > 2 else None)
