# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What MONAI's config language lacks: checked settings, a run's own directory, and readable failures."""

from monai_ich.bundle.checks import check_config
from monai_ich.bundle.run_directory import RunDirectory, open_run_directory
from monai_ich.bundle.workflow import effective_config, start

__all__ = ["RunDirectory", "check_config", "effective_config", "open_run_directory", "start"]
