# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The best epoch is the first of the highest metric: a tie does not move it, the smallest rise does."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from monai_ich.handlers import Checkpoints


def _validate(folder: Path, values: list[float | None]) -> Checkpoints:
    """Runs an epoch for each value; None stands for an epoch without validation. The weight counts the epochs."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    evaluator = Engine(lambda *_: None)

    def step(engine: Engine, batch: object) -> None:
        with torch.no_grad():
            network.weight += 1
        value = values[engine.state.epoch - 1]
        if value is not None:
            evaluator.state.metrics = {"val_auc": value}
            evaluator.state.epoch = engine.state.epoch

    trainer = Engine(step)
    handler = Checkpoints(folder / "last.pt", folder / "best.pt", network, optimizer, evaluator, "val_auc")
    handler.attach(trainer)
    trainer.run([0], max_epochs=len(values))
    return handler


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.7, 0.7, 0.7], 1),
        ([0.7, math.nextafter(0.7, 1), 0.7], 2),
        ([0.7, math.nextafter(0.7, 0), 0.6], 1),
        ([math.nan, math.nan], 1),
        ([math.nan, 0.0], 2),
        ([-math.inf, -math.inf], 1),
        ([None, 0.4, None, 0.4], 2),
        ([0.4, None, 0.5], 3),
    ],
)
def test_a_tie_keeps_the_earlier_epoch_and_any_rise_takes_the_later(
    tmp_path: Path, values: list[float | None], best: int
) -> None:
    handler = _validate(tmp_path, values)
    assert handler.best_epoch == best
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    assert (saved["epoch"], saved["model"]["weight"].item()) == (best, best)
    value = values[best - 1]
    assert value is not None
    assert saved["val_auc"] == (-math.inf if math.isnan(value) else value)
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (last["epoch"], last["best_epoch"], last["best_value"]) == (len(values), best, saved["val_auc"])


def test_without_validation_there_is_no_best(tmp_path: Path) -> None:
    assert _validate(tmp_path, [None, None]).best_epoch == 0
    assert not (tmp_path / "best.pt").exists()
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 2
