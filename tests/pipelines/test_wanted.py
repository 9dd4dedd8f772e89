"""What says which images are meant: frames, lists, sequences, users, regions, and the words of older tools."""

import json

import numpy as np
import pytest
from conftest import STUTTGART
from helpers.picture_downloads import pictures_in, service_of
from helpers.tokens import TOKEN

import mlygeo
from mlygeo import cli
from mlygeo.cli import old_tools
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.readers import id_lists
from mlygeo.standin import Faults, serve

CONFIG = STUTTGART / "stuttgart_config.json"
CACHE = STUTTGART / "stuttgart_tile_cache"


@pytest.fixture(scope="module")
def server(images):
    with serve(images, token=TOKEN) as running:
        yield running


def wanted(server, *given, **options):
    """The images that a call is about, without fetching them."""
    plan = mlygeo.download(*given, dry_run=True, service=service_of(server), **options).attrs["summary"]
    return plan["images"]


def ids_of(server, *given, folder, **options):
    options = {"size": "256", "required_disk_space": 0, "service": service_of(server), **options}
    return mlygeo.download(*given, output=folder, **options)["id"].tolist()


def test_all_forms_of_ids_name_the_same_images(server, images, tmp_path):
    ids = images["id"].tolist()[:5]
    text, lines = tmp_path / "ids.txt", tmp_path / "noext"
    text.write_text("\ufeff# a list\n" + "".join(f"{number}  # one\n\n" for number in ids), encoding="utf-8")
    lines.write_text(", ".join(map(str, [*ids, ids[0]])))
    objects, plain = tmp_path / "percept.json", tmp_path / "plain.json"
    objects.write_text(json.dumps([{"mapillary_img_id": str(number), "x": 1} for number in ids]))
    plain.write_text(json.dumps(ids))
    parquet, geojson = tmp_path / "images.parquet", tmp_path / "images.geojson"
    mlygeo.write_frame(images.iloc[:5], parquet)
    mlygeo.write_frame(images.iloc[:5], geojson)
    frame = images.iloc[:5]
    for number, given in enumerate(
        [
            frame, frame.drop(columns="geometry"), frame["id"], ids, np.array(ids), tuple(map(str, ids)), text,
            str(lines), objects, plain, parquet, geojson, [str(parquet), ids[0]],
        ]
    ):  # fmt: skip
        assert ids_of(server, given, folder=tmp_path / f"p{number}") == sorted(ids), number
    assert ids_of(server, ids[0], folder=tmp_path / "one") == [ids[0]]
    for number, file in enumerate([text, lines, objects, plain]):
        assert ids_of(server, imgid_file=file, folder=tmp_path / f"f{number}") == sorted(ids)


def test_a_selection_may_name_an_image_several_times(server, images, tmp_path):
    selection = images.iloc[[0, 1, 0, 2, 1]].reset_index(drop=True)
    assert len(ids_of(server, selection, folder=tmp_path)) == 3


def test_sequences(server, images, tmp_path):
    counts = images["sequence_id"].value_counts()
    first, second = counts.index[-2:]
    assert wanted(server, sequence=[first], output=tmp_path) == counts[first]
    assert wanted(server, sequence=first, output=tmp_path) == counts[first]
    listed = tmp_path / "sequences.txt"
    listed.write_text(f"# 20240609\n{first}  # 12 images\n\n{second}\n{first}\n")
    assert wanted(server, sequence_file=listed, output=tmp_path) == counts[first] + counts[second]
    both = images.loc[images["sequence_id"].isin([first, second]), "id"].tolist()
    assert wanted(server, both, sequence=[first], output=tmp_path) == counts[first]


def test_an_unknown_sequence_is_said(server, images, tmp_path, caplog):
    known = images["sequence_id"].iloc[0]
    summary = mlygeo.download(
        sequence=["unknownsequence", known], output=tmp_path, dry_run=True, service=service_of(server)
    ).attrs["summary"]
    assert summary["warnings"] == ["sequence unknownsequence has no images"]
    assert summary["images"] == (images["sequence_id"] == known).sum()


