# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a comparison is told is what it uses: threshold, level, seed, draws, patients; and it names its tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monai_ich.metrics import (
    PatientBootstrap,
    PredictionTable,
    align_predictions,
    auc_covariance,
    bootstrap_p_value,
    classification_metrics,
    compare_aucs,
    comparison,
    gap_between,
    minimum_detectable_auc_difference,
    paired_for_gap,
    percentile_interval,
)
from monai_ich.utils.errors import ComparisonError

SLICES = 72
PATIENTS = 24


def _table(run: int, skill: float = 1.0, first_patient: int = 0, **columns: Any) -> PredictionTable:
    """One run's predictions for slices of which a patient's three share their label and most of their error."""
    truth, rng = np.random.default_rng(3), np.random.default_rng([11, run])
    patient = np.arange(SLICES) // 3
    label = (truth.random(PATIENTS) < 0.4)[patient]
    error = truth.normal(size=PATIENTS)[patient] + 0.3 * rng.normal(size=SLICES)
    frame = {
        "index": np.arange(SLICES),
        "key": [f"k{i}" for i in range(SLICES)],
        "patient_id": [f"p{first_patient + p:03}" for p in patient],
        "study_id": "s",
        "hospital": "1",
        "label_hypodensity": label.astype(int),
        "probability_hypodensity": 1 / (1 + np.exp(-(skill * (2 * label - 1) + error))),
        "has_mask": True,
        "seg_area": (np.arange(SLICES) % 3).astype(int),  # 0, 1 or 2 pixels
        "seg_union": 4,
        "seg_pred_area": 3,
        "seg_intersection": (np.arange(SLICES) % 3 > run % 2).astype(int),
    }
    return PredictionTable(pd.DataFrame(frame | columns))


TABLES = {"a": [_table(0), _table(1)], "b": [_table(2, 0.3)]}


def _bootstrap(tables: dict[str, list[PredictionTable]] = TABLES, **settings: Any) -> PatientBootstrap:
    return PatientBootstrap(align_predictions("A", tables), **{"resamples": 80, "seed": 1, **settings})


def test_the_threshold_given_is_used() -> None:
    for threshold in (0.3, 0.7):
        ours = _bootstrap(threshold=threshold)
        frame = TABLES["b"][0].frame
        plain = classification_metrics(frame["label_hypodensity"], frame["probability_hypodensity"], threshold)
        assert ours.estimate("b", "acc").value == pytest.approx(plain["acc"])


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_level_given_is_every_interval_s(level: float) -> None:
    ours = _bootstrap(level=level)
    for metric in ("acc", "iou"):
        estimate = ours.estimate("a", metric)
        assert (estimate.low, estimate.high) == percentile_interval(ours.replicates("a", metric), level)[:2]
        difference = ours.difference("a", "b", metric)
        replicates = ours.replicates("a", metric) - ours.replicates("b", metric)
        assert (difference.low, difference.high) == percentile_interval(replicates, level)[:2]
        assert difference.p_value == bootstrap_p_value(replicates)
        assert difference.test == "paired patient bootstrap"
    data = ours.predictions
    pair = data.scores["a"], data.scores["b"]
    difference, clustered = (
        ours.difference("a", "b", "auc"),
        compare_aucs(data.truth, *pair, data.patient_of_slice, level),
    )
    assert (difference.low, difference.high) == (clustered.low, clustered.high)
    assert difference.p_value == clustered.p_value
    assert difference.test == "DeLong, clustered by patient"


def test_one_class_gives_a_difference_of_nothing_but_its_test() -> None:
    negative = {row: [_table(run, label_hypodensity=0)] for run, row in enumerate("ab")}
    difference = _bootstrap(negative).difference("a", "b", "auc")
    numbers = difference.value, difference.low, difference.high, difference.p_value
    assert all(isinstance(number, float) and math.isnan(number) for number in numbers)
    assert difference.test == "DeLong, clustered by patient"


def test_blocks_of_any_size_give_the_same_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _bootstrap(resamples=7)
    for elements in (1, 2 * SLICES, 3 * SLICES - 1):
        monkeypatch.setattr(comparison, "BLOCK_ELEMENTS", elements)
        parts = _bootstrap(resamples=7)
        for metric in ("auc", "acc", "iou"):
            np.testing.assert_array_equal(parts.replicates("a", metric), whole.replicates("a", metric))


