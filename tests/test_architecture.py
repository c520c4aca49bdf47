# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Rooms import downwards only, JSON is written in one way, and every room has a name."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import monai_ich

PACKAGE = Path(monai_ich.__file__).parent
FLOORS = {
    "utils": 0,
    "reading": 1,
    "networks": 2,
    "losses": 2,
    "transforms": 2,
    "data": 2,
    "metrics": 2,
    "visualize": 2,
    "engines": 2,
    "handlers": 3,
    "labels": 3,
    "phantom": 3,
    "config": 3,
    "prediction": 3,
    "importers": 4,
    "bundle": 4,
    "table": 5,
    "export": 5,
    "audit": 5,
    "gradcam": 5,
    "spurious": 6,
    "cli": 7,
    "__main__": 8,
}


def _imported_rooms(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    rooms = {name.split(".")[1] for name in names if name.startswith("monai_ich.")}
    return rooms & set(FLOORS)


def _room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_rooms_import_only_floors_below(file: Path) -> None:
    room = _room(file)
    if room == "__init__":
        return
    assert room in FLOORS, f"{room} has no floor: give it one here and in docs/architecture.md"
    wrong = {other for other in _imported_rooms(file) if other != room and FLOORS[other] >= FLOORS[room]}
    assert not wrong, f"{room} (floor {FLOORS[room]}) imports {sorted(wrong)}"


def test_no_two_modules_share_a_name() -> None:
    names = Counter(file.stem for file in PACKAGE.rglob("*.py") if not file.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_public_classes_share_a_name() -> None:
    classes = Counter(
        node.name
        for file in PACKAGE.rglob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in classes.items() if count > 1] == []


def test_no_room_holds_more_than_its_share() -> None:
    """A room of more than 15 % of the lines is two rooms."""
    lines = Counter[str]()
    for file in PACKAGE.rglob("*.py"):
        lines[_room(file)] += len(file.read_text(encoding="utf-8").splitlines())
    room, most = lines.most_common(1)[0]
    assert most <= 0.15 * lines.total(), f"{room} holds {most} of {lines.total()} lines"


RUN_FILES = {"best.pt", "last.pt", "results.json", "provenance.json", "mlflow.json", "models/best.pt", "models/last.pt"}


def test_one_module_names_the_files_of_a_run() -> None:
    literals = {
        file.relative_to(PACKAGE).as_posix(): {
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant)
        }
        for file in PACKAGE.rglob("*.py")
    }
    assert [file for file, texts in literals.items() if texts & RUN_FILES] == ["utils/run_files.py"]


def test_every_room_can_be_named_in_a_config() -> None:
    for name in monai_ich.ROOMS:
        assert getattr(monai_ich, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'kitchen'"):
        _ = monai_ich.kitchen


def _writes_json(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "json"
    called = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
    return called in {"json.dump", "json.dumps"} or called.endswith(".to_json")


def test_json_is_written_in_one_place() -> None:
    """Elsewhere NaN could get into a file, which strict readers of JSON refuse."""
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}
    writers = {file for file, tree in trees.items() if any(map(_writes_json, ast.walk(tree)))}
    assert writers == {PACKAGE / "utils/files.py"}


def _moves_a_file(node: ast.AST) -> bool:
    """`os.replace`, `mkstemp` and their like; `str.replace` has two arguments and `Path.replace` has one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    name = node.func.attr
    if name in {"rename", "replace"}:
        return ast.unparse(node.func.value) == "os" or (len(node.args) == 1 and not node.keywords)
    return name in {"mkstemp", "mktemp", "NamedTemporaryFile", "fsync"}


def test_files_are_written_under_another_name_and_moved_in_one_place() -> None:
    """Elsewhere a kill could leave half a file. An export swaps a bundle's folder and zip in a stage of its own."""
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}
    movers = {file for file, tree in trees.items() if any(map(_moves_a_file, ast.walk(tree)))}
    assert {file for file in movers if _room(file) != "export"} == {PACKAGE / "utils/files.py"}
