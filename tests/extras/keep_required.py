# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Uninstalls every package that a bundle does not require, directly or not: `keep_required.py METADATA`."""

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# `pip uninstall` itself stays.
TOOLS = ("pip", "setuptools")


def closure(names: Iterable[str]) -> set[str]:
    """The normalised names of packages and of all that they require."""
    seen: set[tuple[str, str]] = set()
    waiting = {(str(canonicalize_name(name)), "") for name in names}
    while waiting:
        name, extra = waiting.pop()
        seen.add((name, extra))
        try:
            asked = [Requirement(text) for text in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:  # for another system or Python
            continue
        for requirement in asked:
            if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
                needed = str(canonicalize_name(requirement.name))
                waiting |= {(needed, of) for of in ("", *requirement.extras)} - seen
    return {name for name, _ in seen}


if __name__ == "__main__":
    required = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["required_packages_version"]
    kept = closure([*required, "monai", "torch", "numpy", *TOOLS])
    installed = {canonicalize_name(distribution.metadata["Name"]) for distribution in metadata.distributions()}
    assert "monai-ich" in installed - kept
    subprocess.run(
        [sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *sorted(installed - kept)], check=True
    )
