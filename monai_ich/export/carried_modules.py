# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Copies into a bundle the modules that its config names, and those that they import, under another package's name."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import monai_ich
from monai_ich.utils.errors import ExportError

OWN = "monai_ich"
# The folder in which MONAI's bundles keep their own code.
CARRIED = "scripts"
_PACKAGE = Path(monai_ich.__file__).parent
# In dotted names and imports; "the monai_ich authors" of the licence line stay who they are.
_OWN_NAME = re.compile(rf"\b{OWN}(?=\.)|(?<=import ){OWN}\b|(?<=from ){OWN}\b")
_DOTTED = re.compile(rf"\b{OWN}(?:\.\w+)+")


@dataclass
class CarriedModules:
    """Modules of this package that belong together, found by following imports.

    A room's `__init__.py` is cut to the names that are imported from it, or it would pull in the whole room.

    Attributes:
        modules: names of the modules that are copied as they are.
        exports: for each package, the names that are imported from it.
        third_party: top-level names of the other packages that are imported, without the standard library.
    """

    modules: set[str] = field(default_factory=set)
    exports: dict[str, set[str]] = field(default_factory=dict)
    third_party: set[str] = field(default_factory=set)

    def add(self, dotted: str) -> None:
        """Adds a module, or the one that defines `package.name`, with all that it imports."""
        module, name = _split(dotted)
        if not _is_package(module):
            self._add_module(module)
            return
        self._add_package(module)
        if name and name not in self.exports[module]:
            self.exports[module].add(name)
            sources = list(_reexports(module, {name}))
            if not sources and not _is_left_whole(module):
                raise ExportError(f"{module}/__init__.py does not import {name!r}, which {dotted} needs.")
            for source in sources:
                self.add(f"{source.module}.{name}")

    def _add_package(self, package: str) -> None:
        parts = package.split(".")
        for depth in range(1, len(parts) + 1):
            self.exports.setdefault(".".join(parts[:depth]), set())

    def _add_module(self, module: str) -> None:
        if module in self.modules:
            return
        self.modules.add(module)
        self._add_package(module.rpartition(".")[0])
        for dotted in _imports(ast.parse(_file(module).read_text(encoding="utf-8"))):
            top = dotted.split(".")[0]
            if top == OWN:
                self.add(dotted)
            elif top not in sys.stdlib_module_names:
                self.third_party.add(top)

    def write(self, bundle: Path) -> None:
        """Writes all files under `<bundle>/scripts`."""
        for module in sorted(self.modules):
            self._write(bundle, _file(module), _file(module).read_text(encoding="utf-8"))
        for package, names in sorted(self.exports.items()):
            self._write(bundle, _file(package), _cut_init(package, names))

    def _write(self, bundle: Path, source: Path, text: str) -> None:
        target = bundle / CARRIED / source.relative_to(_PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed(text), encoding="utf-8")

    def distributions(self) -> dict[str, str]:
        """Returns the installed versions of the packages that the modules import, by the names that pip knows."""
        providers = metadata.packages_distributions()
        names = {providers[top][0] for top in self.third_party if top in providers}
        return {name: metadata.version(name) for name in sorted(names, key=str.lower)}


def renamed(text: str) -> str:
    """Puts the carried package's name in the place of this one's.

    >>> renamed("from monai_ich.utils import errors  # by the monai_ich authors")
    'from scripts.utils import errors  # by the monai_ich authors'
    """
    return _OWN_NAME.sub(CARRIED, text)


def carried_modules(texts: Iterable[str]) -> CarriedModules:
    """Finds all modules behind the dotted names of this package in `texts`, such as those of a config."""
    carried = CarriedModules()
    for text in texts:
        for dotted in _DOTTED.findall(text):
            carried.add(dotted)
    return carried


def _file(module: str) -> Path:
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_package(module: str) -> bool:
    return _file(module).name == "__init__.py"


def _split(dotted: str) -> tuple[str, str]:
    """`package.module.name` as the longest part that is a module, and the first name after it ("" for none)."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if _file(module).is_file():
            return module, parts[length] if length < len(parts) else ""
    raise AssertionError(f"{dotted} does not begin with {OWN}")


def _imports(tree: ast.Module) -> Iterator[str]:
    """Every `module` or `module.name` that is imported, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _reexports(package: str, names: set[str]) -> Iterator[ast.ImportFrom]:
    """The import statements of a package's `__init__.py` that bring in any of `names`, cut to these."""
    for node in ast.parse(_file(package).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            kept = [alias for alias in node.names if alias.name in names]
            if kept:
                yield ast.ImportFrom(module=node.module, names=kept, level=0)


def _is_left_whole(package: str) -> bool:
    tree = ast.parse(_file(package).read_text(encoding="utf-8"))
    return not any(dotted.startswith(f"{OWN}.") for dotted in _imports(tree))


def _cut_init(package: str, names: set[str]) -> str:
    """A package's `__init__.py` with the imports of `names` alone; one that imports nothing of ours is left whole."""
    text = _file(package).read_text(encoding="utf-8")
    if _is_left_whole(package):
        return text
    tree = ast.parse(text)
    statements = [ast.unparse(node) for node in _reexports(package, names)]
    licence = text.splitlines()[0]
    exported = ", ".join(f'"{name}"' for name in sorted(names))
    return "\n".join([licence, f'"""{ast.get_docstring(tree)}"""', "", *statements, "", f"__all__ = [{exported}]", ""])
