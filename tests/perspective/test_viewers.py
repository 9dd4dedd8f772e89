"""A viewer of panoramas (Pannellum) reads the fields that mlygeo writes, and takes no view for a panorama."""

import base64
import io

import numpy as np
import pytest
from helpers import chromium, npm
from helpers.panoramas import encoded, images_of, panorama, write_pictures
from PIL import Image

import mlygeo
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import picture_tags

PAGE = """<!DOCTYPE html><html><head><style>{sheet}</style><script>{script}</script></head><body>
<div id="there" style="width: 600px; height: 400px"></div><script>
const content = Uint8Array.from(atob("{picture}"), letter => letter.charCodeAt(0));
window.viewer = pannellum.viewer("there", {{
  type: "equirectangular", panorama: URL.createObjectURL(new Blob([content], {{type: "image/jpeg"}})),
  autoLoad: true, hfov: 60, showControls: false,
}});
const said = name => value => {{ document.documentElement.dataset[name] = value; }};
viewer.on("load", () => said("drawn")("1"));
viewer.on("error", said("problem"));
</script></body></html>"""


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    yield started
    started.close()


def shown(browser, tmp_path, picture):
    """Open a picture in the viewer."""
    built = npm.package("pannellum", "2.5.6") / "build"
    page = tmp_path / "viewer.html"
    script, sheet = ((built / f"pannellum.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    page.write_text(
        PAGE.format(script=script, sheet=sheet, picture=base64.b64encode(picture).decode()), encoding="utf-8"
    )
    browser.open(page.as_uri())


def looked_at(browser, yaw):
    """The direction of the world that the middle of the viewer shows: east, north, up."""
    browser.ask(f"viewer.lookAt(0, {yaw}, 60, false)")
    browser.ask("new Promise(done => setTimeout(done, 300))")
    found = (browser.screenshot()[190:211, 290:311].astype(float).mean(axis=(0, 1)) - 127.5) / 120
    return found / np.linalg.norm(found)


@pytest.mark.parametrize("heading", [0.0, 123.0, 300.5])
def test_the_heading_of_a_panorama_is_read(browser, tmp_path, heading):
    tags = picture_tags({"id": 1, "is_pano": True, "camera_type": "equirectangular", "compass_angle": heading})
    shown(browser, tmp_path, insert(panorama(heading), tags))
    north = browser.ask("viewer.getNorthOffset()")
    assert north == pytest.approx(heading)
    assert browser.ask("viewer.getConfig().haov") == 360
    for bearing in (0.0, 90.0, 200.0):  # the viewer looks where it says it does
        expected = [np.sin(np.radians(bearing)), np.cos(np.radians(bearing)), 0.0]
        off = np.degrees(np.arccos(np.clip(looked_at(browser, (bearing - north + 180) % 360 - 180) @ expected, -1, 1)))
        assert off < 2


def test_a_panorama_of_a_part_of_the_sphere_is_placed_by_its_fields(browser, tmp_path):
    with_fields = {"id": 1, "is_pano": True, "camera_type": "equirectangular", "compass_angle": 40.0}
    pixels = np.asarray(_pixels(panorama(40.0)))[128:384]  # 45° above and below the horizon
    shown(browser, tmp_path, insert(encoded(pixels), picture_tags(with_fields)))
    assert browser.ask("viewer.getNorthOffset()") == 40
    assert browser.ask("[viewer.getConfig().haov, viewer.getConfig().vaov]") == [360, 90]


def test_a_view_has_no_field_by_which_it_would_be_placed_in_a_sphere(browser, tmp_path):
    images = images_of(1)
    pictures = write_pictures(images, tmp_path / "pictures")
    made = mlygeo.views(
        images, pictures=pictures, output=tmp_path / "views", size="200x200", required_disk_space=0, workers=1
    )
    shown(browser, tmp_path, (tmp_path / "views" / made["path"].iloc[0]).read_bytes())
    # Whoever opens it all the same sees no part of a sphere that the file claims, and no heading.
    assert browser.ask("viewer.getNorthOffset()") in {0, None}
    assert browser.ask("viewer.getConfig().haov ?? 360") == 360


def _pixels(picture):
    return Image.open(io.BytesIO(picture)).convert("RGB")
