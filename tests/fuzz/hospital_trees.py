# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A hospital's export in small: two series with planted identifiers, masks of every kind, and a table of labels."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from importer_support import PLANTED, bleeding_patient, plant, request, write_nifti_mask, write_seg, write_study
from PIL import Image
from pydicom.dataset import Dataset

from monai_ich.importers import DicomRequest

MASKS = ("nifti", "seg", "png", "npy")
TABLES = ("csv", "xlsx")
PATIENTS = {"a": PLANTED["PatientID"], "b": "MRN-0471194"}


def hospital(root: Path, masks: str, table: str) -> None:
    """Two patients; the masks are the first one's."""
    for number, (name, patient_id) in enumerate(PATIENTS.items(), start=1):

        def change(data: Dataset, index: int, patient_id: str = patient_id) -> None:
            plant(data)
            data.PatientID = patient_id

        paths, rendered = write_study(root / "export" / name, bleeding_patient(number), change)
        if name == "a":
            _write_masks(root / "masks", masks, paths, rendered)
    cells = {"PatientID": list(PATIENTS.values()), "hypodensity": ["1", "0"], "label_x": ["", "1"], "hospital": "1"}
    if table == "csv":
        pd.DataFrame(cells).to_csv(root / "labels.csv", index=False)
    else:
        pd.DataFrame(cells).to_excel(root / "labels.xlsx", index=False)


def _write_masks(folder: Path, kind: str, paths: list[Path], rendered: list) -> None:
    if kind == "nifti":
        write_nifti_mask(folder / f"{PATIENTS['a']}.nii.gz", bleeding_patient(1), rendered)
    elif kind == "seg":
        write_seg(folder / "s.dcm", paths, {"haematoma": [one.mask for one in rendered]})
    else:
        (folder / "a").mkdir(parents=True)
        for path, one in zip(paths, rendered, strict=True):
            target = folder / "a" / f"{path.name}.{kind}"
            if kind == "png":
                Image.fromarray(one.mask * np.uint8(255)).save(target)
            else:
                np.save(target, one.mask)


def hospital_request(rng: random.Random) -> Callable[[Path], DicomRequest]:
    """Draws how such a tree, at `set` in a folder, is asked for."""
    drawn = {
        "files": rng.choice(["link", "link", "copy", "refer"]),
        "allow_gaps": rng.random() < 0.5,
        "positives": rng.choice(["blood", "all"]),
        "hospital": rng.choice(["", "1"]),
    }

    def ask(folder: Path) -> DicomRequest:
        source = folder / "set"
        tables = sorted(source.glob("labels.*"))
        return request(
            folder, source=source / "export", masks=source / "masks", labels=tables[0] if tables else None, **drawn
        )

    return ask
