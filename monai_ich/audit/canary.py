# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The label-permutation canary: can a patient of a test set be recognised from training?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 3
# Two halves of fewer patients can be dealt in so few ways that no result would be rare.
FEWEST_PATIENTS = 4


@dataclass(frozen=True)
class CanaryResult:
    """What a probe reaches on labels that say nothing but who a patient is.

    Attributes:
        auc: mean over the repetitions.
        null_low: lower end of the central 95 % of what chance gives.
        null_high: its upper end.
        p_value: one-sided, of "the training slices tell nothing about who the test patients are".
        patients: of the test set.
        slices: of the test set.
        repetitions: of the shuffling that count.
    """

    auc: float
    null_low: float
    null_high: float
    p_value: float
    patients: int
    slices: int
    repetitions: int


def permutation_canary(
    train: np.ndarray,
    test: np.ndarray,
    train_patients: np.ndarray,
    test_patients: np.ndarray,
    *,
    repetitions: int = 50,
    null_draws: int = 2000,
    seed: int = 0,
) -> CanaryResult | None:
    """Trains a probe on labels shuffled among *patients*, and scores it on a test set.

    Every patient, whatever their splits, is dealt a label at random, half of them 1, and all slices of a patient carry
    it. Such a label can be known of a test slice in one way only: by recognising the patient among the training slices.
    Labels shuffled slice by slice would not show it, because a patient's slices would disagree; the true labels would
    not either, because what they show is also there to be learnt. With no shared patient the expected AUC is 0.5; that
    random labels reach 96 % with slice-wise splits was shown by Yagis et al., Scientific Reports 11, 2021.

    The probe is the mean label of the 3 nearest training slices, weighted by inverse distance: neighbours do not depend
    on labels, so any number of shufflings costs one search.

    The null distribution is exact: if training tells nothing about the test patients, their labels are exchangeable
    among them. So in each draw they are shuffled once more among the *test* patients for every repetition, the
    predictions kept, and the mean AUC is taken as for the observed labels.

    Args:
        train: float (N, F) features of the training slices.
        test: float (M, F).
        train_patients: int (N,), who each slice is of; one number for one person in both arrays.
        test_patients: int (M,).
        repetitions: shufflings.
        null_draws: of the null distribution; p is at least 1 / (null_draws + 1).
        seed: of all shuffling.

    Returns:
        None with fewer than FEWEST_PATIENTS test patients, or without training slices to compare with.
    """
    people, codes = np.unique(test_patients, return_inverse=True)
    if len(people) < FEWEST_PATIENTS or len(train) < NEIGHBOURS:
        return None
    rng = np.random.default_rng(seed)
    distance, neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(train).kneighbors(test)
    weight = 1 / np.maximum(distance, 1e-9)
    weight /= weight.sum(axis=1, keepdims=True)
    everyone, of_train = np.unique(np.concatenate([people, train_patients]), return_inverse=True)
    of_people, of_train = of_train[: len(people)], of_train[len(people) :]
    observed, null = [], []
    for _ in range(repetitions):
        labels = rng.permutation(np.arange(len(everyone)) % 2)
        scores = (labels[of_train][neighbours] * weight).sum(axis=1)
        own = labels[of_people]
        if own.min() == own.max():
            continue
        shuffled = rng.permuted(np.tile(own, (null_draws, 1)), axis=1)
        aucs = _patient_aucs(np.concatenate([own[None], shuffled]), scores, codes)
        observed.append(aucs[0])
        null.append(aucs[1:])
    if not observed:
        return None
    auc, chance = float(np.mean(observed)), np.mean(null, axis=0)
    low, high = np.quantile(chance, [0.025, 0.975])
    p_value = (1 + int((chance >= auc - 1e-12).sum())) / (null_draws + 1)
    return CanaryResult(auc, float(low), float(high), p_value, len(people), len(test), len(observed))


def _patient_aucs(labels: np.ndarray, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """AUCs of the same slices under many labellings of their patients, from the patients' sums of ranks.

    `(sum of the positives' ranks - m (m + 1) / 2) / (m n)` (Mann and Whitney), ties by midranks.

    Args:
        labels: (L, P) 0 or 1 of each patient; both occur in each row.
        scores: (M,).
        codes: (M,) each slice's patient, 0..P-1.
    """
    ranks = np.bincount(codes, weights=rankdata(scores), minlength=labels.shape[1])
    sizes = np.bincount(codes, minlength=labels.shape[1])
    positives = labels @ sizes
    return (labels @ ranks - positives * (positives + 1) / 2) / (positives * (len(scores) - positives))


def is_recognised(result: CanaryResult, level: float = 0.001, least_auc: float = 0.55) -> bool:
    """Whether the probe does better than chance; the level is strict, because every split of a data set is tested."""
    return result.p_value <= level and result.auc >= least_auc and not math.isnan(result.auc)
