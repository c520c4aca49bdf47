# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Predicts one study: per-slice and per-study probabilities, and the haematoma's mask in the input's own geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from ignite.engine import Events
from matplotlib.figure import Figure
from monai.engines import SupervisedEvaluator
from monai.utils import CommonKeys
from torch.utils.data import Dataset

from monai_ich.networks import load_weights
from monai_ich.prediction.result_panel import PANEL_SLICES, result_panel
from monai_ich.reading import SliceStack, read_series
from monai_ich.reading.geometry import volume_shape
from monai_ich.transforms import SourceVolume, is_sheared, to_source_geometry, unshear
from monai_ich.utils.console import console
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.files import replace_json
from monai_ich.utils.keys import Key, Task
from monai_ich.utils.probabilities import haematoma_probability, marker_probabilities
from monai_ich.utils.provenance import sha256_of_file
from monai_ich.visualize import save_figure

MASK_THRESHOLD = 0.5
MASK_FILE, UNSHEARED_FILE = "mask.nii.gz", "mask_unsheared.nii.gz"
PANEL_FILE = "panel.png"
MM3_PER_ML = 1000.0


class StudySlices(Dataset):
    """The slices of one CT series, preprocessed as in training: `{"image": float32 (1, S, S), "index": int}`."""

    def __init__(self, source: str | Path, preprocessing: Callable[[Any], Any]) -> None:
        """Reads the whole series.

        Args:
            source: a DICOM file, a folder of one series, or a volume such as NIfTI.
            preprocessing: the one of training.

        Raises:
            ConfigurationError: when no source is named.
            ImageReadError: when it is not one axial CT series in HU, or cannot be read.
        """
        if not str(source):
            raise ConfigurationError(
                "input: expected a DICOM file, a folder of DICOM slices or a NIfTI volume, got none."
            )
        self.source, self.preprocessing = Path(source), preprocessing
        self.stack: SliceStack = read_series(self.source, allow_gaps=True)
        self.images = torch.as_tensor(np.asarray(preprocessing({Key.IMAGE: self.stack})[Key.IMAGE]))  # (N, S, S)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {Key.IMAGE.value: self.images[index][None], Key.INDEX.value: index}


def predict(
    evaluator: SupervisedEvaluator,
    study: StudySlices,
    *,
    checkpoint: str | Path,
    output_dir: str | Path,
    markers: Sequence[str],
    threshold: float,
) -> dict[str, Any]:
    """Runs the network on a study and writes `slices.csv`, `study.json`, `mask.nii.gz` and `panel.png` (and `.pdf`).

    Of a tilted gantry's slices it writes `mask_unsheared.nii.gz` too, as ITK and what is built on it refuse a shear.
    A study's probability of a marker is the highest of its slices': a marker in one slice is a marker.

    Args:
        evaluator: applies the network to batches of the study.
        study: what to predict.
        checkpoint: the network's weights.
        output_dir: where to write; made if needed.
        markers: names of the classifier's outputs.
        threshold: the probability from which a marker is called present.

    Returns:
        What `study.json` holds.

    Raises:
        RunDirectoryError: when the checkpoint is missing or of another network.
    """
    load_weights(evaluator.network, Path(checkpoint))
    outputs = _run(evaluator)
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    slices = _slice_table(study, outputs, markers, threshold)
    summary = {
        "source": study.source.name,
        "slices": len(study),
        "threshold": threshold,
        **_study_markers(slices, markers, threshold),
        **_write_mask(study, outputs, folder, slices),
        "checkpoint_sha256": sha256_of_file(Path(checkpoint)),
        "notes": list(study.stack.notes),
        "disclaimer": "research use only, not a medical device",
    }
    slices.to_csv(folder / "slices.csv", index=False, lineterminator="\n")
    replace_json(folder / "study.json", summary)
    save_figure(_panel(study, outputs, slices, markers), folder / PANEL_FILE)
    _report(summary, folder)
    return summary


def _run(evaluator: SupervisedEvaluator) -> dict[str, torch.Tensor]:
    """Returns each head's output for all slices, on the CPU."""
    batches: list[dict[str, torch.Tensor]] = []

    def collect(engine: SupervisedEvaluator) -> None:
        batches.append({head: output.cpu() for head, output in engine.state.output[CommonKeys.PRED].items()})

    evaluator.add_event_handler(Events.ITERATION_COMPLETED, collect)
    evaluator.run()
    return {head: torch.cat([batch[head] for batch in batches]) for head in batches[0]}


