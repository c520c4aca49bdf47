# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How much two slices must show in common before they are compared, to the pixel."""

from __future__ import annotations

import numpy as np
import pytest

from monai_ich.audit.slice_similarity import similarity

SIDE = 128
TEXTURE = np.random.default_rng(0).integers(60, 200, (SIDE, SIDE), dtype=np.uint8)


def _block(rows: int, columns: int, first_column: int = 10) -> np.ndarray:
    """A picture that shows the texture in a block alone, which is `rows` x `columns` once its rim is left out."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    place = slice(10, 10 + rows + 2), slice(first_column, first_column + columns + 2)
    picture[place] = TEXTURE[place]
    return picture


@pytest.mark.parametrize(("rows", "columns", "alike"), [(20, 41, 1.0), (21, 39, 0.0)])
def test_a_twentieth_of_the_picture_is_enough(rows: int, columns: int, alike: float) -> None:
    """0.05 x 128 x 128 is 819.2 pixels: 820 are compared, 819 are not."""
    assert similarity(_block(rows, columns), _block(rows, columns)) == pytest.approx(alike)


@pytest.mark.parametrize(("apart", "compared"), [(30, True), (31, False)])
def test_half_of_the_smaller_inside_must_be_shared(apart: int, compared: bool) -> None:
    """Of 60 columns, 30 shared ones are half. The second is a pixel aside, so that no other shift shares more."""
    first, second = _block(60, 60), np.roll(_block(60, 60, 10 + apart), 1, axis=1)
    for one, other in ((first, second), (second, first)):
        assert (similarity(one, other) > 0.9) is compared
        assert (similarity(one, other) == 0.0) is not compared


def test_the_half_is_of_the_smaller_one() -> None:
    whole, part = _block(60, 100), _block(60, 20)
    assert similarity(whole, part) > 0.9
    assert similarity(part, whole) > 0.9
