# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of one study: its heat where its slices lie, a table of its slices, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from monai_ich.gradcam.explainer import GradCAMExplainer
from monai_ich.gradcam.heat_figure import HeatSlices, heat_figure
from monai_ich.prediction import StudySlices
from monai_ich.prediction.study_prediction import EVEN_GRID_NOTE
from monai_ich.transforms import in_source_volume, on_even_grid, to_source_slices
from monai_ich.utils.console import console, progress_bar
from monai_ich.visualize import save_figure

VOLUME_FILE = "gradcam.nii.gz"


def explain_study(
    study: StudySlices, explainer: GradCAMExplainer, folder: Path, drawn_slices: int, batch_size: int
) -> pd.DataFrame:
    """Writes the heat of a whole study: `gradcam.nii.gz` on the input's own grid, `gradcam.csv` and `gradcam.png`.

    Slices that no one affine holds lie on an even grid, as `predict` writes their mask. The volume is not scaled slice
    by slice, so that slices can be compared; each picture is. The figure is also written as PDF.

    Args:
        study: what to explain.
        explainer: of a trained network.
        folder: where to write.
        drawn_slices: half of how many to draw: the most probable ones (of a segmentation, those of the highest heat).
        batch_size: slices at once.

    Returns:
        What `gradcam.csv` holds: one row a slice, from foot to head, with its probability and its map's maximum.
    """
    maps, probabilities = _maps_of_study(study, explainer, batch_size)
    study.refuse_no_hu()
    geometry = study.geometry
    table = pd.DataFrame(
        {
            "slice": list(geometry.slice_index),
            "z_mm": np.round(geometry.centres_ras_mm()[:, 2], 2),
            "probability": probabilities.round(6),
            "map_maximum": maps.max(axis=(1, 2)),
        }
    )
    ranking = table["map_maximum"] if table["probability"].isna().all() else table["probability"]
    chosen = sorted(np.argsort(-ranking.to_numpy(), kind="stable")[: 2 * drawn_slices].tolist())
    folder.mkdir(parents=True, exist_ok=True)
    heat = to_source_slices(maps, geometry)
    volume = in_source_volume(heat, geometry) if geometry.places.is_even else on_even_grid(heat, geometry)
    nib.save(nib.Nifti1Image(*volume), folder / VOLUME_FILE)
    table.to_csv(folder / "gradcam.csv", index=False, lineterminator="\n")
    groups = [
        HeatSlices("CT", study.images(part)[:, 0].numpy(), maps[part], [_study_title(table, i) for i in part])
        for part in (chosen[begin : begin + drawn_slices] for begin in range(0, len(chosen), drawn_slices))
    ]
    save_figure(heat_figure(groups, explainer.title), folder / "gradcam.png")
    console.print(explainer.title)
    notes = [*geometry.notes] if geometry.places.is_even else [*geometry.notes, EVEN_GRID_NOTE.format(file=VOLUME_FILE)]
    for note in notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(f"written to {folder}: gradcam.png, gradcam.pdf, gradcam.csv, {VOLUME_FILE}", soft_wrap=True)
    return table


def _maps_of_study(study: StudySlices, explainer: GradCAMExplainer, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, S, S) maps and (N,) probabilities, NaN without a classifier."""
    maps, probabilities = [], []
    with progress_bar() as progress:
        task = progress.add_task("Grad-CAM", total=len(study))
        for start in range(0, len(study), batch_size):
            batch = study.images(range(start, min(start + batch_size, len(study))))
            found = explainer(batch)
            maps.append(found.maps.numpy())
            known = explainer.probabilities(found.output)
            probabilities.append(np.full(len(batch), np.nan) if known is None else known.numpy())
            progress.advance(task, len(batch))
    return np.concatenate(maps), np.concatenate(probabilities)


def _study_title(table: pd.DataFrame, row: int) -> str:
    probability: Any = table["probability"][row]
    return f"slice {table['slice'][row]}" + ("" if np.isnan(probability) else f", p = {probability:.2f}")
