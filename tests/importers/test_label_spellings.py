# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Tables of labels as people keep them: encodings, delimiters, header rows, sheets, words, numbers without zeros."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importer_support import SLICES, bleeding_patient, edit, read, request, write_study
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.importers import Pseudonyms, TableOptions, import_dicom, read_labels
from monai_ich.labels.label_cells import parse_values, shape_of
from monai_ich.labels.label_matching import label_rows, match_labels
from monai_ich.utils.errors import ConfigurationError, ManifestError

NAMES = Pseudonyms(bytes(32))
WORDS = {"有": 1.0, "無": 0.0, "不明": np.nan}
JAPANESE = TableOptions(id_column="患者ID", id_level="patient", values=WORDS)


def _tokens(*names: str) -> list[str]:
    return [NAMES.token("patient", name) for name in names]


def _written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp932"])
def test_a_japanese_table_in_every_encoding_that_is_found(tmp_path: Path, encoding: str) -> None:
    text = "患者ID,氏名,低吸収\r\n１２３,山田,有\r\n0124,ﾔﾏﾀﾞ, 無　\r\n125,,不明\r\n126,,\r\n"
    labels = read_labels(_written(tmp_path / "a.csv", text, encoding), NAMES, {"hypodensity": "低吸収"}, JAPANESE)
    assert labels.cells.index.tolist() == _tokens("123", "0124", "125", "126")
    np.testing.assert_array_equal(labels.cells["hypodensity"], [1, 0, np.nan, np.nan])
    assert labels.table is not None
    assert labels.table.unused == ("氏名",)
    assert [note for note in labels.table.notes() if "--encoding" in note] == (
        labels.table.notes() if encoding == "cp932" else []
    )


@pytest.mark.parametrize(
    "text",
    [
        "PatientID;Größe;Schädel\n1;nein;Übergrößen – 3 cm³\n",
        "PatientID;KAPAZITÄT;hypodensity\n1;x;1\n",
        "PatientID;hémorragie;côté “gauche”;l’œdème\n1;été;très;à\n",
        "PatientID;hemorragia não;situação;PRESSÃO\n1;não;sim;«é»\n",
        "PatientID;señal;¿sí?\n1;sí;no\n2;pequeño;ñ\n",
    ],
)
def test_western_tables_are_known(tmp_path: Path, text: str) -> None:
    column = text.partition("\n")[0].split(";")[1]
    options = TableOptions(values={"nein": 0, "x": 0, "été": 0, "não": 0, "sí": 1, "pequeño": 0})
    read_in = [
        read_labels(_written(tmp_path / "a.csv", text, encoding), NAMES, {"label_x": column}, options)
        for encoding in ("cp1252", "utf-8")
    ]
    pd.testing.assert_frame_equal(read_in[0].cells, read_in[1].cells)
    assert "cp1252" in read_in[0].table.where


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("患者ID,低密度\n1,有\n2,无\n", "gb18030", "gb18030"),
        ("病歷號,低密度\n1,有\n2,無\n", "big5", "big5"),
        ("환자번호,저밀도\n1,있음\n2,없음\n", "cp949", "cp949"),
        ("Пациент,Гематома\n1,да\n2,нет\n", "cp1251", "cp1251"),
        ("患者ID,低吸収\n1,有\n2,無\n", "euc_jp", "euc_jp"),
        ("PatientID,hypodensity\n1,ｱﾘ\n2,ﾅｼ\n", "cp932", "cp932"),
    ],
)
def test_an_encoding_that_is_not_certain_is_asked_for(tmp_path: Path, text: str, encoding: str, told: str) -> None:
    path = _written(tmp_path / "a.csv", text, encoding)
    key, label = text.partition("\n")[0].split(",")
    cells = [row.split(",")[1] for row in text.split()[1:]]
    options = TableOptions(key, "patient", values={cells[0]: 1.0, cells[1]: 0.0})
    with pytest.raises(ManifestError) as caught:
        read_labels(path, NAMES, {"hypodensity": label}, options)
    assert "tried utf-8, cp932, cp1252" in str(caught.value)
    assert told in str(caught.value).partition("these fit:")[2].partition(". Say which with --encoding")[0]
    named = TableOptions(key, "patient", values=options.values, encoding=encoding)
    assert read_labels(path, NAMES, {"hypodensity": label}, named).cells["hypodensity"].tolist() == [1, 0]


