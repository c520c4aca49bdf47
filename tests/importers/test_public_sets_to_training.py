# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every public set, by the commands that its user types: import, split, check, audit, and a training of one epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import public_cohorts
import pytest
from monai.bundle import run as run_bundle
from support import TINY, TRAIN_JSON, strict_json, without_figures
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.importers.import_command import PUBLIC_SETS
from monai_ich.utils.keys import ANY_HAEMORRHAGE

SUBDURAL = "label_subdural"
ALL_TASKS = ["cls", "seg", "rec"]
# layout, command, label, tasks: those of the heads that the set can teach
SETS = [
    (public_cohorts.physionet, "physionet", SUBDURAL, ALL_TASKS),
    (public_cohorts.jpeg, "physionet", ANY_HAEMORRHAGE, ["cls", "seg"]),
    (public_cohorts.bhsd, "bhsd", SUBDURAL, ALL_TASKS),
    (public_cohorts.instance, "instance", ANY_HAEMORRHAGE, ["seg"]),
    (public_cohorts.rsna, "rsna", SUBDURAL, ["cls"]),
    (public_cohorts.cq500, "cq500", SUBDURAL, ["cls"]),
]


def command(*arguments: str | Path) -> str:
    """Runs `python -m monai_ich` and returns what it prints."""
    outcome = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return " ".join(outcome.output.split())


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def test_no_public_set_is_left_out() -> None:
    assert {name for _, name, *_ in SETS} == set(PUBLIC_SETS)


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize(("make", "name", "label", "tasks"), SETS, ids=[make.__name__ for make, *_ in SETS])
def test_a_public_set_is_trained_on(
    make: Callable[[Path], None], name: str, label: str, tasks: list[str], tmp_path: Path, tracking_uri: str
) -> None:
    make(tmp_path / "set")
    imported, split = tmp_path / "imported.csv", tmp_path / "split.csv"
    places = ("--manifest", imported, "--output-dir", tmp_path / "out")
    command("import", name, tmp_path / "set", *places, "--workers", "1")
    printed = command("split", imported, "--marker", label, "--output", split)
    assert f"{label} positive" in printed
    assert "no faults" in command("check", split, "--marker", label)
    pictures = () if name == "bhsd" else ("--no-pictures",)
    command("audit", split, "--marker", label, "--workers", "1", "--cache-dir", tmp_path / "cache", *pictures)
    report = strict_json(split.with_suffix(".audit.json"))
    assert report["marker"] == label
    assert sum(row["positive"] for row in report["hospitals"]) > 0
    settings = {"manifest": str(split), "markers": [label], "tasks": tasks, "run_dir": str(tmp_path / "run")}
    kept = {"cache_dir": str(tmp_path / "cache"), "tracking_uri": tracking_uri}
    # one set's figures show a label that is none of the four markers; the others would only draw the same again
    with nullcontext() if name == "bhsd" else without_figures():
        run_bundle(config_file=[str(TRAIN_JSON)], **{**TINY, "batch_size": 8, **settings, **kept})
    metrics = json.loads((tmp_path / "run/results.json").read_text())["metrics"]["test"]
    assert math.isfinite(metrics["auc" if "cls" in tasks else "iou"])
