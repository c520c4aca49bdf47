# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What the handlers read of an engine's state, which ignite types as possibly unset until the engine runs."""

from __future__ import annotations

from typing import Any, cast

from ignite.engine import Engine


def output_of(engine: Engine) -> dict[str, Any]:
    """Returns the dict that a MONAI engine makes of an iteration."""
    return cast(dict[str, Any], engine.state.output)


def batch_of(engine: Engine) -> dict[str, Any]:
    """Returns the batch of the iteration as the loader gave it."""
    return cast(dict[str, Any], engine.state.batch)


def total_iterations(engine: Engine) -> int:
    """Returns the number of iterations of the whole run, all epochs together."""
    return cast(int, engine.state.max_epochs) * cast(int, engine.state.epoch_length)
