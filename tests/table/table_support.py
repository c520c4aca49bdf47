# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What tests of the table command share."""

from __future__ import annotations

from collections.abc import Callable

from monai.bundle import run as run_bundle

from monai_ich.table.plan import PlannedRun


def in_process(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
    """Trains as the subprocess would, in this process: importing everything anew takes longer than a tiny run."""
    tick()
    run_bundle(config_file=[str(path) for path in run.files], **run.overrides)
    return 0
