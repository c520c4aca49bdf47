# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Rows of a table on one test set: means over runs, intervals, differences and gaps, by plain loops and by hand."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pandas as pd
import pytest

from monai_ich.metrics import (
    COMPARED_METRICS,
    PatientBootstrap,
    PredictionTable,
    align_predictions,
    compare_aucs,
    gap_between,
    paired_for_gap,
    percentile_interval,
)
from monai_ich.utils.errors import ComparisonError


def predictions(
    run: int, skill: float = 1.0, n: int = 90, patients: int = 30, prefix: str = "p", parts: str = "cls+seg"
) -> PredictionTable:
    """One run's table: the truth is the same for every run, the predictions differ."""
    truth, rng = np.random.default_rng(0), np.random.default_rng([7, run])
    label, area = truth.random(n) < 0.3, truth.integers(0, 3, n) * 20
    order = truth.permutation(n)
    frame = {
        "index": np.arange(n),
        "key": [f"k{i}" for i in range(n)],
        "patient_id": [f"{prefix}{i % patients}" for i in order],
        "study_id": "s",
        "hospital": "1",
    }
    if "cls" in parts:
        score = 1 / (1 + np.exp(-rng.normal(skill * (2 * label - 1), 1.0)))
        frame |= {"label_hypodensity": label.astype(int), "probability_hypodensity": score}
    if "seg" in parts:
        found = rng.binomial(area, 0.8)
        extra = rng.integers(0, 5, n)
        counts = {"seg_intersection": found, "seg_union": area + extra, "seg_pred_area": found + extra}
        frame |= {name: values.astype(int) for name, values in counts.items()}
        frame |= {"seg_area": area, "has_mask": True}
    return PredictionTable(pd.DataFrame(frame))


def bootstrap(tables: dict[str, list[PredictionTable]], name: str = "A", resamples: int = 300) -> PatientBootstrap:
    return PatientBootstrap(align_predictions(name, tables), resamples=resamples, seed=1)


TABLES = {
    "first": [predictions(0), predictions(1)],
    "second": [predictions(2, skill=0.4), predictions(3, skill=0.4), predictions(4, skill=0.4)],
    "seg only": [predictions(5, parts="seg")],
}


def replayed(tables: dict[str, list[PredictionTable]], seed: int, resamples: int) -> dict[tuple[str, str], list[float]]:
    """The same bootstrap with copied rows: every resample a new table, its metrics by `PredictionTable.metrics`."""
    frames = {row: [table.frame for table in runs] for row, runs in tables.items()}
    patients = np.unique(next(iter(frames.values()))[0]["patient_id"])
    rng = np.random.default_rng([seed, zlib.crc32(b"A")])
    result: dict[tuple[str, str], list[float]] = {}
    for count in rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), size=resamples):
        drawn = [patient for patient, times in zip(patients, count, strict=True) for _ in range(times)]
        for row, runs in frames.items():
            metrics = [
                PredictionTable(pd.concat([frame[frame["patient_id"] == p] for p in drawn])).metrics() for frame in runs
            ]
            for metric in COMPARED_METRICS:
                if metric in metrics[0]:
                    result.setdefault((row, metric), []).append(float(np.mean([m[metric] for m in metrics])))
    return result


def test_values_and_replicates_equal_copied_rows() -> None:
    ours = bootstrap(TABLES, resamples=12)
    theirs = replayed(TABLES, seed=1, resamples=12)
    assert {pair for pair in theirs if ours.has(*pair)} == set(theirs)
    assert not ours.has("seg only", "auc")
    for (row, metric), replicates in theirs.items():
        assert ours.replicates(row, metric) == pytest.approx(replicates, nan_ok=True)
        runs = [table.metrics()[metric] for table in TABLES[row]]
        estimate = ours.estimate(row, metric)
        assert estimate.value == pytest.approx(np.mean(runs))
        assert estimate.runs == len(runs)
        assert estimate.spread == pytest.approx(np.std(runs, ddof=1) if len(runs) > 1 else math.nan, nan_ok=True)
        assert (estimate.low, estimate.high) == pytest.approx(percentile_interval(np.array(replicates))[:2])


def test_differences_are_paired() -> None:
    ours = bootstrap(TABLES)
    for metric in ("acc", "precision", "recall", "f1"):
        result = ours.difference("first", "second", metric)
        differences = ours.replicates("first", metric) - ours.replicates("second", metric)
        assert (result.low, result.high) == percentile_interval(differences)[:2]
        assert result.value == pytest.approx(
            ours.estimate("first", metric).value - ours.estimate("second", metric).value
        )
    itself = ours.difference("first", "first", "f1")
    assert (itself.value, itself.low, itself.high, itself.p_value) == (0, 0, 0, 1)
    iou = ours.difference("first", "seg only", "iou")
    assert iou.low <= iou.value <= iou.high


def test_auc_is_compared_by_delong_over_patients() -> None:
    ours = bootstrap(TABLES)
    frame = TABLES["first"][0].frame
    stacked = [np.stack([t.frame["probability_hypodensity"] for t in TABLES[row]]) for row in ("first", "second")]
    truth, patients = frame["label_hypodensity"].to_numpy() == 1, frame["patient_id"].to_numpy()
    theirs = compare_aucs(truth, *stacked, patients)
    result = ours.difference("first", "second", "auc")
    assert (result.value, result.p_value, result.low) == pytest.approx((theirs.difference, theirs.p_value, theirs.low))
    assert result.p_value_independent == pytest.approx(compare_aucs(truth, *stacked).p_value)
    assert result.p_value < 0.01


