# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Metrics of groups against scikit-learn and restated rules, and their intervals and differences over patients."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from group_cases import cohort, paired, table
from sklearn.metrics import accuracy_score, roc_auc_score

from monai_ich.metrics import (
    AttributeGroups,
    PatientBootstrap,
    align_predictions,
    best_threshold,
    bleeding_auc,
    expected_calibration_error,
    group_metric,
    worst_group_accuracy,
)
from monai_ich.utils.attributes import parse_attribute
from monai_ich.utils.errors import ComparisonError

HOLDER = parse_attribute("head_holder=yes")


def columns(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities, and whether the holder is there."""
    marker = frame["label_hypodensity"].to_numpy()
    return marker, frame["probability_hypodensity"].to_numpy(), (frame["attribute_head_holder"] == "yes").to_numpy()


def metrics_of(frame: pd.DataFrame, attribute: str = "head_holder=yes", **options: object) -> dict[str, float]:
    """Of a single run, unweighted."""
    marker, scores, _ = columns(frame)
    groups = AttributeGroups.of(parse_attribute(attribute), frame, marker == 1)
    found = groups.metrics(scores[None], np.ones((1, len(frame))), **options)  # type: ignore[arg-type]
    return {name: values.item() for name, values in found.items()}


def test_aucs_are_scikit_learn_s() -> None:
    frame = cohort()
    marker, scores, holder = columns(frame)
    found = metrics_of(frame)
    conflicting, aligned = holder != (marker == 1), holder == (marker == 1)
    assert found["conflict_auc"] == pytest.approx(roc_auc_score(marker[conflicting], scores[conflicting]), abs=1e-12)
    assert found["aligned_auc"] == pytest.approx(roc_auc_score(marker[aligned], scores[aligned]), abs=1e-12)
    within = [roc_auc_score(marker[holder == value], scores[holder == value]) for value in (False, True)]
    assert [found["auc_within=no"], found["auc_within=yes"]] == pytest.approx(within, abs=1e-12)
    assert found["worst_auc_within"] == min(found["auc_within=no"], found["auc_within=yes"])
    assert found["conflict_auc"] < found["worst_auc_within"] < found["aligned_auc"], "half of the score is the holder"
    assert "ace" not in found, "there are no pairs"


def test_the_auc_against_bleeding_negatives_is_scikit_learn_s() -> None:
    frame = cohort()
    marker, scores, _ = columns(frame)
    blood, patients = frame["has_blood"].to_numpy() == 1, frame["patient_id"].to_numpy()
    found = bleeding_auc(marker == 1, scores[None], np.ones((1, len(frame))), blood, patients)
    chosen = blood | (marker == 1)
    assert (~chosen).any()
    assert found.item() == pytest.approx(roc_auc_score(marker[chosen], scores[chosen]), abs=1e-12)
    assert table(frame).metrics()["auc_bleeding"] == found.item()


@pytest.mark.parametrize("threshold", [0.5, 0.37])
def test_the_worst_group_s_accuracy_is_scikit_learn_s(threshold: float) -> None:
    frame = cohort()
    marker, scores, holder = columns(frame)
    each = [
        accuracy_score(marker[rows], scores[rows] >= threshold)
        for rows in ((marker == label) & (holder == value) for label in (0, 1) for value in (False, True))
    ]
    groups = 2 * holder + marker
    assert worst_group_accuracy(marker, scores, groups, threshold) == pytest.approx(min(each), abs=1e-12)
    found = metrics_of(frame, threshold=threshold, validation_thresholds=np.array([0.9]))
    assert found["wga"] == pytest.approx(min(each), abs=1e-12)
    assert found["wga_val"] == pytest.approx(worst_group_accuracy(marker, scores, groups, 0.9), abs=1e-12)
    own = AttributeGroups.of(HOLDER, frame, marker == 1).group_numbers()
    assert own.tolist() == groups.tolist()


def test_unknown_slices_are_in_no_group() -> None:
    labels, scores = np.array([0, 1, 1, np.nan]), np.array([0.2, 0.5, 0.1, 0.0])
    assert worst_group_accuracy(labels, scores, np.array([0, 1, -1, 0]), 0.5) == 1.0
    assert worst_group_accuracy(labels, scores, np.array([0, 1, 1, 0]), 0.5) == 0.5
    assert math.isnan(worst_group_accuracy(labels, scores, np.full(4, -1), 0.5))
    frame = cohort()
    emptied = frame.assign(attribute_head_holder=frame["attribute_head_holder"].where(frame.index % 3 > 0, ""))
    known = frame[frame.index % 3 > 0]
    assert metrics_of(emptied) == metrics_of(known)


def _calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Restated: ten bins, each from its lower limit on, the last one with 1."""
    total = 0.0
    for tenth in range(10):
        low, high = np.linspace(0, 1, 11)[[tenth, tenth + 1]]
        rows = (scores >= low) & ((scores < high) | (tenth == 9))
        if rows.any():
            total += rows.mean() * abs(scores[rows].mean() - labels[rows].mean())
    return total


def test_the_calibration_error_as_restated() -> None:
    frame = cohort()
    marker, scores, holder = columns(frame)
    limits = np.concatenate([scores, [0.0, 0.1, 0.3, 0.7, 1.0]])
    labels = np.concatenate([marker, [1, 0, 1, 0, 0]])
    once = np.ones((1, len(labels)))
    expected = _calibration_error(labels, limits)
    assert expected_calibration_error(labels, limits, once) == pytest.approx([expected], abs=1e-12)
    twice = np.repeat([[1.0, 2.0]], [len(marker), 5], axis=1)
    repeated = _calibration_error(np.concatenate([labels, labels[-5:]]), np.concatenate([limits, limits[-5:]]))
    assert expected_calibration_error(labels, limits, twice) == pytest.approx([repeated], abs=1e-12)
    each = [_calibration_error(marker[holder == value], scores[holder == value]) for value in (False, True)]
    assert metrics_of(frame)["worst_ece"] == pytest.approx(max(each), abs=1e-12)


def test_the_best_threshold_is_youden_s() -> None:
    marker, scores, _ = columns(cohort())
    index = [np.mean(scores[marker == 1] >= t) - np.mean(scores[marker == 0] >= t) for t in scores]
    assert best_threshold(marker, scores) == scores[np.argmax(index)]
    assert best_threshold(np.append(marker, np.nan), np.append(scores, 0.0)) == scores[np.argmax(index)]
    assert math.isnan(best_threshold(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_bins_and_hospitals_are_groups() -> None:
    frame = cohort()
    volumes = frame["attribute_clot_volume_ml"].astype(float)
    found = metrics_of(frame, "clot_volume_ml:10:30")
    marker, scores, _ = columns(frame)
    middle = ((volumes >= 10) & (volumes < 30)).to_numpy()
    assert found["auc_within=10 to 30"] == pytest.approx(roc_auc_score(marker[middle], scores[middle]), abs=1e-12)
    conflicting = ((volumes >= 30).to_numpy() != (marker == 1)).nonzero()
    assert found["conflict_auc"] == pytest.approx(roc_auc_score(marker[conflicting], scores[conflicting]), abs=1e-12)
    hospitals = metrics_of(frame, "hospital")
    assert {name for name in hospitals if "within=" in name} == {f"auc_within={h}" for h in "123"}
    assert "conflict_auc" not in hospitals


@pytest.mark.parametrize(("few", "printed"), [(9, False), (10, True)])
def test_a_group_of_nine_patients_gives_no_metric(few: int, printed: bool) -> None:
    """Positives without the holder, and pairs, are of that many patients."""
    frame = cohort()
    kept = (frame["label_hypodensity"] == 1) & (frame["attribute_head_holder"] == "no")
    allowed = frame.loc[kept, "patient_id"].unique()[:few]
    frame = frame[~kept | frame["patient_id"].isin(allowed)]
    found = metrics_of(frame)
    for name in ("conflict_auc", "auc_within=no", "worst_auc_within", "wga"):
        assert math.isnan(found[name]) != printed, name
    for name in ("aligned_auc", "auc_within=yes", "worst_ece"):
        assert not math.isnan(found[name]), name
    marker, _, _ = columns(frame)
    warned = AttributeGroups.of(HOLDER, frame, marker == 1).small_groups()
    assert warned == ([] if printed else ["positive, head_holder no: 9"])
    pairs = metrics_of(paired(few))
    assert math.isnan(pairs["ace"]) != printed


def test_a_group_that_is_missing_is_no_worst_group() -> None:
    """All positives with the holder: what the accuracy of the fourth group would be, nobody knows."""
    frame = cohort()
    frame = frame[(frame["label_hypodensity"] == 0) | (frame["attribute_head_holder"] == "yes")]
    found = metrics_of(frame)
    assert math.isnan(found["wga"])
    assert math.isnan(found["conflict_auc"])


def test_the_bootstrap_draws_patients_for_groups_and_pairs() -> None:
    """The same resamples as tables with repeated rows, whose metrics are computed one by one."""
    tables = {"one": [table(cohort(run=0)), table(cohort(run=1))], "two": [table(cohort(run=2))]}
    aligned = align_predictions("A", tables)
    boot = PatientBootstrap(
        aligned, resamples=20, attributes=[HOLDER], validation_thresholds={"one": np.array([0.4, 0.6])}
    )
    rng = np.random.default_rng([0, 3554254475])  # crc32 of "A"
    counts = rng.multinomial(60, np.full(60, 1 / 60), size=20)
    names = ("conflict_auc", "aligned_auc", "worst_auc_within", "wga", "worst_ece")
    for resample in (0, 19):
        times = dict(zip(aligned.patients, counts[resample], strict=True))
        for row, runs in tables.items():
            drawn = [t.frame.loc[t.frame.index.repeat(t.frame["patient_id"].map(times))] for t in runs]
            each = [metrics_of(frame.astype({"label_hypodensity": int})) for frame in drawn]
            for name in names:
                expected = np.mean([found[name] for found in each])
                got = boot.replicates(row, group_metric(name, HOLDER.text))[resample]
                assert got == pytest.approx(expected, abs=1e-12), (row, name)
    assert boot.has("one", "wga_val head_holder=yes")
    assert not boot.has("two", "wga_val head_holder=yes")
    difference = boot.difference("one", "two", "conflict_auc head_holder=yes")
    first, second = (boot.estimate(row, "conflict_auc head_holder=yes").value for row in ("one", "two"))
    assert difference.value == pytest.approx(first - second, abs=1e-12)
    assert difference.test == "paired patient bootstrap"
    assert boot.difference("one", "one", "conflict_auc head_holder=yes").p_value == 1.0


def test_intervals_are_of_patients_and_not_of_slices() -> None:
    """Twenty copies of every patient's slice change nothing: the same patients, the same interval."""
    frame = cohort(patients=100, slices=1)
    copies = frame.loc[frame.index.repeat(20)].reset_index(drop=True)
    copies = copies.assign(index=np.arange(len(copies)), key=[f"c{i:04d}" for i in range(len(copies))])
    boots = [
        PatientBootstrap(align_predictions("A", {"row": [table(f)]}), resamples=200, attributes=[HOLDER])
        for f in (frame, copies)
    ]
    for metric in ("auc_bleeding", "conflict_auc head_holder=yes", "worst_ece head_holder=yes"):
        one, many = (boot.estimate("row", metric) for boot in boots)
        assert (many.low, many.high) == pytest.approx((one.low, one.high), abs=1e-12), metric
        assert one.low < one.high


def test_runs_of_before_take_the_others_attributes() -> None:
    new, old = cohort(run=0), cohort(run=1).drop(columns=["attribute_head_holder", "has_blood"])
    aligned = align_predictions("A", {"old": [table(old)], "new": [table(new)]})
    assert aligned.descriptions["attribute_head_holder"].tolist() == new["attribute_head_holder"].tolist()
    assert aligned.blood is not None
    assert aligned.blood.tolist() == (new["has_blood"] == 1).tolist()
    alone = PatientBootstrap(align_predictions("A", {"old": [table(old)]}), resamples=10, attributes=[HOLDER])
    assert not alone.has("old", "auc_bleeding")
    assert not alone.has("old", "conflict_auc head_holder=yes")
    other = new.assign(attribute_head_holder="no")
    with pytest.raises(ComparisonError, match=r"attribute_head_holder of .* slices differs"):
        align_predictions("A", {"one": [table(new)], "two": [table(other)]})


def test_the_area_of_the_mask_tells_blood_in_older_tables() -> None:
    frame = cohort().drop(columns="has_blood")
    area = np.where(frame.index % 2 == 0, 30, 0)
    counts = {"seg_intersection": 0, "seg_union": 30, "seg_pred_area": 0, "seg_area": area}
    aligned = align_predictions("A", {"row": [table(frame.assign(**counts, has_mask=frame.index % 4 < 2))]})
    assert aligned.blood is not None
    assert aligned.blood.tolist() == (frame.index % 4 == 0).tolist()


def test_metrics_of_a_table_take_the_attributes_that_say_themselves_which_is_with() -> None:
    frame = cohort()
    found = table(frame.assign(attribute_kernel=np.where(frame.index % 2, "sharp", "soft"))).metrics(0.4)
    expected = metrics_of(frame, threshold=0.4)
    for name in ("conflict_auc", "aligned_auc", "worst_auc_within", "wga", "worst_ece"):
        assert found[f"{name}_head_holder"] == expected[name]
    assert not [name for name in found if "kernel" in name or "volume" in name]
    of_pairs = table(paired(30, 0.8, 0.4)).metrics()
    assert of_pairs["ace_head_holder"] == pytest.approx(0.4, abs=1e-12)
    assert of_pairs["flips_head_holder"] == 1.0
