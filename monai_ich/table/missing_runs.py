# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Trains a table's missing runs: checks first, fetches finished ones, goes on after a kill or a failing row."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from monai_ich.phantom import ensure_phantom
from monai_ich.table.plan import PLACES, PlannedRun, TableRow, differing_keys, setting_of
from monai_ich.table.table_runs import (
    LOG_NAME,
    RunRecord,
    Stopwatch,
    Trainer,
    clear_broken_files,
    failure_of,
    is_begun,
    is_complete,
    locked,
    progress_of,
    read_record,
    start_record,
)
from monai_ich.table.table_tracking import TableTracking, try_tracking
from monai_ich.utils.console import console
from monai_ich.utils.errors import ComparisonError, FaultList
from monai_ich.utils.run_files import RunDirectory


def blank_records(runs: Sequence[PlannedRun], recipe: str) -> dict[str, RunRecord]:
    """The record that each run starts with, by the run's name; reads and checks the manifest, and makes the phantom's
    where it is not there yet.

    Raises:
        ManifestError: the manifest cannot be used.
    """
    config = runs[0].config
    path = Path(setting_of(config, "manifest"))
    ensure_phantom(path.as_posix(), setting_of(config, "phantom"))
    sha256 = setting_of(config, "data::manifest").sha256
    own = {*PLACES, *runs[0].row.settings}
    settings = {key: value for key, value in runs[0].overrides.items() if key not in own}
    return {run.name: RunRecord(run.row.name, run.seed, path.name, sha256, recipe, settings) for run in runs}


def refuse_other_settings(runs: Sequence[PlannedRun], blanks: dict[str, RunRecord]) -> None:
    """Refuses to go on with runs that were begun with other data or another configuration.

    Raises:
        ComparisonError: with every such run, and what differs.
    """
    faults = FaultList(
        "Runs in this table's folder were begun with other data or settings, and cannot stand in one table with new "
        "ones. Take the same settings, another --output-dir, or delete these runs' folders:"
    )
    for run in runs:
        if not is_begun(run.run_dir):
            continue
        record, blank = read_record(run.run_dir), blanks[run.name]
        if record.manifest_sha256 != blank.manifest_sha256:
            faults.add(f"{run.name}: manifest was {record.manifest_sha256[:12]}..., is {blank.manifest_sha256[:12]}...")
        before = RunDirectory(run.run_dir).read_config()
        for key in differing_keys(before, run.config):
            faults.add(f"{run.name}: {key} was {before.get(key)!r}, is {run.config.get(key)!r}")
    faults.raise_if_any(ComparisonError)


def fetch_finished(runs: Sequence[PlannedRun], blanks: dict[str, RunRecord], tracking: TableTracking) -> int:
    """Takes the runs that another machine has finished; returns how many."""
    missing = [run for run in runs if not is_complete(run.run_dir)]
    finished = tracking.finished() if missing else {}
    fetched = 0
    for run in missing:
        candidates = finished.get((run.row.name, run.seed), [])
        if candidates:
            with locked(run.run_dir):
                fetched += not is_complete(run.run_dir) and tracking.fetch(run, candidates, blanks[run.name])
    return fetched


def print_plan(runs: Sequence[PlannedRun], rows: Sequence[TableRow], fetched: int, tracking_uri: str) -> None:
    """Prints what is done and what is to be trained, before it begins."""
    table = Table("row", "runs", "done", "to continue", "to train", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        states = [_state(run) for run in runs if run.row == row]
        counts = [len(states), *(states.count(state) for state in ("done", "begun", "new"))]
        table.add_row(row.name, *map(str, counts))
    console.print(table)
    missing = sum(_state(run) != "done" for run in runs)
    from_others = f", {fetched} of them fetched from MLflow" if fetched else ""
    console.print(
        f"\n{len(runs)} runs: {len(runs) - missing} done{from_others}, {missing} to train; tracked in {tracking_uri}",
        soft_wrap=True,
    )


def train_missing(
    runs: Sequence[PlannedRun], blanks: dict[str, RunRecord], tracking: TableTracking, trainer: Trainer
) -> dict[str, str]:
    """Trains every run that is not complete, one after the other.

    Returns:
        {name: what went wrong} of the runs that failed.
    """
    failures: dict[str, str] = {}
    with RunsBar(runs) as bar:
        for run in runs:
            with locked(run.run_dir) as lock:
                if is_complete(run.run_dir):
                    try_tracking(f"publishing {run.name}", tracking.publish, run)
                    continue
                bar.begin(run)
                status = _train_one(run, lock, blanks[run.name], tracking, trainer, bar)
                if status == 0 and is_complete(run.run_dir):
                    try_tracking(f"publishing {run.name}", tracking.publish, run)
                    _say(f"{run.name}: done, {read_record(run.run_dir).seconds / 60:.1f} minutes")
                else:
                    failures[run.name] = f"exit status {status}, {run.run_dir / LOG_NAME}\n{failure_of(run.run_dir)}"
                    _say(f"{run.name}: failed, see {run.run_dir / LOG_NAME}; going on with the others")
                bar.end()
    return failures


def _train_one(
    run: PlannedRun, lock: int, blank: RunRecord, tracking: TableTracking, trainer: Trainer, bar: RunsBar
) -> int:
    clear_broken_files(run.run_dir)
    watch = Stopwatch(start_record(run, blank), run.run_dir)

    def tick() -> None:
        watch.tick()
        bar.tick()
        try_tracking(f"tagging {run.name}", tracking.tag, run)

    try:
        return trainer(run, lock, tick)
    finally:
        watch.stop()
        try_tracking(f"tagging {run.name}", tracking.tag, run)


class RunsBar:
    """A bar over all runs, the one in progress counted by its epochs, with an estimate of what is left.

    Rich's own estimate looks back for half a minute; a run takes minutes to hours.
    """

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self.total = len(runs)
        self.done = sum(is_complete(run.run_dir) for run in runs)
        self.spent_on = 0.0  # runs trained by this command, in parts
        self.current: PlannedRun | None = None
        self.started_at = 0.0  # share of the current run that was done before
        self.begin_s = time.monotonic()
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        left = TextColumn("{task.fields[left]}")
        self.bar = Progress(*columns, left, console=console, transient=True, disable=not console.is_terminal)
        self.task: TaskID = self.bar.add_task("runs", total=self.total, completed=self.done, left="")

    def __enter__(self) -> RunsBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def begin(self, run: PlannedRun) -> None:
        self.current, self.started_at = run, progress_of(run.run_dir)
        self.tick()

    def tick(self) -> None:
        assert self.current is not None
        part = progress_of(self.current.run_dir)
        self._show(self.current.name, part, max(0.0, part - self.started_at))

    def end(self) -> None:
        self.spent_on += 1 - self.started_at
        self.done += 1
        self._show("runs", 0.0, 0.0)

    def _show(self, description: str, part: float, advanced: float) -> None:
        worked, elapsed_s = self.spent_on + advanced, time.monotonic() - self.begin_s
        left_s = (self.total - self.done - part) * elapsed_s / worked if worked > 0 else None
        left = "" if left_s is None else f"about {duration(left_s)} left"
        self.bar.update(self.task, description=description, completed=self.done + part, left=left)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(50), duration(400), duration(9000)
    ('1 min', '7 min', '2 h 30 min')
    """
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _state(run: PlannedRun) -> str:
    return "done" if is_complete(run.run_dir) else "begun" if is_begun(run.run_dir) else "new"


def _say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
