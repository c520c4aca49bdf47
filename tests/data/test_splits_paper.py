# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The paper's protocol: sizes, ratios, no overlap, and the same draw whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monai_ich.data import paper_protocol, protocol_counts
from monai_ich.utils.errors import ManifestError

TEST_A, TEST_B = "test_hospitals_1_4", "test_hospitals_5_11"


def slices(per_hospital: int = 200, positive: float = 0.12) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    hospitals = np.repeat([str(number) for number in range(1, 12)], per_hospital)
    n = len(hospitals)
    return pd.DataFrame(
        {
            "key": [f"k{number:05d}" for number in range(n)],
            "patient_id": [f"{hospital}-{i // 10}" for i, hospital in enumerate(hospitals)],
            "mask": np.where(hospitals.astype(int) < 5, "m.nii.gz", ""),
            "hospital": hospitals,
            "split": "",
            "hypodensity": (rng.random(n) < positive).astype(np.float32),
            "blend_sign": 0,
        }
    )


def test_sizes_and_ratios() -> None:
    frame = slices()
    drawn = paper_protocol(frame)
    counts = protocol_counts(drawn, ["hypodensity"])
    assert counts[TEST_A]["slices"] == counts[TEST_B]["slices"] == 20  # a tenth of hospital 1
    assert counts[TEST_A]["positives"] == counts[TEST_B]["positives"]
    assert counts[TEST_A]["positives"]["hypodensity"] > 0
    assert counts["val"]["slices"] == 156  # a fifth of the other 780 of hospitals 1-4
    assert counts["train"]["slices"] == 624
    assert set(drawn.loc[drawn["split"] == TEST_A, "hospital"]) == {"1"}
    assert set(drawn.loc[drawn["split"].isin(["train", "val"]), "hospital"]) == {"1", "2", "3", "4"}
    assert set(drawn.loc[drawn["split"] == TEST_B, "hospital"]) <= {str(number) for number in range(5, 12)}


def test_every_slice_once_and_test_b_shares_no_patient() -> None:
    frame = slices()
    drawn = paper_protocol(frame)
    assert drawn["key"].is_unique
    new = drawn["split"] == TEST_B
    assert not set(drawn.loc[new, "patient_id"]) & set(drawn.loc[~new, "patient_id"])
    inside = frame.loc[frame["hospital"].astype(int) < 5, "key"]
    assert set(drawn.loc[~new, "key"]) == set(inside)
    assert len(drawn) == 800 + 20
    assert (frame["split"] == "").all()


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    frame = slices()
    first = paper_protocol(frame, seed=3)
    pd.testing.assert_frame_equal(first, paper_protocol(frame.sample(frac=1, random_state=1), seed=3))
    other = paper_protocol(frame, seed=4)
    assert set(first.loc[first["split"] == TEST_A, "key"]) != set(other.loc[other["split"] == TEST_A, "key"])
    assert set(first.loc[first["split"] == TEST_B, "key"]) != set(other.loc[other["split"] == TEST_B, "key"])


def test_the_numbers_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    hospitals = np.repeat(["1", "2", "5"], [1790, 8122, 1868])
    frame = slices().iloc[:1].drop(columns=["hospital", "key", "hypodensity"])
    frame = pd.concat([frame] * len(hospitals), ignore_index=True)
    frame = frame.assign(
        hospital=hospitals,
        patient_id=[f"{hospital}-{i // 30}" for i, hospital in enumerate(hospitals)],
        key=[f"{i:06d}" for i in range(11_780)],
        hypodensity=rng.random(11_780) < 0.117,
    )
    drawn = paper_protocol(frame.astype({"hypodensity": int}), train_hospitals=("1", "2"))
    counts = protocol_counts(drawn, ["hypodensity"])
    assert counts[TEST_A]["slices"] == counts[TEST_B]["slices"] == 179
    assert counts["train"]["slices"] + counts["val"]["slices"] == 9912 - 179


def test_slices_with_an_unknown_marker_are_left_out() -> None:
    frame = slices()
    frame.loc[::7, "hypodensity"] = np.nan
    assert not set(paper_protocol(frame)["key"]) & set(frame.loc[::7, "key"])
    text = frame.assign(hypodensity=frame["hypodensity"].map({0: "0", 1: "1"}).fillna(""))
    assert paper_protocol(text)["key"].tolist() == paper_protocol(frame)["key"].tolist()


