# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedules as functions of the iteration, so that a resumed run needs no schedule state."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from monai_ich.utils.keys import Task

LR_FACTOR = "lr_factor"


def parameter_groups(network: nn.Module, classifier_lr_factor: float = 1.0) -> list[dict[str, Any]]:
    """Returns an optimizer's parameter groups: the classifier's, at a multiple of the rate and without decay; the rest.

    From random weights the encoder's features drift while the decoders learn, and a linear classifier must follow.
    Frozen parameters, those that do not require gradients, are in no group.

    Args:
        network: a network with `heads`, of which `cls` may be one.
        classifier_lr_factor: times the learning rate; the paper, which starts from ImageNet weights, has 1.
    """
    heads = cast(nn.ModuleDict, network.heads)
    classifier = [p for p in heads[Task.CLS].parameters() if p.requires_grad] if Task.CLS in heads else []
    own = {id(parameter) for parameter in classifier}
    rest = [parameter for parameter in network.parameters() if parameter.requires_grad and id(parameter) not in own]
    groups: list[dict[str, Any]] = [{"params": rest, LR_FACTOR: 1.0}]
    if classifier:
        groups.append({"params": classifier, LR_FACTOR: classifier_lr_factor, "weight_decay": 0.0})
    return groups


def poly_learning_rate(iteration: int, total: int, base: float, power: float = 0.9, warmup: int = 0) -> float:
    """Returns the rate of one iteration: base (1 - iter / iter_max)^power (paper, equation 6), after a linear warm-up.

    Args:
        iteration: 0-based index of the iteration.
        total: number of iterations of the whole run.
        base: the rate that the schedule starts from.
        power: exponent of the decay; the paper's is 0.9.
        warmup: iterations over which a factor rises linearly from 1 / warmup to 1; the paper has none.

    >>> poly_learning_rate(0, 100, 0.01)
    0.01
    >>> round(poly_learning_rate(50, 100, 0.01), 6)
    0.005359
    >>> poly_learning_rate(0, 100, 0.01, warmup=10)
    0.001
    """
    ramp = min(1.0, (iteration + 1) / warmup) if warmup else 1.0
    return base * ramp * max(0.0, 1.0 - iteration / total) ** power
