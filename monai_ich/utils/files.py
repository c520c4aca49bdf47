# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Files that are seen whole or not at all, whenever the process dies."""

from __future__ import annotations

import json
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


def replace_json(path: Path, content: Any, indent: int = 2) -> None:
    """Writes `content` as JSON, in the way of `replace_file`."""
    replace_file(path, (json.dumps(content, indent=indent) + "\n").encode())
