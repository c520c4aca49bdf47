# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Labels as hospitals keep them: CSV and Excel, keyed by patient, study, series or slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pydicom
import pytest
from importer_support import SLICES, bleeding_patient, read, request, write_nifti_mask, write_study

from monai_ich.importers import Pseudonyms, import_dicom, read_labels
from monai_ich.labels.label_matching import Labels, apply_labels
from monai_ich.utils.errors import ManifestError

NAMES = Pseudonyms(bytes(32))


@pytest.mark.parametrize("suffix", ["csv", "semicolon.csv", "xlsx"])
@pytest.mark.parametrize(
    "column", ["PatientID", "Patient ID", "StudyInstanceUID", "series_instance_uid", "SOPInstanceUID"]
)
def test_every_key_and_format(tmp_path: Path, column: str, suffix: str) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    keyword = {"PatientID": "PatientID", "Patient ID": "PatientID", "series_instance_uid": "SeriesInstanceUID"}
    keys = [str(header.get(keyword.get(column, column))) for header in headers]
    of_slices = column == "SOPInstanceUID"
    table = pd.DataFrame(
        {
            column: keys,
            "Comment": "x, y",
            "blend_sign": [0, 1, "", 1] if of_slices else 0,
            "Black hole": ["yes", "no", "", "1.0"] if of_slices else "TRUE",
            "label_subdural": 0,
        }
    )
    path = tmp_path / f"labels.{suffix}"
    if suffix == "xlsx":
        table.to_excel(path, index=False)
    else:
        table.to_csv(path, index=False, sep=";" if "semicolon" in suffix else ",", encoding="utf-8-sig")
    result = import_dicom(request(tmp_path, labels=path, columns={"hypodensity": "Black hole"}, positives="all"))
    frame = read(result.manifest).frame
    assert result.refused == ()
    np.testing.assert_array_equal(frame["blend_sign"], [0, 1, np.nan, 1] if of_slices else [0] * 4)
    np.testing.assert_array_equal(frame["hypodensity"], [1, 0, np.nan, 1] if of_slices else [1] * 4)
    np.testing.assert_array_equal(frame["label_subdural"], [0] * 4)
    assert frame["fluid_level"].isna().all()


def test_a_positive_study_is_positive_where_its_mask_shows_blood() -> None:
    study, other = (NAMES.token("study", name) for name in "ab")
    blood = [1, 0, np.nan, 1, np.nan]
    frame = pd.DataFrame({"study": [study] * 3 + [other] * 2, "blood": blood, "hospital": "1"})
    cells = pd.DataFrame({"hypodensity": [1.0, 0.0]}, index=[study, other])
    labels = Labels("study", cells, None, pd.Series([2, 3], index=cells.index))
    filled, unknown = apply_labels(frame, labels, "blood")
    np.testing.assert_array_equal(filled["hypodensity"], [1, 0, np.nan, 0, 0])
    assert unknown == 1
    filled, unknown = apply_labels(frame, labels, "all")
    np.testing.assert_array_equal(filled["hypodensity"], [1, 1, 1, 0, 0])
    assert unknown == 0


def test_hospital_from_the_table_and_rows_that_name_nobody(tmp_path: Path) -> None:
    for hospital in (1, 2):
        write_study(tmp_path / "export" / str(hospital), bleeding_patient(hospital))
    patients = [bleeding_patient(hospital).truth.patient_id for hospital in (1, 2)]
    lines = [f"{patients[0]},north,0", f"{patients[0]},north,0", f"{patients[1]},,1", "0815,south,1"]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["patient_id,hospital,blend_sign", *lines]))
    result = import_dicom(request(tmp_path, labels=path, hospital=""))
    frame = read(result.manifest).frame
    assert set(frame["hospital"]) == {"north"}
    assert len(frame) == SLICES
    reasons = [entry.reason for entry in result.refused]
    assert reasons[0] == f"{SLICES} slices of 1 studies have no hospital"
    assert "rows name no patient that was imported (rows 4, 5)" in reasons[1]
    assert "leading zeros" in result.refused[1].remedy