def test_encodings_that_are_wrong(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.csv", "PatientID,hypodensity\nä,1\n", "cp1252")
    for encoding, told in (("utf-8", "is not utf-8"), ("klingon", "'klingon' is unknown"), ("rot13", "is unknown")):
        with pytest.raises(ManifestError, match=told):
            read_labels(path, NAMES, options=TableOptions(encoding=encoding))
    _written(tmp_path / "nul.csv", "PatientID,hypodensity\na\0b,1\n")
    with pytest.raises(ManifestError, match=r"cannot be read as a table .* NUL"):
        read_labels(tmp_path / "nul.csv", NAMES)


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() and not text.startswith("0") else text


PATIENTS = st.lists(
    st.tuples(st.sampled_from(["", "0", "00"]), st.integers(1, 99999), st.sampled_from([1.0, 0.0, None])),
    min_size=1, max_size=6, unique_by=lambda row: row[1],
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    patients=PATIENTS,
    kind=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp932", "cp1252", "gb18030", "xlsx"]),
    delimiter=st.sampled_from(",;\t"),
    above=st.integers(0, 4),
    below=st.integers(0, 2),
    loses_zeros=st.booleans(),
    is_wide=st.booleans(),
    has_decimals=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_however_a_table_is_written_it_reads_to_the_same_labels(
    tmp_path_factory: pytest.TempPathFactory,
    patients: list[tuple[str, int, float | None]],
    kind: str,
    delimiter: str,
    above: int,
    below: int,
    loses_zeros: bool,
    is_wide: bool,
    has_decimals: bool,
    end: str,
) -> None:
    japanese = kind not in ("cp1252",)
    yes, no, unknown = ("有", "無", "不明") if japanese else ("ja", "nein", "für später")
    id_column, column = ("患者ID", "低吸収（左）") if japanese else ("Patientennummer", "Hypodensität")
    stored = [f"{zeros}{number}" for zeros, number, _ in patients]  # as the images have it
    shown = [name.lstrip("0") if loses_zeros else name for name in stored]
    if has_decimals:
        shown = [f"{name}.0" for name in shown]
    if is_wide and japanese:
        shown = [name.translate({48 + digit: 0xFF10 + digit for digit in range(10)}) for name in shown]
    texts = {1.0: yes, 0.0: no, None: unknown}
    rows = [["x, y;\tz"]] * above + [[id_column, "note", column]]
    rows += [[name, 'a "b"\nc', texts[label]] for name, (_, _, label) in zip(shown, patients, strict=True)]
    rows += [["", "", ""]] * below
    path = tmp_path_factory.mktemp("table") / ("a.xlsx" if kind == "xlsx" else "a.csv")
    if kind == "xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append([_number(cell) for cell in row])
        book.save(path)
    else:
        file = io.StringIO()
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
        path.write_bytes(file.getvalue().encode(kind))
    options = TableOptions(
        id_column, "patient", above + 1, values={yes: 1.0, no: 0.0, unknown: np.nan},
        encoding=kind if kind == "gb18030" else "",
    )  # fmt: skip
    labels = match_labels(read_labels(path, NAMES, {"hypodensity": column}, options), _tokens(*stored))
    expected = dict(zip(_tokens(*stored), [np.nan if one[2] is None else one[2] for one in patients], strict=True))
    np.testing.assert_array_equal(labels.cells["hypodensity"].reindex(list(expected)), list(expected.values()))
    counts = label_rows(set(expected), labels)
    assert counts is not None
    zeros = sum(name != other for name, other in zip(stored, (s.lstrip("0") for s in stored), strict=True))
    assert (counts.read, counts.used, counts.unmatched) == (len(patients), len(patients), 0)
    assert counts.by_zeros == (zeros if loses_zeros else 0)


@pytest.mark.parametrize(
    ("table", "images", "used", "by_zeros", "ambiguous"),
    [
        (["12345"], ["0012345"], {"0012345"}, 1, 0),
        (["0012345"], ["12345"], {"12345"}, 1, 0),
        (["12345"], ["0012345", "012345"], set(), 0, 1),  # which of them?
        (["12345"], ["12345", "0012345"], {"12345"}, 0, 0),
        (["12345", "012345"], ["0012345"], set(), 0, 2),  # two rows for one patient
        (["12345", "0012345"], ["0012345"], {"0012345"}, 0, 1),  # 12345 is somebody else
        (["A12"], ["A012"], set(), 0, 0),
        (["123.0"], ["123.0"], {"123.0"}, 0, 0),
    ],
)
def test_leading_zeros_count_only_where_one_row_and_one_patient_fit(
    tmp_path: Path, table: list[str], images: list[str], used: set[str], by_zeros: int, ambiguous: int
) -> None:
    path = _written(tmp_path / "a.csv", "PatientID,hypodensity\n" + "".join(f"{name},1\n" for name in table))
    labels = match_labels(read_labels(path, NAMES), _tokens(*images))
    assert set(labels.cells.index) & set(_tokens(*images)) == set(_tokens(*used))
    counts = label_rows(_tokens(*images), labels)
    assert counts is not None
    assert (counts.by_zeros, counts.ambiguous) == (by_zeros, ambiguous)
    assert counts.read == len(table) == counts.used + counts.unmatched + counts.empty


def _saved(path: Path, change: Callable[[openpyxl.Workbook], None]) -> Path:
    book = openpyxl.Workbook()
    for row in (["PatientID", "hypodensity"], ["a", 1]):
        book.active.append(row)
    change(book)
    book.save(path)
    return path


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        book.create_sheet("判定").append(["for the study"])
        for row in ([], ["PatientID", "hypodensity"], [12345.0, 0], [67, True], ["y", "=1+1"]):
            book["判定"].append(row)
        book["判定"]["A4"].number_format = "0000000"
        book["判定"]["B6"] = None
        book["判定"]["A6"] = '="0012"'.replace("=", "'")

    path = _saved(tmp_path / "a.xlsx", change)
    labels = read_labels(path, NAMES, options=TableOptions(sheet="判定", header_row=3))
    assert labels.cells.index.tolist()[:2] == _tokens("0012345", "67")
    assert labels.cells["hypodensity"].tolist()[:2] == [0, 1]
    with pytest.raises(ManifestError, match=r"has no sheet '判'; it has 'Sheet', '判定'\.* .*--sheet"):
        read_labels(path, NAMES, options=TableOptions(sheet="判"))
    with pytest.raises(ManifestError, match=r"row 3 looks like the header \(--header-row 3\)"):
        read_labels(path, NAMES, options=TableOptions(sheet="判定"))
    with pytest.raises(ManifestError, match="has no --encoding"):
        read_labels(path, NAMES, options=TableOptions(encoding="cp932"))
    with pytest.raises(ManifestError, match="has no --sheet"):
        read_labels(_written(tmp_path / "a.csv", "PatientID,hypodensity\n"), NAMES, options=TableOptions(sheet="x"))


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (datetime.datetime(2021, 1, 2), "cells A2 hold dates"),
        (datetime.date(2021, 1, 2), "cells A2 hold dates"),
        (10**15, "cells A2 hold numbers of more than 15 digits"),
        (10**15 - 1, ""),
        (12.5, ""),
    ],
)
def test_names_that_excel_has_changed_are_refused(tmp_path: Path, cell: object, told: str) -> None:
    path = _saved(tmp_path / "a.xlsx", lambda book: book.active.__setitem__("A2", cell))
    if not told:
        assert len(read_labels(path, NAMES).cells) == 1
        return
    with pytest.raises(ManifestError) as caught:
        read_labels(path, NAMES)
    assert told in str(caught.value)


