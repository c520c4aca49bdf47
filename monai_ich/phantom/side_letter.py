# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The side letter that some archives burn into the pixels: an R in the upper left corner, the patient's right side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GLYPH = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 0, 1]], dtype=bool)
_CELLS_A_SIDE = 80  # the letter is 5 of these high: 30 pixels of 512
_LETTER_HU = 3071  # the brightest value that 12 stored bits hold


def burn_in_side_letter(pixels: NDArray[np.int16]) -> None:
    """Writes the letter into a slice, (H, W) HU, in place, after everything that the scanner does.

    Strokes are 1/80 of the image wide. So an image that is reduced to 64 pixels still shows them, at about 0.8 of the
    window. The corner of a slice holds air, and never a part of the head.
    """
    cell = max(1, round(len(pixels) / _CELLS_A_SIDE))
    letter = np.repeat(np.repeat(_GLYPH, cell, 0), cell, 1)
    height, width = letter.shape
    pixels[cell : cell + height, cell : cell + width][letter] = _LETTER_HU
