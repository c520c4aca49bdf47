# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times an import of DICOM series against plain pydicom reading of the same files, in one process, and on all cores.

Run: python tests/benchmarks/bench_importing.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from pydicom.uid import generate_uid
from rich.table import Table

from monai_ich.importers import Card, DicomRequest, import_dicom
from monai_ich.importers.dicom_sets import read_rsna_labels
from monai_ich.importers.pseudonyms import PublishedNames
from monai_ich.phantom import PhantomSpec, make_patient
from monai_ich.phantom.study_files import write_slice
from monai_ich.utils.console import console
from monai_ich.utils.worker_pool import available_cores

SERIES, SLICES = 12, 24
RSNA_IMAGES = 752_803


def write_series(folder: Path, syntax: str) -> list[Path]:
    """Series of 512 x 512 phantom slices."""
    patient = make_patient(PhantomSpec(slices_per_study=SLICES, transfer_syntax=syntax), 1, 0)
    first = folder / "0"
    first.mkdir(parents=True)
    originals = [write_slice(first, patient, n, patient.render(n).hu) for n in range(patient.scan.count)]
    paths = list(originals)
    for number in range(1, SERIES):
        series = generate_uid()
        (folder / str(number)).mkdir()
        for path in originals:
            data = pydicom.dcmread(path)
            data.SeriesInstanceUID = series
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            paths.append(folder / str(number) / path.name)
            data.save_as(paths[-1])
    return paths


def plain_pydicom(paths: list[Path]) -> None:
    """What everybody writes."""
    for path in paths:
        data = pydicom.dcmread(path)
        _ = data.pixel_array.astype(np.float32) * float(data.RescaleSlope) + float(data.RescaleIntercept)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Of this process by default, so that what else runs on the machine does not count."""
    started = clock()
    work()
    return clock() - started


def main() -> None:
    table = Table(
        "pixels", "files", "plain pydicom, CPU s", "import, CPU s", "ratio", f"{available_cores()} processes, s"
    )
    for syntax in ("explicit_vr_little_endian", "jpeg_ls_lossless"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = write_series(folder / "export", syntax)

            def run(workers: int, folder: Path = folder) -> None:
                output = folder / f"out{workers}"
                card = Card("bench", "Phantom.", "Apache-2.0")
                key = folder / "secret" / "key"
                import_dicom(
                    DicomRequest(
                        folder / "export", folder / "m.csv", output, card, key, "1", files="link", workers=workers
                    )
                )

            plain_pydicom(paths)  # into the page cache
            plain = seconds(lambda paths=paths: plain_pydicom(paths))  # type: ignore[misc]
            one = seconds(lambda: run(1))
            many = seconds(lambda: run(available_cores()), time.perf_counter)
            table.add_row(syntax, str(len(paths)), f"{plain:.2f}", f"{one:.2f}", f"{one / plain:.2f}", f"{many:.2f}")
    console.print(table)
    with tempfile.TemporaryDirectory() as name:
        kinds = ("any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
        ids = [f"ID_{number:09x}_{kind}" for number in range(RSNA_IMAGES) for kind in kinds]
        path = Path(name) / "stage_2_train.csv"
        pd.DataFrame({"ID": ids, "Label": 0}).to_csv(path, index=False)
        console.print(f"RSNA's table of labels: {seconds(lambda: read_rsna_labels(path, PublishedNames())):.1f} s")


if __name__ == "__main__":
    main()
