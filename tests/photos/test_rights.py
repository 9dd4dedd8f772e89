"""Owner and licence in pictures: read back by ExifTool, and never over what the picture itself says."""

import json
from io import BytesIO

import pandas as pd
import pytest
from conftest import DATA
from helpers.exiftool_oracle import ExifTool
from PIL import Image

from mlygeo import providers
from mlygeo.errors import FormatError
from mlygeo.formats import jpeg as segments
from mlygeo.formats import xmp
from mlygeo.formats.exif import Tags
from mlygeo.photos.exif_writer import insert, write_exif
from mlygeo.photos.tags import picture_tags

LINK = "https://www.etalab.gouv.fr/licence-ouverte-open-licence/"
BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"
ROW = {
    "id": "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a",
    "provider": "acme",
    "creator": "Élise <&> Söhne",
    "instance": "IGN",
}
LINE = "Élise <&> Söhne via acme (IGN)"
RIGHTS = (
    "IFD0:Artist", "IFD0:Copyright", "XMP-dc:Creator", "XMP-dc:Rights", "XMP-xmpRights:UsageTerms",
    "XMP-xmpRights:WebStatement", "XMP-cc:License",
)  # fmt: skip


@pytest.fixture(scope="module")
def exiftool():
    with ExifTool() as tool:
        yield tool


@pytest.fixture
def drawn():
    out = BytesIO()
    Image.new("RGB", (64, 32), (10, 90, 120)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def said(exiftool, tmp_path):
    """Return what ExifTool reads of owner and licence in a JPEG."""

    def read(jpeg):
        path = tmp_path / "read.jpg"
        path.write_bytes(jpeg)
        found = exiftool.read(path, "-a", "-all")
        assert "ExifTool:Warning" not in found
        return {name: found[name] for name in RIGHTS if name in found}

    return read


@pytest.fixture
def having(exiftool, tmp_path, drawn):
    """Return a JPEG with tags that ExifTool writes."""

    def made(*arguments):
        path = tmp_path / "made.jpg"
        path.write_bytes(drawn)
        exiftool.run("-overwrite_original", *arguments, path)
        return path.read_bytes()

    return made


def all_of(line, terms, url, creator=ROW["creator"]):
    cc = {"XMP-cc:License": url} if "creativecommons" in url else {}
    return {
        "IFD0:Artist": creator, "IFD0:Copyright": line, "XMP-dc:Creator": creator, "XMP-dc:Rights": line,
        "XMP-xmpRights:UsageTerms": terms, "XMP-xmpRights:WebStatement": url, **cc,
    }  # fmt: skip


@pytest.mark.parametrize(("licence", "url"), [("etalab-2.0", LINK), ("CC-BY-SA-4.0", BY_SA)])
def test_owner_and_licence_as_exiftool_reads_them(said, drawn, licence, url):
    jpeg = insert(drawn, tags := picture_tags(ROW | {"licence": licence}))
    assert said(jpeg) == all_of(f"{LINE}, {licence} {url}", f"{licence} {url}", url)
    assert insert(jpeg, tags) == jpeg


def test_a_licence_stays_as_it_came(said, drawn):
    found = said(insert(drawn, picture_tags(ROW | {"licence": "[CC-BY-SA-4.0]"})))
    assert found["IFD0:Copyright"] == f"{LINE}, [CC-BY-SA-4.0]"
    assert found["XMP-xmpRights:UsageTerms"] == "[CC-BY-SA-4.0]"
    assert "XMP-xmpRights:WebStatement" not in found
    assert "XMP-cc:License" not in found


def test_a_licence_of_creative_commons_has_its_own_address(said, drawn):
    spdx = "https://spdx.org/licenses/CC-BY-SA-4.0.html"
    found = said(insert(drawn, picture_tags(ROW | {"licence": "CC-BY-SA-4.0", "licence_url": spdx})))
    assert found["XMP-xmpRights:WebStatement"] == spdx
    assert found["XMP-cc:License"] == BY_SA


def test_no_address_that_is_none_of_the_web(said, drawn):
    found = said(insert(drawn, picture_tags(ROW | {"licence": "x", "licence_url": "javascript:alert(1)"})))
    assert "XMP-xmpRights:WebStatement" not in found


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW | {"licence": None}, {"IFD0:Artist": ROW["creator"], "XMP-dc:Creator": ROW["creator"]}),
        ({"id": ROW["id"]}, {}),
        ({"id": ROW["id"], "provider": None, "creator_username": "jo"}, {"IFD0:Artist": "jo", "XMP-dc:Creator": "jo"}),
        ({"id": 5, "provider": "acme"}, {}),
        ({"path": "a.jpg", "captured_at": 1.7e12}, {}),
    ],
)
def test_nothing_is_claimed_that_is_not_known(said, drawn, row, expected):
    assert said(insert(drawn, picture_tags(row))) == expected


