# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MkDocs hook: brings pages outside docs/ and an API page for each room into the site. So nothing is kept twice."""

from __future__ import annotations

import ast
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PACKAGE = ROOT / "monai_ich"
API = "api/"

# The target of a Markdown link or picture: no address of the web, no anchor of the same page.
_TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
# What a browser would fetch by itself from another server. Links that a reader clicks are fine.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
    r"|@import\s[^;]*//[^;]*;|url\([\"']?(?:https?:)?//[^)]*\)"
)


def on_config(config: MkDocsConfig) -> None:
    """Replaces each folder in the navigation by the pages in it."""
    decisions = [f"decisions/{page.name}" for page in sorted(DOCS.glob("decisions/*.md"), key=_index_first)]
    config.nav = _expanded(config.nav, {"decisions/": decisions, API: [f"{API}README.md", *map(_api_page, _rooms())]})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the pages outside docs/ that README.md leads to, and the API reference."""
    for path in _reached(ROOT / "README.md"):
        if DOCS not in path.parents:
            files.append(File.generated(config, _site_path(path), abs_src_path=str(path)))
    lines = []
    for room in _rooms():
        files.append(File.generated(config, _api_page(room), content=_api_text(room)))
        lines.append(f"- [`monai_ich.{room.name}`]({room.name}.md): {_purpose(room / '__init__.py')}")
    text = "# Python API\n\nThese pages are made from the docstrings. Each page is one room of the package.\n\n"
    files.append(File.generated(config, f"{API}README.md", content=text + "\n".join(lines) + "\n"))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between places in the repository into links between places in the site."""
    source = Path(page.file.abs_src_path or "")
    if not source.is_file():
        return markdown
    here = posixpath.dirname(_site_path(source))
    return _TARGET.sub(
        lambda match: posixpath.relpath(_site_path(Path(os.path.normpath(source.parent / match[1]))), here or "."),
        markdown,
    )


def on_post_build(config: MkDocsConfig) -> None:
    """Refuses a site that makes a browser fetch a script, style, font or picture from another server.

    Raises:
        PluginError: with each such place.
    """
    pages = [path for path in Path(config.site_dir).rglob("*") if path.suffix in (".html", ".css", ".svg")]
    found = [f"{path}: {match[0]}" for path in pages for match in _FETCHED.finditer(path.read_text(encoding="utf-8"))]
    if found:
        raise PluginError("The site must fetch nothing from other servers, but it would fetch:\n" + "\n".join(found))


def _site_path(path: Path) -> str:
    """Where a file of the repository lies in the site: docs/ is its root, other files keep their path."""
    return path.relative_to(DOCS if DOCS in path.parents else ROOT).as_posix()


def _reached(start: Path) -> list[Path]:
    """The files of the repository that links lead to from a page, the page itself first."""
    reached = [start]
    for page in reached:  # grows while it is read
        if page.suffix == ".md":
            links = (Path(os.path.normpath(page.parent / target)) for target in _targets(page))
            reached += dict.fromkeys(link for link in links if link.is_file() and link not in reached)
    return reached


def _targets(page: Path) -> Iterator[str]:
    return (match[1] for match in _TARGET.finditer(page.read_text(encoding="utf-8")))


def _expanded(node: object, folders: dict[str, list[str]]) -> object:
    if isinstance(node, list):
        return [_expanded(item, folders) for item in node]
    if isinstance(node, dict):
        return {title: _expanded(item, folders) for title, item in node.items()}
    return folders.get(node, node) if isinstance(node, str) else node


def _index_first(page: Path) -> tuple[bool, str]:
    return page.name != "README.md", page.name


def _rooms() -> list[Path]:
    return sorted(folder for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file())


def _api_page(room: Path) -> str:
    return f"{API}{room.name}.md"


def _api_text(room: Path) -> str:
    """A page with the room's purpose and one section for each of its modules."""
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in sorted(room.rglob("[!_]*.py"))]
    sections = "\n\n".join(f"::: {module}" for module in modules)
    return f"# monai_ich.{room.name}\n\n{_purpose(room / '__init__.py')}\n\n{sections}\n"


def _purpose(file: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
