# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What tests of several rooms share: parts of the bundles, taken from the shipped configs, and strict JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import ConfigParser
from monai.bundle import run as run_bundle
from monai.transforms import Compose

from monai_ich.bundle.evaluation import Evaluation
from monai_ich.table.plan import PlannedRun

ROOT = Path(__file__).resolve().parents[1]
TRAIN_JSON = ROOT / "bundles/mtl/train.json"


def bundle_part(name: str, **settings: Any) -> Compose:
    """Builds one part of `train.json`, with some settings changed."""
    parser = ConfigParser(ConfigParser.load_config_file(TRAIN_JSON))
    parser.update(settings)
    return parser.get_parsed_content(name)


def head_slice(side: int, brain_hu: float = 35.0) -> np.ndarray:
    """(side, side) float32 HU of a simple head: air, skin, skull, brain."""
    rows, columns = np.mgrid[0:side, 0:side] - (side - 1) / 2
    radius = np.hypot(rows / (0.42 * side), columns / (0.34 * side))
    bounds = [radius < 0.86, radius < 0.95, radius < 1.0]
    return np.select(bounds, [brain_hu, 1000.0, 10.0], -1000.0).astype(np.float32)


# What the DICOM headers of the tests' phantom say of its patient; nothing that the program writes may hold it.
PATIENT = {
    "PatientName": "Kirschbaum^Eleonore",
    "PatientID": "KZ8842193756",
    "PatientBirthDate": "19370419",
    "AccessionNumber": "ACC5566778899",
    "ReferringPhysicianName": "Quastenflosser^Dr",
    "OtherPatientNames": "Steinadler^Ada",
    "PatientAddress": "Uferweg 17 Zwiefalten",
}

# Settings under which every training config runs in seconds.
TINY: dict[str, Any] = {"max_epochs": 1, "batch_size": 2, "image_size": 64, "pretrained": "", "precision": "float32"}


def strict_json(path: Path) -> Any:
    """Reads a JSON file as browsers and `jq` do, which refuse NaN and Infinity."""
    return json.loads(
        path.read_text(), parse_constant=lambda name: pytest.fail(f"{path} holds {name}, which is no JSON")
    )


@contextmanager
def without_figures() -> Iterator[None]:
    """Leaves out a run's figures, half of its time, where other tests draw those of the same config."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluation, "_figures", lambda _: {})
        yield


@contextmanager
def from_root() -> Iterator[None]:
    """Stays where users run bundles from, and undoes what starting a bundle changes in this process."""
    folder, hook, path = os.getcwd(), sys.excepthook, sys.path.copy()
    uri = os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.chdir(ROOT)
    try:
        yield
    finally:
        os.chdir(folder)
        sys.excepthook, sys.path[:] = hook, path
        if uri is not None:
            os.environ["MLFLOW_TRACKING_URI"] = uri


def in_process(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
    """Trains as a table's subprocess would, in this process: importing everything anew takes longer than a tiny run."""
    tick()
    run_bundle(config_file=[str(path) for path in run.files], **run.overrides)
    return 0
