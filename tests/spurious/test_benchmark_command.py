# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The benchmark end to end on a tiny phantom: trained, interrupted, gone on with, and written from what is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import ROOT, in_process

from monai_ich.config import name_of_row
from monai_ich.metrics import PredictionTable
from monai_ich.spurious.benchmark_command import BenchmarkRequest, run_benchmark
from monai_ich.table.plan import PlannedRun
from monai_ich.table.table_runs import is_complete, read_record
from monai_ich.utils.errors import ComparisonError

pytestmark = pytest.mark.usefixtures("in_root", "no_figures")

CONDITION = "head_holder_0.8"


@pytest.fixture
def request_of(tmp_path: Path, tiny_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> BenchmarkRequest:
    """A benchmark of one condition and three methods, with its phantom and runs in folders of its own."""
    benchmarks = tmp_path / "bundle" / "benchmarks"
    benchmarks.mkdir(parents=True)
    for path in (ROOT / "bundles" / "mtl").iterdir():
        if path.name != "benchmarks":
            (tmp_path / "bundle" / path.name).symlink_to(path)
    kept = {name: tiny_settings[name] for name in ("max_epochs", "batch_size", "image_size", "precision")}
    tracking = {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", "cache_dir": str(tmp_path / "cache")}
    declaration = {
        "description": "Tiny.",
        "reference": "cls",
        "dials": [0.8],
        "nuisances": {
            "head_holder": {
                "attribute": "head_holder=yes",
                "phantom": {"pairs": {"nuisance": "head_holder", "studies": [6, 2, 2, 2, *[2] * 5, 0, 2]}},
            }
        },
        "methods": {
            "cls": ["swin_transformer.json"],
            "balanced cls": ["swin_transformer.json", "robust/balanced_groups.json"],
            "DFR cls": {"retrains": "cls", "overlays": ["robust/dfr.json"]},
        },
        "settings": {**kept, **tracking, "test::evaluation::pictures": []},
        "phantom": {"studies": [24, 8, 8, 8, *[1] * 7], "slices_per_study": 3, "matrix": 64, "seed": 5},
    }
    path = benchmarks / "tiny.json"
    path.write_text(json.dumps(declaration))
    monkeypatch.chdir(tmp_path)
    return BenchmarkRequest(path, tmp_path / "out", tmp_path / "page", seeds=1, resamples=100)


def test_one_command_trains_is_interrupted_goes_on_and_writes_the_page(
    request_of: BenchmarkRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[str] = []

    def until_the_second(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        if trained:
            raise KeyboardInterrupt
        trained.append(run.name)
        return in_process(run, lock, tick)

    assert run_benchmark(request_of, until_the_second) == 130
    assert trained == ["cls, seed 0"]
    assert "Give the same command again" in " ".join(capsys.readouterr().out.split())

    def rest(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        trained.append(run.name)
        return in_process(run, lock, tick)

    assert run_benchmark(request_of, rest) == 0
    assert trained == ["cls, seed 0", "balanced cls, seed 0", "DFR cls, seed 0"], (
        "what is complete is not trained again"
    )
    assert run_benchmark(request_of, rest) == 0
    assert len(trained) == 3

    runs = request_of.output_dir / CONDITION / "runs"
    assert [read_record(run / "seed0").row for run in sorted(runs.iterdir())] == ["balanced cls", "cls", "DFR cls"]
    assert all(is_complete(run / "seed0") for run in runs.iterdir())
    assert request_of.page_dir is not None
    page = (request_of.page_dir / "benchmark.md").read_text()
    assert "### Dial 0.8" in page
    assert all(f"| {method} | 1 |" in page for method in ("cls", "balanced cls", "DFR cls"))
    for name in ("head_holder.png", "head_holder.pdf", "benchmark.csv"):
        assert (request_of.page_dir / name).stat().st_size > 0
    _check_ace(runs, pd.read_csv(request_of.page_dir / "benchmark.csv"))
    assert "heat maps" not in page
    _check_maps(request_of, runs)


def _check_ace(runs: Path, figures: pd.DataFrame) -> None:
    """The page's ACE of every method is that of its saved predictions."""
    for method in ("cls", "balanced cls", "DFR cls"):
        slug = name_of_row(method)
        frame = PredictionTable.from_csv(runs / slug / "seed0" / "predictions" / "test_pairs_1_4.csv").frame
        by_holder = frame.pivot_table(
            index="pair_id", columns="attribute_head_holder", values="probability_hypodensity", aggfunc="sum"
        )
        expected = float((by_holder["yes"] - by_holder["no"]).mean())
        lines = figures[(figures["method"] == method) & (figures["test_set"] == "test_pairs_1_4")]
        told = lines[lines["metric"] == "ace"]["value"]
        np.testing.assert_allclose(told.to_numpy(), [expected], atol=1e-12)


def _check_maps(request_of: BenchmarkRequest, runs: Path) -> None:
    """Every run's maps are measured once, and the page and its CSV say what is in the runs' own tables."""
    assert run_benchmark(replace(request_of, train=False, maps=True)) == 0
    measured = {run.name: run / "seed0" / "gradcam" / "gradcam_pairs.csv" for run in runs.iterdir()}
    written = {name: path.stat().st_mtime_ns for name, path in measured.items()}
    assert request_of.page_dir is not None
    assert "### Do heat maps show it?" in (request_of.page_dir / "benchmark.md").read_text()
    networks = pd.read_csv(request_of.page_dir / "maps.csv")
    assert len(networks) == 3 * 4  # three methods, two kinds of map at two layers
    for name, path in measured.items():
        rows = pd.read_csv(path)
        assert set(rows["test_set"]) == {"test_pairs_1_4"}
        of_network = networks[[name_of_row(network) == name for network in networks["network"]]]
        np.testing.assert_allclose(of_network["ace"], rows["effect"].mean(), atol=1e-9)

    results = runs / "cls" / "seed0" / "results.json"
    os.utime(results)  # as if trained anew
    assert run_benchmark(replace(request_of, train=False)) == 0
    assert "cls" not in set(pd.read_csv(request_of.page_dir / "maps.csv")["network"]), "its maps are of older weights"
    assert run_benchmark(replace(request_of, train=False, maps=True)) == 0
    again = {name for name, path in measured.items() if path.stat().st_mtime_ns != written[name]}
    assert again == {"cls"}


def test_a_method_that_fails_is_told_and_the_others_go_on(
    request_of: BenchmarkRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    def but_balanced(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        return 3 if run.row.name == "balanced cls" else in_process(run, lock, tick)

    assert run_benchmark(request_of, but_balanced) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"{CONDITION}: balanced cls, seed 0 failed: exit status 3" in said
    assert request_of.page_dir is not None
    page = (request_of.page_dir / "benchmark.md").read_text()
    assert "| DFR cls | 1 |" in page
    assert "| balanced cls |" not in page


def test_without_the_reference_there_is_nothing_to_compare(request_of: BenchmarkRequest) -> None:
    def fails(run: PlannedRun, lock: int, tick: Callable[[], None]) -> int:
        return 1

    with pytest.raises(ComparisonError, match=r"no run is complete in .*; train some first"):
        run_benchmark(request_of, fails)
