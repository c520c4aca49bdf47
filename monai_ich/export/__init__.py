# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 5: a run as a MONAI bundle that works without this package."""

from monai_ich.export.bundle_export import export_run

__all__ = ["export_run"]
