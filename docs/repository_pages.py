"""The pages that are made from other files of the repository: notebooks, examples, the changelog."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nbconvert import MarkdownExporter
from nbconvert.preprocessors import Preprocessor

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]


class _Shown(Preprocessor):
    """Keeps of each output what a page shows best: a picture, else a table, else text."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict, _: int) -> tuple[NotebookNode, dict]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                # Tables of pandas have a style of their own; the site's scroll on a phone.
                table = re.sub(r"<style scoped>.*?</style>", "", data["text/html"], flags=re.DOTALL)
                table = re.sub(r"<(table|tr)\b[^>]*>", r"<\1>", table)
                data["text/html"] = re.sub("<div>", '<div class="stored">', table, count=1)
        return cell, resources


def notebooks() -> dict[str, str | bytes]:
    """Return a page for each notebook, with its stored outputs, and its pictures, by their places."""
    made: dict[str, str | bytes] = {}
    exporter = MarkdownExporter(preprocessors=[_Shown])
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        resources = {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
        text, found = exporter.from_filename(str(path), resources=resources)
        made[f"notebooks/{path.stem}.md"] = _introduced(text, path)
        made.update({f"notebooks/{name}": content for name, content in found["outputs"].items()})
    return made


def _introduced(text: str, path: Path) -> str:
    title, rest = text.lstrip().split("\n", 1)
    said = f"Notebook `notebooks/{path.name}`, with its stored results. It runs without a network and a token."
    return f"{title}\n\n<small>{said}</small>\n{rest}"


def examples() -> str:
    """Return the page of the examples: what each folder shows, and the script that runs it."""
    folder = ROOT / "examples"
    parts = [(folder / "README.md").read_text(encoding="utf-8")]
    for script in sorted(folder.glob("*/*.sh")):
        name = script.parent.name
        about = script.parent / "README.md"
        text = about.read_text(encoding="utf-8") if about.exists() else f"# {name}\n"
        text = re.sub(r"^(#+) ", r"#\1 ", text, flags=re.MULTILINE).replace("](../../docs/", "](")
        code = script.read_text(encoding="utf-8")
        parts.append(f"{text}\n`examples/{name}/{script.name}`:\n\n```bash\n{code}```\n")
    return "\n".join(parts)


def changelog() -> str:
    """Return the page of changes, with its links to pages of the site."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
