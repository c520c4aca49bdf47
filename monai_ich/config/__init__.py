# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 3: what MONAI's config language lacks: settings checked before anything is built, readable failures."""

from monai_ich.config.config_checks import check_config
from monai_ich.config.workflow import config_folder, effective_config, name_of_row, shown_settings, start

__all__ = ["check_config", "config_folder", "effective_config", "name_of_row", "shown_settings", "start"]
