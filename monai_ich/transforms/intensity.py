# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""HU window as a MONAI dictionary transform."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, ScaleIntensityRange

from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import BRAIN_WINDOW_HU


def window_bounds_hu(window: Sequence[float]) -> tuple[float, float]:
    """(level, width) in HU -> (lowest, highest) HU.

    >>> window_bounds_hu((40, 80))
    (0.0, 80.0)

    Raises:
        ConfigurationError: unless `window` is two finite numbers, the second above 0.
    """
    numbers = not isinstance(window, str) and isinstance(window, Sequence | np.ndarray) and len(window) == 2
    if not numbers or any(isinstance(v, bool) or not isinstance(v, int | float | np.number) for v in window):
        raise ConfigurationError(f"window: expected [level, width] in HU, such as [40, 80], got {window!r}")
    level, width = float(window[0]), float(window[1])
    if not (np.isfinite(level) and np.isfinite(width) and width > 0):
        raise ConfigurationError(f"window: expected a finite level and a width above 0 HU, got {window!r}")
    return level - width / 2, level + width / 2


class HUWindowd(MapTransform):
    """Maps the HU of a window to [0,1] and clips what lies outside; MONAI's ScaleIntensityRange by level and width.

    Args:
        keys: what to window, HU of any shape.
        window: (level, width) in HU; (40, 80) shows 0..80 HU.
        allow_missing_keys: pass over keys that an item lacks.

    Raises:
        ConfigurationError: at construction, when the window is none.
    """

    def __init__(
        self, keys: KeysCollection, window: Sequence[float] = BRAIN_WINDOW_HU, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        lowest_hu, highest_hu = window_bounds_hu(window)
        self.bounds_hu = lowest_hu, highest_hu
        self.scale = ScaleIntensityRange(a_min=lowest_hu, a_max=highest_hu, b_min=0.0, b_max=1.0, clip=True)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self.scale(item[key])
        return item


def shown_window_hu(preprocessing: Any) -> tuple[float, float] | None:
    """The (lowest, highest) HU that a `HUWindowd` within `preprocessing` maps to 0 and 1; None without one.

    >>> from monai.transforms import Compose
    >>> shown_window_hu(Compose([HUWindowd("image", window=(40, 80))]))
    (0.0, 80.0)
    """
    steps = getattr(preprocessing, "transforms", [preprocessing])
    return next((step.bounds_hu for step in steps if isinstance(step, HUWindowd)), None)
