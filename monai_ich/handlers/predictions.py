# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Collects an evaluator's predictions into one table, over all processes, and computes every metric from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed
from ignite.engine import Engine, Events
from monai.utils import CommonKeys

from monai_ich.engines import world_size
from monai_ich.handlers.engine_state import batch_of, output_of
from monai_ich.losses import MultiTaskLoss
from monai_ich.metrics import PredictionTable


class PredictionMetrics:
    """Fills `engine.state.metrics` with `<prefix><metric>`, and keeps the table of predictions as `table`.

    Every process contributes the slices it saw, so a process without any is no special case.
    """

    def __init__(
        self,
        markers: Sequence[str],
        threshold: float = 0.5,
        prefix: str = "",
        loss: MultiTaskLoss | None = None,
    ) -> None:
        """Takes the markers of the classifier, the probability from which a slice is positive, and the metrics' prefix.

        Args:
            markers: names, in the order of the network's outputs.
            threshold: probability.
            prefix: such as `val_`.
            loss: also average this loss and its parts over the batches, as `<prefix>loss...`.
        """
        self.markers = list(markers)
        self.threshold = threshold
        self.prefix = prefix
        self.loss = loss
        self.parts: list[PredictionTable] = []
        self.losses: list[tuple[int, dict[str, float]]] = []
        self.table: PredictionTable | None = None

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._compute)

    def _reset(self, engine: Engine) -> None:
        self.parts.clear()
        self.losses.clear()

    def _collect(self, engine: Engine) -> None:
        predicted, targets = output_of(engine)[CommonKeys.PRED], output_of(engine)[CommonKeys.LABEL]
        self.parts.append(PredictionTable.from_batch(batch_of(engine), predicted, self.markers))
        if self.loss is not None:
            with torch.no_grad():
                total = float(self.loss(predicted, targets))
            parts = {f"loss_{task}": float(value) for task, value in self.loss.components.items()}
            self.losses.append((len(targets[CommonKeys.IMAGE]), {"loss": total, **parts}))

    def _compute(self, engine: Engine) -> None:
        parts, losses = self.parts, self.losses
        if world_size() > 1:
            gathered: list = [None] * world_size()
            torch.distributed.all_gather_object(gathered, (parts, losses))
            parts = [part for theirs, _ in gathered for part in theirs]
            losses = [entry for _, theirs in gathered for entry in theirs]
        self.table = PredictionTable.concatenate(parts)
        metrics = {**self.table.metrics(self.threshold), **_weighted_means(losses)}
        if "loss" in metrics:
            metrics["negative_loss"] = -metrics["loss"]
        engine.state.metrics = {f"{self.prefix}{name}": value for name, value in metrics.items()}


def _weighted_means(losses: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Returns the means over slices of the batches' losses."""
    if not losses:
        return {}
    total = sum(size for size, _ in losses)
    return {name: sum(size * values[name] for size, values in losses) / total for name in losses[0][1]}