def test_users_and_organizations(server, images, tmp_path):
    creator = images["creator_id"].iloc[0]
    of_creator = images["creator_id"] == creator
    assert wanted(server, user=f"user_{creator}", output=tmp_path) == of_creator.sum()
    assert wanted(server, user=f"user_{creator}", pano=True, output=tmp_path) == (of_creator & images["is_pano"]).sum()
    west, south, east, north = images[of_creator].total_bounds
    middle = (west + east) / 2
    lon = images.geometry.x
    found = wanted(
        server, user=f"user_{creator}", region=(west - 1e-4, south - 1e-4, middle, north + 1e-4), output=tmp_path
    )
    assert found == (of_creator & (lon <= middle)).sum()
    organizations = images["organization_id"].dropna()
    if len(organizations):
        number = int(organizations.iloc[0])
        expected = (images["organization_id"] == number).sum()
        assert wanted(server, organization=[number], output=tmp_path) == expected


def test_a_region_and_filters(server, images, tmp_path):
    since = "2024-07-01"
    expected = (images["captured_at"] >= since).sum()
    assert wanted(server, region=CONFIG, since=since, tile_cache=CACHE, output=tmp_path) == expected
    assert wanted(server, images, since=since, output=tmp_path) == expected
    assert wanted(server, region=CONFIG, tile_cache=CACHE, output=tmp_path) == len(images)


def test_a_region_whose_tiles_are_missing(server, tmp_path):
    summary = mlygeo.download(
        region=(9.16, 48.76, 9.18, 48.78), tile_cache=tmp_path / "cache", output=tmp_path / "p", dry_run=True,
        service=service_of(server),
    ).attrs["summary"]  # fmt: skip
    assert summary["tiles_to_fetch"] == 6


def test_a_list_is_never_widened_by_a_region(server, images, tmp_path):
    """percept-vsvi-filter takes an empty list for no list, and downloads everything."""
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(InputError, match=r"no ids in .*empty\.txt, which is empty"):
        mlygeo.download(region=CONFIG, imgid_file=empty, output=tmp_path / "p", service=service_of(server))
    empty.write_text("# none\n")
    job_frame = mlygeo.download(region=CONFIG, imgid_file=empty, output=tmp_path / "p", service=service_of(server))
    assert job_frame.attrs["summary"]["images"] == 0
    assert wanted(server, images["id"].tolist()[:3], region=CONFIG, output=tmp_path) == 3


def test_seqdir_of_the_configuration(server, images, tmp_path):
    config = tmp_path / "my.json"
    box = dict(zip(("west", "south", "east", "north"), (9.16, 48.76, 9.18, 48.78), strict=True))
    config.write_text(json.dumps({"bounding_box": box, "seqdir": "seqs"}))
    mlygeo.download(images.iloc[:2], region=config, size="256", required_disk_space=0, service=service_of(server))
    assert len(pictures_in(tmp_path / "seqs")) == 2


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("a.txt", "123\nabc\n", InputError, "line 2: 'abc'"),
        ("a.txt", "-5\n", InputError, "'-5'"),
        ("a.txt", "12.5\n", InputError, "12.5"),
        ("a.txt", f"{2**63}\n", InputError, "not an image id"),
        ("a.txt", "0\n", InputError, "not an image id"),
        ("a.txt", "٣\n", InputError, "not an image id"),
        ("a.json", "[1.5]", InputError, "1.5"),
        ("a.json", "[true]", InputError, "True"),
        ("a.json", '[{"other": 5}]', InputError, "mapillary_img_id"),
        ("a.json", "{}", FormatError, "no list"),
        ("a.json", "[1, 2", FormatError, "not JSON"),
        ("a.json", "[" * 100_000, FormatError, "not JSON"),
    ],
)
def test_lists_that_are_none(tmp_path, name, content, kind, words):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(kind, match=words):
        id_lists.read_ids(path)


