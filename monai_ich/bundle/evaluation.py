# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Evaluates a network on every test set: predictions, metrics, figures and the final table."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator
from monai.inferers import Inferer
from rich.table import Column, Table

from monai_ich.data import ShardSampler, SliceDataset, SliceStore, test_splits
from monai_ich.engines import per_process_batch_size, prepare_multitask_batch, rank, world_size
from monai_ich.handlers import MLflowTracker, PredictionMetrics
from monai_ich.metrics import PatientBootstrap, PredictionTable, align_predictions
from monai_ich.metrics.prediction_table import LABEL, PROBABILITY
from monai_ich.networks import load_weights
from monai_ich.networks.encoder_origins import ORIGINS
from monai_ich.prediction.result_panel import PANEL_SLICES, result_panel
from monai_ich.utils.console import console
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.files import replace_json
from monai_ich.utils.keys import Key, Split
from monai_ich.utils.run_files import RunDirectory
from monai_ich.visualize import ScoredSlices, confusion_figure, precision_recall_figure, roc_figure, save_figure

# A column of the final table, and the metric that it shows.
REPORTED = {"n": "n", "positive": "n_positive", "acc": "acc", "prec": "precision", "rec": "recall", "macro-F1": "f1"}
REPORTED |= {"AUC": "auc", "IoU": "iou", "false alarms": "false_alarms"}


def test_datasets(slices: SliceStore, markers: Sequence[str]) -> dict[str, SliceDataset]:
    """Opens every test set of a manifest, by its name.

    Raises:
        ManifestError: when no row's split begins with `test`.
    """
    names = test_splits(slices.frame)
    if not names:
        raise ManifestError(
            "the manifest has no test set: expected at least one split whose name begins with 'test', found "
            f"{sorted(slices.frame['split'].unique())}."
        )
    return {name: SliceDataset(slices, name, markers=markers) for name in names}


test_datasets.__test__ = False  # type: ignore[attr-defined]  # pytest would otherwise collect it where it is imported


def validation_dataset(slices: SliceStore, markers: Sequence[str]) -> SliceDataset | None:
    """Opens the validation set for a classifier, its labelled slices alone; None where there is none."""
    rows = slices.frame[slices.frame["split"] == Split.VAL]
    if not markers or not rows[list(markers)].notna().any(axis=None):
        return None
    return SliceDataset(slices, Split.VAL, markers=markers, drop_unlabelled=len(markers) == 1)


