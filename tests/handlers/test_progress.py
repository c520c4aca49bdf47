# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a training run tells in a log file: a line an epoch, and the time left now and then."""

from __future__ import annotations

import io
import re

import pytest
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from rich.console import Console

from monai_ich.handlers import TrainingProgress, progress
from monai_ich.utils import console as console_module

BATCHES = list(range(20))


def told(
    monkeypatch: pytest.MonkeyPatch, seconds: float, epochs: int = 1, from_epoch: int = 0, terminal: bool = False
) -> list[str]:
    """The lines of a run of 20 iterations an epoch that take `seconds` each, and of validations that take ten."""
    stream = io.StringIO()
    console = Console(file=stream, width=200, highlight=False, force_terminal=terminal, force_interactive=terminal)
    monkeypatch.setattr(progress, "console", console)
    monkeypatch.setattr(console_module, "console", console)
    now = 0.0

    def step(engine: Engine, batch: int) -> dict[str, torch.Tensor]:
        nonlocal now
        now += seconds
        return {CommonKeys.LOSS: torch.tensor(engine.state.iteration / 100)}

    def validate(engine: Engine) -> None:
        nonlocal now
        now += 10 * seconds
        evaluator.state.epoch = engine.state.epoch
        evaluator.state.metrics = {"val_auc": 0.75, "val_other": 0.5}

    def resume(engine: Engine) -> None:
        engine.state.epoch, engine.state.iteration = from_epoch, from_epoch * len(BATCHES)

    trainer, evaluator = Engine(step), Engine(lambda *_: None)
    trainer.add_event_handler(Events.STARTED, resume)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    TrainingProgress(evaluator, clock=lambda: now).attach(trainer)
    trainer.run(BATCHES, max_epochs=epochs)
    return stream.getvalue().splitlines()


def test_a_short_epoch_has_its_own_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, seconds=2, epochs=2)
    assert [re.sub(r"\d+ s$", "", line) for line in lines] == [
        "epoch 1/2  val_auc 0.750  ",
        "epoch 2/2  val_auc 0.750  ",
    ]


def test_a_long_epoch_says_the_time_left_a_minute_after_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six seconds an iteration: a minute is over after 10, 20 (the epoch's end), and 10 of the next."""
    lines = told(monkeypatch, seconds=6, epochs=2)
    assert lines[0] == ("  iteration 10/20 of epoch 1/2: loss 0.100, 0:01:00 left in the epoch, 0:03:00 in the run")
    # the run's pace holds a validation of a minute: (120 + 60 + 60) s in 30 iterations
    assert lines[2] == "  iteration 10/20 of epoch 2/2: loss 0.300, 0:01:00 left in the epoch, 0:01:20 in the run"
    assert len(lines) == 4


def test_just_under_a_minute_is_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, seconds=5.99)
    assert [line.partition(" of")[0] for line in lines[:-1]] == ["  iteration 12/20"]


def test_a_very_long_epoch_has_nine_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, seconds=3600)
    assert [line.partition(" of")[0] for line in lines[:-1]] == [f"  iteration {i}/20" for i in range(2, 20, 2)]
    assert lines[0].endswith("18:00:00 left in the epoch, 18:00:00 in the run")


def test_a_resumed_run_counts_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch, seconds=6, epochs=3, from_epoch=2)
    assert lines[0].endswith("of epoch 3/3: loss 0.500, 0:01:00 left in the epoch, 0:01:00 in the run")


def test_a_terminal_has_a_bar_for_the_epoch_and_one_for_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(told(monkeypatch, seconds=3600, epochs=2, terminal=True))
    assert "epoch 2/2" in text
    assert "training" in text
    assert re.search(r"20/40", text)
    assert "left in the epoch" not in text
