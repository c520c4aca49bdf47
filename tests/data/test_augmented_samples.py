# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An augmented sample stays within what a sample may be, and too few labels are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from monai.transforms import RandomizableTransform

from monai_ich.data.datasets import SliceDataset
from monai_ich.data.samplers import Draw
from monai_ich.utils.errors import ManifestError


class Stretch(RandomizableTransform):
    """Doubles the image around a half, and gives the mask back as float, as MONAI's transforms may."""

    def __call__(self, pair: dict[str, Any]) -> dict[str, Any]:
        return {"image": pair["image"] * 4 - 1.5, "mask": pair["mask"].float()}


def test_an_augmented_image_is_clamped_to_0_and_1_and_a_mask_stays_whole(make: Callable[..., SliceDataset]) -> None:
    plain, stretched = make(), make(augmentation=Stretch())
    changed = 0
    for row in range(len(plain)):
        before, after = plain[row], stretched[Draw(row, 1)]
        expected = (torch.as_tensor(before["image"]) * 4 - 1.5).clamp(0, 1)
        torch.testing.assert_close(torch.as_tensor(after["image"]), expected)
        assert after["mask"].dtype == torch.uint8
        assert torch.equal(torch.as_tensor(after["mask"]), torch.as_tensor(before["mask"]))
        changed += int((expected == 1).any()) + int((expected == 0).any())
    assert changed > 1, "both bounds are reached"


def test_five_of_the_rows_without_a_label_are_named(frame: pd.DataFrame, make: Callable[..., SliceDataset]) -> None:
    keys = frame["key"].tolist()
    table = frame.assign(hypodensity=[np.nan] * 6 + [0.0, 1.0])
    with pytest.raises(ManifestError) as caught:
        make(table)
    assert f"6 rows have no hypodensity label ({', '.join(keys[:5])}, ...)" in str(caught.value)
    assert len(make(table, drop_unlabelled=True)) == 2
