# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How large one volume may be: what says more is refused before memory is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from monai_ich.utils.errors import ConfigurationError, ImageReadError

MOST_VOXELS_VARIABLE = "MONAI_ICH_MOST_VOXELS"
# 512 x 512 x 2048: four times the finest head CT. A kilobyte of zipped zeros may say, and hold, a million voxels.
_MOST_VOXELS = 1 << 29


def most_voxels() -> int:
    """The largest number of voxels of one file: 2^29, or what the environment variable MONAI_ICH_MOST_VOXELS says.

    Raises:
        ConfigurationError: the variable holds no whole number above 0.
    """
    given = os.environ.get(MOST_VOXELS_VARIABLE, "").strip()
    if not given:
        return _MOST_VOXELS
    if not (given.isascii() and given.isdigit() and len(given) <= 18 and int(given) > 0):
        raise ConfigurationError(
            f"the environment variable {MOST_VOXELS_VARIABLE} is {given[:40]!r}; expected a whole number above 0, "
            f"such as {_MOST_VOXELS}"
        )
    return int(given)


def refuse_too_many_voxels(shape: Sequence[int], path: Path) -> None:
    """Raises ImageReadError when a header gives more voxels than one CT volume may have."""
    count, most = math.prod(max(int(size), 0) for size in shape), most_voxels()
    if count > most:
        raise ImageReadError(
            path,
            f"cannot be decoded: its header gives {tuple(map(int, shape))}, {count} voxels, and one volume "
            f"may have {most}",
            "Copy it again from its source; where it is right and memory is enough, set the environment variable "
            f"{MOST_VOXELS_VARIABLE}.",
        )
