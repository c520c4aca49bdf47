# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Random small rotation of image and mask together, on one sampling grid."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import ensure_tuple_rep

from monai_ich.utils.keys import Key


def rotation_grid(angle_deg: float, size: int) -> torch.Tensor:
    """Sampling grid (1,size,size,2) that turns a square clockwise by `angle_deg` about its centre."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    theta = torch.tensor([[[cosine, sine, 0.0], [-sine, cosine, 0.0]]])
    return torch.nn.functional.affine_grid(theta, [1, 1, size, size], align_corners=False)


class RandSmallRotationd(RandomizableTransform, MapTransform):
    """The paper's augmentation group (b), section 4.2: rotation by U(-max_angle_deg, max_angle_deg).

    What it uncovers is 0. The result equals that of MONAI's RandRotated with the same angle (a test holds it to that),
    without its affine bookkeeping and on one grid for all keys: 0.12 against 1.9 ms a sample of 96 pixels, 0.6 against
    2.7 ms of 224, where MONAI's took longer than everything else that is done for a sample.

    Args:
        keys: square arrays (C,S,S) of one size.
        max_angle_deg: degrees.
        prob: how often the group is applied.
        mode: grid_sample's interpolation for each key.
        allow_missing_keys: pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection = (Key.IMAGE, Key.MASK),
        max_angle_deg: float = 20.0,
        prob: float = 0.5,
        mode: str | Sequence[str] = ("bilinear", "nearest"),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.mode = ensure_tuple_rep(mode, len(self.keys))
        self.max_angle_deg = max_angle_deg
        self.angle_deg = 0.0

    def randomize(self, data: Any = None) -> None:
        """Draws the angle whether it is applied or not, so that the draws that follow do not shift."""
        super().randomize(None)
        self.angle_deg = float(self.R.uniform(-self.max_angle_deg, self.max_angle_deg))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        self.randomize()
        if not self._do_transform:
            return item
        grid = None
        for key, mode in self.key_iterator(item, self.mode):
            slices = torch.as_tensor(item[key])
            grid = rotation_grid(self.angle_deg, slices.shape[-1]) if grid is None else grid
            turned = torch.nn.functional.grid_sample(
                slices[None].float(), grid, mode=mode, padding_mode="zeros", align_corners=False
            )
            item[key] = turned[0].to(slices.dtype)
        return item
