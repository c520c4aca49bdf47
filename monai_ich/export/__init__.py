# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 5: a run as a MONAI bundle that works without this package."""

from monai_ich.export.bundle_export import export_run
from monai_ich.export.exported_bundle import PrimaryOutput, predict_from_state_dict

__all__ = ["PrimaryOutput", "export_run", "predict_from_state_dict"]
