# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Checks of the settings about groups: what each needs of the others, before data are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai_ich.config.settings import SETTINGS, WORST, value_at
from monai_ich.utils.keys import BALANCES, MIXINGS, ROBUST_LOSSES, Task

ATTRIBUTES, BINS = "data::attributes", "data::attribute_bins"
BALANCE, MIXING, ROBUST, BEST_BY = "train::balance", "train::mixing", "loss::robust", "validate::best_by"
_, BY_CLASS, BY_GROUP = BALANCES
WORST_CLASS, WORST_GROUP = WORST

NEED_GROUPS = {BALANCE: [BY_GROUP], MIXING: MIXINGS[1:], ROBUST: ROBUST_LOSSES[1:], BEST_BY: [WORST_GROUP]}
NEED_ONE_MARKER = {**NEED_GROUPS, BALANCE: [BY_CLASS, BY_GROUP], BEST_BY: WORST}


def robust_faults(config: dict[str, Any]) -> Iterator[str]:
    """Yields a fault for every setting about groups that does not go with the others.

    Values that are expressions are left to the parts that take them.
    """
    attributes, robust = _plain(config, ATTRIBUTES), _plain(config, ROBUST)
    of_groups = _in_use(config, NEED_GROUPS)
    if of_groups and attributes == []:
        yield (
            f"{ATTRIBUTES}: {', '.join(of_groups)} needs groups of slices; name the attributes that make them, such as "
            f"--{ATTRIBUTES} \"['hospital']\"."
        )
    if _plain(config, BINS) and attributes == []:
        yield f"{BINS}: no attribute is named in {ATTRIBUTES}; add those that have limits."
    of_marker = [*_in_use(config, NEED_ONE_MARKER), *([ATTRIBUTES] if attributes else [])]
    tasks, markers = _plain(config, "tasks"), _plain(config, "markers")
    if of_marker and isinstance(tasks, list) and Task.CLS not in tasks:
        yield f"tasks: {', '.join(of_marker)} needs a classifier; add 'cls', or take a row that has one."
    elif of_marker and isinstance(markers, list) and len(markers) != 1:
        yield f"markers: {', '.join(of_marker)} needs one marker, got {markers}; choose one."
    if robust in ROBUST_LOSSES[1:] and _plain(config, MIXING) in MIXINGS[1:]:
        yield f"{MIXING}: a mixture of slices is in no group, so it does not go with {ROBUST} {robust!r}; choose one."
    if robust == "reweighting" and _plain(config, BALANCE) == BY_GROUP:
        yield f"{ROBUST}: {robust!r} and {BALANCE} {BY_GROUP!r} correct the same imbalance twice; choose one."


def _in_use(config: dict[str, Any], values: dict[str, Any]) -> list[str]:
    return [f"{name} {_plain(config, name)!r}" for name in values if _plain(config, name) in values[name]]


def _plain(config: dict[str, Any], name: str) -> Any:
    """The value of a setting; its usual value where it is not named; None where it is an expression."""
    known, value = value_at(config, name)
    if not known:
        return SETTINGS[name].unnamed
    return None if isinstance(value, str) and value.startswith(("$", "@", "%")) else value