def test_what_spreadsheets_put_around_numbers_and_tables(tmp_path: Path) -> None:
    text = 'sep=;\nPatientID;hypodensity;\n="0012";1.0;\n\'0013;"１";\n 14 ;NO;\n;;\n'
    labels = read_labels(_written(tmp_path / "a.csv", text), NAMES)
    assert labels.cells.index.tolist() == _tokens("0012", "0013", "14")
    assert labels.cells["hypodensity"].tolist() == [1, 1, 0]
    assert labels.rows.tolist() == [3, 4, 5]
    with pytest.raises(ManifestError, match="row 2: 1 cells hold rounded numbers"):
        read_labels(_written(tmp_path / "b.csv", "PatientID,hypodensity\n1.23457E+11,1\n"), NAMES)
    with pytest.raises(ManifestError, match="it is a workbook"):
        read_labels(_saved(tmp_path / "c.xlsx", lambda book: None).rename(tmp_path / "c.csv"), NAMES)


def test_the_column_that_names_a_row(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.csv", "PatientID,StudyInstanceUID,番号,hypodensity\np,1.2.3,7,1\n")
    for options, level, name in (
        (TableOptions(id_level="study"), "study", "1.2.3"),
        (TableOptions(id_column="PatientID"), "patient", "p"),
        (TableOptions(id_column="番号", id_level="series"), "series", "7"),
        (TableOptions(id_column="番号", id_level="slice"), "instance", "7"),
        (TableOptions(id_column="ＰａｔｉｅｎｔＩＤ", id_level="study"), "study", "p"),
    ):
        labels = read_labels(path, NAMES, options=options)
        assert (labels.level, list(labels.cells.index)) == (level, [NAMES.token(level, name)])
    for options, told in (
        (TableOptions(), "2 columns that name what a row is about (PatientID, StudyInstanceUID); choose one with --id"),
        (TableOptions(id_column="番号"), "may name anything; say what with --id-level patient, study, series or slice"),
        (TableOptions(id_column="号"), "it has no column '号' (--id-column) in row 1"),
        (TableOptions(id_column="PatientID", header_row=9), "has 2 rows, so none is the header row 9"),
    ):
        with pytest.raises(ManifestError) as caught:
            read_labels(path, NAMES, options=options)
        assert told in str(caught.value)


def test_what_words_mean(tmp_path: Path) -> None:
    assert parse_values('有=1,"x, y=0", ?=,a=b=１') == pytest.approx(
        {"有": 1, "x, y": 0, "?": np.nan, "a=b": 1}, nan_ok=True
    )
    with pytest.raises(ConfigurationError) as caught:
        parse_values("有,無=2,a=1,Ａ=0,=1")
    assert len(caught.value.faults) == 4
    path = _written(tmp_path / "a.csv", "PatientID,hypodensity\na,2\nb,1\nc,\n")
    codes = TableOptions(values=parse_values("1=0,2=1"))
    np.testing.assert_array_equal(read_labels(path, NAMES, options=codes).cells["hypodensity"], [1, 0, np.nan])
    _written(path, "PatientID,hypodensity\na,2\nb,0\n")
    with pytest.raises(ManifestError, match="row 3: 1 cells are not labels; expected one of those of --values"):
        read_labels(path, NAMES, options=codes)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("0012345", "7 digits, first 0"),
        ("MRN-0471193", '3 letters, "-", 7 digits, first 0'),
        ("山田", "2 wide or accented letters"),
        ("1.2.840.10008.1", "UID of 15 characters"),
        ("a1b2c3d4", "8 characters"),
        ("", "empty"),
    ],
)
def test_a_shape_says_nothing_of_who_it_is(name: str, shape: str) -> None:
    assert shape_of(name) == shape