def test_a_rows_provider_counts_before_the_default(said, drawn):
    mapillary = providers.provider("mapillary")
    found = said(insert(drawn, picture_tags(ROW | {"licence": "etalab-2.0"}, provider=mapillary)))
    assert found["IFD0:Copyright"].startswith(LINE)


def test_of_mapillary_there_is_no_xmp(said, drawn):
    expected = {"IFD0:Artist": "jo", "IFD0:Copyright": f"Mapillary contributor jo, CC BY-SA 4.0, {BY_SA}"}
    for row in ({"id": 5, "creator_username": "jo"}, {"id": "5", "provider": "mapillary", "creator_username": "jo"}):
        jpeg = insert(drawn, picture_tags(row))
        assert said(jpeg) == expected
        assert b"http://ns.adobe.com/xap" not in jpeg


WANTED = all_of(f"{LINE}, CC-BY-SA-4.0 {BY_SA}", f"CC-BY-SA-4.0 {BY_SA}", BY_SA)


@pytest.mark.parametrize(
    ("arguments", "own", "without"),
    [
        (["-Artist=amy"], {"IFD0:Artist": "amy"}, ["XMP-dc:Creator"]),
        (["-Copyright=(c) amy"], {"IFD0:Copyright": "(c) amy"}, ["XMP-dc:Rights"]),
        (["-XMP-dc:Creator=amy"], {"XMP-dc:Creator": "amy"}, ["IFD0:Artist"]),
        (["-XMP-dc:Rights=(c) amy"], {"XMP-dc:Rights": "(c) amy"}, ["IFD0:Copyright"]),
        (["-XMP-xmpRights:UsageTerms=ask"], {"XMP-xmpRights:UsageTerms": "ask"}, []),
        (["-XMP-xmpRights:WebStatement=http://a.org"], {"XMP-xmpRights:WebStatement": "http://a.org"}, []),
        (["-XMP-cc:License=http://a.org"], {"XMP-cc:License": "http://a.org"}, []),
        (["-Artist=  ", "-Copyright= "], {}, []),
        (["-XMP-dc:Title=street", "-Make=Acme"], {}, []),
        (["-Artist=amy", "-Copyright=(c) amy", "-XMP-dc:Rights=(c) bob"],
         {"IFD0:Artist": "amy", "IFD0:Copyright": "(c) amy", "XMP-dc:Rights": "(c) bob"}, ["XMP-dc:Creator"]),
    ],
)  # fmt: skip
def test_what_a_picture_says_itself_stays(said, having, arguments, own, without):
    jpeg = having(*arguments)
    tags = picture_tags(ROW | {"licence": "CC-BY-SA-4.0"})
    expected = {name: value for name, value in (WANTED | own).items() if name not in without}
    done = insert(jpeg, tags)
    assert said(done) == expected
    assert insert(done, tags) == done


def test_a_panorama_has_both(said, drawn, exiftool, tmp_path):
    jpeg = insert(drawn, picture_tags(ROW | {"licence": "CC-BY-SA-4.0", "is_pano": True, "compass_angle": 12.5}))
    assert said(jpeg) == WANTED
    assert exiftool.read(tmp_path / "read.jpg")["XMP-GPano:PoseHeadingDegrees"] == 12.5


