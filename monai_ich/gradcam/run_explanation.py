# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of a trained run: its test sets, with measures and in MLflow, or one study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from monai.bundle import ConfigParser
from rich.table import Column, Table

from monai_ich.bundle.evaluation import Evaluation
from monai_ich.bundle.saved_runs import open_config
from monai_ich.gradcam.explainer import GradCAMChoice, GradCAMExplainer, unwrapped
from monai_ich.gradcam.pair_maps import compared_choices, measure_pairs, summarise_pairs
from monai_ich.gradcam.study_maps import explain_study
from monai_ich.gradcam.test_set_maps import DRAWN_SLICES, MEASURES, figure_of, measure, slices_of_kinds, summarise
from monai_ich.handlers import MLflowTracker
from monai_ich.networks import MultiTaskNet, load_weights
from monai_ich.prediction import StudySlices
from monai_ich.reading.hounsfield import HU, ValueRule
from monai_ich.reading.series_choice import SeriesChoice
from monai_ich.utils.attributes import Attribute, parse_attribute, resolve_attribute
from monai_ich.utils.console import console, progress_bar
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.run_files import RunDirectory
from monai_ich.visualize import save_figure

PAIRS_NAME = "gradcam_pairs.csv"
FOLDER, FIGURES = RunDirectory(Path()).gradcam.name, RunDirectory(Path()).figures.name


@dataclass(frozen=True)
class GradCAMRequest:
    """What `monai_ich gradcam` is asked for.

    Attributes:
        run: a run's directory.
        source: a DICOM file, a folder of one series or a volume; None for the run's own test sets.
        output_dir: where to write; None for `<run>/gradcam`, with a source `<run>/gradcam/<its name>`.
        slices: how many of each kind to draw; of a study, twice as many in all.
        choice: head, marker, layer and method.
        attribute: such as `head_holder=yes`: also measure the maps of its counterfactual pairs (`parse_attribute`).
        series: which series of the source, where it holds several.
        value_rule: how the source's values are to be read.
        allow_lossy: take a source that was compressed with loss at more than 15:1.
    """

    run: Path
    source: Path | None = None
    output_dir: Path | None = None
    slices: int = DRAWN_SLICES
    choice: GradCAMChoice = field(default_factory=GradCAMChoice)
    attribute: str = ""
    series: SeriesChoice = field(default_factory=SeriesChoice)
    value_rule: ValueRule = HU
    allow_lossy: bool = False

    @property
    def folder(self) -> Path:
        """Where to write."""
        own = RunDirectory(self.run).gradcam
        return self.output_dir or (own if self.source is None else own / self.source.name.partition(".")[0])


def explain_run(request: GradCAMRequest) -> None:
    """Writes and prints what `request` asks for: see `explain_test_sets` and `explain_study`.

    Raises:
        RunDirectoryError: it is no run's directory, or holds no weights, or those of another network.
        ConfigurationError: with all that is wrong in the choice.
        ManifestError: the run's manifest is missing or has faults.
        ImageReadError: a file cannot be read.
    """
    attribute = parse_attribute(request.attribute) if request.attribute else None
    if attribute is not None and request.source is not None:
        raise ConfigurationError("attribute: pairs are of a run's own test sets; leave out the study or --attribute.")
    if request.source is None and not request.series.is_open:
        raise ConfigurationError("series: a run's own test sets hold no series to choose; name the study first.")
    parser, explainer = _open(request.run, request.choice)
    batch_size: int = parser.get_parsed_content("batch_size")
    if request.source is None:
        evaluation: Evaluation = parser.get_parsed_content("test::evaluation")
        if attribute is not None:
            explain_pairs(evaluation, explainer, attribute, request.folder)
        explain_test_sets(evaluation, explainer, request)
    else:
        preprocessing = parser.get_parsed_content("preprocessing")
        study = StudySlices(
            request.source,
            preprocessing,
            request.series.uid,
            request.series.description,
            request.series.acquisition,
            offset_hu=request.value_rule.offset_hu,
            any_values=not request.value_rule.is_checked,
            allow_lossy=request.allow_lossy,
        )
        explain_study(study, explainer, request.folder, request.slices, batch_size)


def explain_pairs_of_run(run: Path, attribute: Attribute, test_sets: Sequence[str] = ()) -> Path:
    """Writes the files of `explain_pairs` alone into `<run>/gradcam`.

    Args:
        run: a run's directory.
        attribute: that the pairs differ in.
        test_sets: names of test sets; none means all.

    Returns:
        The table with one row a pair, method and layer.

    Raises:
        RunDirectoryError, ConfigurationError, ManifestError, ImageReadError: see `explain_run`.
        ComparisonError: see `counterfactual_pairs`.
    """
    parser, explainer = _open(run, GradCAMChoice())
    evaluation: Evaluation = parser.get_parsed_content("test::evaluation")
    return explain_pairs(evaluation, explainer, attribute, RunDirectory(run).gradcam, test_sets)[0]


def _open(run: Path, choice: GradCAMChoice) -> tuple[ConfigParser, GradCAMExplainer]:
    """A run's config, and an explainer of its trained network."""
    parser = open_config(run)
    network: torch.nn.Module = parser.get_parsed_content("network")
    markers: Sequence[str] = parser.get_parsed_content("data::markers")
    explainer = GradCAMExplainer(network, markers, _with_marker(choice, parser))
    load_weights(network, RunDirectory(run).best_checkpoint)
    return parser, explainer


