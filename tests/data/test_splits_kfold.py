# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The k-fold protocol: every patient tested on once, folds alike in patients, positives and slices."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold
from split_cases import cohort, patients_of_class, positive_share, shuffled, split_of_patients

from monai_ich.data import kfold_protocol
from monai_ich.utils.errors import ManifestError


def test_every_slice_is_tested_on_once_and_validated_on_once() -> None:
    frame = cohort(6)
    tables = [kfold_protocol(frame, folds=4, fold=fold) for fold in range(4)]
    for split in ("test", "val"):
        keys = [key for table in tables for key in table.loc[table["split"] == split, "key"]]
        assert sorted(keys) == sorted(frame["key"]), split
    for table in tables:
        assert set(table["key"]) == set(frame["key"])
        assert all(len(splits) == 1 for splits in split_of_patients(table).values())
    tested = [set(table.loc[table["split"] == "test", "key"]) for table in tables]
    validated = [set(table.loc[table["split"] == "val", "key"]) for table in tables]
    assert validated == tested[1:] + tested[:1]


def test_folds_differ_by_one_patient_at_most_in_each_class() -> None:
    frame = cohort(31, seed=2)  # 139 patients with a positive slice, 202 without
    counts = [patients_of_class(kfold_protocol(frame, folds=7, fold=fold), "test") for fold in range(7)]
    positive, negative = zip(*counts, strict=True)
    assert sum(positive) == 139
    assert (min(positive), max(positive)) == (19, 20)
    assert sum(negative) == 202
    assert (min(negative), max(negative)) == (28, 29)


def test_slices_are_balanced_like_scikit_learn_does_it() -> None:
    """`StratifiedGroupKFold` balances slices greedily; the strata come within a hundredth of it."""
    frame = cohort()
    labels = frame["hypodensity"].to_numpy()
    tables = [kfold_protocol(frame, folds=5, fold=fold) for fold in range(5)]
    ours = [positive_share(table[table["split"] == "test"]) for table in tables]
    folds = StratifiedGroupKFold(5).split(labels, labels, frame["patient_id"])
    theirs = [labels[test].mean() for _, test in folds]
    assert np.abs(np.array(ours) - labels.mean()).max() < np.abs(np.array(theirs) - labels.mean()).max() + 0.01


def test_the_deal_depends_on_the_seed_and_not_on_the_order() -> None:
    frame = cohort(10)
    first = kfold_protocol(frame, fold=2, seed=3)
    pd.testing.assert_frame_equal(first, kfold_protocol(shuffled(frame), fold=2, seed=3))
    assert (kfold_protocol(frame, fold=2, seed=4)["split"] != first["split"]).any()


def test_few_patients_without_a_positive_slice_do_not_stand_in_the_way() -> None:
    frame = cohort()
    few = frame[frame["patient_id"].isin([f"h1p{number:03d}" for number in (0, 1, 2, 5, 6, 10, 11)])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = [kfold_protocol(few, folds=6, fold=fold) for fold in range(6)]
    assert sorted(sum(patients_of_class(table, "test")) for table in tables) == [1, 1, 1, 1, 1, 2]


def test_no_fold_is_made_up_of_the_few_patients_without_a_positive_slice() -> None:
    """Nine patients in six folds: three folds hold one patient, who must be a positive one."""
    patients = [f"p{number}" for number in range(9)]
    frame = pd.DataFrame(
        [(patient, label) for patient in patients for label in ((0, 1) if patient != "p4" else (0,))],
        columns=["patient_id", "hypodensity"],
    ).assign(hospital="1", split="", key=lambda table: [f"k{number:02d}" for number in table.index])
    for seed in range(10):
        tables = [kfold_protocol(frame, folds=6, fold=fold, seed=seed) for fold in range(6)]
        assert sorted(patients_of_class(table, "test") for table in tables) == [(1, 0)] * 3 + [(1, 1)] + [(2, 0)] * 2


def test_impossible_requests_say_why() -> None:
    frame = cohort(2)
    positive = frame["hospital"].isin(["1", "2"])
    with pytest.raises(
        ManifestError, match="5 folds need 5 patients with a positive slice, one for each; there are 4 of"
    ):
        kfold_protocol(frame.assign(hypodensity=frame["hypodensity"].where(positive, 0)))
    with pytest.raises(ManifestError, match="folds is 2; expected at least 3"):
        kfold_protocol(frame, folds=2)
    with pytest.raises(ManifestError, match="fold is 5; expected a number from 0 to 4"):
        kfold_protocol(frame, fold=5)
    with pytest.raises(ManifestError, match=r"marker 'blend_sing' is unknown.* Did you mean 'blend_sign'"):
        kfold_protocol(frame, marker="blend_sing")
