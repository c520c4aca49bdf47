# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What fuzzing the importers found: tables, pictures and links that once crashed an import or were read wrong."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from importer_support import PLANTED, bleeding_patient, edit, plant, read, request, write_study
from public_sets import cq500, instance, jpeg, physionet, rsna

from monai_ich.importers import (
    PublicRequest,
    import_cq500,
    import_dicom,
    import_instance,
    import_physionet,
    import_rsna,
    locate,
    read_labels,
)
from monai_ich.importers.pictures import read_array, read_picture
from monai_ich.importers.pseudonyms import PublishedNames
from monai_ich.utils.errors import ConfigurationError, ImageReadError, ManifestError

TABLES = {
    "physionet": (physionet, import_physionet, "hemorrhage_diagnosis_raw_ct.csv"),
    "rsna": (rsna, import_rsna, "stage_2_train.csv"),
    "cq500": (cq500, import_cq500, "reads.csv"),
}


def asked(folder: Path) -> PublicRequest:
    return PublicRequest(folder / "set", folder / "m.csv", folder / "out", workers=1)


def _spoil(path: Path, how: str) -> None:
    text = path.read_text()
    header, first, *others = text.splitlines()
    if how in ("UTF-16", "cp037"):
        path.write_bytes(text.encode(how))
    elif how in ("folder", "link to nothing"):
        path.unlink()
        if how == "folder":
            path.mkdir()
        else:
            path.symlink_to("nowhere")
    else:
        spoilt = {
            "empty": [],
            "header gone": [first, *others],
            "longer row": [header, f"{first},1", *others],
        }
        with_cell = [header, f"{first.rpartition(',')[0]},{how}", *others]
        path.write_text("\n".join(spoilt.get(how, with_cell)) + "\n")


@pytest.mark.parametrize(
    "how",
    [
        "UTF-16",
        "cp037",
        "folder",
        "empty",
        "header gone",
        "longer row",
        "inf",
        "1.5",
        "2",
        "9" * 400,
        "link to nothing",
    ],
    ids=lambda how: how[:20],
)
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_public_sets(tmp_path: Path, name: str, how: str) -> None:
    make, run, table = TABLES[name]
    make(tmp_path / "set")
    _spoil(tmp_path / "set" / table, how)
    with pytest.raises(ConfigurationError, match=f"{table}|is not this data set"):
        run(asked(tmp_path))


def test_cases_of_cq500_without_a_name_or_with_two_spellings(tmp_path: Path) -> None:
    cq500(tmp_path / "set")
    table = tmp_path / "set" / "reads.csv"
    table.write_text(table.read_text().replace("CQ500-CT-310", "CQ500CT0").replace("CQ500-CT-7", "notes"))
    with pytest.raises(ConfigurationError, match=r"1 rows name no case .* and 1 contradict another row"):
        import_cq500(asked(tmp_path))


@pytest.mark.parametrize("target", ["nowhere", "002.nii.gz"], ids=["dangling", "to itself"])
def test_a_volume_that_is_a_link_to_nothing_is_refused_alone(tmp_path: Path, target: str) -> None:
    instance(tmp_path / "set")
    path = tmp_path / "set" / "train_2" / "data" / "002.nii.gz"
    path.unlink()
    path.symlink_to(target)
    result = import_instance(asked(tmp_path))
    assert [(entry.path, entry.reason) for entry in result.refused] == [("train_2/data/002.nii.gz", "no such file")]
    assert result.patients == 1


def test_a_link_to_itself_does_not_hide_the_slices_beside_it(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    (tmp_path / "export" / "loop").symlink_to("loop")
    result = import_dicom(request(tmp_path, files="refer"))
    assert len(read(result.manifest).frame) == len(paths)


@pytest.mark.parametrize("spoilt", ["9.jpg", "10_HGE_Seg.jpg"])
def test_a_damaged_picture_is_refused_with_its_case(tmp_path: Path, spoilt: str) -> None:
    jpeg(tmp_path / "set")
    (tmp_path / "set" / "Patients_CT" / "049" / "brain" / spoilt).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ManifestError, match="nothing can be imported"):
        import_physionet(asked(tmp_path))
    assert f"{spoilt}: cannot be decoded" in (tmp_path / "out" / "import" / "refused.csv").read_text()


def test_labels_without_a_header_name_nobody(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"{PLANTED['PatientID']},1\n")
    with pytest.raises(ManifestError, match="0 columns that name what a row is about") as caught:
        read_labels(tmp_path / "labels.csv", PublishedNames())
    assert PLANTED["PatientID"] not in str(caught.value)


def test_a_stray_quote_in_the_labels_shows_no_other_row(tmp_path: Path) -> None:
    text = f'hospital,hypodensity,PatientID\n1,1,p1\n"1,0,p2\n{PLANTED["PatientID"]}",1,p3\n'
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ManifestError, match=r"column hospital: 1 cells hold line breaks .* \(row 3 first\)") as caught:
        read_labels(tmp_path / "labels.csv", PublishedNames())
    assert PLANTED["PatientID"] not in str(caught.value)


