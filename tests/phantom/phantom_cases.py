# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The smallest phantom that the paper's protocol can split, and the bytes that it leaves."""

from __future__ import annotations

import hashlib
from pathlib import Path

from monai_ich.phantom import PhantomSpec

TINY = PhantomSpec(seed=5, studies=(5, 1, 1, 1, 2, 2, 0, 0, 0, 0, 1), slices_per_study=4, matrix=32)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