def test_another_hospital_and_other_fractions() -> None:
    drawn = paper_protocol(
        slices(), train_hospitals=("2", "3"), test_hospital="3", test_fraction=0.25, val_fraction=0.5
    )
    sizes = drawn["split"].value_counts()
    assert sizes.to_dict() == {TEST_A: 50, TEST_B: 50, "train": 175, "val": 175}
    assert set(drawn.loc[drawn["split"] == TEST_A, "hospital"]) == {"3"}
    assert not set(drawn.loc[drawn["split"] == TEST_B, "hospital"]) & {"2", "3"}


def test_impossible_draws_say_why() -> None:
    frame = slices()
    inside = frame["hospital"].astype(int) < 5
    with pytest.raises(
        ManifestError, match=r"has no positive slice among 20, so AUC is undefined; choose another seed"
    ):
        paper_protocol(frame.assign(hypodensity=0))
    with pytest.raises(ManifestError, match=r"test B needs \d+ positive slices .* other hospitals have 0 of 1400"):
        paper_protocol(frame.assign(hypodensity=frame["hypodensity"].where(inside, 0)))
    with pytest.raises(ManifestError, match=r"test B needs \d+ positive slices .* other hospitals have 0 of 0"):
        paper_protocol(frame[inside])
    with pytest.raises(ManifestError, match="test A would be empty: hospital 1 has 4 slices"):
        paper_protocol(pd.concat([frame[frame["hospital"] == "1"].iloc[:4], frame[frame["hospital"] != "1"]]))
    with pytest.raises(ManifestError, match="1 slices of the training hospitals are left"):
        paper_protocol(
            pd.concat([frame[frame["hospital"] == "1"].iloc[:4], frame[~inside]]),
            train_hospitals=["1"],
            test_fraction=0.8,
        )


def test_a_training_hospital_that_is_not_there_is_refused() -> None:
    """Misspelt, its slices would be drawn for test B instead."""
    with pytest.raises(ManifestError, match=r"training hospital '22' has no slice.*Did you mean '2'\?"):
        paper_protocol(slices(), train_hospitals=("1", "22"))


def test_requests_that_make_no_sense_are_refused_together() -> None:
    frame = pd.concat([slices(10)] * 2).drop(columns="hospital")
    with pytest.raises(ManifestError) as caught:
        paper_protocol(frame, marker="hypodensety", test_hospital="9", test_fraction=10, val_fraction=0)
    message = str(caught.value)
    assert "marker 'hypodensety' is unknown" in message
    assert "Did you mean 'hypodensity'?" in message
    assert "no column 'hospital'" in message
    assert "test_hospital is '9'; expected one of the training hospitals 1, 2, 3, 4" in message
    assert "test_fraction is 10; expected a number between 0 and 1" in message
    assert "val_fraction is 0;" in message
    assert "110 keys are repeated" in message


def test_a_patient_of_test_b_who_is_also_trained_on_is_refused() -> None:
    frame = slices()
    frame.loc[frame["hospital"] == "6", "patient_id"] = "2-20"
    with pytest.raises(ManifestError) as caught:
        paper_protocol(frame)
    message = str(caught.value)
    assert "'train' and 'test_hospitals_5_11' share 1 patients" in message
    assert "give each an id of their own" in message
    assert "test_hospitals_1_4" not in message  # it may share patients


def test_a_split_of_one_class_is_refused() -> None:
    frame = slices(20)
    with pytest.raises(ManifestError, match=r"'val', \d+ patients, has 0 slices with hypodensity and \d+ without"):
        paper_protocol(_one_class_in_val(frame), seed=5)


def _one_class_in_val(frame: pd.DataFrame) -> pd.DataFrame:
    """As many positives as before, but none where seed 5 draws validation."""
    every = frame.assign(hypodensity=np.arange(len(frame)) % 2)
    drawn = paper_protocol(every, seed=5)
    return every.assign(
        hypodensity=every["hypodensity"].where(~every["key"].isin(drawn.query("split == 'val'")["key"]), 0)
    )
