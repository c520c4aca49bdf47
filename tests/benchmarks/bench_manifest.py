# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times reading a manifest of RSNA's size: `python tests/benchmarks/bench_manifest.py [rows]`."""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ich.data import read_manifest, write_manifest

RSNA_SLICES = 752_803


def table(rows: int) -> pd.DataFrame:
    """One DICOM file a slice, 35 slices a patient, names as long as real ones."""
    rng = np.random.default_rng(0)
    number = np.arange(rows)
    names = pd.Series(number).map("ID_{:012x}".format)
    patient = (number // 35).astype(str)
    split = np.where(number % 5 == 0, "val", "train").astype(object)
    split[:1000] = "test_hospitals_1_4"
    return pd.DataFrame(
        {
            "key": names,
            "image": "stage_2_train/" + names + ".dcm",
            "image_slice": pd.NA,
            "mask": "",
            "mask_slice": pd.NA,
            "patient_id": "patient_" + pd.Series(patient),
            "study_id": "study_" + pd.Series(patient),
            "hospital": "rsna",
            "split": split,
            "hypodensity": rng.integers(0, 2, rows),
            "margin_irregularity": pd.NA,
            "blend_sign": pd.NA,
            "fluid_level": pd.NA,
        }
    )


def main(rows: int) -> None:
    """Writes the manifest, reads it, and reports seconds and peak memory."""
    log = logging.getLogger("bench_manifest")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        path = write_manifest(
            table(rows),
            Path(folder) / "big.csv",
            name="big",
            description="synthetic",
            licence="CC0-1.0",
            dataset_dir=Path(folder),
            window_hu=(40, 80),
            protocol={"name": "none"},
        )
        written = time.perf_counter()
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        manifest = read_manifest(path, check_files=False)
        seconds = time.perf_counter() - written
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size_mb = manifest.frame.memory_usage(deep=True).sum() / 2**20
    log.info("%d rows written in %.1f s (peak %.0f MiB)", rows, written - started, before_mb)
    log.info("read and checked in %.1f s (peak %.0f MiB, the table itself %.0f MiB)", seconds, peak_mb, size_mb)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RSNA_SLICES)
