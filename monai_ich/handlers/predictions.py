# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Collects an evaluator's predictions into one table, over all processes, and computes every metric from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys

from monai_ich.data import SliceDataset
from monai_ich.engines import gathered
from monai_ich.handlers.engine_state import batch_of, output_of
from monai_ich.handlers.epoch_means import EpochMeans
from monai_ich.handlers.worst_groups import worst_accuracies
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
        dataset: SliceDataset | None = None,
    ) -> None:
        """Takes the markers of the classifier, the probability from which a slice is positive, and the metrics' prefix.

        Args:
            markers: names, in the order of the network's outputs.
            threshold: probability.
            prefix: such as `val_`.
            loss: also average this loss's parts over what counts for each, as `<prefix>loss...` (see `EpochMeans`).
            dataset: the evaluator's: also find the accuracy of its worst class and worst group.
        """
        self.markers = list(markers)
        self.threshold = threshold
        self.prefix = prefix
        self.means = EpochMeans(loss) if loss is not None else None
        self.dataset = dataset
        self.parts: list[PredictionTable] = []
        self.table: PredictionTable | None = None

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._compute)

    def _reset(self, engine: Engine) -> None:
        self.parts.clear()
        if self.means is not None:
            self.means.clear()

    def _collect(self, engine: Engine) -> None:
        predicted, targets = output_of(engine)[CommonKeys.PRED], output_of(engine)[CommonKeys.LABEL]
        self.parts.append(PredictionTable.from_batch(batch_of(engine), predicted, self.markers))
        if self.means is not None:
            with torch.no_grad():
                self.means.record(self.means.loss(predicted, targets))

    def _compute(self, engine: Engine) -> None:
        self.table = PredictionTable.concatenate([part for theirs in gathered(self.parts) for part in theirs])
        metrics = self.table.metrics(self.threshold)
        if self.dataset is not None:
            metrics |= worst_accuracies(self.table, self.dataset, self.threshold)
        if self.means is not None:
            losses, _ = self.means.compute()
            metrics |= losses | {"negative_loss": -losses["loss"]}
        engine.state.metrics = {f"{self.prefix}{name}": value for name, value in metrics.items()}
