# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Augmentation follows the paper's two groups, jointly on image and mask, and can be replayed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from monai.transforms import Compose, Rotate
from support import bundle_part

from monai_ich.transforms import RandRightAngleFlipd, RandSmallRotationd, rotate_and_flip


def _always() -> Compose:
    """The bundle's augmentation with both groups always applied."""
    augmentation = bundle_part("train::augmentation")
    for group in augmentation.transforms:
        group.prob = 1.0
    return augmentation


def _letter(size: int = 64) -> torch.Tensor:
    """An F with smooth strokes, (1,size,size) in [0,1]."""
    image = torch.zeros(1, size, size)
    image[0, 12:52, 20:30] = image[0, 12:22, 20:46] = image[0, 30:38, 20:38] = 1.0
    return image


def _pair(seed: int, transform: object, image: torch.Tensor) -> dict[str, torch.Tensor]:
    transform.set_random_state(seed)  # type: ignore[attr-defined]
    return transform({"image": image.clone(), "mask": (image > 0.5).to(torch.uint8)})  # type: ignore[operator]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("axis", [0, 1])
def test_right_angles_equal_numpy(turns: int, axis: int) -> None:
    image = torch.arange(16.0).reshape(1, 4, 4)
    by_numpy = np.flip(np.rot90(image[0].numpy(), turns), axis)
    np.testing.assert_array_equal(rotate_and_flip(image, turns, axis)[0], by_numpy)


def test_outcomes_of_group_a_are_equally_frequent_and_joint() -> None:
    transform = RandRightAngleFlipd(("image", "mask"), prob=0.5)
    transform.set_random_state(7)
    image = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0))
    plain = image[0].numpy()
    known = {
        "none": plain, "up-down": plain[::-1], "left-right": plain[:, ::-1], "transposed": plain.T,
        "anti-transposed": plain[::-1, ::-1].T,
    }  # fmt: skip
    names = {array.tobytes(): name for name, array in known.items()}
    counts: Counter[str] = Counter()
    draws = 4000
    for _ in range(draws):
        done = transform({"image": image, "mask": (image > 0.5).to(torch.uint8)})
        counts[names[done["image"][0].numpy().tobytes()]] += 1
        assert torch.equal(done["mask"], (done["image"] > 0.5).to(torch.uint8))
    expected = {"none": 1 / 2, **dict.fromkeys(("up-down", "left-right", "transposed", "anti-transposed"), 1 / 8)}
    for name, share in expected.items():
        assert abs(counts[name] - draws * share) < 4.5 * math.sqrt(draws * share * (1 - share)), counts


def _angle_deg(image: torch.Tensor) -> float:
    """Direction of a bar's long axis, degrees, from its grey values' second moments."""
    rows, columns = np.nonzero(image[0].numpy())
    _, vectors = np.linalg.eigh(np.cov(rows, columns, aweights=image[0].numpy()[rows, columns]))
    row, column = vectors[:, -1]
    return float(np.degrees(np.arctan2(row, column)) + 90) % 180 - 90


def test_rotations_are_uniform_within_20_degrees_and_joint() -> None:
    transform = bundle_part("train::augmentation")
    bar = torch.zeros(1, 64, 64)
    bar[0, 30:34, 14:50] = 1.0
    right_angle, rotation = transform.transforms
    angles, both, either = [], 0, Counter({"a": 0, "b": 0})
    for seed in range(400):
        done = _pair(seed, transform, bar)
        turned, rotated = right_angle._do_transform, rotation._do_transform
        either["a"] += turned
        either["b"] += rotated
        both += turned and rotated
        assert set(done["mask"].unique().tolist()) <= {0, 1}
        assert float(done["image"].min()) >= 0
        assert float(done["image"].max()) <= 1 + 1e-6
        if rotated and not turned:
            angles.append(_angle_deg(done["image"]))
            assert abs(angles[-1]) == pytest.approx(abs(rotation.angle_deg), abs=0.5)
    assert max(angles) > 16
    assert min(angles) < -16
    assert max(map(abs, angles)) < 21.5
    assert np.std(angles) == pytest.approx(40 / math.sqrt(12), rel=0.15)  # of a uniform law on (-20, 20)
    assert abs(either["a"] - 200) < 45
    assert abs(either["b"] - 200) < 45
    assert abs(both - 100) < 40  # independent: a quarter


@pytest.mark.parametrize("angle_deg", [-20.0, -3.3, 0.0, 7.0, 20.0])
def test_rotation_equals_that_of_monai(angle_deg: float) -> None:
    pair = {
        "image": torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1)),
        "mask": _letter().to(torch.uint8),
    }
    ours = RandSmallRotationd(prob=1.0)
    ours.randomize = lambda: setattr(ours, "angle_deg", angle_deg) or setattr(ours, "_do_transform", True)
    done = ours(pair)
    for key, mode in (("image", "bilinear"), ("mask", "nearest")):
        monais = Rotate(math.radians(angle_deg), mode=mode, padding_mode="zeros")(pair[key])
        np.testing.assert_allclose(done[key], monais, atol=2e-4 if key == "image" else 0)
    assert done["mask"].dtype == torch.uint8


def test_image_and_mask_turn_together() -> None:
    transform = _always()
    for seed in range(20):
        done = _pair(seed, transform, _letter())
        from_image = done["image"][0] > 0.5
        mask = done["mask"][0] > 0
        overlap = (from_image & mask).sum() / (from_image | mask).sum()
        assert float(overlap) > 0.97, seed
        assert not torch.equal(done["image"], _letter())


def test_uncovered_border_is_air() -> None:
    done = _pair(3, _always(), torch.ones(1, 64, 64))
    assert float(done["image"][0, 0, 0]) == 0
    assert int(done["mask"][0, 0, 0]) == 0


def test_the_same_seed_replays() -> None:
    one, other = (_pair(11, _always(), _letter()) for _ in range(2))
    assert torch.equal(one["image"], other["image"])
    assert torch.equal(one["mask"], other["mask"])
    assert not torch.equal(one["image"], _pair(12, _always(), _letter())["image"])
