# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A table computed and written from saved predictions alone, and what it refuses to mix."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from support import strict_json

from monai_ich.metrics import PredictionTable
from monai_ich.table.table1 import TableRequest, make_table
from monai_ich.table.table_results import Analysis, compute_table
from monai_ich.table.table_runs import RunRecord, complete_runs
from monai_ich.table.table_text import latex, markdown
from monai_ich.utils.errors import ComparisonError, ConfigurationError

A, B = "test_hospitals_1_4", "test_hospitals_5_11"
ROWS = {
    "Swin-Unet": (0.0, 0.8),
    "Swin Transformer": (1.0, None),
    "MTL-Swin-Unet (cls+seg)": (1.8, 0.9),
    "Mine_100%": (1.0, None),
}
RECORD = RunRecord("", 0, "mine.csv", "ab" * 32, "demo", {"max_epochs": 2}, 90.0, ["c0ffee"], {"device": "2 CPU cores"})


def predictions(row: str, seed: int, test_set: str, n: int = 120, patients: int = 40) -> PredictionTable:
    """Truth by test set, predictions by row and seed; test B has no masks."""
    skill, overlap = ROWS[row]
    truth = np.random.default_rng(len(test_set))
    rng = np.random.default_rng([list(ROWS).index(row), seed, len(test_set)])
    label, area = (truth.random(n) < 0.3).astype(int), truth.integers(0, 3, n) * 30
    letter = "a" if test_set == A else "b"
    frame: dict[str, Any] = {"index": np.arange(n), "key": [f"{letter}{i:03d}" for i in range(n)]}
    frame |= {"patient_id": [f"{letter}{i % patients}" for i in range(n)], "study_id": "s", "hospital": "1"}
    if skill:
        logit = rng.normal(skill * (2 * label - 1), 1)
        frame |= {"label_hypodensity": label, "probability_hypodensity": 1 / (1 + np.exp(-logit))}
    if overlap:
        found = rng.binomial(area, overlap)
        missing = [None] * n
        counts = {"seg_intersection": found, "seg_union": area + 2, "seg_area": area}
        frame |= counts if test_set == A else dict.fromkeys(counts, missing)
        frame |= {"seg_pred_area": found + 2, "has_mask": test_set == A}
    types = {name: "Int64" for name in frame if name.startswith("seg_")}
    return PredictionTable(pd.DataFrame(frame).astype(types))


