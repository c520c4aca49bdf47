# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times loading a study against plain pydicom on the same files, and the parts of a training sample.

Run: python tests/benchmarks/bench_loading.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import torch
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from rich.table import Table
from support import bundle_part  # run with PYTHONPATH=tests

from monai_ich.data.datasets import SliceDataset
from monai_ich.data.samplers import Draw
from monai_ich.data.store import SliceStore, plain_tensors
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.console import console
from monai_ich.utils.keys import MARKERS

SLICES, REPEATS = 30, 5


def write_study(folder: Path) -> tuple[list[Path], Path]:
    """A study of real-looking 512 x 512 slices: the slice that pydicom ships, uncompressed, with a mask volume."""
    dataset = pydicom.dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm"))
    dataset.PixelData = dataset.pixel_array.tobytes()  # pydicom 3.0.2 fails to decompress() this file in place
    dataset["PixelData"].VR = "OW"
    dataset["PixelData"].is_undefined_length = False
    dataset.BitsStored, dataset.HighBit = 16, 15
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    first = np.array(dataset.ImagePositionPatient, dtype=float)
    paths = []
    for n in range(SLICES):
        dataset.ImagePositionPatient = [*first[:2].tolist(), float(first[2] + 5 * n)]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        paths.append(folder / f"{n:03d}.dcm")
        dataset.save_as(paths[-1])
    affine = np.array([[-0.431, 0, 0, 110.2153], [0, -0.3996, 0, 98.1898], [0, -0.1615, 5, 72.1446], [0, 0, 0, 1]])
    mask = np.zeros((512, 512, SLICES), np.uint8)
    mask[200:260, 220:300, 5:20] = 1
    nib.save(nib.Nifti1Image(mask, affine), folder / "mask.nii.gz")
    return paths, folder / "mask.nii.gz"


def plain_pydicom(paths: list[Path]) -> np.ndarray:
    """What everybody writes: HU (N,H,W) float32."""
    slices = []
    for path in paths:
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        slices.append(hu.astype(np.float32))
    return np.stack(slices)


def milliseconds(action: Callable[[], object], per: int) -> float:
    """Best of several runs, a unit of `per`."""
    action()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times) * 1000 / per


def main() -> None:
    torch.set_num_threads(1)
    table = Table("what", "ms a slice", "ratio to pydicom", title=f"{SLICES} slices of 512 x 512, one thread")
    with tempfile.TemporaryDirectory() as name, plain_tensors():
        folder = Path(name)
        paths, mask = write_study(folder)
        image_item = {"image": [(path, None) for path in paths]}
        item = {**image_item, "mask": [(mask, n) for n in range(SLICES)]}
        base = milliseconds(lambda: plain_pydicom(paths), SLICES)
        rows = {
            "plain pydicom, HU": base,
            "LoadSlicesd, image": milliseconds(lambda: LoadSlicesd("image")(image_item), SLICES),
            "LoadSlicesd, image and .nii.gz mask": milliseconds(lambda: LoadSlicesd()(item), SLICES),
            "preprocessing to 224": milliseconds(lambda: bundle_part("preprocessing", image_size=224)(item), SLICES),
            **_sample_rows(folder, paths, mask),
        }
        for what, value in rows.items():
            table.add_row(what, f"{value:.3f}", f"{value / base:.2f}")
    console.print(table)


def _sample_rows(folder: Path, paths: list[Path], mask: Path) -> dict[str, float]:
    frame = pd.DataFrame({"image": [path.name for path in paths], "mask": mask.name, "mask_slice": range(SLICES)})
    frame = frame.assign(image_slice="", patient_id="p", study_id="s", hospital="1", key=frame["image"])
    frame = frame.assign(**dict.fromkeys(MARKERS, 0))
    rows = {}
    for what, extra in (("cached sample", None), ("cached sample, augmented", bundle_part("train::augmentation"))):
        store = SliceStore(
            frame, folder, bundle_part("preprocessing", image_size=224), cache_dir=folder / "cache", progress=False
        )
        store.prepare()
        data = SliceDataset(store, augmentation=extra)
        rows[what] = milliseconds(lambda data=data: [data[Draw(n, n)] for n in range(SLICES)], SLICES)
    return rows


if __name__ == "__main__":
    main()
