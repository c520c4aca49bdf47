# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A run's directory is made once, continued only as it was, and never overwritten."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from monai_ich.bundle import RunDirectory, open_run_directory
from monai_ich.utils.errors import RunDirectoryError

CONFIG: dict[str, Any] = {"bundle_root": "bundles/mtl", "lr": 0.1, "max_epochs": 3, "device": "cpu"}


def _open(tmp_path: Path, config: dict[str, Any] = CONFIG, **where: Any) -> RunDirectory:
    return open_run_directory(config, runs_dir=str(tmp_path), run_name="net", **where)


@pytest.fixture(autouse=True)
def _root(in_root: None) -> None:
    """The companions are copied from the bundle's folder, relative to the repository's root."""


def test_a_new_run_holds_all_that_is_needed_later(tmp_path: Path) -> None:
    run = _open(tmp_path)
    assert not run.resuming
    assert run.path.name.startswith("net-")
    kept = json.loads((run.path / "train.json").read_text())
    here = "$monai_ich.config.config_folder()"  # so that the run can be moved
    assert kept == {**CONFIG, "bundle_root": here, "run_dir": here, "resume": False}
    for name in ("evaluate.json", "inference.json", "metadata.json", "logging.conf"):
        assert (run.path / name).read_bytes() == (Path("bundles/mtl") / name).read_bytes()
    assert json.loads(run.provenance.read_text())["packages"]["torch"]


def test_resume_takes_the_newest_unfinished_run(tmp_path: Path) -> None:
    for name in ("net-20260101-000000", "net-20260102-000000", "other-20260103-000000"):
        _open(tmp_path, run_dir=str(tmp_path / name))
    (tmp_path / "net-20260102-000000/results.json").write_text("{}")
    run = _open(tmp_path, resume=True)
    assert run.resuming
    assert run.path == tmp_path / "net-20260101-000000"


def test_the_same_command_with_the_run_s_directory_continues_it(tmp_path: Path) -> None:
    _open(tmp_path, run_dir=str(tmp_path / "x"))
    assert _open(tmp_path, {**CONFIG, "device": "cuda:0", "max_epochs": 5}, run_dir=str(tmp_path / "x")).resuming
    assert json.loads((tmp_path / "x/train.json").read_text())["max_epochs"] == 5


def test_another_configuration_is_refused_with_the_differences(tmp_path: Path) -> None:
    _open(tmp_path, run_dir=str(tmp_path / "x"))
    with pytest.raises(RunDirectoryError, match=r"lr: was 0\.1, now 0\.2"):
        _open(tmp_path, {**CONFIG, "lr": 0.2}, run_dir=str(tmp_path / "x"))


def test_a_complete_run_is_not_overwritten_but_can_be_extended(tmp_path: Path) -> None:
    run = _open(tmp_path, run_dir=str(tmp_path / "x"))
    run.results.write_text("{}")
    with pytest.raises(RunDirectoryError, match=r"is complete\. Evaluate it with evaluate\.json"):
        _open(tmp_path, run_dir=str(tmp_path / "x"))
    assert _open(tmp_path, {**CONFIG, "max_epochs": 4}, run_dir=str(tmp_path / "x")).resuming
    assert not run.results.exists()


def test_results_are_read_with_nan_where_not_defined(tmp_path: Path) -> None:
    """null, and the bare NaN of runs that version 0.1 made."""
    run = _open(tmp_path, run_dir=str(tmp_path / "x"))
    run.results.write_text('{"epoch": 2, "threshold": 0.5, "metrics": {"test": {"n": 3, "auc": null, "f1": NaN}}}')
    results = run.read_results()
    assert (results["epoch"], results["threshold"], results["metrics"]["test"]["n"]) == (2, 0.5, 3)
    assert math.isnan(results["metrics"]["test"]["auc"])
    assert math.isnan(results["metrics"]["test"]["f1"])


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"expected an unfinished run named net-\*"):
        _open(tmp_path, resume=True)
    with pytest.raises(RunDirectoryError, match=r"holds no train\.json"):
        _open(tmp_path, run_dir=str(tmp_path / "nowhere"), resume=True)
