# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Counterfactual pairs: which slices they are, what is refused, and effects known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from group_cases import paired, table

from monai_ich.metrics import (
    PatientBootstrap,
    align_predictions,
    counterfactual_pairs,
    pair_effects,
)
from monai_ich.utils.attributes import parse_attribute, resolve_attribute
from monai_ich.utils.errors import ComparisonError, ConfigurationError

HOLDER = parse_attribute("head_holder=yes")


def effects(present: float, absent: float) -> dict[str, float]:
    boot = PatientBootstrap(
        align_predictions("pairs", {"row": [table(paired(12, present, absent))]}), resamples=50, attributes=[HOLDER]
    )
    found = {name: boot.estimate("row", f"{name} head_holder=yes") for name in ("ace", "flips", "logit_shift")}
    for name, estimate in found.items():  # all pairs are alike, so is every resample; logits are rounded
        off = 1e-12 if name == "logit_shift" else 0.0
        assert (estimate.low, estimate.high) == pytest.approx((estimate.value,) * 2, rel=off, abs=0.0), name
    return {name: estimate.value for name, estimate in found.items()}


def test_effects_that_are_known() -> None:
    assert effects(0.7, 0.7) == {"ace": 0.0, "flips": 0.0, "logit_shift": 0.0}
    assert {name: effects(1.0, 0.0)[name] for name in ("ace", "flips")} == {"ace": 1.0, "flips": 1.0}
    assert {name: effects(0.0, 1.0)[name] for name in ("ace", "flips")} == {"ace": -1.0, "flips": 1.0}
    cut = 2 * math.log((1 - 1e-7) / 1e-7)
    assert effects(1.0, 0.0)["logit_shift"] == pytest.approx(cut, abs=1e-6)


def test_a_flip_is_a_step_over_the_threshold() -> None:
    found = pair_effects(np.array([0.5, 0.5, 0.49]), np.array([0.49, 0.9, 0.1]), threshold=0.5)
    assert found["flips"].tolist() == [1, 0, 0]
    assert found["ace"] == pytest.approx([0.01, -0.4, 0.39])
    assert found["logit_shift"][1] == pytest.approx(-math.log(9))


def test_pairs_are_found_in_any_order() -> None:
    frame = paired(12).sample(frac=1, random_state=0).reset_index(drop=True)
    pairs = counterfactual_pairs(frame, HOLDER)
    assert frame["attribute_head_holder"].to_numpy()[pairs].tolist() == [["yes", "no"]] * 12
    assert frame["pair_id"].to_numpy()[pairs[:, 0]].tolist() == sorted(set(frame["pair_id"]))
    assert (frame["patient_id"].to_numpy()[pairs[:, 0]] == frame["patient_id"].to_numpy()[pairs[:, 1]]).all()


def test_pairs_of_another_attribute_and_slices_of_none_are_left_out() -> None:
    frame = paired(12)
    frame.loc[:1, "attribute_head_holder"] = "no"  # differs in something else
    frame.loc[2:3, "pair_id"] = ""
    frame.loc[4:5, "attribute_head_holder"] = ""
    assert len(counterfactual_pairs(frame, HOLDER)) == 9
    assert counterfactual_pairs(frame.drop(columns="pair_id"), HOLDER).shape == (0, 2)
    assert counterfactual_pairs(frame, parse_attribute("hospital")).shape == (0, 2)


def test_pairs_that_are_none_are_refused_all_together() -> None:
    frame = paired(12)
    frame.loc[3, "patient_id"] = "somebody"
    frame.loc[5, "attribute_head_holder"] = ""
    frame.loc[6, "pair_id"] = "pair004"
    with pytest.raises(ComparisonError) as caught:
        counterfactual_pairs(frame.drop(index=0).reset_index(drop=True), HOLDER)
    assert list(caught.value.faults) == [
        "pair 'pair000': the partner of k001 is missing",
        "pair 'pair001' is of two patients: k002, k003",
        "pair 'pair002': attribute_head_holder is unknown in one of k004, k005",
        "pair 'pair003': the partner of k007 is missing",
        "pair 'pair004' has 3 slices, expected 2: k006, k008, k009",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no name of an attribute"),
        ("Kernel=soft", "no name of an attribute"),
        ("kernel=", "the value behind '=' is missing"),
        ("volume:10:10", "rising numbers"),
        ("volume:ten", "rising numbers"),
        ("volume:inf", "rising numbers"),
        ("volume:10=yes", "cannot be given together"),
    ],
)
def test_attributes_that_cannot_be_read(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        parse_attribute(text)


def test_which_value_counts_as_with() -> None:
    def present(text: str, *values: str) -> str:
        return resolve_attribute(parse_attribute(text), values).value_with

    assert present("head_holder", "no", "yes", "") == "yes"
    assert present("attribute_contrast", "1", "0") == "1"
    assert present("kernel=sharp", "soft", "sharp") == "sharp"
    assert present("hospital", "1", "2") == ""
    assert present("scanner", "a", "b", "c") == ""
    assert present("volume:10:25", "3", "30") == ">=25"
    with pytest.raises(ConfigurationError, match="kernel=sharp or kernel=soft"):
        present("kernel", "soft", "sharp")
    with pytest.raises(ConfigurationError, match=r"no value 'shrp'.* Did you mean 'sharp'"):
        present("kernel=shrp", "soft", "sharp")
    with pytest.raises(ConfigurationError, match="expected numbers in attribute_volume, got 'large'"):
        present("volume:10", "3", "large")


def test_a_bin_holds_its_lower_limit() -> None:
    values = parse_attribute("volume:10:25").values(["9.99", "10", "24.9", "25", "", "-3"])
    assert values.tolist() == ["<10", "10 to 25", "10 to 25", ">=25", "", "<10"]
