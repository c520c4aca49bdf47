# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The patient protocol: no patient in two splits, shares of each class exact, hospitals held out whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupShuffleSplit
from split_cases import cohort, patients_of_class, positive_share, shuffled, split_of_patients

from monai_ich.data import patient_protocol
from monai_ich.utils.errors import ManifestError


def test_every_patient_is_in_one_split_and_every_slice_is_kept() -> None:
    frame = cohort()
    drawn = patient_protocol(frame)
    assert all(len(splits) == 1 for splits in split_of_patients(drawn).values())
    assert set(drawn["key"]) == set(frame["key"])
    assert drawn["key"].is_unique
    assert drawn["key"].is_monotonic_increasing
    assert list(drawn.columns) == list(frame.columns)
    assert set(drawn["split"]) == {"train", "val", "test"}
    assert (frame["split"] == "").all()


def test_the_shares_are_exact_in_each_class() -> None:
    """131 patients with and 199 without a positive slice: a tenth of each, then a quarter of those left."""
    drawn = patient_protocol(cohort(), test_fraction=0.1, val_fraction=0.25)
    assert patients_of_class(drawn, "test") == (13, 20)
    assert patients_of_class(drawn, "val") == (30, 45)  # of 118 and 179
    assert patients_of_class(drawn, "train") == (88, 134)


def test_slices_are_balanced_better_than_by_chance() -> None:
    """Patients are stratified by how many positives they have, so the shares of slices come close, too."""
    frame = cohort()
    labels = frame["hypodensity"].to_numpy()
    ours, by_chance = [], []
    for seed in range(8):
        drawn = patient_protocol(frame, test_fraction=0.1, seed=seed)
        ours.append(positive_share(drawn[drawn["split"] == "test"]) - positive_share(frame))
        chance = GroupShuffleSplit(1, test_size=0.1, random_state=seed).split(labels, groups=frame["patient_id"])
        by_chance.append(labels[next(chance)[1]].mean() - positive_share(frame))
    assert np.abs(ours).max() < 0.02  # of 0.16
    assert np.abs(ours).mean() < np.abs(by_chance).mean() / 2


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    frame = cohort()
    first = patient_protocol(frame, held_out=["11"], seed=3)
    pd.testing.assert_frame_equal(first, patient_protocol(shuffled(frame), held_out=["11"], seed=3))
    other = patient_protocol(frame, held_out=["11"], seed=4)
    for split in ("test_hospitals_1_10", "val"):
        drawn = [set(table.loc[table["split"] == split, "patient_id"]) for table in (first, other)]
        assert len(drawn[0] & drawn[1]) < len(drawn[0]) / 2, split


def test_held_out_hospitals_are_the_second_test_set() -> None:
    frame = cohort()
    drawn = patient_protocol(frame, held_out=[str(number) for number in range(5, 12)])
    by_split = drawn.groupby("split")["hospital"].agg(lambda cells: set(cells))
    assert set(by_split.index) == {"train", "val", "test_hospitals_1_4", "test_hospitals_5_11"}
    assert by_split["test_hospitals_5_11"] == {str(number) for number in range(5, 12)}
    assert set().union(*by_split.drop("test_hospitals_5_11")) == {"1", "2", "3", "4"}
    assert set(drawn["key"]) == set(frame["key"])
    assert patients_of_class(drawn, "test_hospitals_1_4") == (10, 14)  # a fifth of 48 and 72


@pytest.mark.parametrize(
    ("held_out", "names"),
    [
        (["3"], {"test_same_hospitals", "test_hospital_3"}),
        (["1", "4"], {"test_same_hospitals", "test_new_hospitals"}),
        (["1"], {"test_hospitals_2_11", "test_hospital_1"}),
    ],
)
def test_names_say_which_hospitals(held_out: list[str], names: set[str]) -> None:
    assert set(patient_protocol(cohort(5), held_out=held_out)["split"]) == {"train", "val"} | names