def test_lists_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match=r"missing\.txt"):
        id_lists.read_ids(tmp_path / "missing.txt")
    path = tmp_path / "binary.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="UTF-8"):
        id_lists.read_ids(path)


def test_a_list_keeps_its_order_and_large_ids(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(f"{2**53 + 1}\n5\n{2**63 - 1}\n5\n")
    assert id_lists.read_ids(path).tolist() == [2**53 + 1, 5, 2**63 - 1]
    for blank in ("", "\n \n", "\ufeff"):
        path.write_text(blank)
        with pytest.raises(InputError, match="which is empty"):
            id_lists.read_ids(path)
    path.write_text("# none\n")
    assert id_lists.read_ids(path).tolist() == []


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        (
            "sequence_downloader.py 3NpX -q 95",
            "download --layout time --output-folder downloads --exif --computed --sequence 3NpX --quality 95",
        ),
        (
            "sequence_downloader 3NpX -i 11 22 33 -q 90",
            "download --layout time --output-folder downloads --exif --computed --sequence 3NpX --quality 90 11 22 33",
        ),
        (
            "sequence-downloader 3NpX --image_file failed.txt --layout flat",
            "download --output-folder downloads --exif --computed --sequence 3NpX --image-file failed.txt --layout flat",
        ),
        (
            "batch_downloader.py sequences_irvinfly.txt -q 95",
            "download --layout time --output-folder downloads --exif --computed --sequence-file sequences_irvinfly.txt --quality 95",
        ),
        (
            "mapillary-download --token T --bbox 90.4,23.73,90.42,23.74 --output ./downloads --limit 10",
            "download --layout flat --token T --bbox 90.4,23.73,90.42,23.74 --output ./downloads --limit 10",
        ),
        (
            "download_images.py -33.9 -33.8 151.1 151.2 --max_results=10 --image_size=640",
            "download --bbox 151.1,-33.9,151.2,-33.8 --max-results 10 --size 1024",
        ),
        ("download_images.py 1 2 3 4 --image_size=2048", "download --bbox 3,1,4,2 --size 2048"),
        ("sequence_downloader --help", "download --help"),
        ("download --exif 5", "download --exif 5"),
        ("", ""),
    ],
)
def test_command_lines_of_older_tools(line, ours):
    assert old_tools.translated(line.split()) == ours.split()


def run(monkeypatch, capsys, server, line):
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
    status = cli.main(line.split())
    return status, *capsys.readouterr()


