# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Makes one study on disk, all or nothing, and the rows that describe its slices."""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monai_ich.phantom.planned_studies import PlannedStudy
from monai_ich.phantom.render import PhantomPatient, make_patient
from monai_ich.phantom.slice_truth import SliceTruth
from monai_ich.phantom.spec import PhantomSpec
from monai_ich.phantom.study_files import write_mask, write_slice
from monai_ich.utils.files import replace_json, replaced
from monai_ich.utils.keys import ATTRIBUTE, MARKERS, PAIR_ID

_DEGREES = 180 / math.pi
PROGRESS_FOLDER = ".progress"  # one file a finished study; what an interrupted run goes on from

Row = dict[str, Any]


def make_study(dataset_dir: Path, spec: PhantomSpec, study: PlannedStudy) -> Path:
    """Renders and writes one study; returns the file of its rows, which exists only once everything else does.

    A study that was finished before is left as it is.
    """
    patient = make_patient(spec, study.hospital, study.number)
    if study.present is not None:
        patient = patient.paired(study.present)
    record = dataset_dir / PROGRESS_FOLDER / f"{patient.truth.study_id}.json"
    series = dataset_dir / series_folder(patient)
    if record.exists() and series.is_dir():
        return record
    shutil.rmtree(series, ignore_errors=True)
    rows, masks = [], []
    with replaced(series, sole_writer=True) as draft:
        draft.mkdir()
        for index in range(patient.scan.count):
            rendered = patient.render(index)
            write_slice(draft, patient, index, rendered.hu)
            masks.append(rendered.mask)
            described = manifest_row(study, patient, index, rendered.truth)
            rows.append({"manifest": described, "truth": truth_row(patient, index, rendered.truth)})
        if patient.truth.site.is_training:
            target = dataset_dir / mask_file(patient)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_mask(target, patient, masks)
    replace_json(record, rows, indent=None)
    return record


def series_folder(patient: PhantomPatient) -> Path:
    """`images/hospital_01/<patient>/<study>`, relative to the data set's folder."""
    truth = patient.truth
    return Path("images") / f"hospital_{truth.hospital:02d}" / truth.patient_id / truth.study_id


def mask_file(patient: PhantomPatient) -> Path:
    """`masks/hospital_01/<study>.nii.gz`, relative to the data set's folder."""
    return Path("masks") / f"hospital_{patient.truth.hospital:02d}" / f"{patient.truth.study_id}.nii.gz"


def slice_key(patient: PhantomPatient, index: int) -> str:
    """A slice's key in the manifest and in the truth table."""
    return f"{patient.truth.study_id}_{index + 1:04d}"


def manifest_row(study: PlannedStudy, patient: PhantomPatient, index: int, truth: SliceTruth) -> Row:
    """A slice's row of the manifest; its split is empty where it is still to be drawn."""
    annotated = patient.truth.site.is_training
    return {
        "key": slice_key(patient, index),
        "image": (series_folder(patient) / f"IM{index + 1:04d}.dcm").as_posix(),
        "image_slice": "",
        "mask": mask_file(patient).as_posix() if annotated else "",
        "mask_slice": str(index) if annotated else "",
        "patient_id": patient.truth.patient_id,
        "study_id": patient.truth.study_id,
        "hospital": str(patient.truth.hospital),
        "split": study.split,
        **{name: str(getattr(truth, name)) for name in MARKERS},
        **{ATTRIBUTE + name: text for name, text in attributes(patient).items()},
        PAIR_ID: "" if study.present is None else f"{patient.truth.patient_id}_{index + 1:04d}",
    }


def attributes(patient: PhantomPatient) -> dict[str, str]:
    """Every nuisance that has a dial, as text; a unit stands in the name."""
    truth, clot = patient.truth, patient.clot
    return {
        "head_holder": "yes" if truth.head_holder else "no",
        "side_letter": "yes" if truth.side_letter else "no",
        "kernel": "sharp" if truth.kernel_sharp else "soft",
        "clot_volume_ml": f"{clot.volume_ml:.2f}" if clot else "0",
    }


def truth_row(patient: PhantomPatient, index: int, truth: SliceTruth) -> Row:
    """A slice's row of the truth table: every nuisance of the patient and the scan, and what the slice shows."""
    case, scan, clot = patient.truth, patient.scan, patient.clot
    wanted = ("kernel", "kernel_sharp", "head_holder", "side_letter", "noise_hu", "blur_mm", "hu_offset")
    row: Row = {
        "key": slice_key(patient, index),
        "patient_id": case.patient_id,
        "study_id": case.study_id,
        "hospital": case.hospital,
        "instance": index + 1,
        "ich": case.ich,
        "location": clot.location if clot else "",
        "clot_volume_ml": clot.volume_ml if clot else 0.0,
        "clot_hu": clot.hu if clot else "",
        "hypodensity_kind": clot.hypodensities[0].kind if clot and clot.hypodensities else "",
        **{f"patient_{name}": getattr(case, name) for name in MARKERS},
        **{name: getattr(case, name) for name in wanted},
        "pixel_mm": scan.pixel_mm,
        "slice_mm": scan.thickness_mm,
        "gantry_tilt_deg": scan.tilt * _DEGREES,
        **{f"head_{name}_deg": getattr(patient.pose, name) * _DEGREES for name in ("pitch", "roll", "yaw")},
        "atrophy": patient.brain.atrophy,
        "background": case.site.background,
        **patient.incidental.present,
        **asdict(truth),
    }
    return {name: _tidy(value) for name, value in row.items()}


def _tidy(value: Any) -> Any:
    """Booleans as 0/1 and floats to four decimals, as the table is meant to be read."""
    if isinstance(value, bool):
        return int(value)
    return round(value, 4) + 0.0 if isinstance(value, float) else value
