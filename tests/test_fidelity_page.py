# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""docs/fidelity.md: every row has a status and names what holds it, and everything that it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from support import ROOT

PAGE = ROOT / "docs/fidelity.md"
HEADING = ["setting", "paper", "here", "status", "held by"]
STATUSES = {"stated", "inferred", "assumed", "ours differs"}
# A file of the repository in backticks, and a function of it after ::
NAMED = re.compile(r"`([\w./-]+\.(?:py|json|txt|md))(?:::(\w+))?`")


def _rows() -> Iterator[list[str]]:
    """The cells of every row of the tables with five columns."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        if line.startswith("|") and len(cells) != 2 and cells != HEADING and set("".join(cells)) - set("-"):
            yield cells


def _fault(path: str, function: str) -> str:
    file = ROOT / path
    if not file.is_file():
        return f"there is no {path}"
    if function and function not in {
        node.name for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    }:
        return f"{path} has no function {function}"
    return ""


def test_every_row_has_a_status_and_names_what_holds_it() -> None:
    rows = list(_rows())
    assert len(rows) > 70
    assert [row for row in rows if len(row) != len(HEADING)] == []
    assert [row for row in rows if not all(row) or row[3] not in STATUSES] == []
    assert [row for row in rows if not NAMED.fullmatch(row[4])] == []
    assert {row[3] for row in rows} == STATUSES


def test_everything_that_the_page_names_exists() -> None:
    named = set(NAMED.findall(PAGE.read_text(encoding="utf-8")))
    assert len({path for path, function in named if function}) > 20
    assert sorted(filter(None, (_fault(*name) for name in named))) == []