def test_another_row_changes_no_interval() -> None:
    alone = bootstrap({"first": TABLES["first"]}).estimate("first", "f1")
    assert alone == bootstrap(TABLES).estimate("first", "f1")


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(TABLES).estimate("second", "auc")
    monkeypatch.setattr("monai_ich.metrics.comparison.BLOCK_ELEMENTS", 2000)
    assert bootstrap(TABLES).estimate("second", "auc") == whole


def test_gap_of_disjoint_sets_adds_their_variances_and_of_shared_patients_does_not() -> None:
    first = bootstrap({"row": [predictions(0)]}, "A", 2000)
    other = bootstrap({"row": [predictions(0, prefix="q")]}, "B", 2000)
    same = bootstrap({"row": [predictions(0)]}, "B", 2000)
    assert paired_for_gap(first, other) == (first, other)
    apart = gap_between(*paired_for_gap(first, other), "row", "auc")
    width = math.sqrt(2) * (first.estimate("row", "auc").high - first.estimate("row", "auc").low)
    assert apart.value == 0
    assert apart.high - apart.low == pytest.approx(width, rel=0.15)
    assert "independently" in apart.test
    together = gap_between(*paired_for_gap(first, same), "row", "auc")
    assert (together.low, together.high) == (0, 0), "the very same slices: nothing can differ"
    assert "together" in together.test


def test_partly_shared_patients_are_drawn_together() -> None:
    first = bootstrap({"row": [predictions(0)]}, "A")
    mixed = predictions(1).frame
    mixed["patient_id"] = [p if p < "p2" else "q" + p for p in mixed["patient_id"]]
    second = bootstrap({"row": [PredictionTable(mixed)]}, "B")
    one, two = paired_for_gap(first, second)
    assert len(one.patients) > len(first.patients)
    assert (one.patients == two.patients).all()
    assert one.estimate("row", "auc").value == first.estimate("row", "auc").value


def test_counts_of_slices_patients_and_positives() -> None:
    aligned = align_predictions("A", TABLES)
    frame = TABLES["first"][0].frame
    positive = frame[frame["label_hypodensity"] == 1]
    assert aligned.counts == {
        "slices": 90,
        "patients": 30,
        "labelled": 90,
        "positives": len(positive),
        "positive_patients": positive["patient_id"].nunique(),
        "annotated": 90,
        "with_blood": (frame["seg_area"] > 0).sum(),
    }


def test_slices_of_unknown_marker_are_left_out_and_order_does_not_matter() -> None:
    frame = predictions(0).frame.astype({"label_hypodensity": "Int64"})
    frame.loc[:4, "label_hypodensity"] = pd.NA
    shuffled = PredictionTable(frame.sample(frac=1, random_state=0))
    ours = bootstrap({"row": [PredictionTable(frame)], "shuffled": [shuffled]})
    assert ours.predictions.counts["labelled"] == 85
    assert ours.estimate("row", "f1") == ours.estimate("shuffled", "f1")
    assert ours.estimate("row", "auc").value == pytest.approx(PredictionTable(frame).metrics()["auc"])


def test_other_slices_patients_or_truth_are_refused_together() -> None:
    fewer, other = PredictionTable(predictions(1).frame.iloc[3:]), predictions(2).frame.copy()
    other.loc[0, "label_hypodensity"] = 1 - other.loc[0, "label_hypodensity"]
    renamed = predictions(3, prefix="q")
    tables = {"first": [predictions(0), fewer], "second": [PredictionTable(other)], "third": [renamed]}
    with pytest.raises(ComparisonError) as caught:
        align_predictions("A", tables)
    message = str(caught.value)
    assert "first, run 1: 3 slices are in it or in first, run 0 only (k0, k1, k2)" in message
    assert "second, run 0: label_hypodensity of 1 slices differs from first, run 0 (first k0)" in message
    assert "third, run 0: patient_id of 90 slices differs" in message


def test_one_class_has_no_auc_and_no_test() -> None:
    frame = predictions(0).frame.assign(label_hypodensity=0)
    ours = bootstrap({"a": [PredictionTable(frame)], "b": [PredictionTable(frame)]})
    assert math.isnan(ours.estimate("a", "auc").value)
    assert math.isnan(ours.difference("a", "b", "auc").p_value)
    assert ours.estimate("a", "auc").degenerate == 300
    assert math.isnan(ours.detectable("a")["minimum_difference"])


def test_detectable_difference_uses_what_the_rows_show() -> None:
    shown = bootstrap(TABLES).detectable("first")
    assert shown["design_effect"] >= 1
    assert 0 <= shown["correlation"] <= 0.95
    assert 0.01 < shown["minimum_difference"] < 0.3
    # runs that err independently of one another: the mean of two or three has about 1/2 or 1/3 of the variance
    assert 1 / 3 < shown["averaging"] < 0.6
    single = bootstrap({"first": TABLES["first"][:1]}).detectable("first")
    assert single["averaging"] == pytest.approx(1)
    assert single["correlation"] == 0.5, "one row shows no correlation"
