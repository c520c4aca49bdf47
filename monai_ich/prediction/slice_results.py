# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is kept of a network's outputs for one study, batch by batch: numbers, masks, and the slices to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from monai_ich.prediction.result_panel import PANEL_SLICES
from monai_ich.prediction.study_slices import StudySlices
from monai_ich.transforms import to_source_slices
from monai_ich.utils.keys import Task
from monai_ich.utils.probabilities import haematoma_probability, marker_probabilities

MASK_THRESHOLD = 0.5
_VALUE_RANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "outside_0_to_100": lambda hu: (hu < 0) | (hu > 100),
    "bone_above_300": lambda hu: hu > 300,
    "air_below_-200": lambda hu: hu < -200,
}


class SliceResults:
    """Collects a study's results without keeping every image and output.

    Args:
        study: what is predicted.
        markers: names of the classifier's outputs.

    Attributes:
        probabilities: float32 (N, K), or None without a classifier.
        masks: uint8 (N, H, W) in canonical orientation and the input's own pixels, or None without a segmentation.
        drawn: for the slices that matter most so far, (image (1, S, S), outputs of each head).
    """

    def __init__(self, study: StudySlices, markers: Sequence[str]) -> None:
        self.study, self.markers = study, list(markers)
        self.probabilities: np.ndarray | None = None
        self.masks: np.ndarray | None = None
        self.drawn: dict[int, tuple[torch.Tensor, dict[str, torch.Tensor]]] = {}
        self._order: dict[int, float] = {}

    def add(self, numbers: Sequence[int], images: torch.Tensor, outputs: Mapping[str, torch.Tensor]) -> None:
        """Takes in a batch.

        Args:
            numbers: (B,) positions of its slices in the study.
            images: (B, 1, S, S).
            outputs: of each head, the batch first.
        """
        rank = np.zeros(len(numbers))
        if Task.SEG in outputs:
            rank = self._add_masks(numbers, outputs[Task.SEG])
        if Task.CLS in outputs:
            found = marker_probabilities(outputs[Task.CLS], len(self.markers)).numpy()
            if self.probabilities is None:
                self.probabilities = np.full((len(self.study), found.shape[1]), np.nan, dtype=found.dtype)
            self.probabilities[list(numbers)] = found
            rank = found[:, 0].round(6)
        self._keep_for_panel(numbers, rank, images, outputs)

    def _add_masks(self, numbers: Sequence[int], logits: torch.Tensor) -> np.ndarray:
        geometry = self.study.geometry
        if self.masks is None:
            self.masks = np.zeros((len(self.study), *geometry.shape_rc), dtype=np.uint8)
        found = to_source_slices(haematoma_probability(logits), geometry.take(numbers)) >= MASK_THRESHOLD
        self.masks[list(numbers)] = found
        return found.sum(axis=(1, 2)).astype(float)

    def _keep_for_panel(
        self, numbers: Sequence[int], rank: np.ndarray, images: torch.Tensor, outputs: Mapping[str, torch.Tensor]
    ) -> None:
        """The highest ranks stay, of equal ones the first slices."""
        rank = np.nan_to_num(rank, nan=-np.inf)
        for place, number in enumerate(numbers):
            of_slice = {head: output[place].clone() for head, output in outputs.items()}
            self.drawn[number], self._order[number] = (images[place].clone(), of_slice), float(rank[place])
        chosen = sorted(self.drawn, key=lambda number: (-self._order[number], number))[:PANEL_SLICES]
        self.drawn = {number: self.drawn[number] for number in sorted(chosen)}

    def areas_mm2(self) -> np.ndarray:
        """(N,) area of the haematoma in each slice."""
        if self.masks is None:
            raise ValueError("the network has no segmentation")
        row_mm, column_mm = self.study.geometry.spacing_mm_rc
        return np.array([mask.sum() for mask in self.masks]) * row_mm * column_mm

    def values_hu(self) -> dict[str, float]:
        """What the mask's pixels show in the source, as shares of them; empty without any.

        Blood has 0 to 100 HU. A mask that lies in bone or air is no haematoma.
        """
        bleeding = [] if self.masks is None else np.flatnonzero(self.masks.any(axis=(1, 2))).tolist()
        if self.masks is None or not bleeding:
            return {}
        counts, pixels = np.zeros(len(_VALUE_RANGES)), 0
        for number in bleeding:  # decoded a second time: the pixels of a whole series are not kept
            inside = self.study.series.read([number]).pixels[0][self.masks[number] == 1]
            pixels += inside.size
            counts += [np.count_nonzero(is_meant(inside)) for is_meant in _VALUE_RANGES.values()]
        return {name: round(float(count) / pixels, 4) for name, count in zip(_VALUE_RANGES, counts, strict=True)}

    def table(self, threshold: float) -> pd.DataFrame:
        """One row a slice, from foot to head: its number, position and extent, and what was found in it.

        A file's name stands in it only where the study says that it may.
        """
        geometry = self.study.geometry
        columns: dict[str, Any] = {"slice": list(geometry.slice_index)}
        if self.study.file_names:
            columns["file"] = [path.name for path in geometry.paths]
        columns["z_mm"] = np.round(geometry.centres_ras_mm()[:, 2], 2)
        columns["extent_mm"] = np.round(geometry.places.extent_mm, 4)
        if self.probabilities is not None:
            for column, marker in enumerate(self.markers):
                columns[f"probability_{marker}"] = self.probabilities[:, column].round(6)
                columns[marker] = (self.probabilities[:, column] >= threshold).astype(int)
        if self.masks is not None:
            columns["haematoma_area_mm2"] = self.areas_mm2().round(1)
        return pd.DataFrame(columns)
