# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 5: heat maps of where a network looks."""

from monai_ich.gradcam.class_activation import METHOD_TITLES, METHODS, ActivationMaps, activation_maps
from monai_ich.gradcam.test_set_maps import TestSetHeatMaps

__all__ = ["METHODS", "METHOD_TITLES", "ActivationMaps", "TestSetHeatMaps", "activation_maps"]
