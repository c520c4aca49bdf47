# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 2: reading CT slices in one orientation, HU window, resizing, joint augmentation."""

from monai_ich.transforms.intensity import HUWindowd, shown_window_hu, window_bounds_hu
from monai_ich.transforms.loading import LoadSlicesd
from monai_ich.transforms.resizing import FitSquared, SourceVolume, check_image_size, to_source_geometry
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
    "is_sheared",
    "rotate_and_flip",
    "rotation_grid",
    "shown_window_hu",
    "to_source_geometry",
    "unshear",
    "window_bounds_hu",
]
