# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Files that are seen whole or not at all, whenever the process dies, and the JSON in them."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTIAL = ".partial-"  # begins the name of what is still being written


@contextmanager
def replaced(path: Path, *, sole_writer: bool = False, durable: bool = False) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a folder to, and moves that to `path` when the block ends.

    So `path` holds what was there before, or all of the new content, whenever the process dies. When the block raises,
    what it wrote is removed.

    Args:
        path: what to write; its parent folder is made. A folder cannot replace a folder that holds anything.
        sole_writer: no other process writes the same path. The part that a killed process left is then overwritten;
            otherwise it has a random name and stays.
        durable: a file's bytes are on the disk, not in the system's memory, before it is moved.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    token = "" if sole_writer else f"{secrets.token_hex(6)}-"
    partial = path.with_name(f"{PARTIAL}{token}{path.name}")
    _remove(partial)
    try:
        yield partial
        if durable:
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Writes a file in the way of `replaced`."""
    with replaced(path) as partial:
        partial.write_bytes(data)


def json_text(content: Any, indent: int | None = 2, *, ensure_ascii: bool = True) -> str:
    """`content` as JSON that strict readers take too; a number that is not defined (NaN) is `null`.

    Raises:
        ValueError: a number is infinite.

    >>> json_text({"auc": float("nan"), "n": 3}, indent=None)
    '{"auc": null, "n": 3}'
    """
    return json.dumps(_without_nan(content), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def replace_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Writes `content` as `json_text`, in the way of `replaced`."""
    replace_file(path, (json_text(content, indent) + "\n").encode())


def _without_nan(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_without_nan(value) for value in node]
    return None if isinstance(node, float) and math.isnan(node) else node
