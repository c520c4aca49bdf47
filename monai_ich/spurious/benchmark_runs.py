# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Trains a benchmark's missing runs, every condition's first seed before any second."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from monai_ich.phantom import SpuriousDials
from monai_ich.spurious.benchmark import Benchmark, Condition
from monai_ich.table.plan import PlannedRun, TableRow, run_folder
from monai_ich.table.table1 import TableRequest, train_rows
from monai_ich.table.table_runs import (
    LOCK_NAME,
    LOG_NAME,
    Stopwatch,
    Trainer,
    failure_of,
    is_complete,
    locked,
    read_record,
    start_record,
)
from monai_ich.utils.console import console
from monai_ich.utils.run_files import RunDirectory

MANIFESTS = Path("data_manifests")


def condition_folder(output_dir: Path, condition: Condition) -> Path:
    """Where the runs and the table of a condition lie."""
    return output_dir / condition.name


def condition_manifest(condition: Condition) -> str:
    """The manifest of a condition's phantom, which is made when it is not there."""
    return (MANIFESTS / f"phantom_{condition.name}.csv").as_posix()


def phantom_fields(benchmark: Benchmark, condition: Condition) -> dict[str, Any]:
    """The fields of `PhantomSpec` of a condition.

    In the training hospitals the condition's dial is turned and all others are 0. In the new hospitals all are 0.
    """
    off = dict.fromkeys(asdict(SpuriousDials()), 0.0)
    nuisance = condition.nuisance
    return {
        **benchmark.phantom,
        **nuisance.phantom,
        "spurious": {**off, nuisance.dial: condition.dial},
        "spurious_new": off,
    }


def group_settings(condition: Condition) -> dict[str, Any]:
    """The settings that make groups of marker and nuisance."""
    attribute = condition.nuisance.attribute
    bins = {"data::attribute_bins": {attribute.name: list(attribute.limits)}} if attribute.limits else {}
    return {"data::attributes": [attribute.name], **bins}


def condition_request(benchmark: Benchmark, condition: Condition, output_dir: Path, seeds: int) -> TableRequest:
    """What the table of a condition is asked for."""
    fields = {f"phantom::{name}": value for name, value in phantom_fields(benchmark, condition).items()}
    return TableRequest(
        condition_folder(output_dir, condition),
        seeds=seeds,
        bundle=benchmark.bundle,
        manifest=condition_manifest(condition),
        settings=[
            f"{name}={value!r}" for name, value in {**benchmark.settings, **group_settings(condition), **fields}.items()
        ],
    )


def train_benchmark(
    benchmark: Benchmark,
    conditions: Sequence[Condition],
    rows: Sequence[TableRow],
    seeds: int,
    output_dir: Path,
    trainer: Trainer,
) -> dict[str, str]:
    """Trains what is missing.

    Args:
        benchmark: what is compared.
        conditions: data sets to train on.
        rows: methods to train.
        seeds: runs of a method and condition: seeds 0 to seeds - 1.
        output_dir: of the benchmark.
        trainer: trains one run.

    Returns:
        {condition and run: what went wrong} of the runs that failed; the others went on.

    Raises:
        ConfigurationError: settings that do not exist.
        ComparisonError: runs of other data or settings are in a condition's folder.
        KeyboardInterrupt: it was interrupted; what is complete is kept.
    """
    failures: dict[str, str] = {}
    for seed in range(seeds):
        for condition in conditions:
            request = condition_request(benchmark, condition, output_dir, seed + 1)
            todo = [row for row in rows if not is_complete(run_folder(request.output_dir, row, seed))]
            # Earlier seeds of these rows are complete, or failed just now: a failed run is tried once a command.
            todo = [row for row in todo if not _has_failed(failures, condition, row)]
            if not todo:
                continue
            console.rule(f"{condition.name}, seed {seed}: {len(todo)} of {len(rows)} methods to train")
            whole = [row for row in todo if row.name not in benchmark.retrained]
            new = train_rows(whole, request, trainer)[1] if whole else {}
            for row in (row for row in todo if row.name in benchmark.retrained):
                new |= _retrain(benchmark, condition, request, row, seed, trainer)
            failures |= {f"{condition.name}: {name}": reason for name, reason in new.items()}
    return failures


def _has_failed(failures: Mapping[str, str], condition: Condition, row: TableRow) -> bool:
    return any(name.startswith(f"{condition.name}: {row.name}, seed ") for name in failures)


def _retrain(
    benchmark: Benchmark, condition: Condition, request: TableRequest, row: TableRow, seed: int, trainer: Trainer
) -> dict[str, str]:
    """Trains the last layer of another method's run anew; returns what went wrong by the run's name."""
    origin = next(method for method in benchmark.methods if method.name == benchmark.retrained[row.name])
    source, run_dir = (run_folder(request.output_dir, of_row, seed) for of_row in (origin, row))
    overrides = {
        **row.settings,
        **group_settings(condition),
        "run_dir": source.as_posix(),
        "output_dir": run_dir.as_posix(),
    }
    run = PlannedRun(row, seed, run_dir, (RunDirectory(source).config, *row.files[1:]), overrides, {})
    if not is_complete(source):
        return {run.name: f"{origin.name} has no complete run with this seed to begin from"}
    blank = replace(read_record(source), row=row.name, seconds=0.0, commits=[], fetched_from="", published=False)
    with locked(run_dir) as lock:
        if is_complete(run_dir):  # another process has trained it meanwhile
            return {}
        # a few seconds of work: one that was interrupted begins anew
        for path in (file for file in run_dir.iterdir() if file.name != LOCK_NAME):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        watch = Stopwatch(start_record(run, blank), run_dir)
        try:
            status = trainer(run, lock, watch.tick)
        finally:
            watch.stop()
    if status == 0 and is_complete(run_dir):
        console.print(f"{run.name}: done", markup=False)
        return {}
    return {run.name: f"exit status {status}, {run_dir / LOG_NAME}\n{failure_of(run_dir)}"}
