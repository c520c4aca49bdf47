# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: reading CT slices in one orientation, HU window, resizing, joint augmentation."""

from monai_ich.transforms.even_grid import on_even_grid
from monai_ich.transforms.intensity import HUWindowd, shown_window_hu, window_bounds_hu
from monai_ich.transforms.loading import LoadSlicesd
from monai_ich.transforms.resizing import (
    FitSquared,
    SourceVolume,
    check_image_size,
    in_source_volume,
    to_source_geometry,
    to_source_slices,
)
from monai_ich.transforms.right_angle import RandRightAngleFlipd, rotate_and_flip
from monai_ich.transforms.rotation import RandSmallRotationd, rotation_grid
from monai_ich.transforms.unshearing import is_sheared, unshear

__all__ = [
    "FitSquared",
    "HUWindowd",
    "LoadSlicesd",
    "RandRightAngleFlipd",
    "RandSmallRotationd",
    "SourceVolume",
    "check_image_size",
    "in_source_volume",
    "is_sheared",
    "on_even_grid",
    "rotate_and_flip",
    "rotation_grid",
    "shown_window_hu",
    "to_source_geometry",
    "to_source_slices",
    "unshear",
    "window_bounds_hu",
]
