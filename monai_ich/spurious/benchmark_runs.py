# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Trains a benchmark's missing runs, every condition's first seed before any second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monai_ich.phantom import SpuriousDials
from monai_ich.spurious.benchmark import Benchmark, Condition
from monai_ich.table.plan import TableRow, run_folder
from monai_ich.table.table1 import TableRequest, train_rows
from monai_ich.table.table_runs import Trainer, is_complete
from monai_ich.utils.console import console

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
        ConfigurationError: settings that do not exist; ComparisonError: runs of other data or settings are there;
            KeyboardInterrupt: it was interrupted, and what is complete is kept.
    """
    failures: dict[str, str] = {}
    for seed in range(seeds):
        for condition in conditions:
            request = condition_request(benchmark, condition, output_dir, seed + 1)
            todo = [row for row in rows if not is_complete(run_folder(request.output_dir, row, seed))]
            if not todo:
                continue
            console.rule(f"{condition.name}, seed {seed}: {len(todo)} of {len(rows)} methods to train")
            # Earlier seeds of these rows are complete, or failed just now: a failed run is tried once a command.
            failed = {
                row.name for row in todo for name in failures if name.startswith(f"{condition.name}: {row.name},")
            }
            _, new = train_rows([row for row in todo if row.name not in failed], request, trainer)
            failures |= {f"{condition.name}: {name}": reason for name, reason in new.items()}
    return failures
