# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An evaluator's metrics are those of all its slices together, and only of the last pass."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from monai_ich.handlers import PredictionMetrics
from monai_ich.losses import MultiTaskLoss, SegmentationLoss
from monai_ich.metrics import PredictionTable

LOGITS = torch.tensor([[0.0, 1.0], [0.0, -1.0], [0.0, 0.5], [0.0, 0.4], [0.0, -2.0]])
LABELS = torch.tensor([1, 0, 0, 1, 1])


def _batch(rows: slice) -> dict[str, Any]:
    numbers = list(range(5))[rows]
    return {
        "index": torch.tensor(numbers),
        **{name: [f"{name}{n}" for n in numbers] for name in ("key", "patient_id", "study_id", "hospital")},
        "label": LABELS[rows],
        "image": torch.zeros(len(numbers), 1, 2, 2),
    }


def _run(handler: PredictionMetrics, passes: int = 1) -> Engine:
    def step(engine: Engine, batch: dict[str, Any]) -> dict[str, Any]:
        return {"pred": {"cls": LOGITS[batch["index"]]}, "label": {name: batch[name] for name in ("label", "image")}}

    engine = Engine(step)
    handler.attach(engine)
    engine.run([_batch(slice(0, 3)), _batch(slice(3, 5))], max_epochs=passes)
    return engine


def test_metrics_are_those_of_the_whole_table_with_the_prefix() -> None:
    handler = PredictionMetrics(["hypodensity"], prefix="val_")
    engine = _run(handler)
    table = PredictionTable.from_batch(_batch(slice(0, 5)), {"cls": LOGITS}, ["hypodensity"])
    assert handler.table is not None
    assert handler.table.frame.equals(table.frame)
    assert engine.state.metrics == {f"val_{name}": value for name, value in table.metrics().items()}
    assert engine.state.metrics["val_n"] == 5


def test_the_threshold_given_decides() -> None:
    probability = torch.softmax(LOGITS, 1)[3, 1].item()
    below, above = (
        _run(PredictionMetrics(["hypodensity"], threshold=probability + off)).state.metrics for off in (-1e-4, 1e-4)
    )
    assert (below["recall"], above["recall"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert _run(PredictionMetrics(["hypodensity"])).state.metrics["recall"] == pytest.approx(2 / 3)


def test_the_loss_is_the_mean_over_slices_not_over_batches() -> None:
    loss = MultiTaskLoss({"cls": 0.5})
    metrics = _run(PredictionMetrics(["hypodensity"], prefix="val_", loss=loss)).state.metrics
    expected = torch.nn.functional.cross_entropy(LOGITS, LABELS).item()
    assert metrics["val_loss"] == pytest.approx(0.5 * expected)
    assert metrics["val_loss_cls"] == pytest.approx(expected)
    assert metrics["val_negative_loss"] == -metrics["val_loss"]
    assert "val_loss" not in _run(PredictionMetrics(["hypodensity"], prefix="val_")).state.metrics


def test_each_task_s_loss_is_the_mean_over_the_slices_that_count_for_it() -> None:
    generator = torch.Generator().manual_seed(0)
    has_mask = torch.tensor([True, False, False, True, True])
    mask = (torch.rand(5, 1, 4, 4, generator=generator) > 0.5).to(torch.uint8)
    mask[4] = 0  # annotated, without blood: the paper's loss leaves it out
    seg = torch.randn(5, 2, 4, 4, generator=generator)
    label = torch.tensor([1, -1, -1, 1, 0])
    target = {"mask": mask, "has_mask": has_mask, "label": label, "image": torch.zeros(5, 1, 4, 4)}

    def evaluated(batches: list[list[int]], **changed: torch.Tensor) -> dict[str, float]:
        handler = PredictionMetrics(["hypodensity"], loss=MultiTaskLoss({"cls": 0.4, "seg": 0.6}))

        def step(engine: Engine, batch: dict[str, Any]) -> dict[str, Any]:
            rows = batch["index"]
            targets = {name: values[rows] for name, values in (target | changed).items()}
            batch.update(targets)
            return {"pred": {"cls": LOGITS[rows], "seg": seg[rows]}, "label": targets}

        engine = Engine(step)
        handler.attach(engine)
        engine.run([_batch(slice(rows[0], rows[-1] + 1)) for rows in batches])
        return engine.state.metrics

    parts = evaluated([[0, 1, 2], [3], [4]])
    whole = SegmentationLoss()(seg[[0, 3]], mask[[0, 3]], torch.tensor([True, True])).item()
    classified = torch.nn.functional.cross_entropy(LOGITS[[0, 3, 4]], label[[0, 3, 4]]).item()
    assert parts["loss_seg"] == pytest.approx(whole, rel=1e-6)
    assert parts["loss_cls"] == pytest.approx(classified, rel=1e-6)
    assert parts["loss"] == pytest.approx(0.4 * classified + 0.6 * whole, rel=1e-6)
    assert parts["loss_seg"] == pytest.approx(evaluated([[0, 1, 2, 3, 4]])["loss_seg"], rel=1e-6)
    without = evaluated([[0, 1, 2], [3, 4]], has_mask=torch.zeros(5, dtype=torch.bool))
    assert math.isnan(without["loss_seg"])
    assert without["loss"] == pytest.approx(0.4 * classified, rel=1e-6)
    assert without["negative_loss"] == -without["loss"]


def test_a_second_pass_starts_anew() -> None:
    handler = PredictionMetrics(["hypodensity"], loss=MultiTaskLoss({"cls": 1.0}))
    once = _run(handler).state.metrics
    assert _run(handler, passes=2).state.metrics == once
    assert handler.means is not None
    assert (len(handler.parts), len(handler.means.steps)) == (2, 2)
