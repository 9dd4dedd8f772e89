"""The class of mapillary_downloader, for programs that were written with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError

if TYPE_CHECKING:
    import os


class MapillaryDownloader:
    """
    Downloads images one by one, as the class of this name in mapillary_downloader does.

    It calls `mlygeo.tiles` and `mlygeo.download`, which do the same for many images at once.

    Parameters
    ----------
    access_token
        Access token of the service.

    Examples
    --------
    >>> downloader = MapillaryDownloader("MLY|…")  # doctest: +SKIP
    >>> for image_id in downloader.get_images_in_bbox("90.4085,23.7355,90.4202,23.7445"):  # doctest: +SKIP
    ...     downloader.download_image(image_id, output_dir="downloads/1")
    """

    def __init__(self, access_token: str) -> None:
        self.access_token = access_token

    def get_images_in_bbox(self, bbox: str) -> list[str]:
        """
        Return the ids of all images in a bounding box.

        Parameters
        ----------
        bbox
            West, south, east, north in degrees, with commas between.

        Raises
        ------
        RegionError
            If the box makes no sense.
        ServiceError
            If the service refuses the token, or is down.
        """
        import mlygeo
        from mlygeo.spatial import boxes

        images = mlygeo.tiles(boxes.parse(bbox), token=self.access_token)
        return [str(image_id) for image_id in images["id"]]

    def download_image(self, image_id: str | int, output_dir: str | os.PathLike[str] = ".") -> Path:
        """
        Download an image, unless it is there; return its file, `images/ID.jpg` in the folder, with `jsons/ID.json`.

        Parameters
        ----------
        image_id
            Id of the image.
        output_dir
            Folder for the pictures.

        Raises
        ------
        FileError
            If there is no such image, or it cannot be fetched.
        ServiceError
            If the service refuses the token, or is down.
        """
        import mlygeo

        transfers = mlygeo.download(
            [image_id], output=output_dir, layout="flat", token=self.access_token, required_disk_space=0
        )
        path = Path(output_dir).expanduser() / "images" / f"{image_id}.jpg"
        if not path.is_file():
            raise FileError(f"image {image_id}: {transfers['reason'].iloc[0] if len(transfers) else 'nothing came'}")
        return path
