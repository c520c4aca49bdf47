# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The paper's Table 1 in one command: trains the rows that are missing, and writes the table from saved predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Column, Table

from monai_ich.config import name_of_row
from monai_ich.table.missing_runs import blank_records, fetch_finished, print_plan, refuse_other_settings, train_missing
from monai_ich.table.plan import (
    PlannedRun,
    TableRow,
    choose_rows,
    experiment_name,
    find_rows,
    parse_settings,
    plan_runs,
    setting_of,
)
from monai_ich.table.table_files import write_table
from monai_ich.table.table_results import Analysis, TableResult, compute_table
from monai_ich.table.table_runs import Trainer, complete_runs, is_complete, read_record, train_in_subprocess
from monai_ich.table.table_text import heading, number
from monai_ich.table.table_tracking import TableTracking
from monai_ich.utils.attributes import parse_attribute
from monai_ich.utils.console import console
from monai_ich.utils.errors import ComparisonError, ConfigurationError, FaultList, did_you_mean
from monai_ich.utils.lists import comma_list

INTERRUPTED = 130  # the exit status of a program ended by Ctrl-C


@dataclass(frozen=True)
class TableRequest:
    """What a table is to hold.

    Attributes:
        output_dir: of the table and its runs; its name is the table's.
        rows: names of rows, or of their files, or paths of overlays that lie elsewhere; none means all.
        seeds: how many runs a row: seeds 0 to seeds - 1.
        bundle: folder of the rows' configs.
        manifest: CSV of the data; "" leaves the config's.
        recipe: `demo`, sizes that a CPU trains in minutes, or `paper`, section 4.2.
        settings: `key=value` for every run.
        analysis: how the table is computed.
        train: train what is missing; otherwise the table is made of what is there, without data, network or server.
    """

    output_dir: Path
    rows: Sequence[str] = ()
    seeds: int = 5
    bundle: Path = Path("bundles/mtl")
    manifest: str = ""
    recipe: str = "demo"
    settings: Sequence[str] = ()
    analysis: Analysis = field(default_factory=Analysis)
    train: bool = True


def make_table(request: TableRequest, trainer: Trainer = train_in_subprocess) -> int:
    """Trains what is missing, and writes the table of what is there.

    Run again after an interruption, a failure or a kill, it goes on where it was.

    Args:
        request: see `TableRequest`.
        trainer: trains one run; a process of its own by default.

    Returns:
        The exit status: 0; 1 when a run failed (the table is written from the others); 130 when interrupted.

    Raises:
        ConfigurationError: rows, settings or references that do not exist.
        ManifestError: the manifest cannot be used.
        ComparisonError: runs of other data or settings are in the folder, or no run is complete.
    """
    failures: dict[str, str] = {}
    planned: list[PlannedRun] = []
    if request.train:
        try:
            rows = choose_rows(find_rows(request.bundle), request.rows)
            planned, failures = train_rows(rows, request, trainer)
        except KeyboardInterrupt:
            console.print(
                "\nInterrupted. What is complete is kept, and a run in progress up to its last epoch. Give the same "
                "command again to go on; with --no-train it writes the table of what is complete.",
            )
            return INTERRUPTED
        run_dirs = [run.run_dir for run in planned if is_complete(run.run_dir)]
    else:
        run_dirs = _chosen(complete_runs(request.output_dir), request.rows)
    _report_failures(failures)
    result = compute_table(request.output_dir.resolve().name, run_dirs, request.analysis)
    result.warnings.extend(_missing_runs(result, planned))
    written = write_table(result, request.output_dir)
    _report(result, written)
    return 1 if failures else 0


