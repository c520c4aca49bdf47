# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The one console that progress bars, epoch lines and tables share, so that they do not overwrite each other."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# in a log file nobody resizes the window, and 80 columns cut tables short
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def progress_bar(*extra_columns: TextColumn, disable: bool = False) -> Progress:
    """Returns a bar with count, elapsed and remaining time that vanishes when done; silent without a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        *extra_columns,
        console=console,
        transient=True,
        # without a terminal a transient bar still leaves an empty line behind
        disable=disable or not console.is_terminal,
    )