def test_files_are_checked_after_writing(said, drawn, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(drawn)
    tags = picture_tags(ROW | {"licence": "CC-BY-SA-4.0"})
    assert write_exif(path, tags)
    assert said(path.read_bytes()) == WANTED
    assert not write_exif(path, tags)


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"\xff\xfe\xfd",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
        b'<RDF xmlns="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></RDF>',
    ],
)
def test_xmp_that_is_damaged_stays_and_exif_is_written(drawn, said, packet, caplog):
    found = segments.layout(drawn)
    damaged = segments.rebuilt(drawn, found, {}, {2: ((segments.APP1, segments.XMP_NAME + packet),)})
    done = insert(damaged, picture_tags(ROW | {"licence": "CC-BY-SA-4.0"}))
    assert packet in done
    assert "not written into the XMP" in caplog.text
    with pytest.raises(FormatError):
        xmp.with_statement(packet, xmp.Statement(creator="jo"))


def test_xmp_without_room_stays_and_exif_is_written(drawn, said, caplog):
    text = "x" * 64_300
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:a="http://a.org/" a:b="{text}"/></rdf:RDF></x:xmpmeta>'
    ).encode()
    full = segments.rebuilt(drawn, segments.layout(drawn), {}, {2: ((segments.APP1, segments.XMP_NAME + packet),)})
    tags = picture_tags(ROW | {"licence": "CC-BY-SA-4.0"})
    done = insert(full, tags)
    assert said(done) == {name: value for name, value in WANTED.items() if name.startswith("IFD0")}
    assert "there is no room" in caplog.text
    assert insert(done, tags) == done


@pytest.mark.parametrize("path", sorted((DATA / "photos").glob("*.jpg")), ids=lambda path: path.stem)
def test_all_other_tags_stay(exiftool, tmp_path, path):
    """Cameras' own files keep every tag, the maker notes too; the picture's own Artist and Copyright also."""
    before = exiftool.read(path, "-a", "-all")
    after_path = tmp_path / "after.jpg"
    try:
        done = insert(path.read_bytes(), Tags(statement=picture_tags(ROW | {"licence": "CC-BY-SA-4.0"}).statement))
    except FormatError:
        pytest.skip("damaged")
    after_path.write_bytes(done)
    after = exiftool.read(after_path, "-a", "-all")
    own = {
        name: value
        for name, value in before.items()
        if not name.startswith(("File:", "System:", "ExifTool:", "SourceFile"))
    }
    own = {name: value for name, value in own.items() if str(value).strip() or name not in RIGHTS}
    changed = {name for name, value in own.items() if after.get(name) != value}
    assert {name for name in changed if not name.endswith(("Offset", "Start"))} == set()


def test_a_heading_that_the_provider_computed_is_written_only_where_it_is_asked_for(drawn, exiftool, tmp_path):
    """Whoever reads a heading in a file takes it as measured; a server computes one from the sequence, or says 0."""
    row = ROW | {"compass_angle": 49.0, "is_pano": True}
    angles = {}
    for source in ("measured", "computed", None):
        for computed in (False, True):
            tags = picture_tags(row | {"compass_source": source}, computed=computed)
            (path := tmp_path / f"{source}_{computed}.jpg").write_bytes(insert(drawn, tags))
            found = exiftool.read(path)
            angles[source, computed] = found.get("GPS:GPSImgDirection"), found.get("XMP-GPano:PoseHeadingDegrees")
    assert angles.pop(("computed", False)) == (None, None)
    assert set(angles.values()) == {(49, 49)}


def test_the_comment_says_that_a_heading_was_computed():
    item = json.loads((DATA / "panoramax" / "item.json").read_text())
    for tag in ("GPSImgDirection", "GPSTrack"):
        item["properties"]["exif"].pop(f"Exif.GPSInfo.{tag}", None)
    panoramax = providers.provider("panoramax")
    assert picture_tags(item, provider=panoramax).heading is None
    tags = picture_tags(item, provider=panoramax, computed=True)
    assert tags.heading == item["properties"]["view:azimuth"]
    assert tags.comment["computed"] == ["heading"]


def heading_of(path, exiftool):
    found = exiftool.read(path)
    return found.get("GPS:GPSImgDirection"), found.get("GPS:GPSTrack"), found.get("XMP-GPano:PoseHeadingDegrees")


