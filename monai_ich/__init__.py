# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Multi-task learning of intracerebral haemorrhage markers on head CT, on MONAI.

Rooms load on first use, so that `$import monai_ich` in a bundle config costs nothing and is enough to name any part.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

ROOMS = (
    "audit",
    "bundle",
    "cli",
    "config",
    "data",
    "engines",
    "export",
    "gradcam",
    "handlers",
    "importers",
    "losses",
    "metrics",
    "networks",
    "phantom",
    "prediction",
    "reading",
    "table",
    "transforms",
    "utils",
    "visualize",
)


def __getattr__(name: str) -> ModuleType:
    if name in ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
