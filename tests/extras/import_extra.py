# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports the packages that an extra of this project asks for: `import_extra.py EXTRA`."""

import importlib
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def packages_of(extra: str) -> set[str]:
    """The names of the distributions that the extra asks for, normalised."""
    asked = [Requirement(text) for text in metadata.requires("monai_ich") or ()]
    of_extra = [r for r in asked if r.marker and not r.marker.evaluate() and r.marker.evaluate({"extra": extra})]
    return {canonicalize_name(requirement.name) for requirement in of_extra}


if __name__ == "__main__":
    names = packages_of(sys.argv[1])
    assert names, f"the extra {sys.argv[1]} asks for nothing"
    imported = set()
    for module, providers in metadata.packages_distributions().items():
        found = names & {canonicalize_name(name) for name in providers}
        if found and module.isidentifier() and not module.startswith("_"):
            importlib.import_module(module)
            imported |= found
    assert imported == names, f"nothing could be imported of {names - imported}"