def _numbered(folder: Path, names: list[str]) -> None:
    """Series of patients with these numbers."""
    for place, name in enumerate(names, start=1):
        paths, _ = write_study(folder / str(place), bleeding_patient(place))
        for path in paths:
            edit(path, lambda data, name=name: setattr(data, "PatientID", name))


def _run(tmp_path: Path, *options: str) -> Any:
    arguments = [
        "import",
        "dicom",
        str(tmp_path / "export"),
        "--manifest",
        str(tmp_path / "m" / "m.csv"),
        "--workers",
        "1",
    ]
    arguments += [
        "--output-dir",
        str(tmp_path / "out"),
        "--key-file",
        str(tmp_path / "secret" / "key"),
        "--hospital",
        "H",
    ]
    return CliRunner().invoke(cli, [*arguments, *options], env={"COLUMNS": "300"})


def test_from_a_table_in_japanese_to_the_next_command(tmp_path: Path) -> None:
    _numbered(tmp_path / "export", ["0012345", "0012346"])
    text = "読影結果\n患者ID,低吸収,備考\n12345,有,\n12346.0,無,\n77,無,\n,有,\n"
    path = _written(tmp_path / "labels.csv", text, "cp932")
    options = ["--labels", str(path), "--id-column", "患者ID", "--id-level", "patient", "--header-row", "2"]
    options += ["--values", "有=1,無=0", "--column", "hypodensity=低吸収", "--positives", "all", "--files", "link"]
    before = sorted(tmp_path.rglob("*"))
    preview = _run(tmp_path, *options, "--dry-run")
    assert preview.exit_code == 0, preview.output
    assert sorted(tmp_path.rglob("*")) == before
    for line in (
        "labels.csv: cp932, comma, header in row 2",
        "columns: 患者ID names the patient",
        "columns: 低吸収 is hypodensity",
        "columns: not used: 備考",
        "rows: 4 rows read, 2 used (2 of them but for leading zeros), 1 unmatched, 1 without a name",
        "rows: unmatched are 5",
        f"images: 2 of 2 names of a patient have a row (100%); {2 * SLICES} files can be used",
        "hypodensity: 1 positive, 1 negative, 0 unknown rows",
    ):
        assert line in preview.output
    done = _run(tmp_path, *options)
    assert done.exit_code == 0, done.output
    manifest = tmp_path / "m" / "m.csv"
    assert "4 rows read, 2 used (2 of them but for leading zeros), 1 unmatched, 1 without a name" in done.output
    assert f"hypodensity: {SLICES} positive, {SLICES} negative, 0 unknown slices" in done.output
    assert f"margin_irregularity, blend_sign, fluid_level: unknown in all {2 * SLICES} slices" in done.output
    assert "rows hold labels without a name of a patient (rows 6)" in done.output
    assert (read(manifest).frame["hypodensity"] == 1).sum() == SLICES
    assert not any(name in preview.output + done.output for name in ("12345", "12346"))
    *_, command, _ = done.output.split("\n")
    split = command.removeprefix("next: python -m monai_ich ").split()
    assert split == ["split", str(manifest), "--protocol", "patient", "--marker", "hypodensity", "--output",
                     str(manifest.with_name("m_split.csv"))]  # fmt: skip
    outcome = CliRunner().invoke(cli, split)
    assert outcome.exit_code == 1
    assert isinstance(outcome.exception, ManifestError)  # the command is complete, and two patients are too few
    assert "patients" in str(outcome.exception)


