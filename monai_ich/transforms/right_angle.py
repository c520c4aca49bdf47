# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Random right-angle rotation and flip of image and mask together, exact to the pixel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform


def rotate_and_flip(slices: torch.Tensor, quarter_turns: int, flip_axis: int) -> torch.Tensor:
    """(...,S,S) turned counter-clockwise by `quarter_turns` x 90 degrees, then flipped.

    Args:
        slices: square slices.
        quarter_turns: 0..3.
        flip_axis: 0 flips up-down, 1 left-right.
    """
    turned = torch.rot90(slices, quarter_turns, dims=(-2, -1))
    return torch.flip(turned, dims=(flip_axis - 2,)).contiguous()


class RandRightAngleFlipd(RandomizableTransform, MapTransform):
    """The paper's augmentation group (a), section 4.2: rotation by 0/90/180/270 degrees, then a flip.

    The flip is up-down or left-right. Both parts are drawn uniformly, once for all keys, and are exact. Of the eight
    pairs four outcomes come: the two flips and the two transpositions, a quarter each.

    Args:
        keys: square arrays (C,S,S) that share one geometry.
        prob: how often the group is applied.
        allow_missing_keys: pass over keys that an item lacks.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.5, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.quarter_turns = 0
        self.flip_axis = 0

    def randomize(self, data: Any = None) -> None:
        """Draws all parameters, whether they are applied or not, so that the draws that follow do not shift."""
        super().randomize(None)
        self.quarter_turns = int(self.R.randint(4))
        self.flip_axis = int(self.R.randint(2))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        self.randomize()
        if self._do_transform:
            for key in self.key_iterator(item):
                item[key] = rotate_and_flip(torch.as_tensor(item[key]), self.quarter_turns, self.flip_axis)
        return item