def _with_marker(choice: GradCAMChoice, parser: ConfigParser) -> GradCAMChoice:
    """A segmentation row classifies nothing; its slices are told apart by the first marker of its settings."""
    return choice if choice.marker else replace(choice, marker=parser.get_parsed_content("markers")[0])


def explain_test_sets(evaluation: Evaluation, explainer: GradCAMExplainer, request: GradCAMRequest) -> None:
    """Writes `gradcam_<test set>.png` with a few slices of each kind, and `gradcam.csv` with the measures of all.

    Beside them `gradcam_summary.csv`, which is printed too, and each picture as PDF. Pictures and tables are added to
    the run's MLflow run.

    Args:
        evaluation: of the run, with its test sets and tracker.
        explainer: of the run's network.
        request: where to write, and how many slices to draw.
    """
    kinds = {name: slices_of_kinds(data, explainer.choice.marker) for name, data in evaluation.datasets.items()}
    folder = request.folder
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    with progress_bar() as progress:
        total = sum(len(indices) for of_set in kinds.values() for indices in of_set.values())
        task = progress.add_task("Grad-CAM", total=total)
        for name, dataset in evaluation.datasets.items():
            rows = measure(
                explainer, dataset, kinds[name], evaluation.batch_size, lambda done: progress.advance(task, done)
            )
            parts.append(rows.assign(test_set=name))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[["test_set", *(column for column in rows if column != "test_set")]]
    summary = summarise(rows)
    written = [folder / "gradcam.csv", folder / "gradcam_summary.csv"]
    for table, path in zip((rows, summary), written, strict=True):
        table.to_csv(path, index=False, lineterminator="\n")
    for name, dataset in evaluation.datasets.items():
        figure = figure_of(explainer, dataset, kinds[name], request.slices, name)
        if figure is not None:
            written.append(save_figure(figure, folder / f"gradcam_{name}.png"))
    _track(evaluation.tracker, written)
    _report(summary, explainer, written)


def explain_pairs(
    evaluation: Evaluation,
    explainer: GradCAMExplainer,
    attribute: Attribute,
    folder: Path,
    test_sets: Sequence[str] = (),
) -> list[Path]:
    """Writes `gradcam_pairs.csv`, one row a pair, method and layer of `compared_choices`, and their summary.

    Args:
        evaluation: of the run, with its test sets and tracker.
        explainer: of the run's network, which tells the marker.
        attribute: that the pairs differ in.
        folder: where to write.
        test_sets: names of test sets; none means all that have pairs.

    Returns:
        The files.

    Raises:
        ConfigurationError: the network has no classifier, or no test set has pairs that differ in the attribute.
        ComparisonError: see `counterfactual_pairs`.
    """
    network = unwrapped(evaluation.network)
    if not evaluation.markers or not isinstance(network, MultiTaskNet):
        raise ConfigurationError("attribute: a run without a classifier has no predictions that a pair could change.")
    cells = [text for d in evaluation.datasets.values() for text in d.slices.frame.get(attribute.column, ())]
    attribute = resolve_attribute(attribute, cells)
    choices = compared_choices(network, explainer.choice.marker)
    parts = []
    for name, dataset in evaluation.datasets.items():
        if test_sets and name not in test_sets:
            continue
        measured = measure_pairs(network, evaluation.markers, dataset, attribute, choices, evaluation.batch_size)
        if len(measured):
            parts.append(measured.assign(test_set=name))
    if not parts:
        raise ConfigurationError(
            f"attribute: no test set has pairs (pair_id) that differ in {attribute.text}; name the attribute and its "
            "value that counts as with it, such as head_holder=yes."
        )
    rows = pd.concat(parts, ignore_index=True)
    summary = summarise_pairs(rows, ("test_set", "method", "layer"))
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / PAIRS_NAME, folder / "gradcam_pairs_summary.csv"]
    for table, path in zip((rows, summary), written, strict=True):
        table.to_csv(path, index=False, lineterminator="\n")
    _track(evaluation.tracker, written)
    console.print(f"written to {folder}: {', '.join(path.name for path in written)}", soft_wrap=True)
    return written


def _track(tracker: MLflowTracker, written: Sequence[Path]) -> None:
    if not tracker.rejoin():
        console.print(f"not in MLflow: {tracker.tracking_uri} does not know this run", soft_wrap=True)
        return
    for path in written:
        tracker.log_artifact(path, FIGURES if path.suffix == ".png" else FOLDER)


def _report(summary: pd.DataFrame, explainer: GradCAMExplainer, written: Sequence[Path]) -> None:
    console.print(explainer.title)
    names = [Column(name, no_wrap=True) for name in ("test set", "kind")]
    table = Table(*names, *summary.columns[2:], box=None, padding=(0, 2, 0, 0))
    for row in summary.to_dict("records"):
        means = ["-" if np.isnan(row[name]) else f"{row[name]:.3f}" for name in MEASURES]
        counts = [str(row[name]) for name in ("slices", "empty_maps", "measured")]
        table.add_row(row["test_set"], row["kind"], *counts, *means)
    console.print(table)
    empty = int(summary["empty_maps"].sum())
    if empty and explainer.choice.method != "hirescam":
        console.print(
            f"{empty} of {int(summary['slices'].sum())} maps are empty; look at these slices with --method hirescam",
            soft_wrap=True,
        )
    console.print(f"written to {written[0].parent}: {', '.join(path.name for path in written)}", soft_wrap=True)
