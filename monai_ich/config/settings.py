# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The settings that a user may override: the one place where each is declared.

What a config check accepts, what may change when a run goes on, what a table holds equal, what MLflow and the model
card show, and the table of settings in the bundle's README are all derived from `SETTINGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monai.bundle.utils import ID_SEP_KEY

from monai_ich.networks import SKIPS, SWIN_SIZES
from monai_ich.networks.cnn_builders import PLAIN, UNET_ENCODERS
from monai_ich.utils.errors import did_you_mean
from monai_ich.utils.keys import BALANCE_BY, BALANCES, DICE_OVER, MARKERS, MIXINGS, ROBUST_LOSSES, Task, is_label

TASKS = tuple(task.value for task in Task)
WORST = ("val_worst_class_acc", "val_worst_group_acc")


class Role(StrEnum):
    """What a setting decides."""

    RESULT = "result"  # which row it is and what it computes: fixed when a run goes on, equal within a row, shown
    IDENTITY = "identity"  # which run of its row it is: fixed when a run goes on, different within a row, shown
    PLACE = "place"  # where and how it is computed: free to change, not shown


@dataclass(frozen=True)
class Kind:
    """The values that a setting accepts: in words, as a predicate, and the options to suggest from."""

    words: str
    accepts: Callable[[Any], bool]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        kind: of its values.
        role: what it decides.
        meaning: what it is, for the README.
        of_table: a table sets it for each of its runs.
        of_stage: the first stage of a joint system takes it from the joint run, whatever its own row says.
        of_classifier: it has no meaning without a classifier: the first stage of a joint system has it as `unnamed`.
        may_rise: it may change when a run goes on, although it decides the result.
        unnamed: its value in the runs that do not name it; runs of before the setting was there are among them.
    """

    kind: Kind
    role: Role
    meaning: str
    of_table: bool = False
    of_stage: bool = False
    of_classifier: bool = False
    may_rise: bool = False
    unnamed: Any = None

    @property
    def shown(self) -> bool:
        """Whether MLflow and the model card show it."""
        return self.role is not Role.PLACE

    @property
    def free_to_change(self) -> bool:
        """Whether it may change between two parts of one run."""
        return self.role is Role.PLACE or self.may_rise

    def fault(self, name: str, value: Any) -> str | None:
        """Returns what is wrong with `value`, or None."""
        if self.kind.accepts(value):
            return None
        strays = [v for v in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(v, str)]
        options = self.kind.options
        hints = {did_you_mean(stray, options) for stray in strays if stray not in options}
        return f"{name}: expected {self.kind.words}, got {value!r}.{''.join(sorted(hints))}"


def value_at(config: dict[str, Any], name: str) -> tuple[bool, Any]:
    """Whether a raw config holds the setting `name`, such as `lr` or `loss::weights`, and its value.

    >>> value_at({"loss": {"weights": 1}}, "loss::weights"), value_at({"loss": "@mine"}, "loss::weights")
    ((True, 1), (False, None))
    """
    node: Any = config
    for part in name.split(ID_SEP_KEY):
        if not isinstance(node, dict) or part not in node:
            return False, None
        node = node[part]
    return True, node


def names_where(is_so: Callable[[Setting], bool]) -> frozenset[str]:
    """The names of the settings for which `is_so` holds."""
    return frozenset(name for name, setting in SETTINGS.items() if is_so(setting))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_window(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value)) and value[1] > 0


def _is_choice_list(value: Any, allowed: Callable[[str], bool]) -> bool:
    is_list = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return is_list and 0 < len(value) == len(set(value)) and all(map(allowed, value))


def _are_weights(value: Any) -> bool:
    return (
        isinstance(value, dict) and set(value) <= set(TASKS) and all(_is_number(w) and w >= 0 for w in value.values())
    )


def _are_names(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value)
    return is_list and len(value) == len(set(value))


def _are_bins(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(limits, (list, tuple)) and limits and all(map(_is_number, limits)) for limits in value.values()
    )


def _is_tracking_uri(value: Any) -> bool:
    databases = ("sqlite:", "http:", "https:", "postgresql", "mysql", "databricks")
    return isinstance(value, str) and value.startswith(databases)


def _one_of(*options: str) -> Kind:
    return Kind("one of " + ", ".join(options), lambda v: v in options, options)


_TEXT = Kind("a text that is not empty", lambda v: isinstance(v, str) and bool(v.strip()))
_ANY_TEXT = Kind("a text", lambda v: isinstance(v, str | int | float) and not isinstance(v, bool))
_NAME = Kind("a name without a slash", lambda v: isinstance(v, str) and bool(v) and "/" not in v)
_PATH = Kind("a path, or an empty text", lambda v: isinstance(v, str))
_CSV = Kind("the path of a .csv file", lambda v: isinstance(v, str) and v.endswith(".csv"))
_STORE = Kind(
    "a database or server, such as sqlite:///mlflow.db or http://host:5000 (MLflow 3 has no file store)",
    _is_tracking_uri,
)
_SWITCH = Kind("true or false", lambda v: isinstance(v, bool))
_COUNT = Kind("a whole number of at least 1", lambda v: _is_whole(v, 1))
_COUNT_OR_ZERO = Kind("a whole number of at least 0", lambda v: _is_whole(v, 0))
_POSITIVE = Kind("a number above 0", lambda v: _is_number(v) and v > 0)
_NOT_NEGATIVE = Kind("a number of at least 0", lambda v: _is_number(v) and v >= 0)
_FRACTION = Kind("a number from 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1)
_LABELS = Kind(
    f"a list, without repeats, out of {', '.join(MARKERS)} and label_<name> columns of the manifest "
    "(on a command line: \"['hypodensity']\")",
    lambda v: _is_choice_list(v, is_label),
    MARKERS,
)
_WINDOW = Kind('[level, width] in HU with a width above 0 (on a command line: "[40, 80]")', _is_window)
_SIDE = Kind("a multiple of 32, in pixels", lambda v: _is_whole(v, 32) and v % 32 == 0)
_TASKS = Kind(
    f"a list, without repeats, out of {', '.join(TASKS)} (on a command line: \"['cls','seg','rec']\")",
    lambda v: _is_choice_list(v, TASKS.__contains__),
    TASKS,
)
_WEIGHTS = Kind("a number of at least 0 for every task, such as {'cls': 0.4, 'seg': 0.6}", _are_weights, TASKS)
_STAGE = Kind("the file of a segmentation row beside this one, or its overlay", lambda v: isinstance(v, (str, dict)))
_NAMES = Kind("a list of names, without repeats (on a command line: \"['head_holder']\")", _are_names)
_BINS = Kind("lists of limits by attribute, such as {'clot_volume_ml': [10, 25]}", _are_bins)
_PRECISION = _one_of("auto", "float32", "bfloat16")
_KEY_METRIC = _one_of("val_auc", "val_f1", "val_acc", "val_recall", "val_iou", "val_negative_loss", *WORST)
_RESULT, _IDENTITY, _PLACE = Role.RESULT, Role.IDENTITY, Role.PLACE

# fmt: off
# ruff: noqa: E501  (one line a setting)
SETTINGS: dict[str, Setting] = {
    "row": Setting(_TEXT, _RESULT, "name of the row in the table", of_table=True),
    "run_name": Setting(_NAME, _RESULT, "name of the run in MLflow, and the beginning of its folder's name"),
    "seed": Setting(_COUNT_OR_ZERO, _IDENTITY, "of weights, order and augmentation", of_table=True),
    "manifest": Setting(_CSV, _IDENTITY, "CSV with one row a slice; a phantom's is made when it is not there", of_table=True),
    "dataset_dir": Setting(_PATH, _PLACE, "folder of the images; empty: as the manifest's card says"),
    "data::allow_findings": Setting(_SWITCH, _PLACE, "train in spite of fatal findings of the audit (docs/audit.md)"),
    "data::attributes": Setting(_NAMES, _RESULT, "attributes that make groups together with the marker: names of the manifest's `attribute_<name>` columns, or `hospital` (docs/robust_methods.md)", of_classifier=True, unnamed=[]),
    "data::attribute_bins": Setting(_BINS, _RESULT, "limits between the values of attributes that are numbers, such as `{'clot_volume_ml': [10, 25]}`", of_classifier=True, unnamed={}),
    "markers": Setting(_LABELS, _RESULT, "one marker (cross entropy) or several (one sigmoid each, unknown labels left out)"),
    "window": Setting(_WINDOW, _RESULT, "HU window: level and width", of_stage=True),
    "image_size": Setting(_SIDE, _RESULT, "side in pixels", of_stage=True),
    "tasks": Setting(_TASKS, _RESULT, "heads of the network"),
    "size": Setting(_one_of(*SWIN_SIZES), _RESULT, "of the network: `demo`, `default` (the paper's); Swin also `demo-tiny`, `tiny`, `base`", of_stage=True),
    "skips": Setting(_one_of(*SKIPS), _RESULT, "what a Swin decoder gets of each encoder stage: what the stage puts out, or what it takes in (the paper's recipe)", of_stage=True, unnamed=SKIPS[0]),
    "pretrained": Setting(_PATH, _RESULT, "weights for the encoder: a file, `hf://owner/repo/file`, or a known name"),
    "unet_encoder": Setting(_one_of(*UNET_ENCODERS), _RESULT, "U-Net and Joint-Learning: the U-Net's encoder; `plain` (the default) begins from random weights", of_stage=True, unnamed=PLAIN),
    "loss::weights": Setting(_WEIGHTS, _RESULT, "of the tasks; the paper's for the tasks"),
    "loss::ignore_empty": Setting(_SWITCH, _RESULT, "the segmentation loss leaves out annotated slices without blood (the paper's recipe)"),
    "loss::dice_over": Setting(_one_of(*DICE_OVER), _RESULT, "sums of the Dice loss: of each image (equation 2), or of all images of a step; with `batch` a network can learn that slices without blood have none"),
    "loss::robust": Setting(_one_of(*ROBUST_LOSSES), _RESULT, "how the classification weighs groups: `reweighting`, `group_dro`", of_classifier=True, unnamed=ROBUST_LOSSES[0]),
    "loss::group_dro_step": Setting(_NOT_NEGATIVE, _RESULT, "group DRO: step size (eta) of the groups' weights", unnamed=0.01),
    "loss::group_dro_adjustment": Setting(_NOT_NEGATIVE, _RESULT, "group DRO: C of the adjustment C / sqrt(n) for groups of n slices", unnamed=0),
    "train::balance": Setting(_one_of(*BALANCES), _RESULT, "as many slices of every class, or of every group, in an epoch", of_classifier=True, unnamed=BALANCES[0]),
    "train::balance_by": Setting(_one_of(*BALANCE_BY), _RESULT, "balance by drawing patients, then their slices, with replacement, or by a subsample", unnamed=BALANCE_BY[0]),
    "train::mixing": Setting(_one_of(*MIXINGS), _RESULT, "mixtures of slices that contradict the correlation of marker and attributes", of_classifier=True, unnamed=MIXINGS[0]),
    "train::seg_slices": Setting(_one_of("all", "masked"), _RESULT, "segmentation only: train on all slices, or on those with blood in their mask (`masked`, the paper's recipe)"),
    "batch_size": Setting(_COUNT, _RESULT, "slices in a step, over all processes"),
    "train::drop_last": Setting(_SWITCH, _RESULT, "leave out an epoch's last batch where it is smaller than the others"),
    "max_epochs": Setting(_COUNT, _RESULT, "epochs; may be raised when a run goes on", may_rise=True),
    "lr": Setting(_POSITIVE, _RESULT, "the highest learning rate"),
    "optimizer::weight_decay": Setting(_NOT_NEGATIVE, _RESULT, "of the optimizer"),
    "train::classifier_lr_factor": Setting(_POSITIVE, _RESULT, "times the learning rate, for the classifier alone"),
    "train::warmup_iterations": Setting(_COUNT_OR_ZERO, _RESULT, "steps over which the learning rate rises"),
    "train::max_gradient_norm": Setting(_NOT_NEGATIVE, _RESULT, "limit of the gradient's norm; 0: none"),
    "train::statistics_batches": Setting(_COUNT_OR_ZERO, _RESULT, "batches from which batch normalisation's statistics are estimated anew before a validation; 0: the moving average"),
    "validate::interval": Setting(_COUNT, _RESULT, "epochs between two validations"),
    "validate::best_by": Setting(_KEY_METRIC, _RESULT, "decides on the best epoch"),
    "threshold": Setting(_FRACTION, _RESULT, "probability from which a slice is positive"),
    "precision": Setting(_PRECISION, _RESULT, "`auto`: bfloat16 where the processor is faster with it"),
    "segmentation_stage": Setting(_STAGE, _RESULT, "joint systems: the file of the row that is trained first"),
    "segmentation_pretrained": Setting(_PATH, _RESULT, "Joint-Learning: weights for the U-Net's encoder, as `pretrained` is for the other; empty: the recipe's"),
    "segmentation_run": Setting(_PATH, _RESULT, "joint systems: a complete segmentation run to take the frozen encoder from; empty: train it first"),
    "segmentation_checkpoint": Setting(_PATH, _RESULT, "joint systems: its weights"),
    "run_dir": Setting(_PATH, _PLACE, "where this very run is kept; empty: `<runs_dir>/<run_name>-<time>`", of_table=True),
    "run_directory::runs_dir": Setting(_TEXT, _PLACE, "where new runs are kept", of_table=True),
    "resume": Setting(_SWITCH, _PLACE, "go on with `run_dir`, or with the newest unfinished run of this name", of_table=True),
    "tracking_uri": Setting(_STORE, _PLACE, "MLflow's store; `MLFLOW_TRACKING_URI` wins"),
    "tracker::experiment_name": Setting(_TEXT, _PLACE, "MLflow's experiment", of_table=True),
    "cache_dir": Setting(_PATH, _PLACE, "where decoded slices are kept; empty: in memory only"),
    "device": Setting(Kind("a device, such as cpu or cuda:0", lambda v: isinstance(v, str)), _PLACE, "what to train on; a GPU where there is one"),
    "num_workers": Setting(_COUNT_OR_ZERO, _PLACE, "loader processes; they do not change a run"),
    "dfr_on": Setting(_one_of("val", "train"), _RESULT, "last-layer retraining: the split that the layer is fitted on (docs/robust_methods.md)"),
    "input": Setting(_PATH, _PLACE, "prediction: a DICOM file, a folder of one series, or a volume"),
    "series_uid": Setting(_ANY_TEXT, _PLACE, "prediction: the Series Instance UID to take where the source holds several series"),
    "series_description": Setting(_ANY_TEXT, _PLACE, "prediction: a part of the Series Description, or a regular expression, to take a series by"),
    "acquisition": Setting(_COUNT_OR_ZERO, _PLACE, "prediction: which of several acquisitions under one Series Instance UID, from 1 as the error lists them; 0: there is one"),
    "file_names": Setting(_SWITCH, _PLACE, "prediction: write names of files into the results; they often name patients"),
    "output_dir": Setting(_TEXT, _PLACE, "prediction, evaluation and last-layer retraining: where to write"),
    "checkpoint": Setting(_PATH, _PLACE, "prediction, evaluation and last-layer retraining: the weights; the best epoch's"),
}
# fmt: on
