# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of a test set: which slices, their measures as a table, and the paper's Figure 4."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from monai_ich.bundle import Evaluation
from monai_ich.data import SliceDataset
from monai_ich.gradcam.class_activation import ActivationMaps
from monai_ich.gradcam.explainer import GradCAMChoice, GradCAMExplainer, unwrapped
from monai_ich.gradcam.heat_figure import HeatSlices, heat_figure
from monai_ich.gradcam.localisation import ceiling_share, energy_share, pointing_hits, uniform_share
from monai_ich.networks import MultiTaskNet
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import Key, haemorrhage_labels, unknown_label

WITH_MARKER, WITHOUT = "marker", "haematoma_without"
KINDS = (WITH_MARKER, WITHOUT)
MEASURES = ("energy_share", "uniform_share", "ceiling_share", "pointing")
DRAWN_SLICES = 4

Sample = dict[str, Any]


def slices_of_kinds(dataset: SliceDataset, marker: str) -> dict[str, list[int]]:
    """The data set's slices of the paper's Figure 4: (a) with the marker, (b) a haematoma without it.

    A haematoma is known from a mask that holds some, or, where nobody annotated, from another label that says so: each
    of the four markers, and the types of haemorrhage. What else is unannotated may be blood or not, and is in neither
    kind.

    Args:
        dataset: without augmentation.
        marker: a label of the manifest.

    Returns:
        Indices into the data set, in its order, under `marker` and `haematoma_without`.

    Raises:
        ConfigurationError: the manifest has no such label.
    """
    frame = dataset.slices.frame.loc[dataset.rows]
    if fault := unknown_label(marker, frame.columns):
        raise ConfigurationError(fault)
    present = frame[marker].to_numpy(float)
    signs = [name for name in haemorrhage_labels(frame.columns) if name != marker]
    others = (frame[signs].to_numpy(float) == 1).any(axis=1)
    without = [i for i in np.flatnonzero(present == 0).tolist() if others[i] or _holds_blood(dataset, i)]
    return {WITH_MARKER: np.flatnonzero(present == 1).tolist(), WITHOUT: without}


def _holds_blood(dataset: SliceDataset, index: int) -> bool:
    row = int(dataset.rows[index])
    return bool(dataset.slices.has_mask(row) and np.any(dataset.slices[row][Key.MASK]))


def choose_slices(dataset: SliceDataset, indices: Sequence[int], count: int) -> list[int]:
    """Draws slices to show, the same for every network: by the SHA-256 of their keys, one a patient while there are.

    Args:
        dataset: what `indices` point into.
        indices: to draw from.
        count: how many at most.
    """
    frame = dataset.slices.frame.loc[dataset.rows[list(indices)], [Key.KEY, Key.PATIENT_ID]].astype(str)
    drawn = pd.DataFrame({"index": list(indices), "patient": frame[Key.PATIENT_ID].to_numpy()})
    drawn["draw"] = [hashlib.sha256(key.encode()).hexdigest() for key in frame[Key.KEY]]
    drawn = drawn.sort_values("draw")
    drawn["turn"] = drawn.groupby("patient").cumcount()  # a patient's second slice waits for all others' first
    return drawn.sort_values(["turn", "draw"])["index"].tolist()[:count]


def explained(
    explainer: GradCAMExplainer, dataset: SliceDataset, indices: Sequence[int], batch_size: int
) -> Iterator[tuple[list[Sample], ActivationMaps]]:
    """Batches of samples and their maps."""
    for begin in range(0, len(indices), batch_size):
        samples = [dataset[index] for index in indices[begin : begin + batch_size]]
        yield samples, explainer(torch.stack([sample[Key.IMAGE] for sample in samples]))


def measure(
    explainer: GradCAMExplainer,
    dataset: SliceDataset,
    kinds: dict[str, list[int]],
    batch_size: int,
    advance: Callable[[int], object] = lambda done: None,
) -> pd.DataFrame:
    """Where the maps of all slices of both kinds are hot, one row a slice.

    Args:
        explainer: makes the maps.
        dataset: of the slices.
        kinds: see `slices_of_kinds`.
        batch_size: slices at once.
        advance: is told how many more slices are done.

    Returns:
        `kind`, the slice's identity, `probability` (of the classifier), `mask_area_px`, `map_maximum`, and the measures
        of `monai_ich.metrics`: missing where there is no mask, or nothing speaks for the marker.
    """
    parts = [_no_rows()]
    for kind, indices in kinds.items():
        for samples, found in explained(explainer, dataset, indices, batch_size):
            parts.append(_rows(kind, samples, found, explainer))
            advance(len(samples))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _rows(kind: str, samples: list[Sample], found: ActivationMaps, explainer: GradCAMExplainer) -> pd.DataFrame:
    masks, annotated = _masks(samples)
    maps = found.maps.numpy()
    probabilities = explainer.probabilities(found.output)
    inside = masks & annotated[:, None, None]
    columns: dict[str, Any] = {
        "kind": kind,
        **{key.value: [str(s[key]) for s in samples] for key in (Key.KEY, Key.PATIENT_ID, Key.STUDY_ID, Key.HOSPITAL)},
        "probability": np.nan if probabilities is None else probabilities.numpy().astype(float),
        "has_mask": annotated,
        "mask_area_px": np.where(annotated, masks.sum(axis=(1, 2)), np.nan),
        "map_maximum": maps.max(axis=(1, 2)).astype(float),
        "energy_share": energy_share(maps, inside),
        "uniform_share": uniform_share(inside),
        "ceiling_share": ceiling_share(inside, (found.cells.shape[1], found.cells.shape[2])),
        "pointing": pointing_hits(maps, inside),
    }
    return pd.DataFrame(columns)


