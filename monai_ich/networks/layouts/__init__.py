# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What the published checkpoints of each kind of encoder look like: a kind brings its own layouts and conversions."""

from __future__ import annotations

from monai_ich.networks.layouts.family import EncoderWeights, WeightFamily

__all__ = ["EncoderWeights", "WeightFamily"]