@pytest.mark.parametrize("row", ["p1,1,", "p1,1,0", "p1,1,0,0"])
def test_label_rows_longer_than_the_header_are_not_shifted(tmp_path: Path, row: str) -> None:
    """pandas takes the first cell for a row name then, and a marker's cells come from the next column."""
    (tmp_path / "labels.csv").write_text(f"PatientID,hypodensity\n{row}\n")
    with pytest.raises(
        ManifestError, match=r"labels\.csv cannot be read as a table: row 2 has \d cells, and the .* has 2"
    ):
        read_labels(tmp_path / "labels.csv", PublishedNames())


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["PatientID", "hypodensity", "hypodensity "], "two columns have the same name"),
        ([2023, 2024, 2025], "0 columns that name what a row is about"),
    ],
    ids=["twice", "numbers"],
)
def test_label_columns(tmp_path: Path, suffix: str, columns: list[object], message: str) -> None:
    table = pd.DataFrame([["p1", 1, 0]], columns=columns)
    path = tmp_path / f"labels.{suffix}"
    if suffix == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_excel(path, index=False)
    with pytest.raises(ManifestError, match=message):
        read_labels(path, PublishedNames())


@pytest.mark.parametrize("damage", ["no zip", "cut", "empty", "checksum"])
def test_damaged_workbooks(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "labels.xlsx"
    pd.DataFrame({"PatientID": ["p1"], "hypodensity": [1]}).to_excel(path, index=False)
    data = path.read_bytes()
    place = data.index(b"xl/worksheets/sheet1.xml") + 60
    changed = {
        "no zip": b"PatientID,hypodensity\np1,1\n",
        "cut": data[:-100],
        "empty": b"",
        "checksum": data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :],
    }
    path.write_bytes(changed[damage])
    with pytest.raises(ManifestError, match=r"labels\.xlsx cannot be read as a table"):
        read_labels(path, PublishedNames())


def _npy_header(shape: str) -> bytes:
    text = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def test_numpy_files_that_lie_or_hold_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "lies.npy").write_bytes(_npy_header("(30000, 30000, 900)") + bytes(64))
    (tmp_path / "negative.npy").write_bytes(_npy_header("(-4, 4)") + bytes(64))
    np.savez(tmp_path / "archive.npz", np.zeros(3))
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object))
    for name in ("lies", "negative", "archive", "text", "object"):
        with pytest.raises(ImageReadError, match=rf"{name}\.npy: (cannot be decoded|holds <U1)"):
            read_array(tmp_path / f"{name}.npy")


def test_a_picture_of_more_pixels_than_a_slice_has(tmp_path: Path) -> None:
    size = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(60001))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks]
    (tmp_path / "s.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    with pytest.raises(ImageReadError, match=r"s\.png: cannot be decoded \(Image size"):
        read_picture(tmp_path / "s.png")


@pytest.mark.parametrize("name", ["a\nb", "\udcff", " 002"], ids=["line break", "no UTF-8", "blank"])
def test_names_that_a_manifest_cannot_hold_are_refused_alone(tmp_path: Path, name: str) -> None:
    bases = {"instance": (instance, import_instance), "physionet": (physionet, import_physionet)}
    for base, (make, run) in bases.items():
        make(tmp_path / base / "set")
        for path in sorted((tmp_path / base / "set").rglob("*.nii*"))[1::2]:  # one image and its mask
            path.rename(path.with_name(f"{name}{''.join(path.suffixes)}"))
        result = run(asked(tmp_path / base))
        assert "which a manifest cannot hold" in "".join(entry.reason for entry in result.refused)
        assert result.patients == 1
        (result.reports / "refused.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(("files", "imported"), [("refer", 3), ("link", 4)])
def test_slices_whose_names_are_no_text(tmp_path: Path, files: str, imported: int) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    paths[-1].rename(paths[-1].with_name("\udcff.dcm"))
    result = import_dicom(request(tmp_path, files=files))
    assert len(read(result.manifest).frame) == imported
    shown = [entry.path for entry in result.refused]
    assert shown == (["\\xff.dcm"] if files == "refer" else [])
    assert len(locate(tmp_path / "export", "\\xff.dcm", PublishedNames())) == 1


@pytest.mark.parametrize(
    "element", [(0x0008, 0x0060), (0x0010, 0x0010), (0x0020, 0x0052)], ids=lambda tag: f"{tag[1]:x}"
)
def test_an_element_of_a_damaged_kind_refuses_its_slice_and_names_nobody(
    tmp_path: Path, element: tuple[int, int]
) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    for path in paths:
        edit(path, plant)
    content = paths[-1].read_bytes()
    at = content.index(struct.pack("<HH", *element)) + 4
    paths[-1].write_bytes(content[:at] + b"U\0" + content[at + 2 :])
    paths[-1].rename(paths[-1].with_name("Yamada.dcm"))
    result = import_dicom(request(tmp_path, files="refer"))
    assert len(read(result.manifest).frame) == len(paths) - 1
    (refused,) = result.refused
    assert not any(
        text in f"{refused.path} {refused.reason} {refused.remedy}" for text in ("Yamada", *PLANTED.values())
    )


def test_a_dicom_slice_with_the_name_of_a_volume_is_refused(tmp_path: Path) -> None:
    rsna(tmp_path / "set")
    chosen = sorted((tmp_path / "set").rglob("*.dcm"))[0]
    chosen.rename(chosen.with_name(f"{chosen.name}.nii"))
    result = import_rsna(asked(tmp_path))
    assert any("with the name of a volume" in entry.reason for entry in result.refused)
