# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Makes the phantom where a training run asks for it and it is not there yet."""

from __future__ import annotations

from pathlib import Path

from monai_ich.engines import rank, wait_for_all
from monai_ich.phantom.generate import generate_phantom
from monai_ich.phantom.spec import PhantomSpec
from monai_ich.utils.console import console

PHANTOM_MANIFEST = "phantom.csv"
PHANTOM_FOLDER = Path("data/phantom")


def ensure_phantom(manifest: str, spec: PhantomSpec) -> None:
    """Makes the phantom data set when `manifest` is its own and is not there yet; any other manifest is left alone."""
    path = Path(manifest)
    if path.name == PHANTOM_MANIFEST and not path.exists() and rank() == 0:
        console.print("no data yet: making the phantom, procedural head CTs with known truth")
        generate_phantom(PHANTOM_FOLDER, path, spec)
    wait_for_all()
