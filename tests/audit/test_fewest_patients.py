# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How few patients and slices still say something: one fewer gives no result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monai_ich.audit.canary import CanaryResult, is_recognised, permutation_canary
from monai_ich.audit.shortcut_probe import attribute_probe


def _canary(test_patients: int, train_slices: int = 30) -> CanaryResult | None:
    rng = np.random.default_rng(0)
    test, train = np.repeat(np.arange(test_patients), 3), np.arange(train_slices) % 10
    return permutation_canary(
        rng.normal(size=(train_slices, 4)), rng.normal(size=(len(test), 4)), train, test, null_draws=50
    )


def test_the_canary_needs_four_patients() -> None:
    assert _canary(3) is None
    result = _canary(4)
    assert result is not None
    assert (result.patients, result.slices) == (4, 12)


def test_the_canary_needs_three_training_slices() -> None:
    """Its probe is the mean of the three nearest."""
    assert _canary(6, train_slices=2) is None
    assert _canary(6, train_slices=3) is not None


@pytest.mark.parametrize(("few", "measured"), [(4, False), (5, True)])
@pytest.mark.parametrize("rare", [0, 1])
def test_the_probe_needs_five_patients_of_either_class(few: int, measured: bool, rare: int) -> None:
    patients = np.repeat(np.arange(30), 3)
    labels = np.where(patients < few, rare, 1 - rare)
    result = attribute_probe(pd.DataFrame({"kVp": patients % 7}), labels, patients, resamples=10)
    assert (result is not None) is measured


@pytest.mark.parametrize(
    ("auc", "p_value", "recognised"),
    [(0.55, 0.001, True), (0.5499, 0.001, False), (0.55, 0.00101, False), (0.99, 0.0005, True), (np.nan, 0.001, False)],
)
def test_both_limits_of_recognition_are_inclusive(auc: float, p_value: float, recognised: bool) -> None:
    assert is_recognised(CanaryResult(auc, 0.4, 0.6, p_value, 10, 40, 50)) is recognised
