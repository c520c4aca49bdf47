# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Where a map is hot, by values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from monai_ich.gradcam.localisation import ceiling_share, energy_share, pointing_hits, uniform_share

MAP = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
MASK = np.array([[0, 1, 1], [1, 0, 0]])


def test_the_share_of_the_heat_inside() -> None:
    maps, masks = np.stack([MAP, 3 * MAP]), np.stack([MASK, 1 - MASK])
    np.testing.assert_allclose(energy_share(maps, masks), [3 / 8, 5 / 8])


def test_the_maximum_is_inside_or_not() -> None:
    np.testing.assert_array_equal(pointing_hits(np.stack([MAP, MAP]), np.stack([MASK, 1 - MASK])), [0.0, 1.0])


def test_a_shared_maximum_counts_by_the_share_inside() -> None:
    tied = np.array([[[4.0, 4.0, 0.0], [0.0, 4.0, 1.0]]])
    np.testing.assert_allclose(pointing_hits(tied, MASK[None]), [1 / 3])


def test_a_map_without_structure_scores_the_mask_s_share() -> None:
    flat, masks = np.ones((1, 2, 3)), MASK[None]
    np.testing.assert_allclose(energy_share(flat, masks), [1 / 2])
    np.testing.assert_allclose(pointing_hits(flat, masks), [1 / 2])
    np.testing.assert_allclose(uniform_share(masks), [1 / 2])


def test_empty_maps_and_masks_are_not_defined() -> None:
    maps, masks = np.stack([0 * MAP, MAP]), np.stack([MASK, 0 * MASK])
    assert np.isnan(energy_share(maps, masks)).all()
    assert np.isnan(pointing_hits(maps, masks)).all()
    assert np.isnan(uniform_share(masks[1:])).all()
    assert np.isnan(ceiling_share(masks[1:], (1, 1))).all()


def test_the_ceiling_of_a_coarse_map() -> None:
    masks = np.zeros((2, 4, 4), dtype=np.uint8)
    masks[0, 0, 0] = 1  # one of the 4 pixels of one of 4 cells
    masks[1, :2, :2] = 1  # one whole cell
    # along one axis, a cell of 1 beside one of 0 comes back as 1, .75, .25, 0: 1 / 2 inside a pixel, 1.75 / 2 in two
    np.testing.assert_allclose(ceiling_share(masks, (2, 2)), [(1 / 2) ** 2, (1.75 / 2) ** 2])
    np.testing.assert_allclose(ceiling_share(masks, (4, 4)), [1.0, 1.0])
    np.testing.assert_allclose(ceiling_share(masks, (1, 1)), uniform_share(masks))


@pytest.mark.parametrize("measure", [energy_share, pointing_hits])
def test_other_shapes_and_negative_heat_are_refused(measure) -> None:
    with pytest.raises(ValueError, match="one shape"):
        measure(MAP[None], MASK)
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="from 0 on"):
            measure(np.full((1, 2, 3), wrong), MASK[None])
