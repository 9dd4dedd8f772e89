"""Results described for those who find, cite and reuse them: RO-Crate, Croissant, and lists of pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import FileError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.attribution import Rights
    from mlygeo.formats.publications import Column, Party, Publication, PublishedFile, Source

    PathLike = str | os.PathLike[str]

MANIFEST = ("manifest.csv", "manifest.parquet")
"""Names of the lists of pictures."""

ABOUT = {
    "selection.parquet": "The selected images: a row for each point and image, GeoParquet.",
    "street_points.parquet": "The points that images were selected for, GeoParquet.",
    "image_ids.txt": "The ids of the selected images, one a line.",
    "selection.lock.json": "What the selection was made of, by hash, and what came out.",
    "summary.json": "Counts, options, versions and attributions of the run.",
}
"""The files of a selection, and what is in them."""

PART, INDEX = "A part of the selected images, GeoParquet.", "The index of the parts of the selected images."

ODBL = "https://opendatacommons.org/licenses/odbl/1-0/"


@public
def publish(
    folder: PathLike,
    *,
    format: Literal["ro-crate", "croissant", "manifest"] = "ro-crate",  # noqa: A002 - an option of verbs
    title: str | None = None,
    about: str | None = None,
    creator: str | Iterable[str] | None = None,
    publisher: str | None = None,
    address: str | None = None,
    dry_run: bool = False,
) -> Job[pd.DataFrame]:
    """
    Describe results so that others can find, cite and reuse them.

    For the folder of a selection, writes ro-crate-metadata.json (RO-Crate 1.1 with the run as a Process Run Crate) or
    croissant.json (Croissant 1.0 with the terms of GeoCroissant). For a folder of pictures or views, writes
    manifest.csv and manifest.parquet, with one row per picture: its hash, owner and licence. Each file is described
    with its size, hash and licences. Existing files are never replaced. Nothing is sent anywhere.

    Parameters
    ----------
    folder
        Folder of a selection with its lock. For the format "manifest": a folder filled by `mlygeo download` or
        `mlygeo views`.
    format
        "ro-crate" and "croissant" describe the folder of a selection, as JSON-LD. "manifest" lists pictures, as CSV
        and Parquet.
    title
        Name of the publication. Default: the number of images and the region.
    about
        One-sentence description. Default: made from the counts in the summary.
    creator
        Author, such as "Jane Doe" or "Jane Doe <https://orcid.org/0000-0002-1825-0097>". Can be given several
        times.
    publisher
        Organization that publishes it and that the creators belong to: a name, or "NAME <ADDRESS>".
    address
        Where it is published, such as a DOI.
    dry_run
        Write nothing; report what would be described.

    Returns
    -------
    files
        A row for each file that is described: path, bytes, sha256, licence and licence_url (str; several with "; "
        between them); with `manifest` also id, provider, view (where it looks; null for a picture that is not a view),
        sequence_id and creator.

    Raises
    ------
    FileError
        If the folder has no selection or ledger, a file of it was changed, or the description is there already.
    InputError
        If an option has no effect.

    Examples
    --------
    >>> publish("out", creator="Jane Doe", dry_run=True)["path"].tolist()
    """
    place = Path(folder).expanduser()
    place = place.parent if place.is_file() else place  # the lock in it
    if format == "manifest":
        of_no_use(("title", "about", "creator", "publisher", "address"), "with `format=manifest`")
        return _manifest(place, dry_run=dry_run)
    from mlygeo import store
    from mlygeo.formats import publications

    names = (creator,) if isinstance(creator, str) else tuple(creator or ())
    creators = tuple(dict.fromkeys(_party(each, "creator") for each in names))
    by = None if publisher is None else _party(publisher, "publisher")
    address = None if address is None else _address(address)
    data = _publication(place, title=title, about=about, creators=creators, publisher=by, address=address)
    is_crate = format == "ro-crate"
    file = place / (publications.CRATE_FILE if is_crate else publications.CROISSANT_FILE)
    _must_be_new(file)
    described = publications.ro_crate(data) if is_crate else publications.croissant(data)
    text = json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    files = [] if dry_run else [store.write_text(text, file)]
    missing = [name for name, value in (("creator", creators), ("publisher", by), ("address", address)) if not value]
    headline = f"{counted(len(data.files), 'file')} described, {counted(len(data.licences), 'licence')}"
    headline += f"; archives also ask for {', '.join(f'`{name}`' for name in missing)}" if missing else ""
    headline += "; nothing was written" if dry_run else f"\n{files[0]}"
    summary = {
        "format": format,
        "files": [str(each) for each in files],
        "described": len(data.files),
        "bytes": sum(each.bytes for each in data.files),
        "licences": [name for name, _ in data.licences],
        "missing": missing,
        "attribution": list(data.credit),
        "version": version(),
    }
    return Job(lambda: _frame(data), summary, headline)


def _party(text: str, option: str) -> Party:
    """Return who a text names."""
    from mlygeo.formats.publications import Party

    found = Party.of(text)
    if found.name[:1] == "<" or found.name[-1:] == ">":
        raise InputError(
            f"`{option}` {text[:60]!r} has no name, or an address that does not begin with https://",
            hint='write it as "NAME" or "NAME <https://ADDRESS>"',
        )
    return found


def _address(text: str) -> str:
    """Return the address of a text, which may be a DOI alone."""
    from urllib.parse import urlsplit

    doi = re.fullmatch(r"(?:doi:\s*)?(10\.\d{4,9}/\S+)", text.strip(), re.IGNORECASE)
    if doi is not None:
        return f"https://doi.org/{doi[1]}"
    if re.fullmatch(r"https?://[^\s/]\S*", text.strip()) is None or "@" in urlsplit(text).netloc:
        raise InputError(
            "`address` is not an address of the web, or has a password in it",
            hint="such as https://doi.org/10.5281/zenodo.1234567",
        )
    return text.strip()


def _must_be_new(path: Path) -> None:
    if path.exists():
        raise FileError(f"{path} is there already, and is not replaced", hint="move it, or remove it")


def _frame(data: Publication) -> pd.DataFrame:
    import pandas as pd

    names, urls = ("; ".join(each) for each in zip(*data.licences, strict=True)) if data.licences else ("", "")
    rows = [(each.name, each.bytes, each.sha256, names, urls) for each in data.files]
    texts = dict.fromkeys(("path", "sha256", "licence", "licence_url"), "str")
    return pd.DataFrame(rows, columns=["path", "bytes", "sha256", "licence", "licence_url"]).astype(texts)


def _publication(
    folder: Path,
    *,
    title: str | None,
    about: str | None,
    creators: tuple[Party, ...],
    publisher: Party | None,
    address: str | None,
) -> Publication:
    """Return what is published of the folder of a selection."""
    from mlygeo import frames, store
    from mlygeo.formats.publications import Publication
    from mlygeo.pipelines import selection_lock
    from mlygeo.pipelines.own_files import SELECTION, SUMMARY

    lock, content = selection_lock.read(folder)
    if selection_lock.edited(content):
        raise FileError(f"{lock} was edited since it was written", hint="restore it, or make the selection again")
    files = tuple(_files(lock.parent, content))
    summary = json.loads((lock.parent / SUMMARY).read_bytes())  # that of the run, but for its date and Python
    date, python = summary.get("date"), summary["software"].get("Python")
    if not (isinstance(date, str) and isinstance(python, str)):
        raise FileError(f"{lock.parent / SUMMARY} has lost its date or Python", hint="make the selection again")
    parts = lock.parent / SELECTION
    images = store.read_frame(parts if SELECTION in content["outputs"] else lock.parent / "selection.parquet")
    where = "" if content["region"] is None else f" in {content['region']['name']}"
    facts = content["facts"]
    number = counted(facts["images"], "street-level image")
    said = f"{number} for {counted(facts['points'], 'point')}{where}, of which {facts['points_covered']:,} have one."
    options = ", ".join(f"{name}={value!r}" for name, value in content["options"].items() if value is not None)
    placed = len(images) and images.geometry.notna().any()
    west, south, east, north = map(float, images.total_bounds)
    times = images["captured_at"].dropna() if "captured_at" in images else None
    return Publication(
        title=title or f"{number}{where}",
        about=about or said,
        date=date,
        creators=creators,
        publisher=publisher,
        address=address,
        licences=tuple(_licences(images, content["attribution"])),
        credit=tuple(content["attribution"]),
        bounds=(west, south, east, north) if placed else None,
        period=None if times is None or not len(times) else (times.min().isoformat(), times.max().isoformat()),
        files=files,
        sources=tuple(_sources(content)),
        command=f"mlygeo.{content['command']}({options})",
        software={**content["software"], "Python": python},
        crs=frames.CRS,
        sampling=_sampling(content, summary),
        bias=_bias(content, facts),
    )


def _sampling(content: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return how the images were chosen, in a sentence."""
    options = content["options"]
    of_rule, limit = options.get("prefer") or content["inputs"].get("prefer"), options.get("max_distance")
    kind = (
        "best images by a rule" if of_rule else "nearest image" if options.get("k") in {None, 1} else "nearest images"
    )
    number = "" if options.get("k") in {None, 1} else f"{options['k']} "
    reach = _metres(" within", limit)
    if "towards" in content["inputs"]:
        what = "of things that they look at"
    elif "points" in content["inputs"]:
        what = "of given points"
    else:
        what = f"of points on streets{_metres(', one every', options.get('interval'))} (method {options.get('method')})"
    filters = ", ".join(f"{name} {value}" for name, value in summary.get("filters", {}).items())
    return f"The {number}{kind}{reach} {what}{f'; of images with {filters}' if filters else ''}."


