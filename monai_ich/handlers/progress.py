# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a person sees of a training run: bars or lines with the time left, and a line an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from math import isnan

from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from rich.progress import TaskID, TextColumn

from monai_ich.engines import rank
from monai_ich.handlers.engine_state import output_of, total_iterations
from monai_ich.utils.console import console, progress_bar

BAR_REFRESH = 5  # reading the loss waits for a GPU, so not at every iteration
# Without a terminal: a line at most once a minute, and at most nine within an epoch, however long it takes.
LINE_INTERVAL_S = 60.0
LINES_AN_EPOCH = 10


class TrainingProgress:
    """Shows how far the epoch and the run are, and prints losses and validation metrics of every epoch.

    On a terminal two bars count the iterations of the epoch and of the run, each with its time left. Elsewhere, as in a
    log file, a line says so now and then; epochs shorter than a minute have none.
    """

    def __init__(
        self,
        evaluator: Engine,
        shown_metrics: tuple[str, ...] = ("val_auc", "val_f1", "val_iou"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the evaluator whose metrics, those named, go into an epoch's line, and what gives the time in s."""
        self.evaluator = evaluator
        self.shown_metrics = tuple(shown_metrics)
        self.clock = clock
        self.bar = progress_bar(TextColumn("loss {task.fields[loss]}"), disable=rank() != 0)
        self.epoch_task = self.run_task = TaskID(0)
        self.run_started = self.epoch_started = self.last_line = 0.0  # clock
        self.first_iteration = 0  # of this process; a resumed run does not begin at 0

    def attach(self, engine: Engine) -> None:
        if rank() != 0:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._print_epoch)
        engine.add_event_handler(Events.COMPLETED, lambda _: self.bar.stop())
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._abandon)

    def _start(self, engine: Engine) -> None:
        done = self.first_iteration = engine.state.iteration
        self.run_started = self.last_line = self.clock()
        self.epoch_task = self.bar.add_task("epoch", total=engine.state.epoch_length, loss="-")
        self.run_task = self.bar.add_task("training", total=total_iterations(engine), completed=done, loss="-")
        self.bar.start()

    def _start_epoch(self, engine: Engine) -> None:
        self.epoch_started = self.clock()
        self.bar.reset(self.epoch_task, description=f"epoch {engine.state.epoch}/{engine.state.max_epochs}")

    def _advance(self, engine: Engine) -> None:
        done = _done_in_epoch(engine)
        if not self.bar.disable:
            if done % BAR_REFRESH == 0:
                self.bar.update(self.epoch_task, completed=done, loss=_loss(engine))
                self.bar.update(self.run_task, completed=engine.state.iteration, loss="")
        elif self._line_is_due(done, engine.state.epoch_length or 0):
            self.last_line = self.clock()
            console.print(self._line(engine, done), soft_wrap=True)

    def _line_is_due(self, done: int, length: int) -> bool:
        """At a tenth of the epoch or a multiple of it, a minute or more after the last line."""
        at_a_tenth = done * LINES_AN_EPOCH // length > (done - 1) * LINES_AN_EPOCH // length
        return done < length and at_a_tenth and self.clock() - self.last_line >= LINE_INTERVAL_S

    def _line(self, engine: Engine, done: int) -> str:
        state, now = engine.state, self.clock()
        in_epoch = (now - self.epoch_started) / done * ((state.epoch_length or 0) - done)
        # with the validations so far, which an epoch's own pace does not hold
        pace = (now - self.run_started) / (state.iteration - self.first_iteration)
        in_run = pace * (total_iterations(engine) - state.iteration)
        return (
            f"  iteration {done}/{state.epoch_length} of epoch {state.epoch}/{state.max_epochs}: loss {_loss(engine)}, "
            f"{_duration(in_epoch)} left in the epoch, {_duration(in_run)} in the run"
        )

    def _print_epoch(self, engine: Engine) -> None:
        width = len(str(engine.state.max_epochs))
        losses = {
            name.removeprefix("train_"): v for name, v in engine.state.metrics.items() if name.startswith("train_loss")
        }
        metrics = self.evaluator.state.metrics
        shown = {name: metrics[name] for name in self.shown_metrics if name in metrics}
        if self.evaluator.state.epoch != engine.state.epoch:
            shown = {}
        # undefined, such as a segmentation loss without a mask: a dash, as in the final table
        parts = [f"{name} {'-' if isnan(value) else f'{value:.3f}'}" for name, value in (losses | shown).items()]
        seconds = engine.state.times.get(Events.EPOCH_COMPLETED.name) or 0.0
        console.print(
            f"epoch {engine.state.epoch:>{width}}/{engine.state.max_epochs}  "
            + "  ".join(parts)
            + f"  {seconds:.0f} s",
            soft_wrap=True,
        )
        self.last_line = self.clock()

    def _abandon(self, engine: Engine, error: BaseException) -> None:
        self.bar.stop()
        raise error


def _done_in_epoch(engine: Engine) -> int:
    """Iterations of this epoch that are complete, from 1 on."""
    return (engine.state.iteration - 1) % (engine.state.epoch_length or 1) + 1


def _loss(engine: Engine) -> str:
    return f"{float(output_of(engine)[CommonKeys.LOSS].detach()):.3f}"


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _duration(3725.4)
    '1:02:05'
    """
    return str(timedelta(seconds=round(seconds)))