def save_run(output_dir: Path, row: str, seed: int, config: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A complete run's directory, as far as a table needs it."""
    run_dir = output_dir / "runs" / row.lower().replace(" ", "-") / f"seed{seed}"
    replace(RECORD, **{"row": row, "seed": seed, **changes}).write(run_dir)
    tables = {name: predictions(row, seed, name) for name in (A, B)}
    for name, table in tables.items():
        table.to_csv(run_dir / "predictions" / f"{name}.csv")
    (run_dir / "train.json").write_text(json.dumps({"row": row, "seed": seed, "max_epochs": 2, **(config or {})}))
    # a bare NaN, as runs of version 0.1 have it: they still go into a table
    (run_dir / "results.json").write_text(f'{{"threshold": 0.5, "metrics": {{"{A}": {{}}, "{B}": {{"iou": NaN}}}}}}')
    return run_dir


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("tables") / "mine"
    for row in ROWS:
        for seed in range(3 if row != "Mine_100%" else 2):
            save_run(output_dir, row, seed)
    assert make_table(TableRequest(output_dir, train=False, analysis=Analysis(resamples=200))) == 0
    return output_dir


def test_means_are_those_of_the_saved_predictions(folder: Path) -> None:
    frame = pd.read_csv(folder / "table.csv").set_index("method")
    assert list(frame.index) == ["Swin-Unet", "Swin Transformer", "MTL-Swin-Unet (cls+seg)", "Mine_100%"]
    assert frame["runs"].tolist() == [3, 3, 3, 2]
    headings = {"acc": "acc", "prec": "precision", "rec": "recall", "f1": "f1", "auc": "auc", "iou-seg": "iou"}
    for row, runs in frame["runs"].items():
        for letter, name in (("A", A), ("B", B)):
            metrics = [predictions(str(row), seed, name).metrics() for seed in range(runs)]
            for heading, metric in headings.items():
                if (heading, letter) == ("iou-seg", "B"):
                    assert "B iou-seg" not in frame
                    continue
                values = [m.get(metric, math.nan) for m in metrics]
                assert frame.loc[row, f"{letter} {heading}"] == pytest.approx(np.mean(values), nan_ok=True)
                spread = frame.loc[row, f"{letter} {heading} sd over runs"]
                assert spread == pytest.approx(np.std(values, ddof=1), nan_ok=True)


def test_columns_differences_gaps_and_the_paper_s_figures(folder: Path) -> None:
    frame = pd.read_csv(folder / "table.csv").set_index("method")
    columns = [name for name in frame if re.fullmatch(r"[AB] [\w-]+", name)]
    classified = ["acc", "prec", "rec", "f1", "auc", "auc-bleed"]
    assert columns == ["A iou-seg", *(f"A {m}" for m in classified), *(f"B {m}" for m in classified)]
    swin, mtl = frame.loc["Swin Transformer"], frame.loc["MTL-Swin-Unet (cls+seg)"]
    assert (swin["B auc paper"], mtl["A iou-seg paper"]) == (0.772, 0.815)
    assert math.isnan(frame.loc["Mine_100%", "A auc paper"])
    assert mtl["A auc difference"] == pytest.approx(mtl["A auc"] - swin["A auc"])
    assert mtl["A iou-seg difference"] == pytest.approx(mtl["A iou-seg"] - frame.loc["Swin-Unet", "A iou-seg"])
    assert math.isnan(swin["A auc difference"]), "the reference itself"
    assert mtl["gap auc"] == pytest.approx(mtl["A auc"] - mtl["B auc"])
    assert mtl["A auc low"] < mtl["A auc"] < mtl["A auc high"]
    # two comparisons in the column: the smaller p-value is doubled
    p = frame.loc[["MTL-Swin-Unet (cls+seg)", "Mine_100%"], "A auc p"]
    holm = frame.loc[p.index, "A auc p Holm"]
    assert holm[p.idxmin()] == pytest.approx(2 * p.min())
    assert holm[p.idxmax()] == pytest.approx(max(p.max(), 2 * p.min()))


def test_everything_is_in_the_json_without_nan(folder: Path) -> None:
    content = strict_json(folder / "table.json")
    assert content["references"] == {
        "iou": "Swin-Unet",
        **dict.fromkeys(["acc", "precision", "recall", "f1", "auc", "auc_bleeding"], "Swin Transformer"),
    }
    first = content["test_sets"][A]
    assert first["counts"]["slices"] == 120
    assert first["counts"]["patients"] == 40
    label = predictions("Swin Transformer", 0, A).frame["label_hypodensity"]
    assert first["counts"]["positives"] == label.sum()
    assert first["detectable_auc_difference"]["minimum_difference"] > 0
    difference = first["differences"]["Mine_100%"]["auc"]
    assert "DeLong" in difference["test"]
    assert difference["p_value_independent"] is not None
    assert len(content["runs"]) == 11


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def test_markdown_shows_best_in_bold_interval_and_paper(folder: Path) -> None:
    text = (folder / "table.md").read_text()
    frame = pd.read_csv(folder / "table.csv").set_index("method")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header = _cells(lines[0])
    assert header[:3] == ["method", "runs", "A iou-seg"]
    main = {_cells(line)[0]: dict(zip(header, _cells(line), strict=True)) for line in lines[2:6]}
    assert {cells["B auc-bleed"] for cells in main.values()} == {""}, "no row tells which slices of B show blood"
    assert "Test B: the saved predictions do not say which slices show blood" in text
    for column in [name for name in header[2:] if name != "B auc-bleed"]:
        best = frame[column].idxmax()
        bold = [row for row, cells in main.items() if "**" in cells[column]]
        assert best in bold
        assert all(f"{frame.loc[row, column]:.3f}" == f"{frame[column].max():.3f}" for row in bold)
    mean, between, paper = main["MTL-Swin-Unet (cls+seg)"]["B auc"].split("<br>")
    shown = frame.loc["MTL-Swin-Unet (cls+seg)"]
    assert mean.strip("*") == f"{shown['B auc']:.3f}"[1:]
    assert re.fullmatch(r"\[(1\.000|\.\d{3}), (1\.000|\.\d{3})\]", between)
    assert paper == "*.788*"
    assert main["MTL-Swin-Unet (cls+seg)"]["A iou-seg"].endswith("<br>*.815*<sup>a</sup>")
    assert main["MTL-Swin-Unet (cls+seg)"]["B prec"].endswith("<br>*.256*<sup>b</sup>")
    assert main["Swin Transformer"]["B prec"].endswith("<br>*.254*")
    assert text.count("<sup>") == 5, "two figures of IoU, one of precision, and their two notes"
    for part in ("## Test A: differences to Swin-Unet and Swin Transformer", "## From A to B", "## Test sets"):
        assert part in text
    assert f"manifest mine.csv, sha256 {'ab' * 32}" in text
    assert "recipe demo with max_epochs=2" in text
    assert "c0ffee" in text
    assert "2 CPU cores" in text
    assert "Swin-Unet 4.5" in text, "three runs of 90 s"
    assert "Runs are missing; complete are: Mine_100% 2 of 3" in text


def _noted(text: str) -> list[str]:
    """The first words of the notes of a table, in Markdown or LaTeX."""
    found = re.findall(r"^(?:- |\\par\{\\footnotesize)(.*)$", text.split("\n## ")[0], flags=re.MULTILINE)
    return [" ".join(re.sub(r"<sup>(.)</sup>|\\textsuperscript\{(.)\}", r"\1\2", line).split()[:5]) for line in found]


IOU, DEFINED = "iou-seg is pooled over the", "a The paper does not"
BLEEDING = "auc-bleed is the AUC of"
RUNS, F1, PRECISION = "The paper does not say", "The paper does not define", "b This precision contradicts the"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["MTL-Swin-Unet (cls+seg)"], [IOU, BLEEDING, DEFINED, RUNS, F1, PRECISION]),
        (["Swin-Unet"], [IOU, DEFINED]),
        (["Swin Transformer"], [BLEEDING, RUNS, F1]),
        (["Mine_100%"], [BLEEDING]),
        (["Swin-Unet", "Mine_100%"], [IOU, BLEEDING, DEFINED]),
    ],
)
def test_a_note_stands_only_where_its_figure_is_shown(folder: Path, rows: list[str], expected: list[str]) -> None:
    runs = [run for run in complete_runs(folder) if run.parent.name in [row.lower().replace(" ", "-") for row in rows]]
    result = compute_table("t", runs, Analysis(resamples=10))
    text = markdown(result, [], "x.png")
    assert _noted(text) == expected
    assert _noted(latex(result, [])) == _noted(text)
    other = replace(result, marker="blend_sign")
    assert _noted(latex(other, [])) == [note for note in expected if note in (IOU, BLEEDING)], (
        "the paper has no figures of it"
    )