@pytest.mark.parametrize(("elements", "rows"), [(1, 1), (2 * SLICES - 1, 1), (2 * SLICES, 2)])
def test_a_block_holds_no_more_than_its_elements(monkeypatch: pytest.MonkeyPatch, elements: int, rows: int) -> None:
    """Slices of unknown marker count by their blood, and the other way round: the larger number decides."""
    monkeypatch.setattr(comparison, "BLOCK_ELEMENTS", elements)
    asked: list[int] = []
    plain = PatientBootstrap._metrics

    def metrics(self: PatientBootstrap, counts: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        asked.append(len(counts))
        return plain(self, counts)

    monkeypatch.setattr(PatientBootstrap, "_metrics", metrics)
    unlabelled = _table(0, label_hypodensity=pd.array([pd.NA] * 60 + [0, 1] * 6, dtype="Int64"), seg_area=1)
    for tables in (TABLES, {"a": [unlabelled]}):
        asked.clear()
        _bootstrap(tables, resamples=4)
        assert asked == [1, *[rows] * (4 // rows)]


def test_the_detectable_difference_is_put_together_from_covariances_of_patients() -> None:
    ours = _bootstrap()
    data = ours.predictions
    rows = [data.scores["a"], data.scores["b"]]
    clustered, plain = (auc_covariance(data.truth, rows, who)[1] for who in (data.patient_of_slice, None))
    shown = ours.detectable("b", power=0.6)
    assert shown["design_effect"] == pytest.approx(np.median(np.diag(clustered) / np.diag(plain)))
    assert shown["design_effect"] > 1.3
    assert shown["correlation"] == pytest.approx(
        min(0.95, clustered[0, 1] / math.sqrt(clustered[0, 0] * clustered[1, 1]))
    )
    single = [np.mean([auc_covariance(data.truth, [run])[1][0, 0] for run in runs]) for runs in rows]
    assert shown["averaging"] == pytest.approx(min(1.0, np.median(np.diag(plain) / single)))
    positives = int(data.truth.sum())
    expected = minimum_detectable_auc_difference(
        shown["auc"],
        positives,
        SLICES - positives,
        power=0.6,
        **{name: shown[name] for name in ("correlation", "design_effect", "averaging")},
    )
    assert shown["minimum_difference"] == pytest.approx(expected)
    assert shown["minimum_difference"] < ours.detectable("b")["minimum_difference"], "the power is 0.8 if not given"


def test_slices_that_repeat_no_patient_have_a_design_effect_of_about_one() -> None:
    apart = {row: [_table(run, patient_id=[f"p{i}" for i in range(SLICES)])] for run, row in enumerate("ab")}
    assert _bootstrap(apart).detectable("a")["design_effect"] == pytest.approx(1)


@pytest.mark.parametrize("positives", [0, SLICES])
def test_one_class_says_nothing_of_correlation(positives: int) -> None:
    shown = _bootstrap({"a": [_table(0, label_hypodensity=int(positives > 0))]}).detectable("a")
    assert shown.keys() == {"minimum_difference", "auc"}
    assert math.isnan(shown["minimum_difference"])


def test_a_gap_s_interval_p_value_and_test() -> None:
    near = _bootstrap(level=0.8)
    far = PatientBootstrap(
        align_predictions("B", {"a": [_table(5, first_patient=500)], "b": [_table(6, first_patient=500)]}),
        resamples=80,
        seed=1,
        level=0.8,
    )
    assert paired_for_gap(near, far) == (near, far)
    gap = gap_between(near, far, "a", "acc")
    replicates = near.replicates("a", "acc") - far.replicates("a", "acc")
    assert (gap.low, gap.high) == percentile_interval(replicates, 0.8)[:2]
    assert gap.p_value == bootstrap_p_value(replicates)
    assert gap.test == "patient bootstrap, test sets drawn independently"


def test_test_sets_that_share_a_patient_are_drawn_again_with_all_that_was_asked_for() -> None:
    tables = {"a": [_table(5, first_patient=PATIENTS - 1)], "b": [_table(6, first_patient=PATIENTS - 1)]}
    settings: dict[str, Any] = {"threshold": 0.3, "resamples": 41, "seed": 9, "level": 0.7}
    pair = (
        PatientBootstrap(align_predictions("A", TABLES), **settings),
        PatientBootstrap(align_predictions("B", tables), **settings),
    )
    first, second = paired_for_gap(*pair)
    for before, after in zip(pair, (first, second), strict=True):
        kept = {name: getattr(after, name) for name in settings}
        assert kept == settings
        assert after.predictions is before.predictions
        assert len(after.patients) == 2 * PATIENTS - 1
        assert len(after.replicates("a", "acc")) == 41
        assert after.estimate("a", "acc").value == before.estimate("a", "acc").value
    assert gap_between(first, second, "a", "acc").test == "patient bootstrap, test sets drawn together"
    other = paired_for_gap(*(PatientBootstrap(b.predictions, **{**settings, "seed": 8}) for b in pair))[0]
    assert not np.array_equal(other.replicates("a", "acc"), first.replicates("a", "acc"))


def test_a_slice_of_one_pixel_counts_as_blood_and_the_marker_is_kept() -> None:
    data = align_predictions("A", TABLES)
    assert data.marker == "hypodensity"
    assert len(data.patient_of_blood) == SLICES * 2 // 3
    assert data.counts["annotated"] == SLICES
    only = align_predictions("A", {"a": [_without(_table(0), "seg_")]})
    assert only.counts["annotated"] == 0
    assert only.counts["with_blood"] == 0
    assert not len(only.patient_of_blood)
    masks = align_predictions("A", {"a": [_without(_table(0), "label_", "probability_")]})
    assert (masks.counts["labelled"], masks.counts["positives"]) == (0, 0)


def test_a_fault_names_three_slices_of_those_that_differ() -> None:
    shorter = PredictionTable(_table(1).frame.iloc[4:])
    with pytest.raises(ComparisonError, match=r"4 slices are in it or in a, run 0 only \(k0, k1, k2\)"):
        align_predictions("A", {"a": [_table(0), shorter]})


def _without(table: PredictionTable, *prefixes: str) -> PredictionTable:
    return PredictionTable(table.frame[[name for name in table.frame if not name.startswith(prefixes)]])
