# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Data sets for the tests of the audit, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_support import CARD, Planted, make_phantom, split_by_patients

from monai_ich.data import read_manifest, write_manifest


@pytest.fixture(scope="session")
def paper_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom split as in the paper, slice by slice."""
    return make_phantom(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="session")
def patient_phantom(paper_phantom: Path) -> Path:
    """The same slices split by patients."""
    manifest = read_manifest(paper_phantom)
    return write_manifest(
        split_by_patients(manifest.frame),
        paper_phantom.with_name("patients.csv"),
        dataset_dir=manifest.dataset_dir,
        protocol={"name": "patient"},
        **CARD,
    )


@pytest.fixture
def planted(patient_phantom: Path, tmp_path: Path) -> Planted:
    """A copy of the clean data set to plant a fault in."""
    return Planted(patient_phantom, tmp_path)
