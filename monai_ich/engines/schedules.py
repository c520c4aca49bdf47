# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedules as functions of the iteration, so that a resumed run needs no schedule state."""

from __future__ import annotations


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
