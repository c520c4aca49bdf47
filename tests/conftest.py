# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A tiny phantom and a tiny trained run, made once a session by the real components.

MONAI takes seconds to import, and xdist's workers start after its main process has read this file. So fixtures import.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["ct_file_fixtures"]

# Each worker, and each process that a test starts, has one thread. More threads than cores wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell starts background jobs with Ctrl-C ignored, which every process below inherits; tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _artifacts_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps MLflow from storing artifacts in the working directory, which is the repository in most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(tmp_path_factory.mktemp("artifacts")))
        yield


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """A test draws the same random numbers when it runs alone and when it runs after others."""
    from monai.utils import set_determinism

    set_determinism(seed=0)


@pytest.fixture(scope="session")
def tiny_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the manifest of a phantom of 11 hospitals, 64 x 64, 3 slices a study; its headers hold a patient."""
    import pydicom
    from support import PATIENT

    from monai_ich.phantom import PhantomSpec, generate_phantom

    folder = tmp_path_factory.mktemp("phantom")
    spec = PhantomSpec(studies=(8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), slices_per_study=3, matrix=64)
    manifest = generate_phantom(folder / "images", folder / "tiny.csv", spec, workers=1)
    for path in (folder / "images").rglob("*.dcm"):
        header = pydicom.dcmread(path)
        for keyword, value in PATIENT.items():
            setattr(header, keyword, value)
        header.save_as(path)
    return manifest


@pytest.fixture(scope="session")
def tiny_settings(tiny_phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns overrides that make any training config run in seconds, in folders of its own."""
    from support import TINY

    folder = tmp_path_factory.mktemp("runs")
    return {
        **TINY,
        "manifest": str(tiny_phantom),
        "cache_dir": str(folder / "cache"),
        "run_directory::runs_dir": str(folder / "runs"),
        "tracking_uri": f"sqlite:///{folder}/mlflow.db",
    }


@pytest.fixture(scope="session")
def grouped_settings(tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns the overrides with a manifest whose slices have a head holder, or not, or nobody knows; they make groups.

    In training four in five positive slices have one, and one in five negative slices.
    """
    from monai_ich.data import read_manifest, write_manifest

    manifest = read_manifest(tiny_settings["manifest"])
    number = manifest.frame.groupby(["split", "hypodensity"]).cumcount()
    rare = number % 5 == 4
    holder = ((manifest.frame["hypodensity"] == 1) ^ rare).map({True: "yes", False: "no"}).where(number % 9 != 8, "")
    assert manifest.card is not None
    csv = write_manifest(
        manifest.frame.assign(attribute_head_holder=holder),
        tmp_path_factory.mktemp("grouped") / "grouped.csv",
        dataset_dir=manifest.dataset_dir,
        **{name: manifest.card[name] for name in ("name", "description", "licence", "window_hu", "protocol")},
    )
    return {**tiny_settings, "manifest": str(csv), "data::attributes": ["head_holder"]}


@pytest.fixture(scope="session")
def tiny_run(tiny_settings: dict[str, Any]) -> Path:
    """Returns the directory of a complete run of `train.json`, trained for two epochs."""
    from monai.bundle import run as run_bundle
    from support import from_root

    with from_root():
        run_dir = Path(tiny_settings["run_directory::runs_dir"]) / "fixture"
        run_bundle(
            config_file=["bundles/mtl/train.json"], **{**tiny_settings, "max_epochs": 2, "run_dir": str(run_dir)}
        )
    return run_dir


@pytest.fixture
def in_root() -> Iterator[None]:
    """Runs a test where users run bundles from, and undoes what starting a bundle changes in this process."""
    from support import from_root

    with from_root():
        yield


@pytest.fixture
def no_figures() -> Iterator[None]:
    from support import without_figures

    with without_figures():
        yield
