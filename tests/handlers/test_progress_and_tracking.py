# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A person sees one line an epoch, with that epoch's own numbers; MLflow gets every iteration in few requests."""

from __future__ import annotations

import math

import pytest
import torch
from ignite.engine import Engine, Events

from monai_ich.handlers import MLflowTraining, TrainingProgress
from monai_ich.handlers.mlflow import FLUSH_EVERY
from monai_ich.utils.console import console


def _trainer(length: int = 1) -> tuple[Engine, Engine]:
    """A trainer with a loss of iteration / 8, and an evaluator that validates every second epoch."""
    evaluator = Engine(lambda *_: None)
    trainer = Engine(lambda engine, _: {"loss": torch.tensor(engine.state.iteration / 8, requires_grad=True)})

    def validate(engine: Engine) -> None:
        engine.state.metrics = {"train_loss": 0.12345, "train_loss_cls": 0.5, "lr": 0.1}
        if engine.state.epoch % 2 == 0:
            evaluator.state.epoch = engine.state.epoch
            evaluator.state.metrics = {"val_auc": 0.87654, "val_f1": 0.25, "val_acc": 0.75}

    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    return trainer, evaluator


def test_a_line_an_epoch_shows_its_losses_and_only_its_own_validation() -> None:
    trainer, evaluator = _trainer()
    TrainingProgress(evaluator, ("val_iou", "val_auc", "val_f1")).attach(trainer)
    with console.capture() as printed:
        trainer.run([0], max_epochs=11)
    lines = [line.rstrip() for line in printed.get().splitlines() if line.startswith("epoch")]
    assert len(lines) == 11
    assert lines[0] == "epoch  1/11  loss 0.123  loss_cls 0.500  0 s"
    assert lines[1] == "epoch  2/11  loss 0.123  loss_cls 0.500  val_auc 0.877  val_f1 0.250  0 s"
    assert lines[2] == lines[0].replace(" 1/", " 3/")
    assert lines[9].startswith("epoch 10/11  ")


def test_what_is_not_defined_is_a_dash() -> None:
    trainer, evaluator = _trainer()
    undefined = {"train_loss_seg": math.nan}
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(undefined))
    TrainingProgress(evaluator).attach(trainer)
    with console.capture() as printed:
        trainer.run([0])
    assert printed.get().rstrip() == "epoch 1/1  loss 0.123  loss_cls 0.500  loss_seg -  0 s"


def test_a_failure_stops_the_bar_and_is_raised() -> None:
    trainer, evaluator = _trainer()
    progress = TrainingProgress(evaluator)
    progress.attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.run([0])
    assert not progress.bar.live.is_started


class _Tracker:
    """What MLflowTraining needs of a tracker; the real one is tested with a real store."""

    def __init__(self) -> None:
        self.points: list[list[tuple[str, float, int]]] = []
        self.metrics: dict[int, dict[str, float]] = {}

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        self.points.append(points)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.metrics[step] = metrics


def test_mlflow_gets_every_iteration_in_few_requests_and_each_epoch_s_own_metrics() -> None:
    trainer, evaluator = _trainer()
    tracker = _Tracker()
    MLflowTraining(tracker, evaluator).attach(trainer)  # type: ignore[arg-type]
    trainer.run(list(range(FLUSH_EVERY + 2)), max_epochs=2)
    assert [len(points) for points in tracker.points] == [FLUSH_EVERY, 2] * 2
    points = [point for points in tracker.points for point in points]
    assert points == [("iteration_loss", i / 8, i) for i in range(1, 2 * (FLUSH_EVERY + 2) + 1)]
    assert set(tracker.metrics) == {1, 2}
    assert tracker.metrics[1] == {"train_loss": 0.12345, "train_loss_cls": 0.5, "lr": 0.1}
    assert tracker.metrics[2] == {**tracker.metrics[1], "val_auc": 0.87654, "val_f1": 0.25, "val_acc": 0.75}
    assert FLUSH_EVERY <= 1000, "an MLflow server takes no more in one request"
