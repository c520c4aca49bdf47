# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Predicts one study: per-slice and per-study probabilities, and the haematoma's mask where its slices lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from monai_ich.networks import load_weights
from monai_ich.prediction.result_panel import result_panel
from monai_ich.prediction.slice_results import SliceResults
from monai_ich.prediction.study_slices import StudySlices
from monai_ich.reading.geometry import volume_shape
from monai_ich.reading.slice_places import SlicePlaces
from monai_ich.transforms import SourceVolume, in_source_volume, is_sheared, on_even_grid, unshear
from monai_ich.utils.console import console
from monai_ich.utils.files import replace_json
from monai_ich.utils.keys import Key
from monai_ich.utils.provenance import sha256_of_file
from monai_ich.visualize import save_figure

MASK_FILE, UNSHEARED_FILE = "mask.nii.gz", "mask_unsheared.nii.gz"
PANEL_FILE = "panel.png"
MM3_PER_ML = 1000.0
MOST_OUTSIDE, MOST_IN_OTHERS = 0.2, 0.05  # of the pixels of a mask, before a note is made
EVEN_GRID_NOTE = (
    "{file} lies on an even grid made for it, as one affine cannot hold the slices: each slice fills the planes "
    "nearest to it, moved to the nearest pixel. Measure with the table, not with the grid"
)


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
    Of slices that no one affine holds (uneven spacing, shifted fields of view) the mask lies on an even grid.
    A study's probability of a marker is the highest of its slices': a marker in one slice is a marker.
    Its volume is the sum of each slice's area times the slice's own extent (`SlicePlaces`).

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
        ImageReadError: slices of the study cannot be decoded.
    """
    load_weights(evaluator.network, Path(checkpoint))
    results = _run(evaluator, study, markers)
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    slices, shares = results.table(threshold), results.values_hu()
    summary = {
        "source": study.shown_source,
        "slices": len(study),
        "threshold": threshold,
        **_study_markers(slices, markers, threshold),
        **_volume(results),
        **({"haematoma_hu_shares": shares} if shares else {}),
        "checkpoint_sha256": sha256_of_file(Path(checkpoint)),
        "notes": [*study.geometry.notes, *_mask_notes(results, folder), *_value_notes(shares)],
        "disclaimer": "research use only, not a medical device",
    }
    slices.to_csv(folder / "slices.csv", index=False, lineterminator="\n")
    replace_json(folder / "study.json", summary)
    save_figure(_panel(results, slices), folder / PANEL_FILE)
    _report(summary, folder)
    return summary


def _run(evaluator: SupervisedEvaluator, study: StudySlices, markers: Sequence[str]) -> SliceResults:
    """Lets the evaluator pass over the study; each batch is brought to what is kept of it, on the CPU."""
    results = SliceResults(study, markers)

    def collect(engine: SupervisedEvaluator) -> None:
        batch = engine.state.output
        outputs = {head: output.cpu() for head, output in batch[CommonKeys.PRED].items()}
        numbers = [int(number) for number in engine.state.batch[Key.INDEX.value]]
        results.add(numbers, batch[CommonKeys.IMAGE].cpu(), outputs)

    evaluator.add_event_handler(Events.ITERATION_COMPLETED, collect)
    evaluator.run()
    study.refuse_no_hu()
    return results


def _study_markers(slices: pd.DataFrame, markers: Sequence[str], threshold: float) -> dict[str, Any]:
    names = [marker for marker in markers if f"probability_{marker}" in slices]
    highest = {marker: round(float(slices[f"probability_{marker}"].max()), 6) for marker in names}
    return {
        "probabilities": highest,
        "markers": {marker: value >= threshold for marker, value in highest.items()},
    }


def _volume(results: SliceResults) -> dict[str, Any]:
    """The haematoma's volume in ml; None where a slice's extent is unknown, nothing without a segmentation."""
    if results.masks is None:
        return {}
    mm3 = float((results.areas_mm2() * results.study.geometry.places.extent_mm).sum())
    return {"haematoma_volume_ml": None if np.isnan(mm3) else round(mm3 / MM3_PER_ML, 3)}


def _mask_notes(results: SliceResults, folder: Path) -> list[str]:
    """Writes the mask, and says what a reader of mask and volume has to know."""
    for name in (MASK_FILE, UNSHEARED_FILE):
        (folder / name).unlink(missing_ok=True)  # not every study gets both, and another's shall not stay
    if results.masks is None:
        return []
    geometry = results.study.geometry
    notes = _volume_notes(geometry.places)
    if not geometry.places.is_even:
        _save(on_even_grid(results.masks, geometry), folder / MASK_FILE)
        return [*notes, EVEN_GRID_NOTE.format(file=MASK_FILE)]
    volume = in_source_volume(results.masks, geometry)
    _save(volume, folder / MASK_FILE)
    if is_sheared(volume.affine_ras_mm):
        stored = SourceVolume(volume.array.reshape(volume_shape(volume.array.shape)), volume.affine_ras_mm)
        _save(unshear(stored, slice_axis=geometry.reorientation.axes[0]), folder / UNSHEARED_FILE)
    return notes


def _save(volume: SourceVolume, path: Path) -> None:
    nib.save(nib.Nifti1Image(*volume), path)


def _volume_notes(places: SlicePlaces) -> list[str]:
    notes = []
    if places.gaps_mm:
        count, longest = len(places.gaps_mm), max(places.gaps_mm)
        notes.append(
            f"{count} gap(s) between slices, of up to {longest:.1f} mm, belong to no slice, as if slices were missing: "
            "the volume leaves them out and may be too small"
        )
    if places.thinly_mm:
        notes.append(
            f"between neighbours lie up to {places.thinly_mm:.1f} mm that neither slice's thickness covers: the volume "
            "counts them to the nearer slice"
        )
    if np.isnan(places.extent_mm).any():
        what = "the slice's thickness" if len(places.extent_mm) == 1 else "how far a slice reaches"
        notes.append(f"{what} is unknown, so there is no volume in ml; the depth in {MASK_FILE} means nothing")
    return notes


def _value_notes(shares: Mapping[str, float]) -> list[str]:
    """What is odd in the values of the mask's pixels."""
    said = {
        "outside_0_to_100": (MOST_OUTSIDE, "have not the 0 to 100 HU of blood"),
        "bone_above_300": (MOST_IN_OTHERS, "are bone, above 300 HU"),
        "air_below_-200": (MOST_IN_OTHERS, "are air or fat, below -200 HU"),
    }
    return [
        f"{shares[name]:.0%} of the mask's pixels {what}: look at the mask before you use its volume"
        for name, (most, what) in said.items()
        if shares.get(name, 0) > most
    ]


