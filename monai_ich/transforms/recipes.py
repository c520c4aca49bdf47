# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The project's preprocessing and the paper's augmentation, each defined in one place."""

from __future__ import annotations

from collections.abc import Sequence

from monai.transforms import Compose

from monai_ich.transforms.intensity import HUWindowd
from monai_ich.transforms.loading import LoadSlicesd
from monai_ich.transforms.resizing import FitSquared
from monai_ich.transforms.right_angle import RandRightAngleFlipd
from monai_ich.transforms.rotation import RandSmallRotationd
from monai_ich.utils.keys import BRAIN_WINDOW_HU, Key


def preprocessing(
    window: Sequence[float] = BRAIN_WINDOW_HU,
    image_size: int = 224,
    keys: Sequence[str] = (Key.IMAGE, Key.MASK),
    max_offset_mm: float | None = 2.5,
) -> Compose:
    """The deterministic part, the same for training, validation, evaluation and inference.

    Read, window, fit: a group of slices of one study (see `LoadSlicesd`) becomes image float32 (N,S,S) in [0,1] and
    mask uint8 (N,S,S). An item without a mask (inference) passes too.

    Args:
        window: (level, width) in HU.
        image_size: S, pixels; a multiple of 32.
        keys: the image's key and the mask's.
        max_offset_mm: see `LoadSlicesd`.

    Raises:
        ConfigurationError: when the window or the size is none.
    """
    return Compose(
        [
            LoadSlicesd(keys, max_offset_mm),
            HUWindowd(keys[0], window),
            FitSquared(keys, image_size, ("area", "nearest-exact")[: len(keys)], allow_missing_keys=True),
        ]
    )


def augmentation(
    keys: Sequence[str] = (Key.IMAGE, Key.MASK), prob: float = 0.5, max_rotation_deg: float = 20.0
) -> Compose:
    """The paper's two augmentation groups (section 4.2), jointly on image and mask, each with `prob`, independent.

    (a) a right-angle rotation, then a flip; (b) a rotation by U(-max_rotation_deg, max_rotation_deg), bilinear for the
    image and nearest for the mask, 0 where the rotation uncovers the border.

    Args:
        keys: the image's key and the mask's, arrays (1,S,S).
        prob: probability of each group.
        max_rotation_deg: degrees.
    """
    modes = ("bilinear", "nearest")[: len(keys)]
    return Compose([RandRightAngleFlipd(keys, prob), RandSmallRotationd(keys, max_rotation_deg, prob, modes)])
