# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times the phantom on one core, writing included: `OMP_NUM_THREADS=1 python tests/benchmarks/bench_phantom.py`."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from monai_ich.phantom import TRANSFER_SYNTAXES, PhantomSpec
from monai_ich.phantom.planned_studies import PlannedStudy
from monai_ich.phantom.study import make_study

STUDIES = 6


def main() -> None:
    """Prints milliseconds and kilobytes a slice for each transfer syntax (512 x 512, hospitals 1 and 7)."""
    table = Table("transfer syntax", "hospital", "wall ms/slice", "CPU ms/slice", "KB/slice")
    for syntax in TRANSFER_SYNTAXES:
        spec = replace(PhantomSpec(), transfer_syntax=syntax)
        for hospital in (1, 7):
            with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
                wall, cpu = time.perf_counter(), time.process_time()
                for number in range(STUDIES):
                    make_study(Path(folder), spec, PlannedStudy(hospital, number))
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                files = list(Path(folder).rglob("*.dcm"))
                size = sum(file.stat().st_size for file in files) / len(files) / 1024
            cells = (f"{1000 * t / len(files):.1f}" for t in (wall, cpu))
            table.add_row(syntax, str(hospital), *cells, f"{size:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
