# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 5: the paper's Table 1: planned, trained, computed and written."""

from monai_ich.table.forest_figure import forest_figure

__all__ = ["forest_figure"]
