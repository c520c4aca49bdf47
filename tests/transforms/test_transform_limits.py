# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Sizes, windows, angles and paddings at their limits, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from monai_ich.transforms import FitSquared, HUWindowd, RandRightAngleFlipd, RandSmallRotationd, is_sheared
from monai_ich.transforms.intensity import window_bounds_hu
from monai_ich.transforms.resizing import check_image_size
from monai_ich.utils.errors import ConfigurationError


@pytest.mark.parametrize("size", [32, 64, 224])
def test_a_multiple_of_32_is_a_size(size: int) -> None:
    assert check_image_size(size) == size


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "got 0"),
        (-32, "got -32"),
        (True, "got True"),
        (32.0, r"got 32\.0"),
        (1, "got 1; 32 and 64 are near"),
        (31, "got 31; 32 and 64 are near"),
        (33, "got 33; 32 and 64 are near"),
        (225, "got 225; 224 and 256 are near"),
    ],
)
def test_another_size_is_refused_with_those_near(size: int, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^image_size: expected a multiple of 32, such as 224, {said}$"):
        check_image_size(size)


@pytest.mark.parametrize(
    ("window", "bounds"), [((40, 80), (0, 80)), ([-600, 1500], (-1350, 150)), (np.array([35.5, 1]), (35, 36))]
)
def test_a_window_reaches_half_its_width_to_either_side(window: object, bounds: tuple[float, float]) -> None:
    assert window_bounds_hu(window) == bounds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "window", [[40, 0], [40, -1], [math.nan, 80], [40, math.inf], [40], [1, 2, 3], "48", [True, 8]]
)
def test_what_is_no_window_is_refused(window: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^window: expected .*, got "):
        window_bounds_hu(window)  # type: ignore[arg-type]


def test_the_window_maps_its_bounds_to_0_and_1_and_clips_beyond() -> None:
    hu = np.array([-1024.0, -0.5, 0.0, 20.0, 80.0, 80.5, 3000.0], dtype=np.float32)
    done = HUWindowd(["image"])({"image": hu, "other": 1})
    np.testing.assert_allclose(done["image"], [0, 0, 0, 0.25, 1, 1, 1], atol=1e-7)
    assert done["other"] == 1
    assert hu[0] == -1024, "what was given stays as it was"
    with pytest.raises(KeyError):
        HUWindowd(["image"])({})
    assert HUWindowd(["image"], allow_missing_keys=True)({}) == {}


@pytest.mark.parametrize(("cosine", "sheared"), [(4.5e-5, False), (5.5e-5, True), (-4.5e-5, False), (-5.5e-5, True)])
@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_axes_are_at_right_angles_to_half_of_what_itk_forgives(
    cosine: float, sheared: bool, axes: tuple[int, int]
) -> None:
    directions = np.eye(3)
    directions[axes[0], axes[1]] = cosine
    affine = np.eye(4)
    affine[:3, :3] = directions @ np.diag([0.4, 0.5, 5.0])
    assert is_sheared(affine) is sheared


@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (48, 64)])
def test_a_slice_that_is_not_square_is_padded_evenly(rows: int, columns: int) -> None:
    item = {"image": torch.ones(1, rows, columns), "mask": torch.ones(1, rows, columns, dtype=torch.uint8)}
    done = FitSquared(size=32)(item)
    expected = torch.zeros(1, 32, 32)
    expected[(slice(None), slice(None), slice(4, 28)) if rows > columns else (slice(None), slice(4, 28))] = 1
    assert torch.equal(torch.as_tensor(done["image"]), expected)
    assert torch.equal(torch.as_tensor(done["mask"]), expected.to(torch.uint8))
    assert done["mask"].dtype == torch.uint8


@pytest.mark.parametrize("transform", [RandRightAngleFlipd, RandSmallRotationd])
def test_augmentation_happens_as_often_as_said_and_missing_keys_are_refused_unless_allowed(transform: type) -> None:
    pair = {key: torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)) for key in ("image", "mask")}
    for prob in (0.0, 1.0):
        group = transform(("image", "mask"), prob=prob)
        group.set_random_state(0)
        changed = [not torch.equal(group(pair)["image"], pair["image"]) for _ in range(12)]
        assert sum(changed) == 12 * prob  # no pair of a turn and a flip gives the image back
    with pytest.raises(KeyError):
        transform(("image", "mask"), prob=1.0)({})
    assert transform(("image", "mask"), prob=1.0, allow_missing_keys=True)({}) == {}


def test_angles_keep_within_the_largest_given() -> None:
    turn = RandSmallRotationd(max_angle_deg=3.0)
    turn.set_random_state(1)
    angles = []
    for _ in range(300):
        turn.randomize()
        angles.append(turn.angle_deg)
    assert 2.9 < max(angles) <= 3
    assert -3 <= min(angles) < -2.9
    assert RandSmallRotationd().max_angle_deg == 20.0, "the paper's"
    assert (RandSmallRotationd().prob, RandRightAngleFlipd(("image",)).prob) == (0.5, 0.5)