def train_rows(
    rows: Sequence[TableRow], request: TableRequest, trainer: Trainer
) -> tuple[list[PlannedRun], dict[str, str]]:
    """Trains what is missing of some rows under a request; returns all their runs, and what failed by the run's name.

    Raises:
        ConfigurationError: settings or references that do not exist.
        ManifestError: the manifest cannot be used.
        ComparisonError: runs of other data or settings are in the folder.
        KeyboardInterrupt: it was interrupted; what is complete is kept.
    """
    settings = parse_settings(request.settings)
    runs = plan_runs(rows, request.seeds, request.output_dir, request.recipe, request.manifest, settings)
    _check_analysis(request.analysis, runs)
    blanks = blank_records(runs, request.recipe)
    refuse_other_settings(runs, blanks)
    tracking = TableTracking.of(runs[0])
    fetched = fetch_finished(runs, blanks, tracking)
    print_plan(runs, rows, fetched, f"{tracking.client.tracking_uri}, experiment {experiment_name(request.output_dir)}")
    return runs, train_missing(runs, blanks, tracking, trainer)


def _check_analysis(analysis: Analysis, runs: Sequence[PlannedRun]) -> None:
    """A misspelt reference or marker is reported before hours of training, not after."""
    config_of = {run.row.name: run.config for run in runs}
    rows = list(config_of)
    faults = FaultList("The table cannot be made as asked; nothing was started.")
    if analysis.marker:
        each = [setting_of(config, "data::markers") for config in config_of.values()]
        markers = list(dict.fromkeys(marker for of_row in each for marker in of_row))
        if analysis.marker not in markers:
            known = ", ".join(markers) or "those of the rows, which classify nothing"
            faults.add(f"marker: {analysis.marker!r} is not among {known}.{did_you_mean(analysis.marker, markers)}")
    for text in analysis.attributes:
        try:
            parse_attribute(text)
        except ConfigurationError as error:
            faults.add(str(error))
    for option, name in (("reference", analysis.reference), ("seg-reference", analysis.seg_reference)):
        if name and name not in rows:
            faults.add(f"{option}: {name!r} is not among {', '.join(rows)}.{did_you_mean(name, rows)}")
    faults.raise_if_any(ConfigurationError)


def _chosen(run_dirs: list[Path], asked: Sequence[str]) -> list[Path]:
    """The runs of the rows asked for, all when none is."""
    names = [name for entry in asked for name in comma_list(entry)]
    present = list(dict.fromkeys(read_record(run_dir).row for run_dir in run_dirs))
    faults = FaultList("Some rows have no complete run:")
    for name in names:
        if name_of_row(name) not in map(name_of_row, present):
            faults.add(f"{name!r}.{did_you_mean(name, present)} Complete: {', '.join(present) or 'none'}")
    faults.raise_if_any(ComparisonError)
    slugs = {name_of_row(name) for name in names} or {name_of_row(row) for row in present}
    return [run_dir for run_dir in run_dirs if name_of_row(read_record(run_dir).row) in slugs]


def _missing_runs(result: TableResult, planned: Sequence[PlannedRun]) -> list[str]:
    """Says which rows have fewer runs than planned; with nothing planned, fewer than the row with the most."""
    present = {row: len(seeds) for row, seeds in result.seeds.items()}
    wanted = Counter(run.row.name for run in planned) or dict.fromkeys(result.rows, max(present.values()))
    short = [f"{row} {present.get(row, 0)} of {n}" for row, n in wanted.items() if present.get(row, 0) < n]
    return [f"Runs are missing; complete are: {', '.join(short)}."] if short else []


def _report_failures(failures: dict[str, str]) -> None:
    for name, reason in failures.items():
        console.print(f"\n{name} failed: ", style="bold red", end="", markup=False)
        console.print(reason, markup=False, soft_wrap=True)


def _report(result: TableResult, written: list[Path]) -> None:
    """Prints the means, the warnings, and where everything is."""
    names = [heading(result, column) for column in result.columns]
    table = Table(Column("method", no_wrap=True), "runs", *names, box=None, padding=(0, 1, 0, 0))
    for row in result.rows:
        cells = []
        for column in result.columns:
            estimate = result.estimate(row, column)
            text = number(estimate.value if estimate else None)
            cells.append(f"[bold]{text}[/]" if row in result.best(column) else text)
        table.add_row(row, str(len(result.seeds[row])), *cells)
    console.print(table)
    for line in result.warnings:
        console.print(f"\nWarning: {line}", style="yellow", markup=False)
    console.print(f"\nwritten: {', '.join(map(str, written))}", markup=False, soft_wrap=True)
