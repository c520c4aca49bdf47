# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The canary sings where patients can be recognised, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from monai_ich.audit import canary
from monai_ich.audit.canary import is_recognised, permutation_canary


def _slices(patients: np.ndarray, rng: np.random.Generator, own: float = 1.0) -> np.ndarray:
    """Features (N, 8): `own` times what the patient looks like, plus noise."""
    looks = np.random.default_rng(99).normal(size=(200, 8))
    return own * looks[patients] + 0.3 * rng.normal(size=(len(patients), 8))


def test_shared_patients_are_recognised() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 5)
    result = permutation_canary(_slices(patients, rng), _slices(patients, rng), patients, patients)
    assert result is not None
    assert result.auc > 0.95
    assert result.p_value == pytest.approx(1 / 2001)
    assert result.null_low < 0.5 < result.null_high < 0.6
    assert is_recognised(result)
    assert (result.patients, result.slices) == (20, 100)


def test_shared_patients_who_all_look_alike_are_not() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 5)
    result = permutation_canary(_slices(patients, rng, 0), _slices(patients, rng, 0), patients, patients)
    assert result is not None
    assert not is_recognised(result)


def test_without_shared_patients_chance_is_what_the_null_says() -> None:
    """Over 40 data sets with strong identity but other patients: p-values are spread evenly, AUCs centre on a half."""
    p_values, aucs = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        who = rng.permutation(60)
        train, test = np.repeat(who[:40], 4), np.repeat(who[40:], 4)
        result = permutation_canary(
            _slices(train, rng), _slices(test, rng), train, test, repetitions=10, null_draws=200, seed=seed
        )
        assert result is not None
        assert not is_recognised(result)
        p_values.append(result.p_value)
        aucs.append(result.auc)
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.02)
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) < 0.1) <= 0.25


def test_the_mean_auc_is_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    scores = rng.integers(0, 4, len(codes)) / 3  # with ties
    labels = np.array([[0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 1]])
    expected = [roc_auc_score(row[codes], scores) for row in labels]
    assert canary._patient_aucs(labels, scores, codes) == pytest.approx(expected)


def test_too_few_patients_say_nothing() -> None:
    patients = np.repeat(np.arange(3), 5)
    features = _slices(patients, np.random.default_rng(0))
    assert permutation_canary(features, features, patients, patients) is None
