# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The table command end to end on the tiny phantom: interrupted, killed, failed, fetched, and always the same table."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from filelock import FileLock, Timeout
from support import in_process, strict_json

from monai_ich.table.plan import PlannedRun
from monai_ich.table.table1 import TableRequest, make_table
from monai_ich.table.table_results import Analysis
from monai_ich.table.table_runs import RunRecord, clear_broken_files, is_complete, locked, read_record
from monai_ich.utils.errors import ComparisonError, ConfigurationError, RunDirectoryError

pytestmark = pytest.mark.usefixtures("in_root", "no_figures")

ROWS = ("Swin Transformer", "MTL-Swin-Unet (cls+seg)")
NOTHING_TO_TRAIN = "nothing is left to train"


def never(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
    pytest.fail(f"{NOTHING_TO_TRAIN}, but {run.name} is trained")


@pytest.fixture
def request_for(tiny_settings: dict[str, Any]) -> Callable[..., TableRequest]:
    def build(output_dir: Path, rows: Sequence[str] = ROWS, seeds: int = 2) -> TableRequest:
        """A request whose table has a name of its own, and so an MLflow experiment of its own."""
        kept = {
            name: value for name, value in tiny_settings.items() if name not in ("manifest", "run_directory::runs_dir")
        }
        return TableRequest(
            output_dir,
            rows,
            seeds,
            manifest=tiny_settings["manifest"],
            settings=[f"{name}={value}" for name, value in {**kept, "max_epochs": 2}.items()],
            analysis=Analysis(resamples=100),
        )

    return build


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the table that was never interrupted is made."""
    return tmp_path_factory.mktemp("tables") / "whole"


@pytest.fixture
def table(whole: Path, request_for: Callable[..., TableRequest]) -> TableRequest:
    """The table that was never interrupted; made by the first test that asks."""
    request = request_for(whole)
    if not (request.output_dir / "table.md").exists():
        assert make_table(request, in_process) == 0
    return request


def copied_from(table: TableRequest, run: PlannedRun) -> int:
    """Takes a run's results from the whole table: that it would train to the same is tested by others."""
    source = table.output_dir / "runs" / run.row.slug / f"seed{run.seed}"
    for path in [source / "results.json", source / "train.json", *source.glob("predictions/*.csv")]:
        target = run.run_dir / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    return 0


def figures(output_dir: Path) -> bytes:
    return (output_dir / "table.csv").read_bytes()


def test_a_table_holds_all_rows_and_runs_and_is_tracked(table: TableRequest, tiny_settings: dict[str, Any]) -> None:
    for file in table.output_dir.rglob("*.json"):
        strict_json(file)
    content = strict_json(table.output_dir / "table.json")
    assert content["rows"] == [{"row": row, "seeds": [0, 1]} for row in ROWS]
    folders = [table.output_dir / f"runs/mtl-swin-unet-cls-seg/seed{seed}" for seed in range(2)]
    results = [json.loads((folder / "results.json").read_text())["metrics"] for folder in folders]
    for name, of_set in content["test_sets"].items():
        for metric, estimate in of_set["estimates"]["MTL-Swin-Unet (cls+seg)"].items():
            of_runs = [r[name][metric] for r in results]
            assert estimate["runs"] == 2
            if metric == "auc_bleeding":  # too few patients in this phantom
                assert (estimate["value"], of_runs) == (None, [None, None])
            else:
                assert estimate["value"] == pytest.approx(sum(of_runs) / 2)
    client = mlflow.MlflowClient(tiny_settings["tracking_uri"])
    experiment = client.get_experiment_by_name("table-whole")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    tags = {(run.data.tags["table"], run.data.tags["row"], run.data.tags["seed"]) for run in runs}
    assert tags == {("whole", row, seed) for row in ROWS for seed in "01"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    record = read_record(table.output_dir / "runs/swin-transformer/seed0")
    assert len(record.manifest_sha256) == 64
    assert record.seconds > 0
    assert record.published


def test_what_is_done_is_not_redone_and_needs_no_network(
    table: TableRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = figures(table.output_dir)
    assert make_table(table, never) == 0
    monkeypatch.chdir(tmp_path)  # no bundle, no manifest, no server
    assert make_table(TableRequest(table.output_dir, train=False, analysis=table.analysis), never) == 0
    assert figures(table.output_dir) == before


def test_ctrl_c_in_the_middle_and_the_same_command_again_give_the_same_table(
    table: TableRequest, request_for: Callable[..., TableRequest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_for(tmp_path / "interrupted")

    def interrupted(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        if run.seed == 0:
            return copied_from(table, run)
        last = run.run_dir / "models/last.pt"
        watcher = threading.Thread(target=_interrupt_when, args=(last.is_file,))
        watcher.start()
        try:
            return in_process(run, lock, tick)
        finally:
            watcher.join()

    assert make_table(request, interrupted) == 130
    assert "Give the same command again" in capsys.readouterr().out.replace("\n", " ")
    states = [is_complete(request.output_dir / f"runs/swin-transformer/seed{seed}") for seed in range(2)]
    assert states == [True, False]
    assert not (request.output_dir / "table.md").exists()
    trained: list[str] = []

    def counting(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        trained.append(run.name)
        return in_process(run, lock, tick) if run.row.name == ROWS[0] else copied_from(table, run)

    assert make_table(request, counting) == 0
    assert trained == ["Swin Transformer, seed 1", "MTL-Swin-Unet (cls+seg), seed 1"]
    assert figures(request.output_dir) == figures(table.output_dir)


def _interrupt_when(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGINT)


def test_the_command_killed_alone_leaves_a_run_that_the_next_one_waits_for(
    table: TableRequest, request_for: Callable[..., TableRequest], tmp_path: Path
) -> None:
    """The real command, its real training process, and a SIGKILL that only the command gets."""
    request = request_for(tmp_path / "killed", rows=ROWS[:1], seeds=1)
    options = [
        "--output-dir",
        str(request.output_dir),
        "--rows",
        "swin_transformer",
        "--seeds",
        "1",
        "--resamples",
        "100",
    ]
    options += ["--manifest", request.manifest, *(part for text in request.settings for part in ("--set", text))]
    run_dir = request.output_dir / "runs/swin-transformer/seed0"
    with subprocess.Popen([sys.executable, "-m", "monai_ich", "table", *options]) as command:
        deadline = time.monotonic() + 600
        while not (run_dir / "train.json").is_file() and time.monotonic() < deadline and command.poll() is None:
            time.sleep(0.01)
        assert command.poll() is None, "the command ended before it trained"
        command.kill()
    assert not is_complete(run_dir)
    assert make_table(request, never) == 0, "the orphan goes on, and its run is taken"
    for name in ("test_hospitals_1_4", "test_hospitals_5_11"):
        killed, other = (
            pd.read_csv(folder / f"predictions/{name}.csv")
            for folder in (run_dir, table.output_dir / "runs/swin-transformer/seed0")
        )
        pd.testing.assert_frame_equal(killed, other)


def test_what_another_machine_finished_is_fetched(
    table: TableRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = replace(table, output_dir=tmp_path / "whole")
    begun = elsewhere.output_dir / "runs/swin-transformer/seed0"
    begun.mkdir(parents=True)
    source = table.output_dir / "runs/swin-transformer/seed0"
    for name in ("train.json", "table_run.json"):
        (begun / name).write_bytes((source / name).read_bytes())
    assert make_table(elsewhere, never) == 0
    assert "4 done, 4 of them fetched from MLflow, 0 to train" in capsys.readouterr().out
    assert figures(elsewhere.output_dir) == figures(table.output_dir)
    assert read_record(begun).fetched_from == json.loads((source / "mlflow.json").read_text())["run_id"]
    assert (begun.with_name("seed0.unfinished0") / "train.json").is_file(), "what was begun here is kept"


def test_a_finished_run_of_other_settings_is_not_fetched(table: TableRequest, tmp_path: Path) -> None:
    settings = [text.replace("max_epochs=2", "max_epochs=1") for text in table.settings]
    elsewhere = replace(table, output_dir=tmp_path / "whole", settings=settings, rows=["Swin Transformer"], seeds=1)
    trained: list[str] = []

    def failing(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        trained.append(run.name)
        return 1

    with pytest.raises(ComparisonError, match="no run is complete yet"):
        make_table(elsewhere, failing)
    assert trained == ["Swin Transformer, seed 0"]


def test_other_settings_or_data_in_the_same_folder_are_refused_before_training(
    table: TableRequest, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    settings = [*table.settings, "lr=0.5"]
    with pytest.raises(ComparisonError) as caught:
        make_table(replace(table, settings=settings), never)
    assert "Swin Transformer, seed 0: lr was 0.0008, is 0.5" in str(caught.value)
    assert "MTL-Swin-Unet (cls+seg), seed 1: lr was" in str(caught.value)
    source = Path(tiny_settings["manifest"])
    other = tmp_path / "other.csv"
    lines = source.read_text().splitlines(keepends=True)
    other.write_text("".join([lines[0], *lines[1:][::-1]]))
    settings = [*table.settings, f"dataset_dir={source.parent / 'images'}"]
    with pytest.raises(ComparisonError, match=r"Swin Transformer, seed 0: manifest was \w{12}\.\.\., is \w{12}"):
        make_table(replace(table, manifest=str(other), settings=settings), never)
    with pytest.raises(ConfigurationError, match=r"marker: 'hypodens' is not among hypodensity\. Did you mean"):
        make_table(replace(table, output_dir=tmp_path / "x", analysis=Analysis(marker="hypodens")), never)
    with pytest.raises(ConfigurationError, match="reference: 'Swin-Unet' is not among"):
        make_table(replace(table, analysis=Analysis(reference="Swin-Unet")), never)


def test_a_failing_row_does_not_lose_the_others(
    table: TableRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_fails(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        if run.row.name == ROWS[0]:
            (run.run_dir / "log.txt").write_text("epoch 1/2\nRuntimeError: it does not converge\n")
            return 3
        return copied_from(table, run)

    elsewhere = replace(table, output_dir=tmp_path / "failing")
    assert make_table(elsewhere, one_fails) == 1
    out = capsys.readouterr().out
    assert "Swin Transformer, seed 0 failed: exit status 3" in out
    assert "RuntimeError: it does not converge" in out
    content = json.loads((elsewhere.output_dir / "table.json").read_text())
    assert [row["row"] for row in content["rows"]] == [ROWS[1]]
    assert any("Swin Transformer 0 of 2" in warning for warning in content["warnings"])


def test_files_that_a_kill_cut_off_are_cleared(tmp_path: Path) -> None:
    RunRecord("a", 0, "m.csv", "", "demo", {}).write(tmp_path)
    (tmp_path / "train.json").write_text('{"row": "a"}')
    for name in ("results.json", "mlflow.json"):
        (tmp_path / name).write_text('{"run_id": "4')
    assert not is_complete(tmp_path)
    clear_broken_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"train.json", "table_run.json"}


def test_a_lock_is_waited_for_with_one_line_and_ends_with_the_last_process_that_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first holder is killed; the process that inherited the lock from it goes on until its input ends."""
    hold = "import sys; sys.stdin.read()"
    code = "import os, subprocess, sys; from pathlib import Path; from monai_ich.table.table_runs import locked\n"
    code += "with locked(Path(sys.argv[1])) as lock:\n"
    code += f"    subprocess.Popen([sys.executable, '-c', {hold!r}], pass_fds=(lock,))\n"
    code += "    print('held', flush=True); os.kill(os.getpid(), 9)\n"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        holder.wait(60)
        with pytest.raises(Timeout):
            FileLock(tmp_path / "lock").acquire(blocking=False)
        threading.Timer(0.2, holder.stdin.close).start()
        with locked(tmp_path):
            assert holder.stdin.closed
    assert capsys.readouterr().out.replace("\n", " ").count("another process is still training in") == 1


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    told = r"lock cannot be locked .*not implemented.*disk of this machine"
    with pytest.raises(RunDirectoryError, match=told), locked(tmp_path):
        pass