def test_negative_and_masked_positives_end_to_end(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    _, rendered = write_study(tmp_path / "export", patient)
    write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    path = tmp_path / "labels.csv"
    path.write_text(f"patient_id,hypodensity,blend_sign\n{patient.truth.patient_id},1,0\n")
    frame = read(import_dicom(request(tmp_path, labels=path, masks=tmp_path / "masks")).manifest).frame
    assert frame["hypodensity"].tolist() == [float(one.mask.any()) for one in rendered]
    assert frame["blend_sign"].tolist() == [0.0] * SLICES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,hypodensity\nx,1\n", "it has 0 columns that name what a row is about (none)"),
        ("patient,study_uid,hypodensity\nx,y,1\n", "it has 2 columns that name what a row is about"),
        ("patient,Hypo\nx,1\n", "no column holds labels"),
        ("patient,hypodensity\nx,2\ny,?\nz,1\n", "column 'hypodensity', row 2, 3: 2 cells are not labels"),
        ("patient,hypodensity\nx,1\ny,0\nx,0\n", "rows 2, 4 name the same patient and contradict each other"),
    ],
)
def test_unfit_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ManifestError) as caught:
        read_labels(path, NAMES)
    assert message in str(caught.value)


def _workbook(path: Path, change: Callable[[openpyxl.Workbook], None] = lambda book: None) -> Path:
    book = openpyxl.Workbook()
    for row in (["PatientID", "volume", "hypodensity"], ["a", 3, 1], ["b", 1, 0], ["c", 2, ""]):
        book.active.append(row)
    change(book)
    book.save(path)
    return path


def _set(**cells: object) -> Callable[[openpyxl.Workbook], None]:
    def change(book: openpyxl.Workbook) -> None:
        for name, value in cells.items():
            book.active[name] = value

    return change


def _hide(book: openpyxl.Workbook) -> None:
    book.create_sheet("Labels 2")
    book.worksheets[0].sheet_state = "hidden"
    book.active = 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set(C2="=IF(B2>2,1,0)", C3="=IF(B3>2,1,0)"), "cells C2, C3 hold a formula without a stored result"),
        (_set(A3='="b"'), "cells A3 hold a formula"),
        (_set(C2="#DIV/0!", A4="#N/A"), "cells A4, C2 hold an error"),
        (lambda book: book.active.merge_cells("A2:A3"), "cells A2:A3 are merged"),
        (_hide, "its first sheet is hidden; make it visible, or move the sheet 'Labels 2' before it"),
    ],
)
def test_cells_that_only_look_filled_are_named(
    tmp_path: Path, change: Callable[[openpyxl.Workbook], None], told: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        read_labels(_workbook(tmp_path / "labels.xlsx", change), NAMES)
    assert told in str(caught.value)


def test_cells_that_nobody_uses_may_hold_anything(tmp_path: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        _set(B2="=1+1", B3="#REF!")(book)
        book.active.merge_cells("B4:B5")
        book.active.merge_cells("D1:E1")
        book.create_sheet("notes").sheet_state = "hidden"

    labels = read_labels(_workbook(tmp_path / "labels.xlsx", change), NAMES)
    np.testing.assert_array_equal(labels.cells["hypodensity"], [1, 0, np.nan])


def test_files_that_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_text("no workbook")
    (tmp_path / "b.csv").write_text('patient,hypodensity\n"x,1\ny,0\n')
    for name in ("a.xlsx", "b.csv"):
        with pytest.raises(ManifestError, match="cannot be read as a table"):
            read_labels(tmp_path / name, NAMES)
    with pytest.raises(ManifestError, match="no such table of labels"):
        read_labels(tmp_path / "none.csv", NAMES)
    (tmp_path / "c.csv").write_text("patient,black\nx,1\n")
    with pytest.raises(ManifestError) as caught:
        read_labels(tmp_path / "c.csv", NAMES, {"hypodensity": "blck", "Subdural": "black"})
    assert "it has no column 'blck' for hypodensity; it has patient, black" in str(caught.value)
    assert "'Subdural' is not a label" in str(caught.value)
