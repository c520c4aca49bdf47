# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Whatever the patients are like: who promises to keep them apart does, and is checked on the result."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_cases import shuffled, split_of_patients

from monai_ich.data import PROTOCOLS, check_patients_apart, shared_patients
from monai_ich.utils.errors import ManifestError

# a patient: where the slices were taken, and their labels (None is unknown)
SLICE = st.tuples(st.sampled_from("ABC"), st.sampled_from([0.0, 1.0, None]))
COHORTS = st.lists(st.lists(SLICE, max_size=4), max_size=12)
REQUESTS = st.sampled_from(
    [
        ("patient", {}),
        ("patient", {"held_out": ["C"]}),
        ("hospital", {"held_out": ["C"]}),
        ("hospital", {"held_out": ["B", "C"], "separate": True}),
        ("kfold", {"folds": 3, "fold": 1}),
        ("kfold", {"folds": 6, "fold": 5}),
    ]
)


@settings(max_examples=40, deadline=None)
@given(cohort=COHORTS, request=REQUESTS, seed=st.integers(0, 2**32 - 1))
def test_no_patient_is_in_two_splits(
    cohort: list[list[tuple[str, float | None]]], request: tuple[str, dict[str, Any]], seed: int
) -> None:
    name, options = request
    frame = _table(cohort)
    drawn = PROTOCOLS[name](frame, seed=seed, **options)
    held_out = options.get("held_out", [])
    new = set(frame.loc[frame["hospital"].isin(held_out) & frame["hypodensity"].notna(), "patient_id"])
    for patient, splits in split_of_patients(drawn).items():
        assert len(splits) == 1 or (options.get("separate") and not splits & {"train", "val"})
        assert patient not in new or all(split.startswith("test") for split in splits)
    seen_elsewhere = frame["patient_id"].isin(new) & ~frame["hospital"].isin(held_out)
    assert set(drawn["key"]) == set(frame.loc[frame["hypodensity"].notna() & ~seen_elsewhere, "key"])
    assert {"train", "val"} < set(drawn["split"])
    assert (drawn.groupby("split")["hypodensity"].nunique() == 2).all()
    pd.testing.assert_frame_equal(drawn, PROTOCOLS[name](shuffled(frame), seed=seed, **options))


def test_shared_patients_are_counted_and_refused() -> None:
    frame = pd.DataFrame({"patient_id": list("aabbcdde"), "split": ["train", "val", "train", "test"] + ["test"] * 4})
    assert shared_patients(frame) == {("train", "val"): 1, ("train", "test"): 1}
    with pytest.raises(ManifestError) as caught:
        check_patients_apart(frame)
    assert "'train' and 'val' share 1 patients" in str(caught.value)
    assert "'train' and 'test' share 1 patients" in str(caught.value)
    with pytest.raises(ManifestError) as caught:
        check_patients_apart(frame, apart=["val"])
    assert "'test'" not in str(caught.value)
    check_patients_apart(frame[frame["split"] == "test"])
    check_patients_apart(frame, apart=["test_new"])


def _table(cohort: list[list[tuple[str, float | None]]]) -> pd.DataFrame:
    """The drawn patients, each with a negative slice of hospital A, and enough others for every request."""
    patients = [[*slices, ("A", 0.0)] for slices in cohort]
    patients += [[(hospital, 0.0), (hospital, 1.0)] for hospital in "AAAAAABC"]
    rows = [(number, *one) for number, slices in enumerate(patients) for one in slices]
    frame = pd.DataFrame(rows, columns=["patient_id", "hospital", "hypodensity"])
    frame["patient_id"] = "p" + frame["patient_id"].astype(str)
    return frame.assign(key=[f"k{number:03d}" for number in range(len(frame))], split="")
