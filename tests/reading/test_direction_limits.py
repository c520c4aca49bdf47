# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Direction cosines may be rounded to two digits, and no worse."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monai_ich.reading import read_slices
from monai_ich.utils.errors import ImageReadError


def _orientation(row_square: float = 1.0, column_square: float = 1.0, product: float = 0.0) -> tuple[float, ...]:
    """Two vectors with these squared lengths and this product."""
    row = math.sqrt(row_square)
    along = product / row
    return row, 0.0, 0.0, along, math.sqrt(column_square - along**2), 0.0


@pytest.mark.parametrize("name", ["row_square", "column_square", "product"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_hundredth_off_is_read_and_more_is_refused(
    tmp_path: Path, write_dicom: Callable[..., Path], name: str, sign: int
) -> None:
    right = 0.0 if name == "product" else 1.0
    good, bad = (
        write_dicom(
            tmp_path / f"{off}.dcm",
            np.zeros((8, 8), np.int16),
            orientation=tuple(round(v, 8) for v in _orientation(**{name: right + sign * off})),
        )
        for off in (0.0098, 0.0102)
    )
    assert read_slices(good).pixels.shape == (1, 8, 8)
    with pytest.raises(ImageReadError, match="is not a pair of unit vectors at a right angle"):
        read_slices(bad)
