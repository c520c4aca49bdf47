# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A checkpoint is whole or absent, best follows the key metric, and a wrong file is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from monai_ich.handlers import Checkpoints
from monai_ich.handlers.checkpoints import save_atomically
from monai_ich.networks import load_weights
from monai_ich.utils.errors import RunDirectoryError


def _train(folder: Path, values: list[float], resume: bool = False, max_epochs: int | None = None) -> Checkpoints:
    """Trains a weight by one step an epoch, with `values` as the validation metric of the epochs."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.5)
    evaluator = Engine(lambda *_: None)

    def step(engine: Engine, batch: object) -> None:
        optimizer.zero_grad()
        network(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        evaluator.state.metrics = {"val_auc": values[engine.state.epoch - 1]}
        evaluator.state.epoch = engine.state.epoch

    trainer = Engine(step)
    handler = Checkpoints(folder / "last.pt", folder / "best.pt", network, optimizer, evaluator, "val_auc", resume)
    handler.attach(trainer)
    trainer.run([0], max_epochs=max_epochs or len(values))
    return handler


def test_best_is_the_epoch_of_the_highest_metric(tmp_path: Path) -> None:
    handler = _train(tmp_path, [0.6, 0.8, 0.7])
    assert handler.best_epoch == 2
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (best["epoch"], last["epoch"]) == (2, 3)
    # momentum 0.5: steps of 1, 1.5, 1.75
    assert best["model"]["weight"].item() == pytest.approx(-2.5)
    assert last["model"]["weight"].item() == pytest.approx(-4.25)


def test_an_undefined_metric_does_not_freeze_the_choice(tmp_path: Path) -> None:
    assert _train(tmp_path, [math.nan, 0.4, math.nan]).best_epoch == 2


def test_resuming_gives_the_weights_of_an_uninterrupted_run(tmp_path: Path) -> None:
    values = [0.5, 0.9, 0.6, 0.7]
    _train(tmp_path / "whole", values)
    _train(tmp_path / "parts", values, max_epochs=2)
    resumed = _train(tmp_path / "parts", values, resume=True)
    assert resumed.best_epoch == 2, "the best of before the interruption still counts"
    whole, parts = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts"))
    assert whole["model"]["weight"].equal(parts["model"]["weight"])
    assert whole["optimizer"]["state"][0]["momentum_buffer"].equal(parts["optimizer"]["state"][0]["momentum_buffer"])


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_atomically({"model": {}, "epoch": 1}, path)

    def broken(content: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="No space left"):
        save_atomically({"model": {}, "epoch": 2}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 1


def test_a_missing_broken_or_foreign_checkpoint_is_named(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    with pytest.raises(RunDirectoryError, match=r"no such file\. Has the run trained an epoch"):
        load_weights(network, tmp_path / "best.pt")
    (tmp_path / "best.pt").write_bytes(b"PK not a checkpoint")
    with pytest.raises(RunDirectoryError, match="not a readable checkpoint"):
        load_weights(network, tmp_path / "best.pt")
    save_atomically({"model": torch.nn.Linear(3, 3).state_dict(), "epoch": 1}, tmp_path / "best.pt")
    with pytest.raises(RunDirectoryError, match="weights of another network"):
        load_weights(network, tmp_path / "best.pt")