def _panel(results: SliceResults, slices: pd.DataFrame) -> Figure:
    """Draws the slices that matter most: the most probable ones, or those with most blood."""
    known = results.markers if results.probabilities is not None else []
    titles = [
        "\n".join([f"slice {row['slice']}", *(f"p = {row[f'probability_{m}']:.2f}" for m in known)])
        for row in slices.loc[list(results.drawn)].to_dict("records")
    ]
    images, outputs = zip(*results.drawn.values(), strict=True)
    of_drawn = {head: torch.stack([one[head] for one in outputs]) for head in outputs[0]}
    return result_panel(torch.stack(images), of_drawn, titles, known, results.study.preprocessing)


def _report(summary: dict[str, Any], folder: Path) -> None:
    for marker, probability in summary["probabilities"].items():
        console.print(f"{marker}: highest probability of {summary['slices']} slice(s) {probability:.3f}")
    if (volume_ml := summary.get("haematoma_volume_ml")) is not None:
        console.print(f"haematoma: {volume_ml:.1f} ml")
    for note in summary["notes"]:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    names = ("slices.csv", "study.json", MASK_FILE, UNSHEARED_FILE, PANEL_FILE, "panel.pdf")
    written = [name for name in names if (folder / name).exists()]
    console.print(f"written to {folder}: {', '.join(written)}", soft_wrap=True)
