# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The table's metrics of groups and pairs: every test set, Markdown, CSV and LaTeX, and runs of before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from group_cases import cohort, paired, table
from support import strict_json
from test_table_results import RECORD

from monai_ich.metrics import best_threshold, worst_group_accuracy
from monai_ich.table.table1 import TableRequest, make_table
from monai_ich.table.table_results import Analysis
from monai_ich.utils.errors import ConfigurationError

A, PAIRS = "test_hospitals_1_4", "test_pairs_holder"
ROWS = ("Swin Transformer", "Mine")
HOLDER = "head_holder=yes"


def save(output_dir: Path, before: bool = False, pairs: int = 30) -> Path:
    """Two rows of two seeds; `before` leaves out what runs of version 0.1 did not save."""
    for number, row in enumerate(ROWS):
        for seed in range(2):
            run_dir = output_dir / "runs" / row.lower().replace(" ", "-") / f"seed{seed}"
            replace(RECORD, row=row, seed=seed).write(run_dir)
            effect = paired(pairs, present=0.8 - 0.2 * number, absent=0.4)
            frames = {A: cohort(run=2 * number + seed), PAIRS: effect}
            if before:
                frames = {name: f.filter(regex="^(?!attribute|pair_id|has_blood)") for name, f in frames.items()}
            else:
                table(cohort(run=10 + seed)).to_csv(run_dir / "validation.csv")
            for name, frame in frames.items():
                table(frame).to_csv(run_dir / "predictions" / f"{name}.csv")
            (run_dir / "train.json").write_text("{}")
            content = {"epoch": 1, "threshold": 0.5, "metrics": {A: {}, PAIRS: {}}}
            (run_dir / "results.json").write_text(json.dumps(content))
    return output_dir


def written(folder: Path, *attributes: str) -> Path:
    analysis = Analysis(resamples=100, attributes=attributes)
    assert make_table(TableRequest(folder, train=False, analysis=analysis)) == 0
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(save(tmp_path_factory.mktemp("tables") / "groups"), HOLDER, "hospital")


def test_every_test_set_has_its_metrics_in_the_csv(folder: Path) -> None:
    frame = pd.read_csv(folder / "groups.csv").set_index(["test_set", "attribute", "method", "metric"])
    effects = frame.loc[PAIRS, HOLDER]
    assert effects.loc[("Swin Transformer", "ace"), "value"] == pytest.approx(0.4)
    assert effects.loc[("Mine", "ace"), ["value", "low", "high"]].tolist() == pytest.approx([0.2] * 3)
    assert effects.loc[("Mine", "ace"), "difference"] == pytest.approx(-0.2)
    in_json = strict_json(folder / "table.json")["groups"][PAIRS][HOLDER]
    assert in_json["estimates"]["Mine"]["ace"]["value"] == effects.loc[("Mine", "ace"), "value"]
    assert in_json["differences"]["Mine"]["ace"]["p_holm"] == effects.loc[("Mine", "ace"), "p Holm"]
    assert effects.loc[("Mine", "ace"), "p"] == effects.loc[("Mine", "ace"), "p Holm"] < 0.05
    assert np.isnan(effects.loc[("Swin Transformer", "ace"), "difference"])
    runs = [cohort(run=seed) for seed in range(2)]
    thresholds = [
        best_threshold(f["label_hypodensity"], f["probability_hypodensity"]) for f in (cohort(run=r) for r in (10, 11))
    ]
    for metric, limits in (("wga", [0.5, 0.5]), ("wga_val", thresholds)):
        expected = np.mean(
            [
                worst_group_accuracy(
                    f["label_hypodensity"],
                    f["probability_hypodensity"],
                    2 * (f["attribute_head_holder"] == "yes") + f["label_hypodensity"],
                    limit,
                )
                for f, limit in zip(runs, limits, strict=True)
            ]
        )
        assert frame.loc[(A, HOLDER, "Swin Transformer", metric), "value"] == pytest.approx(expected, abs=1e-12)
    assert {name for name in frame.loc[A, "hospital"].index.get_level_values("metric") if "within=" in name} == {
        f"auc_within={hospital}" for hospital in "123"
    }


def test_markdown_and_latex_show_them(folder: Path) -> None:
    text = (folder / "table.md").read_text()
    frame = pd.read_csv(folder / "groups.csv").set_index(["test_set", "attribute", "method", "metric"])
    section = text.split(f"## Test A: groups of {HOLDER}\n")[1].split("\n## ")[0]
    head = "| method | conflict auc | aligned auc | auc within no | auc within yes | worst auc within | worst acc |"
    assert head in section
    conflict = frame.loc[(A, HOLDER, "Mine", "conflict_auc"), "value"]
    assert f"| Mine | {conflict:.3f}".replace("0.", ".") in section
    pairs = text.split(f"## Test B: groups of {HOLDER}\n")[1].split("\n## ")[0]
    assert "| Mine |" in pairs
    assert ".200<br>[.200, .200]" in pairs
    latex = (folder / "groups.tex").read_text()
    assert latex.count(r"\begin{tabular}") == 4, "two test sets, two attributes"
    assert "Mine & " in latex
    assert "A auc-bleed" in text
    assert "auc-bleed" in (folder / "table.tex").read_text()


@pytest.mark.parametrize(("pairs", "printed"), [(9, "-"), (10, ".200<br>[.200, .200]")])
def test_few_pairs_print_a_dash_and_warn(tmp_path: Path, pairs: int, printed: str) -> None:
    text = (written(save(tmp_path / "few", pairs=pairs), HOLDER) / "table.md").read_text()
    row = next(line for line in text.split("## Test B: groups")[1].splitlines() if line.startswith("| Mine |"))
    assert row.split(" | ")[-3] == printed
    assert ("pairs: 9. Metrics that need them print -." in text) == (printed == "-")


def test_runs_of_before_make_their_table_with_a_note(tmp_path: Path) -> None:
    folder = written(save(tmp_path / "before", before=True), HOLDER)
    text = (folder / "table.md").read_text()
    assert f"Test A: the saved predictions do not hold {HOLDER}." in text
    assert "No accuracy at the threshold of validation: runs of Swin Transformer, Mine saved no validation.csv" in text
    assert pd.read_csv(folder / "groups.csv").empty
    frame = pd.read_csv(folder / "table.csv")
    assert frame["A auc-bleed"].isna().all()
    assert frame["A auc"].notna().all()


def test_attributes_that_are_not_there_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "refused")
    with pytest.raises(ConfigurationError) as caught:
        written(folder, "head_holdr=yes", "head_holder=maybe", "Kernel")
    assert len(caught.value.faults) == 3
    assert "no column attribute_head_holdr" in caught.value.faults[0]
    assert "Did you mean 'attribute_head_holder'?" in caught.value.faults[0]
    assert "no value 'maybe'; expected one of no, yes" in caught.value.faults[1]


def test_a_table_without_attributes_writes_no_files_of_groups(tmp_path: Path) -> None:
    folder = written(save(tmp_path / "plain"))
    assert not [path.name for path in folder.iterdir() if path.name.startswith("groups")]
    assert "groups of" not in (folder / "table.md").read_text()
