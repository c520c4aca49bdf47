# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Going on from a checkpoint trains what is left and nothing twice; a foreign or hostile file changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from monai_ich.handlers import Checkpoints
from monai_ich.handlers.checkpoints import save_atomically
from monai_ich.networks import load_weights
from monai_ich.utils.errors import RunDirectoryError

LENGTH = 3


def _train(folder: Path, max_epochs: int, best: float = 0.5, **settings: Any) -> tuple[Checkpoints, list[int]]:
    """Trains a counting weight, and returns the handler and the number of every iteration that ran."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    evaluator, ran = Engine(lambda *_: None), []

    def step(engine: Engine, batch: object) -> None:
        with torch.no_grad():
            network.weight += 1
        ran.append(engine.state.iteration)
        evaluator.state.epoch, evaluator.state.metrics = engine.state.epoch, {"val_auc": best}

    trainer = Engine(step)
    handler = Checkpoints(folder / "last.pt", folder / "best.pt", network, optimizer, evaluator, "val_auc", **settings)
    handler.attach(trainer)
    trainer.run(list(range(LENGTH)), max_epochs=max_epochs)
    return handler, ran


def test_only_what_is_left_is_trained(tmp_path: Path) -> None:
    _train(tmp_path, 2, best=0.9)
    handler, ran = _train(tmp_path, 4, resume=True)
    assert ran == list(range(2 * LENGTH + 1, 4 * LENGTH + 1))
    assert handler.network.weight.item() == 4 * LENGTH
    assert (handler.best_epoch, handler.best_value) == (1, 0.9), "the best of before still counts"
    assert torch.load(tmp_path / "best.pt", weights_only=True)["epoch"] == 1
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 4


@pytest.mark.parametrize("settings", [{}, {"resume": False}])
def test_a_run_that_is_not_asked_to_go_on_begins_anew(tmp_path: Path, settings: dict[str, Any]) -> None:
    _train(tmp_path, 2, best=0.9)
    handler, ran = _train(tmp_path, 1, **settings)
    assert ran == list(range(1, LENGTH + 1))
    assert (handler.network.weight.item(), handler.best_value) == (LENGTH, 0.5)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    assert _train(tmp_path / "run" / "deep", 1, resume=True)[1] == list(range(1, LENGTH + 1))
    names = sorted(path.name for path in (tmp_path / "run" / "deep").iterdir())
    assert names == ["best.pt", "last.pt"], "no part of a file is left behind"


def test_what_is_beside_the_weights_is_returned(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 1)
    save_atomically({"model": network.state_dict(), "epoch": 3, "val_auc": 0.5}, tmp_path / "best.pt")
    other = torch.nn.Linear(2, 1)
    assert load_weights(other, tmp_path / "best.pt") == {"epoch": 3, "val_auc": 0.5}
    assert torch.equal(other.weight, network.weight)


def test_every_weight_that_does_not_fit_is_named_up_to_five(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, bias=False))
    save_atomically({"model": {"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(2), "x": torch.zeros(1)}}, path)
    before = network[0].bias.clone()
    with pytest.raises(RunDirectoryError) as caught:
        load_weights(network, path)
    assert str(caught.value).splitlines() == [
        f"{path} holds the weights of another network than the configured one:",
        "  - 1.weight is not in the file",
        "  - x is not in the network",
        "  - 0.weight is (3, 2) in the file, (2, 2) in the network",
    ]
    assert torch.equal(network[0].bias, before), "nothing is loaded in part"
    for strays, more in ((3, 0), (4, 1)):  # beside the two that are missing
        save_atomically({"model": {f"x{i}": torch.zeros(1) for i in range(strays)}}, path)
        with pytest.raises(RunDirectoryError) as caught:
            load_weights(torch.nn.Linear(1, 1), path)
        assert str(caught.value).count(" is not in the ") == 5
        assert ("more" in str(caught.value)) is bool(more)


class _Hostile:
    """An object whose loading would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"model": {}, "extra": _Hostile(tmp_path / "written")}, tmp_path / "best.pt")
    with pytest.raises(RunDirectoryError, match="is not a readable checkpoint"):
        load_weights(torch.nn.Linear(1, 1), tmp_path / "best.pt")
    assert not (tmp_path / "written").exists()
