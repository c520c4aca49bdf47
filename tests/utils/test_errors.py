# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Errors carry fields, through processes too, and nothing takes their messages apart."""

from __future__ import annotations

import ast
import inspect
import pickle
from pathlib import Path

import pytest
from support import ROOT

from monai_ich.utils import errors
from monai_ich.utils.errors import FaultList, ImageReadError, MonaiIchError
from monai_ich.utils.worker_pool import map_in_processes

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MonaiIchError)]
READERS = {"split", "rsplit", "splitlines", "partition", "rpartition", "replace", "removeprefix", "removesuffix"} | {
    "startswith",
    "endswith",
    "find",
    "index",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_list_of_faults_keeps_them_all(kind: type[MonaiIchError]) -> None:
    faults = FaultList("3 rows cannot be used:", most=2)
    for number in (1, 2, 3):
        faults.add(f"row {number}")
    with pytest.raises(kind) as caught:
        faults.raise_if_any(kind)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert type(error) is kind
        assert (error.headline, error.faults) == ("3 rows cannot be used:", ("row 1", "row 2", "row 3"))
        assert str(error) == "3 rows cannot be used:\n  - row 1\n  - row 2\n  ... and 1 more"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not ImageReadError], ids=lambda kind: kind.__name__)
def test_one_message(kind: type[MonaiIchError]) -> None:
    error = pickle.loads(pickle.dumps(kind("expected a, got b")))
    assert (str(error), error.headline, error.faults) == ("expected a, got b", "expected a, got b", ())


def test_a_file_that_cannot_be_read_is_a_field() -> None:
    error = pickle.loads(pickle.dumps(ImageReadError(Path("a/b.dcm"), "is cut short", "Copy it again.")))
    assert (error.path, error.fault, error.remedy) == (Path("a/b.dcm"), "is cut short", "Copy it again.")
    assert str(error) == "a/b.dcm: is cut short. Copy it again."
    assert str(ImageReadError("b.dcm", "is cut short")) == "b.dcm: is cut short."
    assert ImageReadError(None, "nothing was given").path is None


def _fail(_: int) -> None:
    raise ImageReadError(Path("b.dcm"), "is cut short", "Copy it again.")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_fields_come_back_from_a_worker(workers: int) -> None:
    with pytest.raises(ImageReadError) as caught:
        list(map_in_processes(_fail, [0, 1], workers))
    assert (caught.value.path, caught.value.fault, caught.value.remedy) == (
        Path("b.dcm"),
        "is cut short",
        "Copy it again.",
    )


def test_nothing_takes_a_message_apart() -> None:
    """`str(error).split(...)`, `... in str(error)`, `error.args[0]` and the like, outside of utils."""
    found = []
    for file in sorted((ROOT / "monai_ich").rglob("*.py")):
        if file.parent.name != "utils":
            found += [f"{file.relative_to(ROOT)}:{line}" for line in _parsed_messages(file.read_text())]
    assert found == []


def test_the_search_finds_what_is_planted() -> None:
    spoilt = """
try:
    pass
except (OSError, ValueError) as error:
    str(error).split(": ")
    f"{error}".partition(". ")
    "gap" in str(error)
    re.match("x", str(error))
    str(error)[3:]
    error.args[0]
    other(str(error), f"{error}", error.remedy.split())
"""
    assert _parsed_messages(spoilt) == [5, 6, 7, 8, 9, 10]


def _parsed_messages(source: str) -> list[int]:
    """The lines that read something out of the text of a caught error."""
    tree = ast.parse(source)
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}

    def is_text(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "str":
            return any(isinstance(argument, ast.Name) and argument.id in caught for argument in node.args)
        if isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            return any(isinstance(part, ast.Name) and part.id in caught for part in parts)
        return isinstance(node, ast.Attribute) and node.attr == "args" and getattr(node.value, "id", "") in caught

    lines = set()
    for node in ast.walk(tree):
        reads: list[ast.AST] = []
        if (isinstance(node, ast.Attribute) and node.attr in READERS) or isinstance(node, ast.Subscript):
            reads = [node.value]
        elif isinstance(node, ast.Compare):
            reads = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and getattr(getattr(node.func, "value", None), "id", "") == "re":
            reads = list(node.args)
        lines |= {node.lineno for read in reads if is_text(read)}
    return sorted(lines)