def _slice_table(
    study: StudySlices, outputs: dict[str, torch.Tensor], markers: Sequence[str], threshold: float
) -> pd.DataFrame:
    """One row a slice, from foot to head: file, index, position, probability and call of each marker."""
    columns: dict[str, Any] = {
        "slice": list(study.stack.slice_index),
        "file": [path.name for path in study.stack.paths],
        "z_mm": np.round(study.stack.centres_ras_mm()[:, 2], 2),
    }
    if Task.CLS in outputs:
        probabilities = marker_probabilities(outputs[Task.CLS], len(markers))
        for column, marker in enumerate(markers):
            columns[f"probability_{marker}"] = probabilities[:, column].numpy().round(6)
            columns[marker] = (probabilities[:, column] >= threshold).int().numpy()
    return pd.DataFrame(columns)


def _study_markers(slices: pd.DataFrame, markers: Sequence[str], threshold: float) -> dict[str, Any]:
    names = [marker for marker in markers if f"probability_{marker}" in slices]
    highest = {marker: round(float(slices[f"probability_{marker}"].max()), 6) for marker in names}
    return {
        "probabilities": highest,
        "markers": {marker: value >= threshold for marker, value in highest.items()},
    }


def _write_mask(
    study: StudySlices, outputs: dict[str, torch.Tensor], folder: Path, slices: pd.DataFrame
) -> dict[str, Any]:
    """Writes the mask on the input's grid, adds each slice's area to the table, and returns the volume in ml."""
    for name in (MASK_FILE, UNSHEARED_FILE):
        (folder / name).unlink(missing_ok=True)  # not every study gets both, and another's shall not stay
    if Task.SEG not in outputs:
        return {}
    probability = haematoma_probability(outputs[Task.SEG])  # (N, S, S)
    volume = to_source_geometry(probability, study.stack)
    mask = (volume.array >= MASK_THRESHOLD).astype(np.uint8)
    nib.save(nib.Nifti1Image(mask, volume.affine_ras_mm), folder / MASK_FILE)
    stored = SourceVolume(mask.reshape(volume_shape(mask.shape)), volume.affine_ras_mm)
    if is_sheared(stored.affine_ras_mm):
        upright = unshear(stored, slice_axis=study.stack.reorientation.axes[0])
        nib.save(nib.Nifti1Image(*upright), folder / UNSHEARED_FILE)
    voxel_mm3 = abs(float(np.linalg.det(volume.affine_ras_mm[:3, :3])))
    row_mm, column_mm = study.stack.spacing_mm_rc
    canonical = study.stack.reorientation.apply(stored.array)
    areas = canonical[list(study.stack.slice_index)].sum(axis=(1, 2)) * row_mm * column_mm
    slices["haematoma_area_mm2"] = areas.round(1)
    return {"haematoma_volume_ml": round(float(mask.sum()) * voxel_mm3 / MM3_PER_ML, 3)}


def _panel(
    study: StudySlices, outputs: dict[str, torch.Tensor], slices: pd.DataFrame, markers: Sequence[str]
) -> Figure:
    """Draws the slices that matter most: the most probable ones, or those with most blood."""
    known = [marker for marker in markers if f"probability_{marker}" in slices]
    ranking = f"probability_{known[0]}" if known else "haematoma_area_mm2"
    order = slices[ranking].to_numpy() if ranking in slices else np.zeros(len(slices))
    chosen = sorted(np.argsort(-order, kind="stable")[:PANEL_SLICES].tolist())
    titles = [
        "\n".join([f"slice {row['slice']}", *(f"p = {row[f'probability_{m}']:.2f}" for m in known)])
        for row in slices.loc[chosen].to_dict("records")
    ]
    of_chosen = {head: output[chosen] for head, output in outputs.items()}
    return result_panel(study.images[chosen, None], of_chosen, titles, known, study.preprocessing)


def _report(summary: dict[str, Any], folder: Path) -> None:
    for marker, probability in summary["probabilities"].items():
        console.print(f"{marker}: highest probability of {summary['slices']} slice(s) {probability:.3f}")
    if "haematoma_volume_ml" in summary:
        console.print(f"haematoma: {summary['haematoma_volume_ml']:.1f} ml")
    for note in summary["notes"]:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    names = ("slices.csv", "study.json", MASK_FILE, UNSHEARED_FILE, PANEL_FILE, "panel.pdf")
    written = [name for name in names if (folder / name).exists()]
    console.print(f"written to {folder}: {', '.join(written)}", soft_wrap=True)
