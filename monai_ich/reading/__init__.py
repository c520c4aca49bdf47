# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 1: reads DICOM and volume files into slices in HU, in one orientation."""

from monai_ich.reading.geometry import Reorientation, SliceStack
from monai_ich.reading.series import read_series
from monai_ich.reading.slice_reading import read_slices

__all__ = ["Reorientation", "SliceStack", "read_series", "read_slices"]
