# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints that survive a kill at any moment, and going on from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_ich.engines import rank
from monai_ich.networks import load_weights
from monai_ich.networks.encoder_origins import ORIGINS, encoder_origins
from monai_ich.utils.files import replaced


def save_atomically(content: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint so that `path` holds the old one or the new one, never a part, whenever the process dies."""
    with replaced(path, sole_writer=True, durable=True) as partial, partial.open("wb") as file:
        torch.save(content, file)


class Checkpoints:
    """After every epoch writes `last.pt`; and `best.pt` when the evaluator's key metric rose.

    Attach it to the trainer after the validation handler. Randomness needs no state here: every epoch is seeded by its
    number, and the learning rate is a function of the iteration.
    """

    def __init__(
        self,
        last: Path,
        best: Path,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        evaluator: Engine,
        key_metric: str,
        resume: bool = False,
        loss: torch.nn.Module | None = None,
    ) -> None:
        """Takes the two files, what to keep, the evaluator and the name of its metric that decides on the best epoch.

        With `resume`, `last` is loaded before the first epoch, where it exists. A loss with a state of its own, such as
        group DRO's, is kept in `last`, too.
        """
        self.last = last
        self.best = best
        self.network = network
        self.optimizer = optimizer
        self.evaluator = evaluator
        self.key_metric = key_metric
        self.resume = resume
        self.loss = loss
        self.best_value = -math.inf
        self.best_epoch = 0

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)

    def _load(self, engine: Engine) -> None:
        if not self.resume or not self.last.is_file():
            return
        rest = load_weights(self.network, self.last)
        self.optimizer.load_state_dict(rest["optimizer"])
        if self.loss is not None:
            self.loss.load_state_dict(rest.get("loss", {}))
        self.best_value, self.best_epoch = rest["best_value"], rest["best_epoch"]
        engine.state.epoch = rest["epoch"]
        engine.state.iteration = rest["epoch"] * engine.state.epoch_length

    def _save(self, engine: Engine) -> None:
        validated = self.evaluator.state.epoch == engine.state.epoch
        value = self.evaluator.state.metrics[self.key_metric] if validated else -math.inf
        if math.isnan(value):  # not defined in this epoch; as a best value, NaN would win every later comparison
            value = -math.inf
        improved = validated and (value > self.best_value or self.best_epoch == 0)
        if improved:
            self.best_value, self.best_epoch = value, engine.state.epoch
        if rank() != 0:
            return
        origins = {ORIGINS: encoder_origins(self.network)}
        of_loss = self.loss.state_dict() if self.loss is not None else {}
        weights = {"model": self.network.state_dict(), "epoch": engine.state.epoch, **origins}
        if improved:
            save_atomically({**weights, self.key_metric: float(value)}, self.best)
        save_atomically(
            {
                **weights,
                "optimizer": self.optimizer.state_dict(),
                **({"loss": of_loss} if of_loss else {}),
                "best_value": float(self.best_value),
                "best_epoch": self.best_epoch,
            },
            self.last,
        )
