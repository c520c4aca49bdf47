# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""All twelve rows of the paper's Table 1, trained and compared by one command on a reduced phantom."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from support import ROOT, in_process

from monai_ich.config import name_of_row
from monai_ich.metrics import PredictionTable
from monai_ich.table.published_table import PAPER_TABLE_1
from monai_ich.table.table1 import TableRequest, make_table
from monai_ich.table.table_results import Analysis

pytestmark = pytest.mark.usefixtures("in_root")
SEGMENTS = {"U-Net", "Swin-Unet", *(row for row in PAPER_TABLE_1 if "seg" in row)}
TEST_SETS = ("test_hospitals_1_4", "test_hospitals_5_11")


def test_one_command_trains_and_compares_every_row_from_any_folder(
    tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {name: value for name, value in tiny_settings.items() if name not in ("manifest", "run_directory::runs_dir")}
    settings = [f"{name}={value}" for name, value in kept.items()]
    analysis = Analysis(resamples=100)
    request = TableRequest(
        Path("all"),
        seeds=1,
        bundle=ROOT / "bundles/mtl",
        manifest=tiny_settings["manifest"],
        settings=settings,
        analysis=analysis,
    )
    assert make_table(request, in_process) == 0
    content = json.loads((request.output_dir / "table.json").read_text())
    assert content["rows"] == [{"row": row, "seeds": [0]} for row in PAPER_TABLE_1]
    for row in PAPER_TABLE_1:
        run_dir = request.output_dir / "runs" / name_of_row(row) / "seed0"
        assert torch.load(run_dir / "models/last.pt", weights_only=True)["epoch"] == 1
        for test_set in TEST_SETS:
            saved = PredictionTable.from_csv(run_dir / f"predictions/{test_set}.csv").metrics()
            estimates = content["test_sets"][test_set]["estimates"].get(row, {})
            classifies = len(PAPER_TABLE_1[row]) > 1
            assert ("f1" in estimates) == classifies, f"{row}, {test_set}"
            assert ("iou" in estimates) == (row in SEGMENTS and test_set == TEST_SETS[0]), f"{row}, {test_set}"
            for metric, estimate in estimates.items():
                value = math.nan if estimate["value"] is None else estimate["value"]
                assert value == pytest.approx(saved[metric], nan_ok=True), f"{row}, {test_set}, {metric}"
    frame = pd.read_csv(request.output_dir / "table.csv")
    assert frame["method"].tolist() == list(PAPER_TABLE_1)
    latex = (request.output_dir / "table.tex").read_text()
    assert all(row in latex for row in PAPER_TABLE_1)
