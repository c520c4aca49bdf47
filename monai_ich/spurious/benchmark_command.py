# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The benchmark of spurious correlation in one command: trains what is missing, and writes what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from monai_ich.spurious.benchmark import Benchmark, Condition, read_benchmark
from monai_ich.spurious.benchmark_files import write_benchmark
from monai_ich.spurious.benchmark_maps import maps_frame, measure_maps
from monai_ich.spurious.benchmark_results import PRIMARY, ConditionResult, compute_condition
from monai_ich.spurious.benchmark_runs import condition_folder, train_benchmark
from monai_ich.table.table1 import INTERRUPTED
from monai_ich.table.table_runs import Trainer, complete_runs, train_in_subprocess
from monai_ich.table.table_text import number
from monai_ich.utils.console import console
from monai_ich.utils.errors import ComparisonError


@dataclass(frozen=True)
class BenchmarkRequest:
    """What is asked for.

    Attributes:
        declaration: the benchmark's JSON file.
        output_dir: of the benchmark's runs.
        page_dir: of the page, its CSV and its figures; None: `output_dir`.
        nuisances: none means all of the declaration.
        dials: none means all.
        methods: none means all; the reference is always among them.
        seeds: runs of a method and condition.
        resamples: of the bootstrap over patients.
        train: train what is missing; otherwise only write what is complete.
        maps: also measure the heat maps of the runs that are asked for and have none yet.
    """

    declaration: Path
    output_dir: Path
    page_dir: Path | None = None
    nuisances: Sequence[str] = ()
    dials: Sequence[float] = ()
    methods: Sequence[str] = ()
    seeds: int = 3
    resamples: int = 2000
    train: bool = True
    maps: bool = False


def run_benchmark(request: BenchmarkRequest, trainer: Trainer = train_in_subprocess) -> int:
    """Trains what is missing, and writes the page of everything that is complete.

    Run again after an interruption or a failure, it goes on where it was. More seeds, dials or methods are added to
    what is there.

    Returns:
        The exit status: 0; 1 when a run failed; 130 when interrupted.

    Raises:
        ConfigurationError: the declaration has faults, or something asked for is not in it.
        ComparisonError: no run of the reference is complete, or runs of other data or settings are in the folder.
    """
    benchmark = read_benchmark(request.declaration)
    conditions = benchmark.conditions(request.nuisances, request.dials)
    rows = benchmark.rows(request.methods)
    failures: dict[str, str] = {}
    try:
        if request.train:
            failures = train_benchmark(benchmark, conditions, rows, request.seeds, request.output_dir, trainer)
        if request.maps:
            measure_maps(benchmark, conditions, request.output_dir)
    except KeyboardInterrupt:
        console.print(
            "\nInterrupted. What is complete is kept, and a run in progress up to its last epoch. Give the same "
            "command again to go on; with --no-train it writes the page of what is complete."
        )
        return INTERRUPTED
    for name, reason in failures.items():
        console.print(f"\n{name} failed: {reason}", markup=False, soft_wrap=True)
    complete = _with_runs(benchmark, request)
    results = compute_benchmark(benchmark, complete, request.output_dir, request.resamples)
    maps = maps_frame(benchmark, complete, request.output_dir)
    written = write_benchmark(benchmark, results, maps, request.page_dir or request.output_dir)
    _report(benchmark, results)
    console.print(f"\nwritten: {', '.join(map(str, written))}", markup=False, soft_wrap=True)
    return 1 if failures else 0


def compute_benchmark(
    benchmark: Benchmark, conditions: Sequence[Condition], output_dir: Path, resamples: int
) -> list[ConditionResult]:
    """Computes conditions from their complete runs.

    Raises:
        ComparisonError: there is no condition with a complete run.
    """
    if not conditions:
        raise ComparisonError(f"no run is complete in {output_dir}, so there is nothing to write; train some first.")
    return [compute_condition(benchmark, condition, output_dir, resamples) for condition in conditions]


def _with_runs(benchmark: Benchmark, request: BenchmarkRequest) -> list[Condition]:
    """The conditions that have complete runs: those of the declaration and those asked for."""
    known = {condition.name: condition for condition in benchmark.conditions()}
    known |= {condition.name: condition for condition in benchmark.conditions(request.nuisances, request.dials)}
    found = [
        condition for condition in known.values() if complete_runs(condition_folder(request.output_dir, condition))
    ]
    return sorted(found, key=lambda condition: (condition.nuisance.dial, condition.dial))


def _report(benchmark: Benchmark, results: Sequence[ConditionResult]) -> None:
    """Prints the primary endpoint: a line a method, a column a condition."""
    names = [result.condition.name for result in results]
    table = Table("conflict AUC, new hospitals", *names, box=None, padding=(0, 2, 0, 0))
    for row in benchmark.methods:
        estimates = [result.estimate(row.name, PRIMARY) for result in results]
        if any(estimates):
            table.add_row(row.name, *(number(estimate.value) if estimate else "" for estimate in estimates))
    console.print(table)
    for line in dict.fromkeys(line for result in results for line in result.warnings):
        console.print(f"\nWarning: {line}", style="yellow", markup=False)
