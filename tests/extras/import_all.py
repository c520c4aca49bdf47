# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports every module of the installed package; none may need an extra to be imported."""

import importlib
import pkgutil

import monai_ich

if __name__ == "__main__":
    names = [module.name for module in pkgutil.walk_packages(monai_ich.__path__, "monai_ich.")]
    for name in names:
        if not name.endswith(".__main__"):
            importlib.import_module(name)
    missing = set(monai_ich.ROOMS) - {name.split(".")[1] for name in names}
    assert not missing, f"the wheel has no {missing}"