def test_the_older_tools_as_they_were_called(server, images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ids = images["id"].tolist()[:3]
    (tmp_path / "list.txt").write_text("".join(f"{number}\n" for number in ids))
    sequence = images["sequence_id"].iloc[0]
    inside = images.loc[images["sequence_id"] == sequence, "id"].tolist()[:2]
    (tmp_path / "config.json").write_text(CONFIG.read_text())
    small = "--size 256 --required-disk-space 0"
    percept = (
        f"mapillary_jpg_download.py -c config.json --imgid-file list.txt --seqdir seqs --num-retries 5 --overwrite "
        f"--failed-imgid-file failed.txt --tile-cache-dir {CACHE} --token-file token.txt {small}"
    )
    (tmp_path / "token.txt").write_text(TOKEN)
    status, _, err = run(monkeypatch, capsys, server, percept)
    assert status == 0, err
    assert {int(name.split("/")[1][:-4]) for name in pictures_in(tmp_path / "seqs")} == set(ids)
    assert not (tmp_path / "failed.txt").exists()
    status, _, err = run(
        monkeypatch, capsys, server, f"sequence_downloader.py {sequence} -i {inside[0]} {inside[1]} -q 95 {small}"
    )
    assert status == 0, err
    assert len(pictures_in(tmp_path / "downloads")) == 2
    status, _, err = run(
        monkeypatch, capsys, server, f"mapillary_jpg_download -c config.json --tiles-only --tile-cache-dir {CACHE}"
    )
    assert status == 0, err
    assert "tiles in" in err


def test_the_verb(server, images, tmp_path, monkeypatch, capsys):
    ids = images["id"].tolist()[:2]
    command = f"download {ids[0]} {ids[1]} --size 256 --required-disk-space 0 -o {tmp_path / 'p'} --json"
    status, out, err = run(monkeypatch, capsys, server, command)
    assert status == 0, err
    assert json.loads(out)["fetched"] == 2
    assert "2 images of 2 ids: 2 fetched" in err
    status, out, err = run(monkeypatch, capsys, server, f"{command} --dry-run")
    assert (status, json.loads(out)["there"]) == (0, 2)
    assert "nothing was fetched" in err
    status, _, err = run(monkeypatch, capsys, server, "download")
    assert status == 2
    assert "--imgid-file" in err
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    status, _, err = run(monkeypatch, capsys, server, f"download --imgid-file {empty} -o {tmp_path / 'q'}")
    assert status == 2
    assert f"no ids in {empty}, which is empty" in err
    for text in ("# none\n", ""):
        empty.write_text(text)
        status, _, err = run(monkeypatch, capsys, server, f"download --imgid-file {empty} -o {tmp_path / 'q'}")
        assert status == 0
        assert "no image to download: empty.txt names none" in err
        (tmp_path / "summary.json").write_text("{}")  # as beside the list of a selection
    (tmp_path / "file").write_text("")
    status, _, err = run(monkeypatch, capsys, server, f"download 5 -o {tmp_path / 'file'}")
    assert status == 1
    status, _, err = run(
        monkeypatch, capsys, server, f"download {ids[0]} -o {tmp_path / 'r'} --required-disk-space 1e9"
    )
    assert status == 1
    assert "hint: free some space, or set --required-disk-space" in err


def test_a_search_that_is_cut_off_is_not_taken_for_all(images, tmp_path):
    with serve(images, token=TOKEN, faults=Faults(largest_page=50, routes={})) as server:
        creator = images["creator_id"].iloc[0]
        found = wanted(server, user=f"user_{creator}", output=tmp_path)
        assert found == (images["creator_id"] == creator).sum()


# A region beside what names images takes those of them that lie in it, wherever their positions come from.

HALF = (9.1616, 48.7624, 9.1759, 48.7700)


def in_half(images):
    west, south, east, north = HALF
    lon, lat = images.geometry.x, images.geometry.y
    return images[(lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)]


@pytest.fixture(scope="module")
def some(images):
    return images.iloc[::13].reset_index(drop=True)


@pytest.mark.parametrize(
    "given",
    ["ids", "list", "imgid_file", "frame", "file", "table without geometry", "frame and ids", "frame without places"],
)
def test_a_region_narrows_every_source(server, images, some, tmp_path, given):
    path = tmp_path / "ids.txt"
    path.write_text("".join(f"{number}\n" for number in some["id"]))
    frame_file = tmp_path / "some.parquet"
    mlygeo.write_frame(some, frame_file)
    forms = {
        "ids": ([some["id"].tolist()], {}),
        "list": ([path], {}),
        "imgid_file": ([], {"imgid_file": path}),
        "frame": ([some], {}),
        "file": ([frame_file], {}),
        "table without geometry": ([some.drop(columns="geometry")], {}),
        "frame and ids": ([[some.iloc[:40], *some["id"].tolist()[40:]]], {}),
        "frame without places": ([some.set_geometry(some.geometry.where(some.index % 2 == 0))], {}),
    }
    positional, named = forms[given]
    expected = in_half(some)
    assert 0 < len(expected) < len(some)
    frame = mlygeo.download(
        *positional, region=HALF, output=tmp_path / "p", size="256", required_disk_space=0,
        service=service_of(server), **named,
    )  # fmt: skip
    assert sorted(frame["id"]) == sorted(expected["id"])
    summary = frame.attrs["summary"]
    assert summary["left_out"] == {"outside the region": len(some) - len(expected)}
    assert set(summary["left_out_ids"]["outside the region"]) == set(map(str, set(some["id"]) - set(expected["id"])))


def test_a_region_narrows_sequences_and_users(server, images, tmp_path):
    inside = in_half(images)
    sequence = inside["sequence_id"].value_counts().index[0]
    expected = (inside["sequence_id"] == sequence).sum()
    assert wanted(server, region=HALF, sequence=sequence, output=tmp_path) == expected
    creator = inside["creator_id"].iloc[0]
    found = wanted(server, region=HALF, user=f"user_{creator}", output=tmp_path)
    assert found == (inside["creator_id"] == creator).sum()


def test_with_a_tile_cache_the_tiles_tell_what_is_in_the_region(server, images, some, tmp_path):
    ids = [*some["id"].tolist(), 1234567890123456]
    plan = mlygeo.download(
        ids, region=HALF, tile_cache=CACHE, output=tmp_path, dry_run=True, service=service_of(server)
    )
    summary = plan.attrs["summary"]
    assert summary["images"] == len(in_half(some))
    assert summary["left_out"] == {"not in the region's tiles": len(ids) - len(in_half(some))}
    for options in ({}, {"user": "somebody", "region": HALF}):
        with pytest.raises(InputError, match="`tile_cache` has no effect"):
            mlygeo.download(
                None if options else ids, tile_cache=CACHE, output=tmp_path, service=service_of(server), **options
            )


def adds_up(summary):
    done = sum(summary[name] for name in ("there", "found", "fetched", "gone", "failed"))
    return summary["asked"] == done + sum(summary["left_out"].values())


def test_each_image_that_is_asked_for_is_told_of(server, images, tmp_path):
    sequence = images["sequence_id"].value_counts().index[-1]
    inside = images.loc[images["sequence_id"] == sequence, "id"].tolist()[:2]
    other = images.loc[images["sequence_id"] != sequence, "id"].iloc[0]
    gone = 1234567890123456
    small = {"size": "256", "required_disk_space": 0, "service": service_of(server)}
    asked = [inside[0], inside[0], inside[1], other, gone]
    summary = mlygeo.download(asked, output=tmp_path / "a", **small).attrs["summary"]
    assert (summary["asked"], summary["fetched"], summary["gone"]) == (5, 3, 1)
    assert summary["left_out_ids"] == {"listed more than once": [str(inside[0])]}
    assert adds_up(summary)
    summary = mlygeo.download(asked, sequence=sequence, max_images=1, output=tmp_path / "a", **small).attrs["summary"]
    assert summary["there"] == 1
    assert summary["left_out_ids"] == {
        "listed more than once": [str(inside[0])],
        "not in the sequence": [str(other), str(gone)],
        "after the first 1": [str(inside[1])],
    }
    assert adds_up(summary)
    summary = mlygeo.download(asked, region=HALF, output=tmp_path / "b", **small).attrs["summary"]
    assert summary["gone"] == 1
    assert adds_up(summary)
    summary = mlygeo.download(images.iloc[:9], pano=True, output=tmp_path / "c", **small).attrs["summary"]
    assert summary["left_out"].get("by the filters", 0) == (~images.iloc[:9]["is_pano"]).sum()
    assert adds_up(summary)


@pytest.mark.parametrize("word", ["007", "0", "00498763468214164"])
def test_a_word_with_leading_zeros_is_no_id(tmp_path, word):
    path = tmp_path / "ids.txt"
    path.write_text(f"5\n{word}\n")
    with pytest.raises(InputError, match="line 2") as caught:
        id_lists.read_ids(path)
    assert "leading zeros" in caught.value.hint
    with pytest.raises(InputError, match=f"'{word}' is not an image id"):
        mlygeo.download([word], output=tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {"images": [5], "pano": True},
        {"images": [5], "organization": 3},
        {"sequence": "abc", "since": "2024"},
        {"retry_failed": True, "pano": True},
        {"images": "frame and ids", "pano": True},
    ],
)
def test_filters_of_what_is_not_filtered_are_refused(server, images, tmp_path, given):
    if given.get("images") == "frame and ids":
        given = given | {"images": [images, 5]}
    with pytest.raises(InputError, match="lists of ids are not filtered"):
        mlygeo.download(**given, output=tmp_path, service=service_of(server))