def _metres(text: str, value: Any) -> str:
    """Return a text with a number of metres behind it; nothing where the lock has none."""
    return f"{text} {value:g} m" if isinstance(value, int | float) else ""


def _bias(content: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Return where there are no images, in a sentence."""
    lost = facts["points"] - facts["points_covered"]
    near = _metres(" within", content["options"].get("max_distance"))
    return (
        f"{lost:,} of {counted(facts['points'], 'point')} have no image{near}; there are images only where "
        "contributors have taken and published them."
    )


def _licences(images: gpd.GeoDataFrame, credit: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the address of each licence of the images, and of OpenStreetMap's streets."""
    names = [name for name in ("provider", "licence", "licence_url") if name in images.columns]
    kinds = images[["id", *names]].drop_duplicates(names) if names else images[["id"]].iloc[:1]
    found = {}
    for rights in _rights(kinds):
        if rights.licence is not None and rights.licence_url is not None:
            found[rights.licence] = rights.licence_url
    if any("ODbL" in line for line in credit):
        found["ODbL-1.0"] = ODBL
    yield from sorted(found.items())


def _rights(images: pd.DataFrame) -> list[Rights]:
    """Return whose each image is, and what may be done with it."""
    from mlygeo import attribution

    rows: list[Any] = images.astype(object).where(images.notna(), None).to_dict("records")
    return [attribution.of_row(row) for row in rows]


def _files(folder: Path, content: Mapping[str, Any]) -> Iterator[PublishedFile]:
    """Yield the files of a selection; raise where one is not as it was written."""
    from mlygeo.formats.publications import PublishedFile
    from mlygeo.pipelines import lock_checks, selection_lock
    from mlygeo.pipelines.own_files import SELECTION
    from mlygeo.store.datasets import files

    found = [each for name, facts in content["outputs"].items() for each in lock_checks.output(name, facts, folder)]
    if found:
        raise FileError(
            f"{folder} is not as it was written: {found[0].name} is {found[0].change}",
            hint="'mlygeo verify' tells more; make the selection again",
        )
    parts = sorted((folder / SELECTION).glob("cell=*/*.parquet")) if SELECTION in content["outputs"] else []
    index = [folder / f"{SELECTION}.partitions.parquet"] if parts else []
    compared = {name: facts for name, facts in content["outputs"].items() if "sha256" in facts}
    if parts and (indexed := files.listed(folder / SELECTION).index) is not None:
        compared |= {f"{SELECTION}/{part.path}": vars(part) for part in indexed.parts}
    for path in [*(folder / name for name in ABOUT if (folder / name).is_file()), *index, *parts]:
        name = path.relative_to(folder).as_posix()
        about = ABOUT.get(name, INDEX if path in index else PART)
        facts = compared.get(name) or selection_lock.file_facts(path)
        columns = tuple(_columns(path)) if name in {"selection.parquet", "street_points.parquet"} else ()
        yield PublishedFile(name, about, facts["bytes"], facts["sha256"], columns)


def _columns(path: Path) -> Iterator[Column]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mlygeo.formats.publications import Column

    for field in pq.read_schema(path):
        kinds = {
            "integer": pa.types.is_integer, "float": pa.types.is_floating, "boolean": pa.types.is_boolean,
            "time": pa.types.is_timestamp, "text": pa.types.is_string, "geometry": pa.types.is_binary,
        }  # fmt: skip
        kind = next((kind for kind, fits in kinds.items() if fits(field.type)), None)
        if kind is not None:  # the box of a row has a column of four numbers, which says nothing new
            yield Column(field.name, kind)


def _sources(content: Mapping[str, Any]) -> Iterator[Source]:
    """Yield what a selection was made of."""
    from mlygeo.formats.publications import Source

    for name, facts in content["inputs"].items():
        for each in facts.get("files", [facts]):
            called = each.get("path") or each.get("address") or each.get("service") or "a frame in memory"
            digest = next((value for key, value in each.items() if key.startswith("sha256")), None)
            yield Source(f"{name}: {called.rpartition('/')[2]}", digest)
    for who, facts in content["tiles"].items():
        for name, each in facts["files"].items():
            yield Source(f"tile of {who}: {name}", each["sha256"])


def _pictures(folder: Path) -> pd.DataFrame:
    """
    Return the pictures that runs have put into a folder: those of its downloads, and the views cut out of pictures.

    Columns are those that tell whose a picture is, path, checksum, sequence_id and view, which is null for a download.
    """
    import pandas as pd

    from mlygeo import store
    from mlygeo.downloads.ledger import LEDGER_FILE, WITH_FILE, transfers
    from mlygeo.perspective.ledger import checksums
    from mlygeo.pipelines.own_files import VIEWS
    from mlygeo.places import STATE_FOLDER

    found, views = [], folder / VIEWS
    if (folder / STATE_FOLDER / LEDGER_FILE).is_file() or not views.is_file():
        rows = transfers(folder)
        found.append(rows[rows["path"].notna() & rows["status"].isin(WITH_FILE)].assign(view=None))
    if views.is_file():
        frame = store.read_frame(views, frame="views")
        cut = pd.DataFrame(frame.drop(columns=frame.active_geometry_name))
        cut = cut[cut["error"].isna()] if "error" in cut else cut
        found.append(cut.assign(checksum=cut["path"].map(checksums(folder))))
    both = pd.concat([each.astype({"id": object}) for each in found], ignore_index=True)
    for name in ("sequence_id", "checksum"):
        if name not in both:
            both[name] = None
    if "provider" in both and len(found) == 2:  # of ids without a provider, a whole number is Mapillary's
        both["provider"] = both["provider"].astype(object).where(both["provider"].notna(), None)
    return both


def _manifest(folder: Path, *, dry_run: bool) -> Job[pd.DataFrame]:
    """Return the job of the list of the pictures in a folder."""
    import pandas as pd

    from mlygeo import store
    from mlygeo.pipelines import selection_lock
    from mlygeo.store.atomic import together

    for name in MANIFEST:
        _must_be_new(folder / name)
    rows = _pictures(folder)
    there = [(folder / path).is_file() for path in rows["path"]]
    lost, rows = len(rows) - sum(there), rows[there].sort_values("path", ignore_index=True)
    facts = [selection_lock.file_facts(folder / path) for path in rows["path"]]
    rights = _rights(rows)
    table = pd.DataFrame(
        {
            "path": rows["path"],
            "bytes": [each["bytes"] for each in facts],
            "sha256": [each["sha256"] for each in facts],
            "id": rows["id"].astype("str"),
            "provider": [each.provider for each in rights],
            "view": rows["view"],
            "sequence_id": rows["sequence_id"],
            "creator": [each.creator for each in rights],
            "licence": [each.licence for each in rights],
            "licence_url": [each.licence_url for each in rights],
            "attribution": [each.line for each in rights],
        }
    )
    table = table.astype({name: "int64" if name == "bytes" else "str" for name in table.columns})
    changed = int((rows["checksum"].notna() & (rows["checksum"] != table["sha256"])).sum())
    files = []
    if not dry_run:
        with together(folder, last=MANIFEST[1]):
            with store.atomic(folder / MANIFEST[0]) as temporary:
                table.to_csv(temporary, index=False, lineterminator="\n")
            with store.atomic(folder / MANIFEST[1]) as temporary:
                table.to_parquet(temporary, index=False)
        files = [folder / name for name in MANIFEST]
    licences = table["licence"].fillna("unknown").value_counts()
    unknown = int(table["licence"].isna().sum())
    headline = f"{counted(len(table), 'picture')}"
    headline += f"; {unknown:,} of unknown licence" if unknown else ""
    headline += f"; {changed:,} changed since they were written" if changed else ""
    headline += f"; {lost:,} in the ledger and not in the folder" if lost else ""
    headline += "; nothing was written" if dry_run else "\n" + "  ".join(map(str, files))
    summary = {
        "format": "manifest",
        "files": [str(each) for each in files],
        "pictures": len(table),
        "views": int(table["view"].notna().sum()),
        "bytes": int(table["bytes"].sum()),
        "licences": {str(name): int(count) for name, count in licences.items()},
        "changed": changed,
        "left_out": {"in the ledger and not in the folder": lost} if lost else {},
        "version": version(),
    }
    return Job(lambda: table, summary, headline)
