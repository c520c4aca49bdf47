# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Copies into a bundle the rooms that its config names, and those that they import, under another package's name."""

from __future__ import annotations

import ast
import functools
import pkgutil
import re
import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import monai_ich
from monai_ich.utils.errors import ExportError
from monai_ich.utils.provenance import installed_versions

OWN = "monai_ich"
# The folder in which MONAI's bundles keep their own code.
CARRIED = "scripts"
_PACKAGE = Path(monai_ich.__file__).parent
_DOTTED = re.compile(rf"\b{OWN}(?:\.\w+)+")
# In dotted names and imports; "the monai_ich authors" of the licence line stay who they are.
_OWN_NAME = re.compile(rf"\b{OWN}(?=\.)|(?<=import ){OWN}\b|(?<=from ){OWN}\b")


def renamed(text: str) -> str:
    """Puts the carried package's name in the place of this one's.

    >>> renamed("from monai_ich.utils import errors  # by the monai_ich authors")
    'from scripts.utils import errors  # by the monai_ich authors'
    """
    return _OWN_NAME.sub(CARRIED, text)


def with_home_rooms(text: str) -> str:
    """Names every part of this package by the room that defines it; another room may offer the same part.

    >>> with_home_rooms("$monai_ich.bundle.RunDirectory(@run_dir)")
    '$monai_ich.utils.run_files.RunDirectory(@run_dir)'

    Raises:
        ExportError: `text` names a part that does not exist.
    """
    return _DOTTED.sub(lambda match: _home_name(match.group()), text)


def _home_name(dotted: str) -> str:
    try:
        part = pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError) as error:
        raise ExportError(f"the run's config names {dotted}, which this version of {OWN} does not have.") from error
    module, name = getattr(part, "__module__", ""), getattr(part, "__qualname__", "")
    if not (module and name):  # a room, or a constant
        return dotted
    room = ".".join(module.split(".")[:2])
    return f"{room}.{name}" if getattr(sys.modules[room], name, None) is part else f"{module}.{name}"


def rooms_behind(text: str) -> list[str]:
    """Returns the names of the rooms that a config names, and of all rooms that these import."""
    found: set[str] = set()
    waiting = _rooms_in(_DOTTED.findall(text))
    while waiting:
        room = waiting.pop()
        found.add(room)
        waiting |= _rooms_in(_imports(room)) - found
    return sorted(found)


def _rooms_in(dotted_names: Iterable[str]) -> set[str]:
    return {name.split(".")[1] for name in dotted_names if name.startswith(f"{OWN}.")}


@functools.cache
def _imports(room: str) -> frozenset[str]:
    """Every `module` or `module.name` that a room's files import, within functions too."""
    found: set[str] = set()
    for file in (_PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def copy_rooms(rooms: Iterable[str], bundle: Path) -> None:
    """Copies whole rooms to `<bundle>/scripts`, renamed."""
    scripts = bundle / CARRIED
    for room in rooms:
        shutil.copytree(_PACKAGE / room, scripts / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(_PACKAGE / "__init__.py", scripts / "__init__.py")
    for file in scripts.rglob("*.py"):
        file.write_text(renamed(file.read_text(encoding="utf-8")), encoding="utf-8")


def imported_distributions(rooms: Iterable[str]) -> dict[str, str]:
    """Returns the installed versions of the packages that the rooms import, by the names that pip knows."""
    tops = {name.split(".")[0] for room in rooms for name in _imports(room)} - sys.stdlib_module_names
    providers = metadata.packages_distributions()
    names = {top if installed_versions([top]) else providers[top][0] for top in tops - {OWN} if top in providers}
    return installed_versions(sorted(names, key=str.lower))