def _no_rows() -> pd.DataFrame:
    names = ["kind", Key.KEY, Key.PATIENT_ID, Key.STUDY_ID, Key.HOSPITAL, "probability", "has_mask", "mask_area_px"]
    return pd.DataFrame(columns=[*map(str, names), "map_maximum", *MEASURES])


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over slices, one row a test set and kind.

    Args:
        rows: of `measure`, with a column `test_set`.

    Returns:
        `test_set, kind, slices, empty_maps` (nothing speaks for the marker, nowhere), `measured` (slices with blood in
        a mask and a map that is not empty), and the means of the measures over those.
    """
    lines = []
    for (test_set, kind), group in rows.groupby(["test_set", "kind"], sort=False):
        measured = group[group["energy_share"].notna()]
        means = {name: float(measured[name].astype(float).mean()) for name in MEASURES}
        counts = {"slices": len(group), "empty_maps": int((group["map_maximum"] <= 0).sum()), "measured": len(measured)}
        lines.append({"test_set": test_set, "kind": kind, **counts, **means})
    return pd.DataFrame(lines, columns=["test_set", "kind", "slices", "empty_maps", "measured", *MEASURES])


def figure_of(
    explainer: GradCAMExplainer, dataset: SliceDataset, kinds: dict[str, list[int]], count: int, title: str
) -> Figure | None:
    """The paper's Figure 4 for one test set: `count` slices of each kind; None where it has neither kind."""
    marker = explainer.choice.marker
    headings = {WITH_MARKER: f"(a) {marker}", WITHOUT: f"(b) haematoma\nwithout {marker}"}
    groups = []
    for kind, indices in kinds.items():
        chosen = choose_slices(dataset, indices, count)
        for samples, found in explained(explainer, dataset, chosen, max(len(chosen), 1)):
            masks, annotated = _masks(samples)
            images = torch.stack([sample[Key.IMAGE][0] for sample in samples]).numpy()
            titles = _titles(kind, samples, explainer.probabilities(found.output))
            groups.append(
                HeatSlices(headings[kind], images, found.maps.numpy(), titles, masks & annotated[:, None, None])
            )
    return heat_figure(groups, f"{title}\n{explainer.title}") if groups else None


def _titles(kind: str, samples: list[Sample], probabilities: torch.Tensor | None) -> list[str]:
    truth = "truth: yes" if kind == WITH_MARKER else "truth: no"
    known = [""] * len(samples) if probabilities is None else [f"p = {p:.2f}, " for p in probabilities.tolist()]
    unmasked = ["" if sample[Key.HAS_MASK] else ", no mask" for sample in samples]
    return [f"{sample[Key.KEY]}\n{p}{truth}{rest}" for sample, p, rest in zip(samples, known, unmasked, strict=True)]


def _masks(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    masks = torch.stack([sample[Key.MASK][0] for sample in samples]).numpy().astype(bool)
    return masks, np.array([bool(sample[Key.HAS_MASK]) for sample in samples])


class TestSetHeatMaps:
    """The paper's Figure 4 as a picture of an evaluation: a few slices of each test set, for the first marker."""

    __test__ = False  # pytest would otherwise collect it where it is imported

    def __call__(self, evaluation: Evaluation) -> dict[str, Figure]:
        """Returns {"gradcam_<test set>": figure}; empty without a classifier, or for a network of another kind."""
        if not evaluation.markers or not isinstance(unwrapped(evaluation.network), MultiTaskNet):
            return {}
        explainer = GradCAMExplainer(evaluation.network, evaluation.markers, GradCAMChoice())
        drawn = {
            f"gradcam_{name}": figure_of(
                explainer, dataset, slices_of_kinds(dataset, explainer.choice.marker), DRAWN_SLICES, name
            )
            for name, dataset in evaluation.datasets.items()
        }
        return {name: figure for name, figure in drawn.items() if figure is not None}