def test_every_table_of_the_markdown_is_rectangular(folder: Path) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", (folder / "table.md").read_text(), flags=re.MULTILINE)
    assert len(blocks) == 5  # figures, differences on A and on B, gap, test sets
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_latex_has_as_many_cells_in_every_line_and_escapes_names(folder: Path) -> None:
    text = (folder / "table.tex").read_text()
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    widths = [
        line.replace(r"\&", "").count("&") + sum(int(n) - 1 for n in re.findall(r"multicolumn\{(\d+)\}", line))
        for line in lines
    ]
    assert set(widths) == {14}
    assert r"Mine\_100\%" in text
    assert text.count("{") == text.count("}")
    assert text.count(r"\textbf{") >= 11
    assert "\\begin{tabular}{lrrrrrrrrrrrrrr}" in text
    rules = re.findall(r"cmidrule\(lr\)\{(\d+)-(\d+)\}", text)
    assert rules == [("4", "9"), ("10", "15")]


def test_below_the_table_stands_what_every_row_s_encoders_began_from(tmp_path: Path) -> None:
    """Runs that were made before this was written down say that it is not recorded."""
    for row in ("Swin-Unet", "Swin Transformer"):
        for seed in range(2):
            save_run(tmp_path, row, seed)
    for seed, name in enumerate(("a.pth", "b.pth")):
        results = tmp_path / f"runs/swin-unet/seed{seed}/results.json"
        content = {"threshold": 0.5, "encoders": {"encoder": f"SwinEncoder from {name}"}, "metrics": {A: {}, B: {}}}
        results.write_text(json.dumps(content))
    assert make_table(TableRequest(tmp_path, train=False, analysis=Analysis(resamples=20))) == 0
    text = (tmp_path / "table.md").read_text()
    assert "- encoders of Swin-Unet: encoder: SwinEncoder from a.pth / encoder: SwinEncoder from b.pth\n" in text
    assert "- encoders of Swin Transformer: not recorded\n" in text


def test_the_picture_is_drawn(folder: Path) -> None:
    assert imread(folder / "intervals.png").shape[0] > 100


