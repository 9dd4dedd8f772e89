"""
Datasets: frames of any size as folders of GeoParquet, a part for each cell of the world.

A part is `DIR/cell=q<quadkey>/part-0.parquet`, and the index of all parts a file beside the folder,
`DIR.partitions.parquet`. Cells are the smaller the denser the rows, so that all parts are of one order of size.
"""