def test_a_table_that_fits_no_image_is_refused_before_images_are_read(tmp_path: Path) -> None:
    _numbered(tmp_path / "export", ["0012345"])
    path = _written(tmp_path / "labels.csv", "PatientID,hypodensity\nMRN-7718,1\n555,0\n")
    with pytest.raises(ManifestError) as caught:
        import_dicom(request(tmp_path, labels=path))
    message = str(caught.value)
    assert 'in the table:  3 letters, "-", 4 digits | 3 digits\n' in message
    assert "in the images: 7 digits, first 0\n" in message
    assert not any(name in message for name in ("7718", "555", "12345"))
    assert not (tmp_path / "out" / ".import" / "series").exists()
    outcome = _run(tmp_path, "--labels", str(path))
    assert isinstance(outcome.exception, ManifestError)
    assert outcome.exit_code == 1
    for level, name in (("study", "1.2.3.4"), ("series", "1.2.3.4"), ("slice", "1.2.3.4")):
        _written(path, f"id,hypodensity\n{name},1\n")
        with pytest.raises(ManifestError, match=rf"is a {level} of the images(.|\n)*UID of 7 characters"):
            import_dicom(request(tmp_path, labels=path, table=TableOptions("id", level)))


def test_options_of_a_table_without_a_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    table = TableOptions(id_level="person", header_row=-1)
    with pytest.raises(ConfigurationError) as caught:
        import_dicom(request(tmp_path, table=table, columns={"hypodensity": "x"}, project="a", files="refer"))
    for told in (
        "no table is given (--labels)",
        "id_level is 'person'",
        "header_row is -1",
        "--column",
        "a project has",
    ):
        assert any(told in fault for fault in caught.value.faults)
    assert "name the table with --labels" in str(_run(tmp_path, "--dry-run").exception)
