# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The settings that a user may override, and what each of them accepts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monai_ich.networks import SWIN_SIZES
from monai_ich.utils.errors import did_you_mean
from monai_ich.utils.keys import MARKERS, Task, is_label

TASKS = tuple(task.value for task in Task)


@dataclass(frozen=True)
class Setting:
    """One setting: what it expects in words, and the predicate that says so in code."""

    expects: str
    accepts: Callable[[Any], bool]
    options: tuple[str, ...] = ()

    def fault(self, name: str, value: Any) -> str | None:
        """Returns what is wrong with `value`, or None."""
        if self.accepts(value):
            return None
        strays = [v for v in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(v, str)]
        hints = {did_you_mean(stray, self.options) for stray in strays if stray not in self.options}
        return f"{name}: expected {self.expects}, got {value!r}.{''.join(sorted(hints))}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_window(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value)) and value[1] > 0


def _is_choice_list(value: Any, options: tuple[str, ...]) -> bool:
    return isinstance(value, (list, tuple)) and 0 < len(value) == len(set(value)) and set(value) <= set(options)


def _are_labels(value: Any) -> bool:
    labels = (
        [name for name in value if isinstance(name, str) and is_label(name)] if isinstance(value, list | tuple) else []
    )
    return _is_choice_list(value, tuple(labels))


def _is_tracking_uri(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(
        ("sqlite:", "http:", "https:", "postgresql", "mysql", "databricks")
    )


def _one_of(*options: str) -> Setting:
    return Setting("one of " + ", ".join(options), lambda v: v in options, options)


def _some_of(options: tuple[str, ...], example: str) -> Setting:
    expects = f'a list, without repeats, out of {", ".join(options)} (on a command line: "{example}")'
    return Setting(expects, lambda v: _is_choice_list(v, options), options)


_TEXT = Setting("a text that is not empty", lambda v: isinstance(v, str) and bool(v.strip()))
_PATH_OR_EMPTY = Setting("a path, or an empty text", lambda v: isinstance(v, str))
_SWITCH = Setting("true or false", lambda v: isinstance(v, bool))
_COUNT = Setting("a whole number of at least 1", lambda v: _is_whole(v, 1))
_COUNT_OR_ZERO = Setting("a whole number of at least 0", lambda v: _is_whole(v, 0))
_POSITIVE = Setting("a number above 0", lambda v: _is_number(v) and v > 0)
_NOT_NEGATIVE = Setting("a number of at least 0", lambda v: _is_number(v) and v >= 0)
_FRACTION = Setting("a number from 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1)

SETTINGS: dict[str, Setting] = {
    "row": _TEXT,
    "run_name": Setting("a name without a slash", lambda v: isinstance(v, str) and bool(v) and "/" not in v),
    "runs_dir": _TEXT,
    "run_dir": _PATH_OR_EMPTY,
    "resume": _SWITCH,
    "experiment_name": _TEXT,
    "tracking_uri": Setting(
        "a database or server, such as sqlite:///mlflow.db or http://host:5000 (MLflow 3 has no file store)",
        _is_tracking_uri,
    ),
    "seed": _COUNT_OR_ZERO,
    "manifest": Setting("the path of a .csv file", lambda v: isinstance(v, str) and v.endswith(".csv")),
    "dataset_dir": _PATH_OR_EMPTY,
    "allow_findings": _SWITCH,
    "cache_dir": _PATH_OR_EMPTY,
    "markers": Setting(
        f"a list, without repeats, out of {', '.join(MARKERS)} and label_<name> columns of the manifest "
        "(on a command line: \"['hypodensity']\")",
        _are_labels,
        MARKERS,
    ),
    "window": Setting('[level, width] in HU with a width above 0 (on a command line: "[40, 80]")', _is_window),
    "image_size": Setting("a multiple of 32, in pixels", lambda v: _is_whole(v, 32) and v % 32 == 0),
    "tasks": _some_of(TASKS, "['cls','seg','rec']"),
    "size": _one_of(*SWIN_SIZES),
    "pretrained": _PATH_OR_EMPTY,
    "segmentation_stage": Setting("the overlay of a segmentation row, or {}", lambda v: isinstance(v, dict)),
    "segmentation_run": _PATH_OR_EMPTY,
    "segmentation_checkpoint": _PATH_OR_EMPTY,
    "loss_weights": Setting(
        "a number of at least 0 for every task, such as {'cls': 0.4, 'seg': 0.6}",
        lambda v: isinstance(v, dict) and set(v) <= set(TASKS) and all(_is_number(w) and w >= 0 for w in v.values()),
        TASKS,
    ),
    "batch_size": _COUNT,
    "max_epochs": _COUNT,
    "lr": _POSITIVE,
    "classifier_lr_factor": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "warmup_iterations": _COUNT_OR_ZERO,
    "max_gradient_norm": _NOT_NEGATIVE,
    "val_interval": _COUNT,
    "num_workers": _COUNT_OR_ZERO,
    "precision": _one_of("auto", "float32", "bfloat16"),
    "key_metric": _one_of("val_auc", "val_f1", "val_acc", "val_recall", "val_iou", "val_negative_loss"),
    "threshold": _FRACTION,
    "distributed": _SWITCH,
    "input": _PATH_OR_EMPTY,
    "output_dir": _TEXT,
    "checkpoint": _PATH_OR_EMPTY,
}
