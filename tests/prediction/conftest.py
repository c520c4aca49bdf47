# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A prediction whose mask is known: the network calls everything above 40 HU blood, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator
from support import bundle_part, strict_json

from monai_ich.prediction import StudySlices, predict

SIZE = 64  # of the slices, and of what the network takes: nothing is interpolated
BATCH = 5


class Above40HU(torch.nn.Module):
    """`seg` is blood above the middle of the window of 0 to 80 HU; `cls` rises with the mean of the slice."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = torch.nn.Parameter(torch.tensor(100.0))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        blood = self.sharpness * (images - 0.5)
        means = images.mean(dim=(1, 2, 3))
        return {"seg": torch.cat([-blood, blood], dim=1), "cls": torch.stack([-means, means], dim=1)}


@pytest.fixture
def predict_known(tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """Predicts a source; returns study.json, slices.csv, the mask, and the folder."""

    def run(source: Path, network: torch.nn.Module | None = None, **settings: Any) -> SimpleNamespace:
        settings.setdefault("any_values", True)  # the squares are no head
        study = StudySlices(source, bundle_part("preprocessing", image_size=SIZE), **settings)
        network = network or Above40HU()
        torch.save({"model": network.state_dict()}, tmp_path / "best.pt")
        evaluator = SupervisedEvaluator("cpu", DataLoader(study, batch_size=BATCH), network, decollate=False)
        folder = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        known = {"markers": ["hypodensity"], "threshold": 0.5}
        predict(evaluator, study, checkpoint=tmp_path / "best.pt", output_dir=folder, **known)
        table, mask = pd.read_csv(folder / "slices.csv"), nib.load(folder / "mask.nii.gz")
        return SimpleNamespace(study=strict_json(folder / "study.json"), slices=table, mask=mask, folder=folder)

    return run


@pytest.fixture
def write_head(tmp_path: Path, write_dicom: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a series with a square of blood of its own size in each slice."""

    def write(
        folder: Path,
        positions: Sequence[Sequence[float]],
        thickness_mm: Sequence[float | None],
        orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
        **tags: Any,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (position, own) in enumerate(zip(positions, thickness_mm, strict=True)):

            def change(dataset: pydicom.Dataset, own: float | None = own) -> None:
                dataset.SliceThickness = own
                for keyword, value in tags.items():
                    setattr(dataset, keyword, value)

            name = folder / f"{(7 * number) % 101:03d}.dcm"
            place = tuple(map(float, position))
            write_dicom(name, squares(number), place, tuple(orientation), spacing=(0.5, 0.8), change=change)
        return folder

    return write


def squares(number: int) -> np.ndarray:
    """(64,64) int16 HU: 60 HU in a square that tells which slice it is."""
    hu = np.full((SIZE, SIZE), 20, np.int16)
    hu[10 : 15 + number % 40, 20:40] = 60
    return hu