def test_a_search_takes_times_to_the_millisecond(server, images, tmp_path):
    creator = images["creator_id"].iloc[0]
    of_creator = images[images["creator_id"] == creator]
    since = of_creator["captured_at"].sort_values().iloc[len(of_creator) // 2]
    expected = (of_creator["captured_at"] >= since).sum()
    assert wanted(server, user=f"user_{creator}", since=since.isoformat(), output=tmp_path) == expected


def test_lists_of_tiles_are_told_of_name_by_name(server, images, tmp_path):
    names = sorted(path.name.removesuffix(".mvt") for path in CACHE.iterdir() if "_14" in path.name)
    here, there = tmp_path / "here.txt", tmp_path / "there.txt"
    here.write_text(f"{names[0]}\nmly1_public_1_1_14\n")
    there.write_text(f"{names[0]}\n{names[1]}.mvt\nmly1_public_1_2_14\n")
    found = mlygeo.tiles(
        CONFIG, tile_cache=CACHE, tile_list_file=[here, there], tiles_only=True, service=service_of(server)
    )
    summary = found.attrs["summary"]
    assert (summary["asked"], summary["tiles"], summary["cached"]) == (4, 2, 2)
    assert summary["left_out"] == {"listed, and no tiles of the region": 2}
    assert summary["not_tiles"] == ["mly1_public_1_1_14", "mly1_public_1_2_14"]
    summary = mlygeo.tiles(CONFIG, tile_cache=CACHE, tile_list_file=here, service=service_of(server)).attrs["summary"]
    assert (summary["tiles"]["asked"], summary["tiles"]["tiles"]) == (2, 1)
    assert summary["tiles"]["not_tiles"] == ["mly1_public_1_1_14"]


def test_lists_of_several_files_are_all_read(server, images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ids = images["id"].tolist()
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("".join(f"{key}\n" for key in ids[number * 2 : number * 2 + 2]))
    command = "download --imgid-file 0.txt --imgid-file 1.txt 2.txt --size 256 --required-disk-space 0 -o p --json"
    status, out, err = run(monkeypatch, capsys, server, command)
    assert status == 0, err
    assert json.loads(out)["fetched"] == 6
    first, second = images["sequence_id"].unique()[:2]
    (tmp_path / "s1.txt").write_text(f"{first}\n")
    (tmp_path / "s2.txt").write_text(f"{second}\n")
    files = [tmp_path / "s1.txt", tmp_path / "s2.txt"]
    expected = images["sequence_id"].isin([first, second]).sum()
    assert wanted(server, sequence_file=files, output=tmp_path / "q") == expected


@pytest.mark.parametrize("name", ["pictures.xlsx", "a.txt", "b.zip", "c.jpg", "d.Parquet", "e.feather", "f.7z"])
def test_a_name_of_a_file_is_no_folder_to_be_made(server, images, tmp_path, name, monkeypatch, capsys):
    folder = tmp_path / name
    with pytest.raises(FormatError, match="is the name of a file, and `output` names a folder here"):
        mlygeo.download(images.iloc[:1], output=folder, service=service_of(server))
    status, _, err = run(monkeypatch, capsys, server, f"download {images['id'].iloc[0]} -o {folder}")
    assert (status, "names a folder here" in err) == (2, True)
    assert not folder.exists()
    folder.mkdir()
    assert wanted(server, images.iloc[:1], output=folder) == 1


@pytest.mark.parametrize("name", ["run.2", "2024.06", "model.v12", "a.b.c", "st.gallen", ".hidden", "plain"])
def test_names_of_folders_may_have_points(server, images, tmp_path, name):
    assert wanted(server, images.iloc[:1], output=tmp_path / name) == 1
