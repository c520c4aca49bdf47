# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a person sees of a training run: one bar with loss and ETA, and a line an epoch."""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from rich.progress import TaskID, TextColumn

from monai_ich.engines import rank
from monai_ich.handlers.engine_state import output_of, total_iterations
from monai_ich.utils.console import console, progress_bar

BAR_REFRESH = 5  # reading the loss waits for a GPU, so not at every iteration


class TrainingProgress:
    """Draws the bar over the whole run, and prints the losses and validation metrics of every epoch above it."""

    def __init__(self, evaluator: Engine, shown_metrics: tuple[str, ...] = ("val_auc", "val_f1", "val_iou")) -> None:
        """Takes the evaluator whose metrics, those named, go into an epoch's line."""
        self.evaluator = evaluator
        self.shown_metrics = tuple(shown_metrics)
        self.bar = progress_bar(TextColumn("loss {task.fields[loss]}"), disable=rank() != 0)
        self.task = TaskID(0)

    def attach(self, engine: Engine) -> None:
        if rank() != 0:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._print_epoch)
        engine.add_event_handler(Events.COMPLETED, lambda _: self.bar.stop())
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._abandon)

    def _start(self, engine: Engine) -> None:
        self.task = self.bar.add_task(
            "training", total=total_iterations(engine), completed=engine.state.iteration, loss="-"
        )
        self.bar.start()

    def _advance(self, engine: Engine) -> None:
        if engine.state.iteration % BAR_REFRESH == 0:
            loss = f"{float(output_of(engine)[CommonKeys.LOSS].detach()):.3f}"
            self.bar.update(self.task, completed=engine.state.iteration, loss=loss)

    def _print_epoch(self, engine: Engine) -> None:
        width = len(str(engine.state.max_epochs))
        losses = {
            name.removeprefix("train_"): v for name, v in engine.state.metrics.items() if name.startswith("train_loss")
        }
        metrics = self.evaluator.state.metrics
        shown = {name: metrics[name] for name in self.shown_metrics if name in metrics}
        if self.evaluator.state.epoch != engine.state.epoch:
            shown = {}
        parts = [f"{name} {value:.3f}" for name, value in [*losses.items(), *shown.items()]]
        seconds = engine.state.times.get(Events.EPOCH_COMPLETED.name) or 0.0
        console.print(
            f"epoch {engine.state.epoch:>{width}}/{engine.state.max_epochs}  "
            + "  ".join(parts)
            + f"  {seconds:.0f} s",
            soft_wrap=True,
        )

    def _abandon(self, engine: Engine, error: BaseException) -> None:
        self.bar.stop()
        raise error