def test_the_same_predictions_give_the_same_bytes(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in ("table.md", "table.csv", "table.tex", "table.json")}
    make_table(TableRequest(folder, train=False, analysis=Analysis(resamples=200)))
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest_sha256": "cd" * 32}, "manifest_sha256 is 'cdcd"),
        ({"settings": {"max_epochs": 3}}, r"settings is \{'max_epochs': 3\}, but \{'max_epochs': 2\}"),
        ({"recipe": "paper"}, "recipe is 'paper', but 'demo'"),
        ({"config": {"lr": 0.5}}, "lr is 0.5, but None"),
    ],
)
def test_runs_of_other_data_or_settings_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_run(tmp_path, "Swin Transformer", 0)
    save_run(tmp_path, "Swin Transformer", 1, **changes)
    with pytest.raises(ComparisonError, match=message):
        make_table(TableRequest(tmp_path, train=False))
    assert not (tmp_path / "table.md").exists()


def test_another_threshold_or_other_slices_are_refused(tmp_path: Path) -> None:
    first, second = (save_run(tmp_path, "Swin Transformer", seed) for seed in range(2))
    (second / "results.json").write_text(json.dumps({"threshold": 0.4, "metrics": {A: {}, B: {}}}))
    with pytest.raises(ComparisonError, match=r"threshold is 0\.4, but 0\.5"):
        compute_table("t", [first, second], Analysis())
    second = save_run(tmp_path, "Swin Transformer", 1)
    PredictionTable(predictions("Swin Transformer", 1, A).frame.iloc[1:]).to_csv(second / "predictions" / f"{A}.csv")
    with pytest.raises(ComparisonError, match="1 slices are in it or in Swin Transformer, run 0 only"):
        compute_table("t", [first, second], Analysis())


def test_only_complete_runs_count(tmp_path: Path) -> None:
    whole, cut, unfinished = (save_run(tmp_path, "Swin Transformer", seed) for seed in range(3))
    (cut / "results.json").write_text('{"threshold": 0.5, "metr')
    (unfinished / "predictions" / f"{B}.csv").unlink()
    assert complete_runs(tmp_path) == [whole]
    with pytest.raises(ComparisonError, match="no run is complete yet"):
        make_table(TableRequest(tmp_path / "empty", train=False))


def test_rows_references_and_markers_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(ComparisonError, match=r"'Swin Transformers'\. Did you mean 'Swin Transformer'"):
        make_table(TableRequest(folder, rows=["Swin Transformers"], train=False))
    runs = complete_runs(folder)
    with pytest.raises(ConfigurationError, match=r"reference: expected a row .* got 'Mine'"):
        compute_table("t", runs, Analysis(reference="Mine", resamples=10))
    with pytest.raises(ConfigurationError, match=r"seg-reference: .* that has iou"):
        compute_table("t", runs, Analysis(seg_reference="Swin Transformer", resamples=10))
    with pytest.raises(
        ConfigurationError, match=r"marker: expected one of those predicted .*Did you mean 'hypodensity'"
    ):
        compute_table("t", runs, Analysis(marker="hypodensit", resamples=10))


def test_a_segmentation_alone_is_a_table_too(folder: Path) -> None:
    runs = [run for run in complete_runs(folder) if run.parent.name == "swin-unet"]
    result = compute_table("t", runs, Analysis(resamples=20))
    assert result.columns == [(A, "iou")]
    assert result.gaps == {}
    assert "Marker" not in markdown(result, [], "x.png")
    assert r"\begin{tabular}{lrr}" in latex(result, [])


def test_few_positives_are_warned_of_in_plain_words(tmp_path: Path) -> None:
    for row in ("Swin Transformer", "Mine_100%"):
        run = save_run(tmp_path, row, 0)
        for name in (A, B):
            frame = predictions(row, 0, name).frame
            frame["label_hypodensity"] = (frame.index % 40 < (3 if name == A else 0)).astype(int)
            alike = np.random.default_rng(0).random((2, 120)) * [[1.0], [0.1]]  # two networks that hardly differ
            frame["probability_hypodensity"] = alike[0] / 2 + (alike[1] if row == "Mine_100%" else 0)
            PredictionTable(frame).to_csv(run / "predictions" / f"{name}.csv")
    result = compute_table("t", complete_runs(tmp_path), Analysis(resamples=100))
    text = "\n".join(result.warnings)
    assert "Test A: positive slices: 9, of patients: 3" in text
    assert re.search(r"Test A: with 9 positive slices of 3 patients, a difference of AUC below 0\.\d+ is found", text)
    assert "1 of 1 differences here are smaller and were not found" in text
    assert re.search(r"Test A: \d+ resamples held no positive", text)
    assert "Test B has 0 positive and 120 negative slices: its AUC is not defined." in text
    assert markdown(result, [], "x.png").count("Test A: positive slices: 9") == 1
