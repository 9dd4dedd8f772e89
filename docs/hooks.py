"""What the site takes from the code and the repository when it is built; see the other modules here."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pictures
import reference_pages
import repository_pages
from mkdocs.structure.files import File

from mlygeo.cli import sections

if TYPE_CHECKING:
    from collections.abc import Callable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PublicFunctions = reference_pages.PublicFunctions


@functools.cache
def made() -> dict[str, str | bytes]:
    """Return all pages and pictures that are made, by their places."""
    return {
        **reference_pages.verb_pages(),
        **reference_pages.api_pages(),
        **repository_pages.notebooks(),
        "examples.md": repository_pages.examples(),
        "changelog.md": repository_pages.changelog(),
        "opening.jpg": pictures.opening(),
        **pictures.samples(),
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the pages of a folder where the navigation names it as `folder/*`."""
    config.nav = filled(config.nav)
    return config


def filled(nav: Any) -> Any:
    """Return a part of the navigation with the made pages in it."""
    if isinstance(nav, dict):
        return {title: filled(below) for title, below in nav.items()}
    if not isinstance(nav, list):
        return nav
    out: list[Any] = []
    for each in nav:
        if each == "reference/verbs/*":
            out += [
                {title: [f"reference/verbs/{verb.name}.md" for verb in shown]} for title, shown in sections.of_verbs()
            ]
        elif isinstance(each, str) and each.endswith("/*"):
            out += [place for place in made() if place.startswith(each[:-1]) and place.endswith(".md")]
        else:
            out.append(filled(each))
    return out


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made."""
    for place, content in made().items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Fill in what is generated."""
    for name, fill in GENERATED.items():
        mark = f"<!-- generated: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, fill())
    return markdown


GENERATED: dict[str, Callable[[], str]] = {
    "verbs": reference_pages.verbs,
    "api": reference_pages.api,
    "frames": reference_pages.frames,
}
