# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Shortcuts: how well a label is predicted by attributes that have nothing to do with it, such as the scanner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from monai_ich.metrics.resampling import percentile_interval, resample_counts, weighted_auc

FOLDS = 5
_RESAMPLE_BLOCK = 50  # resamples at once: weights of (50, N) rather than (R, N)


@dataclass(frozen=True)
class ProbeResult:
    """A cross-validated AUC.

    Attributes:
        auc: of slices whose patient the model has not seen.
        low: lower end of its 95 % interval, of other patients.
        high: its upper end.
        slices: that were scored.
        patients: that they belong to.
        single: {attribute: AUC of a model of this attribute alone}, the highest first.
    """

    auc: float
    low: float
    high: float
    slices: int
    patients: int
    single: dict[str, float] = field(default_factory=dict)


def attribute_probe(
    attributes: pd.DataFrame,
    labels: np.ndarray,
    patients: np.ndarray,
    *,
    resamples: int = 500,
    seed: int = 0,
) -> ProbeResult | None:
    """Predicts a label from attributes by a small decision tree, cross-validated over patients.

    Five folds, no patient in two of them. AUC is taken within each fold and averaged, weighted by the fold's pairs of a
    positive and a negative: scores of different folds come of different models and are not compared. The interval
    draws patients with replacement (percentile bootstrap), the models kept.

    Args:
        attributes: (N, A), text or numbers; missing ones are a value of their own ("" and NaN).
        labels: (N,) 0 or 1.
        patients: (N,) int.
        resamples: of the bootstrap.
        seed: of folds, ties in the tree, and bootstrap.

    Returns:
        None when nothing varies, or a class has slices of fewer than 5 patients.
    """
    varying = attributes.loc[:, [len(attributes[name].unique()) > 1 for name in attributes]]
    patients = np.unique(patients, return_inverse=True)[1]
    fewest = min(len(np.unique(patients[labels == value])) for value in (0, 1))
    if varying.empty or fewest < FOLDS:
        return None
    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(varying, labels, groups=patients))
    scores = _out_of_fold(varying, labels, folds, seed)
    once = np.ones((1, len(labels)))
    auc = float(_fold_auc(scores, labels, folds, once)[0])
    single = {}
    for name in varying.columns:
        alone = scores if varying.shape[1] == 1 else _out_of_fold(varying[[name]], labels, folds, seed)
        single[str(name)] = float(_fold_auc(alone, labels, folds, once)[0])
    rng = np.random.default_rng(seed)
    blocks = _weights(patients, resamples, rng)
    replicates = np.concatenate([_fold_auc(scores, labels, folds, weights) for weights in blocks])
    low, high, _ = percentile_interval(replicates)
    return ProbeResult(
        auc=auc,
        low=low,
        high=high,
        slices=len(labels),
        patients=int(patients.max()) + 1,
        single=dict(sorted(single.items(), key=lambda item: -item[1])),
    )


Folds = list[tuple[np.ndarray, np.ndarray]]


def _out_of_fold(attributes: pd.DataFrame, labels: np.ndarray, folds: Folds, seed: int) -> np.ndarray:
    """(N,) each slice's probability by the model that did not see its patient."""
    scores = np.zeros(len(labels))
    for train, test in folds:
        model = _model(seed).fit(attributes.iloc[train], labels[train])
        scores[test] = model.predict_proba(attributes.iloc[test])[:, -1]
    return scores


def _model(seed: int) -> Pipeline:
    numbers = make_column_selector(dtype_include="number")
    encode = make_column_transformer(
        (SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), numbers),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(encode, DecisionTreeClassifier(max_depth=4, min_samples_leaf=5, random_state=seed))


def _fold_auc(scores: np.ndarray, labels: np.ndarray, folds: Folds, weights: np.ndarray) -> np.ndarray:
    """(R,) AUC within folds, averaged over them by their weight of pairs; NaN where no fold has both classes.

    Args:
        scores: (N,).
        labels: (N,).
        folds: the rows of each.
        weights: (R, N).
    """
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for _, test in folds:
        there = weights[:, test]
        positive = labels[test] == 1
        of_fold = there[:, positive].sum(axis=1) * there[:, ~positive].sum(axis=1)
        auc = weighted_auc(labels[test], scores[test], there)
        won += np.where(of_fold > 0, auc * of_fold, 0.0)
        pairs += of_fold
    return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def _weights(patients: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Blocks (R, N) of how often each slice is in each resample of patients."""
    for start in range(0, resamples, _RESAMPLE_BLOCK):
        counts = resample_counts(int(patients.max()) + 1, min(_RESAMPLE_BLOCK, resamples - start), rng)
        yield counts[:, patients].astype(float)
