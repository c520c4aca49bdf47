# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Files that are seen whole or not at all, whenever the process dies, and the JSON in them."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any


def replace_file(path: Path, data: bytes) -> None:
    """Writes `data` to a temporary file beside `path`, then renames it, so that no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        # mkstemp makes files that only their owner can read; a manifest is shared like any other file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def json_text(content: Any, indent: int | None = 2, *, ensure_ascii: bool = True) -> str:
    """`content` as JSON that strict readers take too; a number that is not defined (NaN) is `null`.

    Raises:
        ValueError: a number is infinite.

    >>> json_text({"auc": float("nan"), "n": 3}, indent=None)
    '{"auc": null, "n": 3}'
    """
    return json.dumps(_without_nan(content), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def replace_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Writes `content` as `json_text`, in the way of `replace_file`."""
    replace_file(path, (json_text(content, indent) + "\n").encode())


def _without_nan(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_without_nan(value) for value in node]
    return None if isinstance(node, float) and math.isnan(node) else node
