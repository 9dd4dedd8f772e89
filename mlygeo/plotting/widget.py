"""Maps as widgets of Jupyter, which tell Python what was picked on them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mlygeo.extras import missing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    import geopandas as gpd

    from mlygeo.plotting.layers import Layer

    class Shown(Protocol):
        """What a widget shows: a map."""

        title: str | None
        layers: list[Layer]

        def embedded(self) -> str:
            """Return the page."""

        def rows(self, picked: Iterable[tuple[int, Iterable[int]]]) -> list[gpd.GeoDataFrame]:
            """Return the rows that were picked on it."""

    class MapWidget(Protocol):
        """A map in a notebook; made by `Map.widget`."""

        map: Shown

        @property
        def selected(self) -> gpd.GeoDataFrame:
            """The rows that are picked, of the layer with the most of them; no rows where none is."""

        @property
        def selected_layers(self) -> list[gpd.GeoDataFrame]:
            """The rows that are picked, a frame for each layer that has some."""


# The page is the one that is written to files, in a frame of its own; it says what is picked by messages.
SCRIPT = """
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-popups");
  frame.title = model.get("title");
  frame.style.cssText = `width: 100%; height: ${model.get("height")}px; border: 1px solid #ccc; box-sizing: border-box`;
  frame.srcdoc = model.get("page");
  const heard = (event) => {
    if (event.source !== frame.contentWindow || event.data?.mlygeo !== "picked") return;
    model.set("picked", event.data.rows);
    model.save_changes();
  };
  window.addEventListener("message", heard);
  el.append(frame);
  return () => window.removeEventListener("message", heard);
}
export default { render };
"""


def widget_of(shown: Shown, *, height: int = 560) -> MapWidget:
    """
    Return a map as a widget; see `Map.widget`.

    Parameters
    ----------
    shown
        The map.
    height
        Height, pixels.

    Raises
    ------
    DependencyError
        If anywidget is missing.
    """
    made: MapWidget = _kind()(shown, height)
    return made


@lru_cache(maxsize=1)
def _kind() -> Any:
    """Return the class of the widget, which exists only where anywidget does."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise missing("maps as widgets need anywidget", "notebook") from error

    class Widget(anywidget.AnyWidget):  # type: ignore[misc]
        """See `MapWidget`."""

        _esm = SCRIPT
        page = traitlets.Unicode().tag(sync=True)
        title = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int().tag(sync=True)
        picked: Any = traitlets.List().tag(sync=True)

        def __init__(self, shown: Shown, height: int) -> None:
            self.map = shown
            super().__init__(page=shown.embedded(), title=shown.title or "Map", height=height)

        @property
        def selected_layers(self) -> list[gpd.GeoDataFrame]:
            return self.map.rows(self.picked)

        @property
        def selected(self) -> gpd.GeoDataFrame:
            found = self.selected_layers
            return max(found, key=len) if found else self.map.layers[-1].frame.iloc[:0]

    return Widget
