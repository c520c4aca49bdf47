# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Makes the phantom where a training run asks for it and it is not there yet."""

from __future__ import annotations

from pathlib import Path

from monai_ich.engines import rank, wait_for_all
from monai_ich.phantom.generate import generate_phantom
from monai_ich.phantom.recorded_spec import refuse_other_specification
from monai_ich.phantom.spec import PhantomSpec
from monai_ich.utils.console import console

PHANTOM_PREFIX = "phantom"


def phantom_folder(manifest: Path) -> Path:
    """Where the images of a phantom lie: `data/<name of the manifest>`.

    >>> phantom_folder(Path("data_manifests/phantom_dial.csv")).as_posix()
    'data/phantom_dial'
    """
    return Path("data") / manifest.stem


def ensure_phantom(manifest: str, spec: PhantomSpec) -> None:
    """Makes the phantom when `manifest` is named like one, `phantom*.csv`, and is not there yet.

    A manifest that is there is compared with `spec` where its images are a phantom's, and left alone otherwise.

    Raises:
        ConfigurationError: the phantom on disk was made with another specification; the message names each field.
    """
    path = Path(manifest)
    is_ours = path.name.startswith(PHANTOM_PREFIX) and path.suffix == ".csv"
    if is_ours and not path.exists() and rank() == 0:
        console.print("no data yet: making the phantom, procedural head CTs with known truth")
        generate_phantom(phantom_folder(path), path, spec)
    wait_for_all()
    if path.exists():
        refuse_other_specification(path, spec, phantom_folder(path) if is_ours else None)
