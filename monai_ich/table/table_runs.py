# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table's runs on disk: which are complete, the record of each, and a training process that may be killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import torch
from filelock import FileLock, Timeout

from monai_ich.table.plan import RUNS_FOLDER, PlannedRun
from monai_ich.utils.console import console
from monai_ich.utils.errors import ComparisonError, RunDirectoryError
from monai_ich.utils.files import replace_json
from monai_ich.utils.provenance import git_commit, machine
from monai_ich.utils.run_files import RunDirectory

RECORD_NAME = "table_run.json"
LOG_NAME = "log.txt"
LOCK_NAME = "lock"
TICK_S = 1.0  # how often a training run is looked after
PATIENCE_S = 60.0  # for an interrupted run to mark itself as such
EPOCH_LINE = re.compile(r"^epoch\s+(\d+)/(\d+)", re.MULTILINE)
ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*$", re.MULTILINE)
LOG_HEADER = "--- "  # opens every part of a log: a run that is continued appends to it
MOST_LOG = 40_000  # bytes read from a log's end
LOG_LINES_SHOWN = 5

# Trains one run: gets the run, its open lock and what to call every second; returns the exit status.
Trainer = Callable[[PlannedRun, int, Callable[[], None]], int]


@dataclass(frozen=True)
class RunRecord:
    """What a table must know of a run beside the run's own files; kept with them as `table_run.json`.

    Attributes:
        row: name of the row.
        seed: of the run.
        manifest: file name of the manifest.
        manifest_sha256: of its bytes.
        recipe: `demo` or `paper`.
        settings: overrides common to the table, without places.
        seconds: spent training here, all parts of an interrupted run together.
        commits: git commits that trained it.
        machine: what it was trained on.
        fetched_from: the MLflow run that it was fetched from; "" if trained here.
        published: whether MLflow has this record, so that others can fetch the run.
    """

    row: str
    seed: int
    manifest: str
    manifest_sha256: str
    recipe: str
    settings: dict[str, Any]
    seconds: float = 0.0
    commits: list[str] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)
    fetched_from: str = ""
    published: bool = False

    def write(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        replace_json(run_dir / RECORD_NAME, asdict(self))


def read_record(run_dir: Path) -> RunRecord:
    """Reads the record of a run.

    Raises:
        ComparisonError: there is none, so the run's data are unknown.
    """
    path = run_dir / RECORD_NAME
    if not path.is_file():
        raise ComparisonError(
            f"{run_dir} has no {RECORD_NAME}, which says by what manifest it was trained: it was not trained by "
            "`monai_ich table`. Move it out of the table's folder."
        )
    return RunRecord(**json.loads(path.read_text(encoding="utf-8")))


def is_complete(run_dir: Path) -> bool:
    """Whether a run's results are there, and readable, with the predictions of every test set."""
    files = RunDirectory(run_dir)
    test_sets = (_readable(files.results) or {}).get("metrics", {})
    return bool(test_sets) and all((files.predictions / f"{name}.csv").is_file() for name in test_sets)


def is_begun(run_dir: Path) -> bool:
    """Whether a run has been started here."""
    return RunDirectory(run_dir).config.is_file()


def complete_runs(output_dir: Path) -> list[Path]:
    """All complete runs in a table's folder."""
    return [
        path.parent
        for path in sorted((output_dir / RUNS_FOLDER).glob(f"*/*/{RECORD_NAME}"))
        if is_complete(path.parent)
    ]


def current_machine() -> dict[str, str]:
    """What a run is trained on, without host or user names."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return {**machine(), "device": device}


@contextmanager
def locked(run_dir: Path) -> Iterator[int]:
    """Locks a run's directory for this process and the one that trains; yields the lock's file descriptor.

    The training process inherits the lock: when this process alone is killed, the training goes on, and a table started
    anew waits for it instead of training into the same files. The lock ends with the last process that holds it. On a
    network file system it holds between machines only as far as that file system says.

    Raises:
        RunDirectoryError: the file system has no locks.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    descriptors: list[int] = []
    lock = FileLock(run_dir / LOCK_NAME, on_acquired=descriptors.append)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            console.print(f"another process is still training in {run_dir}: waiting until it ends", soft_wrap=True)
            lock.acquire()
    except OSError as error:
        raise RunDirectoryError(
            f"{run_dir / LOCK_NAME} cannot be locked ({error}), so two tables could train into the same files. Put the "
            "table's folder on a disk of this machine."
        ) from error
    try:
        yield descriptors[0]
    finally:
        lock.release()


def clear_broken_files(run_dir: Path) -> None:
    """Removes JSON files that a kill cut off; from its other files the run goes on, or begins anew."""
    files = RunDirectory(run_dir)
    for path in (files.results, files.config, files.mlflow_identity):
        if path.is_file() and _readable(path) is None:
            path.unlink()


def start_record(run: PlannedRun, blank: RunRecord) -> RunRecord:
    """Writes and returns the run's record with this part's commit and machine; `Stopwatch` adds the time."""
    before = read_record(run.run_dir) if (run.run_dir / RECORD_NAME).is_file() else blank
    commit = git_commit() or "unknown"
    commits = [*before.commits, *([commit] if commit not in before.commits else [])]
    record = replace(before, commits=commits, machine=current_machine())
    record.write(run.run_dir)
    return record


def train_in_subprocess(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
    """Trains a run in a process of its own, with its output in `log.txt`; returns the exit status.

    An interruption is passed on once. The run is then waited for: it marks itself as interrupted and can be continued.
    """
    with (run.run_dir / LOG_NAME).open("ab") as log, _terminated_as_interrupted():
        # a session of its own: the terminal's Ctrl-C would reach it as well, a second time, in the midst of saving
        process = _started(run, log, lock)
        try:
            while process.poll() is None:
                tick()
                _wait(process, TICK_S)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            _wait(process, PATIENCE_S)
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return process.returncode


def _started(run: PlannedRun, log: IO[bytes], lock: int) -> subprocess.Popen[bytes]:
    log.write(f"{LOG_HEADER}{run.name}, {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode())
    log.flush()
    # In a background job Ctrl-C is ignored, and a child inherits that: it could not be interrupted by us either.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore:parsing config_file", "-m", "monai.bundle", "run", *run.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def progress_of(run_dir: Path) -> float:
    """The share of epochs that a run's log says are done; 0 where it says nothing."""
    found = EPOCH_LINE.findall(log_tail(run_dir))
    return min(1.0, int(found[-1][0]) / int(found[-1][1])) if found else 0.0


def log_tail(run_dir: Path) -> str:
    """The end of a run's log; nothing of parts before the newest one."""
    path = run_dir / LOG_NAME
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_LOG))
        return file.read().decode(errors="replace").rpartition(LOG_HEADER)[2]


def failure_of(run_dir: Path) -> str:
    """What a failed run's log says: the first error, which causes the later ones, and the last lines."""
    text = log_tail(run_dir)
    last = [line for line in text.splitlines() if line.strip()][-LOG_LINES_SHOWN:]
    return "\n".join(dict.fromkeys([*ERROR_LINE.findall(text)[:1], *last]))


class Stopwatch:
    """Adds the time that passes to a run's record, at most every `every_s` seconds, so that a kill loses little."""

    def __init__(self, record: RunRecord, run_dir: Path, every_s: float = 30.0) -> None:
        self.record, self.run_dir, self.every_s = record, run_dir, every_s
        self.begin = self.written = time.monotonic()

    def tick(self) -> None:
        if time.monotonic() - self.written >= self.every_s:
            self.stop()

    def stop(self) -> None:
        self.written = time.monotonic()
        replace(self.record, seconds=self.record.seconds + self.written - self.begin).write(self.run_dir)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return  # the caller looks whether it still runs


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A scheduler's SIGTERM ends the table like Ctrl-C; without this, Python would die and leave the run behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _readable(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where the file is missing or was cut off."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None
