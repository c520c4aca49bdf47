# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What happens around a training iteration: seeds, learning rate and the record of the losses."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from monai.utils import CommonKeys

from monai_ich.data import EpochSampler
from monai_ich.engines import LR_FACTOR, poly_learning_rate, rank
from monai_ich.handlers.engine_state import output_of, total_iterations
from monai_ich.handlers.epoch_means import EpochMeans
from monai_ich.losses import MultiTaskLoss
from monai_ich.utils.errors import MonaiIchError


class DivergedError(MonaiIchError):
    """The loss is no longer a finite number."""


class EpochSeed:
    """Seeds every epoch from (seed, epoch, rank), so that a resumed run draws what an uninterrupted one would have."""

    def __init__(self, seed: int, sampler: EpochSampler) -> None:
        self.seed = seed
        self.sampler = sampler

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        self.sampler.set_epoch(epoch)
        # drop-path and dropout draw from torch's global generator; the sampler seeds the augmentation itself
        torch.manual_seed(hash((self.seed, epoch, rank())) % 2**63)


class PolyLearningRate:
    """Sets the learning rate before every iteration (paper, equation 6), as a function of the iteration alone.

    The length of the schedule is read from the engine when it runs, so that a run extended by a higher `max_epochs`
    follows the longer schedule from where it is.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, lr: float, power: float = 0.9, warmup_iterations: int = 0
    ) -> None:
        """Takes the base rate `lr`, the exponent `power`, and the iterations of linear warm-up (the paper: none)."""
        self.optimizer = optimizer
        self.base = lr
        self.power = power
        self.warmup = warmup_iterations

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        rate = poly_learning_rate(
            engine.state.iteration - 1, total_iterations(engine), self.base, self.power, self.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get(LR_FACTOR, 1.0)


class GradientNormLimit:
    """Scales the gradient down to a norm before the optimizer's step, so that one batch cannot throw training off."""

    def __init__(self, network: torch.nn.Module, max_norm: float) -> None:
        """Takes the network and the largest norm of its whole gradient; 0 sets no limit (the paper's recipe)."""
        self.network = network
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        if self.max_norm > 0:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)


class EpochLosses:
    """Averages the loss's parts over an epoch, and over processes, into `engine.state.metrics` (see `EpochMeans`).

    The names are `train_loss`, `train_loss_cls`, `train_loss_seg` and `train_loss_rec`, and `lr`.
    """

    def __init__(self, loss: MultiTaskLoss, optimizer: torch.optim.Optimizer) -> None:
        self.means = EpochMeans(loss)
        self.optimizer = optimizer

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self.means.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: self.means.record(output_of(e)[CommonKeys.LOSS]))
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._average)

    def _average(self, engine: Engine) -> None:
        """Raises DivergedError when a loss is not finite; that nothing counted is no divergence."""
        means, broken = self.means.compute()
        if broken:
            raise DivergedError(
                f"epoch {engine.state.epoch}: expected finite losses, got "
                + ", ".join(f"train_{name} = {value}" for name, value in broken.items())
                + ". Lower --lr, lengthen --train::warmup_iterations, or try --precision float32."
            )
        metrics = {f"train_{name}": value for name, value in means.items()}
        engine.state.metrics.update(metrics, lr=self.optimizer.param_groups[0]["lr"])