def test_two_hospitals_of_like_names_get_two_test_sets() -> None:
    frame = cohort()
    frame = frame[frame["hospital"].isin(["1", "2"])]
    frame = frame.assign(hospital=frame["hospital"].map({"1": "A-1", "2": "A 1"}))
    drawn = patient_protocol(frame, held_out=["A 1"])
    assert set(drawn.loc[drawn["split"] == "test_new_hospitals", "hospital"]) == {"A 1"}
    assert set(drawn.loc[drawn["split"] == "test_same_hospitals", "hospital"]) == {"A-1"}


def test_a_patient_of_a_held_out_hospital_is_not_trained_on() -> None:
    frame = cohort()
    moved = frame["patient_id"].isin(["h2p000", "h7p000"])
    drawn = patient_protocol(
        frame.assign(patient_id=frame["patient_id"].where(~moved, "moved")), held_out=["5", "6", "7"]
    )
    rows = drawn[drawn["patient_id"] == "moved"]
    assert set(rows["split"]) == {"test_hospitals_5_7"}
    assert set(rows["hospital"]) == {"7"}
    assert set(frame["key"]) - set(drawn["key"]) == set(frame.loc[frame["patient_id"] == "h2p000", "key"])


def test_slices_with_an_unknown_marker_are_left_out() -> None:
    frame = cohort()
    frame.loc[::7, "hypodensity"] = np.nan
    drawn = patient_protocol(frame)
    assert set(frame["key"]) - set(drawn["key"]) == set(frame.loc[::7, "key"])
    text = frame.assign(hypodensity=frame["hypodensity"].map({0: "0", 1: "1"}).fillna(""))
    pd.testing.assert_series_equal(patient_protocol(text)["split"], drawn["split"])


def test_few_patients_without_a_positive_slice_do_not_stand_in_the_way() -> None:
    frame = cohort()
    few = frame[frame["patient_id"].isin([f"h1p{number:03d}" for number in (0, 1, 2, 5, 6, 10, 11)])]
    drawn = patient_protocol(few)
    assert [patients_of_class(drawn, split) for split in ("train", "val", "test")] == [(4, 1), (1, 0), (1, 0)]


def test_impossible_draws_say_why() -> None:
    frame = cohort()
    with pytest.raises(ManifestError, match="test split would get 0 of the 0 patients with a positive slice, of 330"):
        patient_protocol(frame.assign(hypodensity=0))
    two = frame[frame["patient_id"].isin(["h1p000", "h1p001", "h1p002", "h1p003"])]
    with pytest.raises(
        ManifestError, match=r"test split would get 0 of the 2 patients .* of 4 patients .* test_fraction is 0.2"
    ):
        patient_protocol(two)
    with pytest.raises(ManifestError, match=r"val split would get 0 of the 1 patients .* of 2 patients"):
        patient_protocol(two, test_fraction=0.5)
    only = frame[frame["hypodensity"] == 1]
    with pytest.raises(ManifestError, match=r"'test', 26 patients, has \d+ slices with hypodensity and 0 without"):
        patient_protocol(only)
    with pytest.raises(ManifestError, match="hypodensity is unknown in all 6"):
        patient_protocol(frame.assign(hypodensity=np.nan))


def test_requests_that_make_no_sense_are_refused_together() -> None:
    frame = cohort(2).astype({"hypodensity": object})
    frame.loc[:2, "patient_id"] = None
    frame.loc[3:4, "hypodensity"] = "yes"
    with pytest.raises(ManifestError) as caught:
        patient_protocol(pd.concat([frame, frame.iloc[:1]]), test_fraction=0, val_fraction=1)
    message = str(caught.value)
    assert f"patient_id is empty in 4 of {len(frame) + 1} rows" in message
    assert "hypodensity is 'yes' in one of 2 such rows; expected 0, 1" in message
    assert "test_fraction is 0;" in message
    assert "val_fraction is 1;" in message
    assert "1 keys are repeated" in message
    with pytest.raises(ManifestError, match="the table has no column 'blend_sign'"):
        patient_protocol(cohort(2).drop(columns="blend_sign"), marker="blend_sign")
    with pytest.raises(ManifestError, match="held-out hospital '12' has no slice with a known marker"):
        patient_protocol(cohort(2), held_out=["12"])
    with pytest.raises(ManifestError, match="all 11 hospitals are held out"):
        patient_protocol(cohort(2), held_out=[str(number) for number in range(1, 12)])