PANO = {"provider": "panoramax", "id": "00000000-0000-4000-8000-000000000001", "is_pano": True}


@pytest.mark.parametrize(
    ("own", "said", "expected", "in_doubt"),
    [
        ((), 57.0, (57, None, 57), False),
        (("-GPSImgDirection=57.31", "-GPSImgDirectionRef=M"), 57.0, (57.31, None, 57.31), False),
        (("-GPSImgDirection=57.6",), 58.0, (57.6, None, 57.6), False),
        (("-GPSImgDirection=359.7",), 0.0, (359.7, None, 359.7), False),
        (("-GPSImgDirection=0.4",), 359.6, (0.4, None, 0.4), False),
        (("-GPSImgDirection=120.5",), 57.0, (120.5, None, 120.5), True),
        (("-GPSTrack=57.31",), 57.0, (57.31, 57.31, 57.31), False),
        # A camera may look elsewhere than it moves to.
        (("-GPSTrack=147.31",), 57.0, (57, 147.31, 57), False),
        (("-XMP-GPano:PoseHeadingDegrees=57.25",), 57.0, (57.25, None, 57.25), False),
        (("-XMP-GPano:PoseHeadingDegrees=0",), 57.0, (57, None, 57), False),
        (("-XMP-GPano:PoseHeadingDegrees=200",), 57.0, (None, None, 200), True),
        (("-GPSImgDirection=57.31", "-XMP-GPano:PoseHeadingDegrees=200"), 57.0, (57.31, None, 200), True),
        (('-ImageDescription={"MAPCompassHeading": {"TrueHeading": 57.4}}',), 57.0, (57.4, None, 57.4), False),
        (('-ImageDescription={"MAPCompassHeading": {"TrueHeading": 90}}',), 57.0, (None, None, 90), True),
        (("-GPSImgDirection=57.31", "-GPSTrack=147"), 57.0, (57.31, 147, 57.31), False),
    ],
)
def test_the_heading_of_a_picture_itself_stays(drawn, having, exiftool, tmp_path, own, said, expected, in_doubt):
    """Panoramax says whole degrees; the picture may know more, or something else."""
    doubts = []
    tags = picture_tags(PANO | {"compass_angle": said, "compass_source": "measured"})
    (path := tmp_path / "written.jpg").write_bytes(once := insert(having(*own) if own else drawn, tags, doubts=doubts))
    assert heading_of(path, exiftool) == expected
    assert bool(doubts) == in_doubt
    assert insert(once, tags) == once


@pytest.mark.parametrize("said", [10.0, 200.0])
def test_a_heading_that_mapillary_says_is_written(having, exiftool, tmp_path, said):
    (path := tmp_path / "written.jpg").write_bytes(
        insert(having("-GPSImgDirection=57.31"), picture_tags({"id": 1, "compass_angle": said}))
    )
    assert heading_of(path, exiftool)[0] == said


def test_the_comment_says_that_a_heading_is_in_doubt(having, exiftool, tmp_path):
    item = json.loads((DATA / "panoramax" / "item.json").read_text())
    said = item["properties"]["view:azimuth"]
    tags = picture_tags(item, provider=providers.provider("panoramax"))
    for own, in_doubt in ((said + 0.4, None), (said + 90, ["heading"])):
        (path := tmp_path / "written.jpg").write_bytes(insert(having(f"-GPSImgDirection={own}"), tags))
        assert json.loads(exiftool.read(path)["ExifIFD:UserComment"]).get("in_doubt") == in_doubt


def test_microseconds_stay_where_a_picture_has_them(drawn, exiftool, tmp_path):
    tags = picture_tags(PANO | {"captured_at": pd.Timestamp("2024-06-10T06:13:20.123456Z")})
    (path := tmp_path / "written.jpg").write_bytes(insert(drawn, tags))
    found = exiftool.read(path)
    assert str(found["ExifIFD:SubSecTimeOriginal"]) == "123456"
    assert found["GPS:GPSTimeStamp"] == "06:13:20.123456"
