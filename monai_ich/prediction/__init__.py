# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 3: what a trained network says of one study. An exported bundle carries this room, and no training."""

from monai_ich.prediction.study_prediction import predict
from monai_ich.prediction.study_slices import StudySlices

__all__ = ["StudySlices", "predict"]
