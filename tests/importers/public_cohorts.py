# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Public sets of eleven patients in their published layouts: small heads, of which every second one bleeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from importer_support import bleeding_patient, edit, rendered_slices, write_study
from PIL import Image
from public_sets import LPS, PHYSIONET_COLUMNS, SUBTYPES, in_series, published, save

from monai_ich.phantom import HOSPITALS


def heads() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number, HU and mask of each patient, both (columns, rows, slices); masks of odd numbers are empty."""
    for number in HOSPITALS:
        slices = rendered_slices(number)
        hu = np.stack([one.hu for one in slices]).astype(np.int16)
        mask = np.stack([one.mask for one in slices]).astype(np.uint8) * (1 - number % 2)
        yield number, hu.transpose(2, 1, 0), mask.transpose(2, 1, 0)


def _physionet_rows(number: int, mask: np.ndarray) -> list[str]:
    """A row a slice, numbered from 1: a subdural where the mask holds blood."""
    blood = mask.any(axis=(0, 1)).astype(int)
    return [f"{number},{place},0,0,0,0,{bleeds},{1 - bleeds},0" for place, bleeds in enumerate(blood, 1)]


def physionet(root: Path) -> None:
    rows = [PHYSIONET_COLUMNS]
    for number, hu, mask in heads():
        save(root / "ct_scans" / f"{number:03d}.nii", hu, LPS)
        save(root / "masks" / f"{number:03d}.nii", mask * 255, LPS)
        rows += _physionet_rows(number, mask)
    (root / "hemorrhage_diagnosis_raw_ct.csv").write_text("\n".join(rows))


def jpeg(root: Path) -> None:
    rows = [PHYSIONET_COLUMNS]
    for number, hu, mask in heads():
        folder = root / "Patients_CT" / f"{number:03d}" / "brain"
        folder.mkdir(parents=True)
        grey = np.clip((hu + 20.0) / 120 * 255, 0, 255).astype(np.uint8)
        for place in range(hu.shape[2]):
            Image.fromarray(grey[:, :, place].T).save(folder / f"{place + 1}.jpg", quality=95)
            if mask[:, :, place].any():
                Image.fromarray(mask[:, :, place].T * 255).save(folder / f"{place + 1}_HGE_Seg.jpg", quality=95)
        rows += _physionet_rows(number, mask)
    (root / "hemorrhage_diagnosis.csv").write_text("\n".join(rows))


def bhsd(root: Path) -> None:
    for number, hu, mask in heads():
        save(root / "label_192" / "images" / f"ID_{number}.nii.gz", hu, LPS)
        save(root / "label_192" / "ground truths" / f"ID_{number}.nii.gz", mask.astype(np.uint16) * 5, LPS)


def instance(root: Path) -> None:
    for number, hu, mask in heads():
        save(root / "train_2" / "data" / f"{number:03d}.nii.gz", hu, LPS)
        save(root / "train_2" / "label" / f"{number:03d}.nii.gz", mask, LPS)


def rsna(root: Path) -> None:
    rows = ["ID,Label"]
    for number, _, mask in heads():
        paths, _ = write_study(root / "stage_2_train" / "draft", bleeding_patient(number))
        for place, path in enumerate(paths):
            name, bleeds = f"ID_{number:04x}{place:04x}", int(mask[:, :, place].any())
            edit(path, lambda data, n=number, name=name: published(data, name, f"ID_study{n}", f"ID_p{n}"))
            path.rename(root / "stage_2_train" / f"{name}.dcm")
            rows += [f"{name}_{kind},{bleeds * (kind in ('any', 'subdural'))}" for kind in ("any", *SUBTYPES)]
        (root / "stage_2_train" / "draft").rmdir()
    (root / "stage_2_train.csv").write_text("\n".join(rows) + "\n")


def cq500(root: Path) -> None:
    for number in HOSPITALS:
        folder = root / f"CQ500-CT-{number}" / f"CQ500CT{number} CQ500CT{number}" / "Unknown Study" / "CT Plain"
        write_study(folder, bleeding_patient(number), change=in_series("CT Plain"))
    findings = ("ICH", "IPH", "IVH", "SDH", "EDH", "SAH", "ChronicBleed", "Fracture", "CalvarialFracture")
    columns = [
        f"{reader}:{name}" for reader in ("R1", "R2", "R3") for name in (*findings, "MassEffect", "MidlineShift")
    ]
    table = pd.DataFrame(0, index=range(len(HOSPITALS)), columns=columns)
    table.insert(0, "name", [f"CQ500-CT-{number}" for number in HOSPITALS])
    table.loc[[n % 2 == 0 for n in HOSPITALS], [f"{reader}:{f}" for reader in ("R1", "R3") for f in ("ICH", "SDH")]] = 1
    table.to_csv(root / "reads.csv", index=False)
