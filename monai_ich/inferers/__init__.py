# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How a network is applied to a batch."""

from monai_ich.inferers.autocast import AutocastInferer

__all__ = ["AutocastInferer"]