@dataclass
class Evaluation:
    """What the test sets say of one checkpoint.

    Attributes:
        network: gets the checkpoint's weights.
        datasets: the test sets by name.
        inferer: as in training.
        device: where the network is.
        markers: of the classifier, in the order of its outputs.
        threshold: the probability from which a slice is positive.
        batch_size: slices at once, over all processes.
        num_workers: loader processes.
        tracker: gets the metrics and figures.
        output: gets `predictions/`, `figures/` (each as PNG and PDF) and `results.json`; with a classifier also
            `validation.csv`, the validation set's predictions, which a threshold can be chosen on.
        checkpoint: the weights to evaluate.
        pictures: further figures, each a function of this evaluation that returns {name without suffix: figure}.
    """

    network: torch.nn.Module
    datasets: dict[str, SliceDataset]
    inferer: Inferer
    device: torch.device
    markers: Sequence[str]
    threshold: float
    batch_size: int
    num_workers: int
    tracker: MLflowTracker
    output: RunDirectory
    checkpoint: Path
    pictures: Sequence[Callable[[Evaluation], dict[str, Figure]]] = ()
    results: dict[str, dict[str, float]] = field(default_factory=dict)
    tables: dict[str, PredictionTable] = field(default_factory=dict)

    def run(self) -> None:
        """Loads the checkpoint, evaluates every test set, and writes and tracks what came out.

        Raises:
            RunDirectoryError: when the checkpoint is missing or of another network.
        """
        rest = load_weights(self.network, Path(self.checkpoint))
        for name, dataset in self.datasets.items():
            handler = PredictionMetrics(self.markers, self.threshold)
            evaluator = self._evaluator(dataset, handler)
            evaluator.run()
            self.results[name] = dict(evaluator.state.metrics)
            assert handler.table is not None  # an evaluator that ran has filled it
            self.tables[name] = handler.table
        if rank() == 0:
            self._write(rest["epoch"], rest.get(ORIGINS))
        # Last, so that a validation set that cannot be read does not lose the results of the test sets.
        validation = validation_dataset(next(iter(self.datasets.values())).slices, self.markers)
        if validation is not None:
            handler = PredictionMetrics(self.markers, self.threshold)
            self._evaluator(validation, handler).run()
            assert handler.table is not None
            if rank() == 0:
                self.tracker.log_artifact(handler.table.to_csv(self.output.validation_predictions))

    def _evaluator(self, dataset: SliceDataset, handler: PredictionMetrics) -> SupervisedEvaluator:
        loader = DataLoader(
            dataset,
            batch_size=per_process_batch_size(self.batch_size),
            sampler=ShardSampler(len(dataset), rank(), world_size()),
            num_workers=self.num_workers,
        )
        return SupervisedEvaluator(
            device=self.device,
            val_data_loader=loader,
            network=self.network,
            inferer=self.inferer,
            prepare_batch=prepare_multitask_batch,
            val_handlers=[handler],
            decollate=False,
        )

    def _write(self, epoch: int, origins: dict[str, str] | None) -> None:
        for name, table in self.tables.items():
            self.tracker.log_artifact(
                table.to_csv(self.output.predictions / f"{name}.csv"), self.output.predictions.name
            )
            self.tracker.log_metrics({f"{name}_{metric}": v for metric, v in self.results[name].items()}, step=epoch)
        for name, figure in self._figures().items():
            self.tracker.log_artifact(
                save_figure(figure, self.output.figures / f"{name}.png"), self.output.figures.name
            )
        content = {"epoch": epoch, "threshold": self.threshold, ORIGINS: origins, "metrics": self.results}
        # last of all: its presence says that the run is complete
        replace_json(self.output.results, content)
        self.tracker.log_artifact(self.output.results)

    def _figures(self) -> dict[str, Figure]:
        """Every figure by its file's name without suffix."""
        figures: dict[str, Figure] = {}
        for marker in next(iter(self.tables.values())).markers:
            scored = {name: _scored(name, table, marker) for name, table in self.tables.items()}
            figures[f"roc_{marker}"] = roc_figure(scored, marker, self.threshold)
            figures[f"precision_recall_{marker}"] = precision_recall_figure(scored, marker, self.threshold)
            figures[f"confusion_{marker}"] = confusion_figure(scored, marker, self.threshold)
        for name in self.datasets:
            figures[f"panel_{name}"] = self._panel(name)
        for picture in self.pictures:
            figures |= picture(self)
        return figures

    def _panel(self, name: str) -> Figure:
        """Draws slices with the marker first (without a classifier, with blood): what a reader looks for."""
        dataset, frame, markers = self.datasets[name], self.tables[name].frame, self.tables[name].markers
        wanted = f"{LABEL}{markers[0]}" if markers else "seg_area"
        order = frame.sort_values(wanted, ascending=False, kind="stable") if wanted in frame else frame
        half = PANEL_SLICES // 2
        chosen = pd.concat([order[:half], order[half:][-half:]])
        samples = [dataset[index] for index in chosen["index"].astype(int)]
        images = torch.stack([sample[Key.IMAGE] for sample in samples])
        self.network.eval()
        with torch.inference_mode():
            outputs = self.inferer(images.to(self.device), self.network)
        return result_panel(
            images,
            outputs,
            [_panel_title(row, markers) for row in chosen.to_dict("records")],
            markers,
            dataset.slices.preprocessing,
            name,
            masks=torch.stack([sample[Key.MASK] for sample in samples]).numpy(),
            has_mask=[bool(sample[Key.HAS_MASK]) for sample in samples],
        )

    def report(self) -> None:
        """Prints the table of all test sets and where everything was written."""
        if rank() != 0:
            return
        shown = {column: m for column, m in REPORTED.items() if any(m in r for r in self.results.values())}
        table = Table(Column("test set", no_wrap=True), *shown, box=None, padding=(0, 2, 0, 0))
        for name, metrics in self.results.items():
            table.add_row(name, *(_number(metrics.get(metric)) for metric in shown.values()))
        console.print(table)
        console.print(f"\nweights, predictions, figures and metrics: {self.output.path}", soft_wrap=True)
        console.print(
            f"tracked in {self.tracker.tracking_uri}; look at it with: {sys.executable} -m mlflow ui", soft_wrap=True
        )


def evaluate(evaluation: Evaluation) -> None:
    """Evaluates as an MLflow run of its own, which ends FAILED when it does not end well."""
    tracker = evaluation.tracker
    try:
        tracker.start()
        evaluation.run()
    except BaseException:
        tracker.finish("FAILED")
        raise
    tracker.finish()
    evaluation.report()


def _scored(name: str, table: PredictionTable, marker: str) -> ScoredSlices:
    """A test set's slices for the curves, with the AUC's interval over patients as the tables of results have it."""
    aligned = align_predictions(name, {"": [table]}, marker)
    auc = PatientBootstrap(aligned).estimate("", "auc")
    return ScoredSlices(aligned.truth, aligned.scores[""][0], aligned.patient_of_slice, (auc.value, auc.low, auc.high))


def _panel_title(row: dict[str, Any], markers: Sequence[str]) -> str:
    """The slice's key, and of each marker the probability and the truth."""
    truths = {0: "no", 1: "yes"}
    told = [f"p = {row[PROBABILITY + m]:.2f}, truth: {truths.get(row[LABEL + m], 'unknown')}" for m in markers]
    return "\n".join([row[Key.KEY], *told])


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):  # not computed, or not defined: an IoU without masks
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
