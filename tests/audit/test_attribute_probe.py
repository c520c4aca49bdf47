# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A shortcut in the attributes is found and named; an attribute that only tells patients apart is none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ich.audit.shortcut_probe import attribute_probe


def _patients(count: int = 60, slices: int = 4) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(count), slices)
    return patients, (rng.random(count) < 0.4).astype(int)[patients], rng


def test_a_shortcut_is_found_and_named() -> None:
    patients, labels, rng = _patients()
    kernels = np.where(labels == 1, "H45s", "H31s").astype(object)
    kernels[rng.random(len(labels)) < 0.1] = "H40s"
    result = attribute_probe(
        pd.DataFrame({"kernel": kernels, "kVp": rng.choice([100, 120], 60)[patients]}), labels, patients
    )
    assert result is not None
    assert result.auc > 0.9
    assert 0.85 < result.low <= result.auc <= result.high
    assert next(iter(result.single)) == "kernel"
    assert result.single["kVp"] < 0.65
    assert (result.slices, result.patients) == (240, 60)


def test_what_only_names_the_patient_is_no_shortcut() -> None:
    """A spacing of each patient's own would give AUC 1 if a patient were in training and test folds."""
    patients, labels, rng = _patients()
    result = attribute_probe(pd.DataFrame({"spacing": rng.random(60)[patients]}), labels, patients)
    assert result is not None
    assert result.low < 0.5
    assert result.auc < 0.65


def test_missing_values_are_values() -> None:
    patients, labels, _ = _patients()
    level = np.where(labels == 1, np.nan, 40.0)
    result = attribute_probe(pd.DataFrame({"level": level, "empty": np.nan}), labels, patients)
    assert result is not None
    assert result.auc > 0.99
    assert list(result.single) == ["level"]


def test_nothing_to_measure() -> None:
    patients, labels, _ = _patients()
    assert attribute_probe(pd.DataFrame({"kVp": np.full(len(labels), 120.0)}), labels, patients) is None
    few = (patients < 4).astype(int)
    assert attribute_probe(pd.DataFrame({"kVp": patients * 1.0}), few, patients) is None
