# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The hospital protocol: held-out hospitals are tested on whole, and nothing of their patients is trained on."""

from __future__ import annotations

import pandas as pd
import pytest
from split_cases import cohort, patients_of_class, shuffled, split_of_patients

from monai_ich.data import hospital_protocol
from monai_ich.utils.errors import ManifestError

NEW = [str(number) for number in range(5, 12)]


def test_held_out_hospitals_are_tested_on_together() -> None:
    frame = cohort()
    drawn = hospital_protocol(frame, held_out=NEW)
    tested = drawn["split"] == "test_hospitals_5_11"
    assert set(drawn.loc[tested, "key"]) == set(frame.loc[frame["hospital"].isin(NEW), "key"])
    assert set(drawn.loc[~tested, "split"]) == {"train", "val"}
    assert set(drawn["key"]) == set(frame["key"])
    assert all(len(splits) == 1 for splits in split_of_patients(drawn).values())
    assert patients_of_class(drawn, "val") == (10, 14)  # a fifth of 48 and 72


def test_held_out_hospitals_are_tested_on_each_by_itself() -> None:
    frame = cohort()
    frame = frame.assign(hospital=frame["hospital"].replace({"11": "Kyōto (north)"}))
    drawn = hospital_protocol(frame, held_out=["10", "Kyōto (north)", "10"], separate=True)
    for name, hospital in (("test_hospital_10", "10"), ("test_hospital_Kyōto_north_", "Kyōto (north)")):
        assert set(drawn.loc[drawn["split"] == name, "key"]) == set(frame.loc[frame["hospital"] == hospital, "key"])
    assert set(drawn["split"]) == {"train", "val", "test_hospital_10", "test_hospital_Kyōto_north_"}


def test_hospitals_that_are_no_run_of_numbers_are_new_hospitals() -> None:
    assert set(hospital_protocol(cohort(5), held_out=["5", "7"])["split"]) == {"train", "val", "test_new_hospitals"}


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    frame = cohort()
    first = hospital_protocol(frame, held_out=NEW, seed=3)
    pd.testing.assert_frame_equal(first, hospital_protocol(shuffled(frame), held_out=NEW[::-1], seed=3))
    assert (hospital_protocol(frame, held_out=NEW, seed=4)["split"] != first["split"]).any()


def test_a_patient_of_two_hospitals() -> None:
    """Known to a training hospital: not trained on. Known to two held-out ones: tested on in both, if separate."""
    frame = cohort()
    frame["patient_id"] = frame["patient_id"].replace({"h2p000": "moved", "h5p000": "moved", "h6p000": "moved"})
    drawn = hospital_protocol(frame, held_out=["5", "6"], separate=True)
    assert split_of_patients(drawn)["moved"] == {"test_hospital_5", "test_hospital_6"}
    left_out = frame[~frame["key"].isin(drawn["key"])]
    assert set(left_out["patient_id"]) == {"moved"}
    assert set(left_out["hospital"]) == {"2"}


def test_impossible_requests_say_why() -> None:
    frame = cohort(10)
    with pytest.raises(ManifestError, match="no hospital is held out"):
        hospital_protocol(frame, held_out=[])
    with pytest.raises(
        ManifestError, match=r"held-out hospital 'Kyotp'.*are 1, 2, .*, 10, Kyoto\. Did you mean 'Kyoto'"
    ):
        hospital_protocol(frame.replace({"hospital": {"11": "Kyoto"}}), held_out=["Kyotp"])
    with pytest.raises(ManifestError, match="all 11 hospitals are held out"):
        hospital_protocol(frame, held_out=["1", "2", "3", "4", *NEW])
    alike = frame.replace({"hospital": {"10": "A-1", "11": "A 1"}})
    with pytest.raises(ManifestError, match="hospitals 'A-1' and 'A 1' would both be 'test_hospital_A_1'"):
        hospital_protocol(alike, held_out=["A-1", "A 1"], separate=True)
    none = frame.assign(hypodensity=frame["hypodensity"].where(frame["hospital"] != "7", 0))
    with pytest.raises(ManifestError, match="'test_hospital_7', 10 patients, has 0 slices with hypodensity and"):
        hospital_protocol(none, held_out=["6", "7"], separate=True)
    assert "test_hospitals_6_7" in set(hospital_protocol(none, held_out=["6", "7"])["split"])
