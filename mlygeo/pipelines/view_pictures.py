"""The pictures that views are cut from: those of a folder, or downloaded as they are needed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError
from mlygeo.pipelines.job import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd

    from mlygeo.arrays import Objects
    from mlygeo.keys import Key
    from mlygeo.pipelines.options import Access, Size

AT_ONCE = 256
"""Pictures whose tasks are sent to processes together."""

DOWNLOADED_AT_ONCE = 100
"""Pictures that are downloaded before their views are made: so many at most are on the disk."""

PICTURES_FOLDER = "pictures"
"""Folder, in the state folder, of pictures that are removed once their views are made."""


class Here:
    """
    Pictures on this machine, each found once.

    Parameters
    ----------
    folder
        Where they are.

    Attributes
    ----------
    at_once
        Pictures that are worked on together.
    stay
        Whether they stay when their views are made.
    """

    at_once, stay = AT_ONCE, True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[tuple[str, Key], tuple[str | None, str | None]] = {}

    def with_lenses(self, images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return images with what their files say of their lenses."""
        from mlygeo.downloads.picture_files import pictures_of
        from mlygeo.perspective.heads import with_lenses

        if not self._folder.is_dir():
            raise FileError(f"there is no folder {self._folder}")
        paths, reasons, _ = pictures_of(images, self._folder)
        self._found = dict(zip(_keys(images), zip(paths, reasons, strict=True), strict=True))
        return with_lenses(images, paths)

    def of(self, views: gpd.GeoDataFrame) -> tuple[Objects, Objects]:
        """Return the picture of each view, and why there is none."""
        import numpy as np

        found = np.empty((2, len(views)), dtype=object)
        for row, key in enumerate(_keys(views)):
            found[:, row] = self._found[key]
        return found[0], found[1]

    def notes(self, paths: Objects) -> Objects:
        """Return what tells each picture from another of its image: the size of its file."""
        import numpy as np

        notes = np.full(len(paths), "", dtype=object)
        for row, path in enumerate(paths):
            with contextlib.suppress(OSError, TypeError):
                notes[row] = str(Path(path).stat().st_size)
        return notes

    @contextlib.contextmanager
    def ready(self, views: gpd.GeoDataFrame, paths: Objects, _folder: Path) -> Iterator[tuple[Objects, Objects]]:
        """Yield the pictures of views, and why there is none."""
        import numpy as np

        yield paths, np.full(len(views), None, dtype=object)


def _keys(images: gpd.GeoDataFrame) -> list[tuple[str, Key]]:
    """Return what each image is known by."""
    from mlygeo.downloads.picture_files import providers_of

    return list(zip(providers_of(images), images["id"].tolist(), strict=True))


class Downloaded:
    """
    Pictures of the service, each there as long as views of it are made.

    Parameters
    ----------
    access
        How the service is reached.
    size
        The size that is asked for.

    Attributes
    ----------
    at_once
        Pictures that are downloaded together.
    stay
        Whether they stay when their views are made.
    """

    at_once, stay = DOWNLOADED_AT_ONCE, False

    def __init__(self, access: Access, size: Size) -> None:
        self._access, self._size = access, size

    def with_lenses(self, images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return the images as they are: their files are not there yet."""
        return images

    def of(self, views: gpd.GeoDataFrame) -> tuple[Objects, Objects]:
        """Return for each view what stands for its picture: its image."""
        import numpy as np

        keys = np.array([f"{provider}:{key}" for provider, key in _keys(views)], dtype=object)
        return keys, np.full(len(views), None, dtype=object)

    def notes(self, paths: Objects) -> Objects:
        """Return what tells each picture from another of its image: the size that is asked for."""
        import numpy as np

        return np.full(len(paths), self._size, dtype=object)

    @contextlib.contextmanager
    def ready(self, views: gpd.GeoDataFrame, _paths: Objects, folder: Path) -> Iterator[tuple[Objects, Objects]]:
        """Download the pictures of views, and yield them, and why there is none; then remove them."""
        from mlygeo.downloads.picture_files import pictures_of
        from mlygeo.pipelines.downloads import download
        from mlygeo.places import STATE_FOLDER

        place = folder / STATE_FOLDER / PICTURES_FOLDER
        shutil.rmtree(place, ignore_errors=True)  # what a killed run has left
        named = [name for name in ("id", "provider") if name in views.columns]
        wanted = views[[*named, "geometry"]].drop_duplicates(named)
        access = self._access
        try:
            job = body_of(download)(
                wanted, output=place, size=self._size, required_disk_space=0.0, token=access.token,
                token_file=access.token_file, service=access.service, provider=access.provider,
                endpoint=access.endpoint,
            )  # fmt: skip
            paths, reasons, _ = pictures_of(views, place)
            rows = job.result
            said = dict(zip(rows["id"].astype("str"), rows["reason"], strict=True))
            for row, key in enumerate(views["id"].astype("str")):
                if paths[row] is None and isinstance(said.get(key), str):
                    reasons[row] = f"image {key}: {said[key]}"
            yield paths, reasons
        finally:
            shutil.rmtree(place, ignore_errors=True)
