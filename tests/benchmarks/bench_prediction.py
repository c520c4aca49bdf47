# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Measures the peak memory of `monai_ich predict` on studies of 512 x 512 slices, each in a process of its own.

Run: python tests/benchmarks/bench_prediction.py runs/<run> [slices ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from monai_ich.utils.console import console

COUNTS = (100, 600, 1000)
STEP_MM = 0.625


def write_dicom(folder: Path, count: int, is_even: bool) -> Path:
    """Head CT slices of 512 x 512: the one that pydicom ships, without its gantry's tilt, uncompressed."""
    dataset = pydicom.dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm"))
    dataset.PixelData = dataset.pixel_array.tobytes()  # pydicom 3.0.2 fails to decompress() this file in place
    dataset["PixelData"].VR = "OW"
    dataset["PixelData"].is_undefined_length = False
    dataset.BitsStored, dataset.HighBit, dataset.SliceThickness = 16, 15, STEP_MM
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    height = 0.0
    for number in range(count):
        dataset.ImagePositionPatient = [-110, -110, height]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(folder / f"{number:04d}.dcm")
        height += STEP_MM if is_even or number < count // 2 else 2 * STEP_MM
    return folder


def write_nifti(path: Path, count: int) -> Path:
    """The same voxels as a packed NIfTI volume of int16."""
    plane = pydicom.dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm")).pixel_array.astype(np.int16)
    values = np.broadcast_to(plane.T[..., None], (*plane.T.shape, count))
    nib.save(nib.Nifti1Image(values, np.diag([-0.4, -0.4, STEP_MM, 1])), path)
    return path


def measure(run: Path, source: Path, output: Path) -> tuple[float, float]:
    """Peak resident memory in MiB, and CPU seconds, of one prediction."""
    command = [sys.executable, "-m", "monai_ich", "predict", str(run), str(source), "--output-dir", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"predict ended with status {status}: {errors.decode()[-2000:]}")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main() -> None:
    run, counts = Path(sys.argv[1]), [int(text) for text in sys.argv[2:]] or COUNTS
    for kind in ("DICOM", "uneven DICOM", "packed NIfTI"):
        for count in counts:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "study").mkdir()
                if kind.endswith("DICOM"):
                    source = write_dicom(folder / "study", count, is_even=kind == "DICOM")
                else:
                    source = write_nifti(folder / "study" / "v.nii.gz", count)
                peak_mib, seconds = measure(run, source, folder / "out")
            console.print(f"{kind}, {count} slices: peak {peak_mib:.0f} MiB, {seconds:.0f} CPU seconds")


if __name__ == "__main__":
    main()
