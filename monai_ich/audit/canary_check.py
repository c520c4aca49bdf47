# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The label-permutation canary of an audit: training against every other split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from monai_ich.audit.canary import FEWEST_PATIENTS, CanaryResult, is_recognised, permutation_canary
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.overlap import shared_severity, split_pairs
from monai_ich.utils.keys import Split

MOST_TESTED, MOST_TRAINED = 2_000, 20_000  # slices
FEATURE_SIDE = 16


def canary_findings(
    frame: pd.DataFrame,
    readable: np.ndarray,
    thumbnails: Callable[[np.ndarray], np.ndarray],
    persons: np.ndarray,
    protocol: str,
) -> list[Finding]:
    """Can the patients of each other split be recognised from training? See `permutation_canary`.

    Args:
        frame: the manifest's rows.
        readable: bool (n,).
        thumbnails: gives uint8 (k, S, S) of k rows.
        persons: int (n,), who each slice is of.
        protocol: the card's, which says what is grave.
    """
    splits = frame["split"].to_numpy(dtype=object)
    findings = []
    for first, second in split_pairs(frame):
        if first != Split.TRAIN:
            continue
        train, test = (np.flatnonzero((splits == name) & readable) for name in (first, second))
        test, train = _drawn(test, train, persons)
        if not len(test) or not len(train):
            continue
        features = _features(thumbnails(np.concatenate([train, test])))
        result = permutation_canary(features[: len(train)], features[len(train) :], persons[train], persons[test])
        findings.append(_finding(result, second, protocol))
    return findings or [Finding("canary", Severity.SKIPPED, "There are no slices to train and to test a probe on.")]


def _drawn(test: np.ndarray, train: np.ndarray, persons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both splits, few enough; of training, those of people who are in the test rows come first."""
    rng = np.random.default_rng(0)
    test = np.sort(rng.permutation(test)[:MOST_TESTED])
    shuffled = rng.permutation(train)
    known = np.isin(persons[shuffled], persons[test])
    return test, np.sort(np.concatenate([shuffled[known], shuffled[~known]])[:MOST_TRAINED])


def _features(thumbnails: np.ndarray) -> np.ndarray:
    """(k, 256) block means in [0, 1]."""
    count, side, _ = thumbnails.shape
    block = side // FEATURE_SIDE
    tiles = thumbnails.reshape(count, FEATURE_SIDE, block, FEATURE_SIDE, block)
    return (tiles.mean(axis=(2, 4), dtype=np.float32) / 255).reshape(count, -1)


def _finding(result: CanaryResult | None, split: str, protocol: str) -> Finding:
    check = "canary"
    if result is None:
        few = f"{split} has too few patients for the canary ({FEWEST_PATIENTS} at least)."
        return Finding(check, Severity.SKIPPED, few)
    said = (
        f"{split}: a probe trained on labels shuffled among patients reaches AUC {result.auc:.2f} (chance gives "
        f"{result.null_low:.2f} to {result.null_high:.2f}; p = {result.p_value:.2g}, {result.patients} patients)"
    )
    if not is_recognised(result):
        return Finding(check, Severity.PASSED, f"{said}: no patient is recognised from training.")
    severity = shared_severity(protocol, Split.TRAIN, split)
    if severity is Severity.WARNING:
        remedy = f"The protocol {protocol!r} means it so; what a network scores on {split} includes recognition."
    else:
        remedy = "Results on this split are worth nothing for new patients: split by patients, and remove copies."
    return Finding(check, severity, f"{said}: patients are recognised, identity leaks from training.", remedy)
