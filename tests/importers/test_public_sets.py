# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Each public set, on a miniature of its published layout with its known traps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from importer_support import SLICES, bleeding_patient, edit, read, rendered_slices, stored_pixels, write_study
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.importers import (
    ImportResult,
    PublicRequest,
    import_bhsd,
    import_cq500,
    import_instance,
    import_physionet,
    import_rsna,
)
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.errors import ConfigurationError

RNG = np.random.default_rng(0)
ANY, SUBTYPES = (
    "label_any_haemorrhage",
    ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"),
)


def asked(folder: Path) -> PublicRequest:
    return PublicRequest(folder / "set", folder / "m.csv", folder / "out", workers=1)


def trained_on(result: ImportResult) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """What training reads; pairs go through the transform that checks their place in the patient."""
    manifest = read(result.manifest)
    for row in manifest.frame.itertuples():
        if row.mask:
            LoadSlicesd()({
                "image": [(manifest.dataset_dir / row.image, int(row.image_slice))],
                "mask": [(manifest.dataset_dir / row.mask, int(row.mask_slice))],
            })  # fmt: skip
    return stored_pixels(manifest)


def save(path: Path, array: np.ndarray, affine: np.ndarray, qform_only: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    if qform_only:
        image.set_qform(affine, code=1)
        image.set_sform(None, code=0)
    nib.save(image, path)


LPS = np.diag([-0.45, -0.45, 5.0, 1.0])


def volume(slices: int) -> np.ndarray:
    """(columns, rows, slices) HU, no two slices alike."""
    return RNG.integers(-100, 100, (16, 12, slices)).astype(np.int16)


PHYSIONET_COLUMNS = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,No_Hemorrhage,"
    "Fracture_Yes_No"
)


def physionet(root: Path) -> dict[str, np.ndarray]:
    """Two patients; patient 49 bleeds into slice 2 of 4, counted from 1, and has no row for slice 4."""
    hu = {"049": volume(4), "051": volume(3)}
    masks = {name: np.zeros(array.shape, np.uint8) for name, array in hu.items()}
    masks["049"][3:6, 4:8, 1] = 255
    for name, array in hu.items():
        save(root / "ct_scans" / f"{name}.nii", array, LPS)
        save(root / "masks" / f"{name}.nii", masks[name], LPS)
    rows = ["49,1,0,0,0,0,0,1,0", "49,2,0,1,0,0,0,0,1", "49,3,0,0,0,0,0,1,0", "49,3,0,0,0,0,0,1,0"]
    rows += [f"51,{n},0,0,0,0,0,1,0" for n in (1, 2, 3)]
    (root / "hemorrhage_diagnosis_raw_ct.csv").write_text("\n".join([PHYSIONET_COLUMNS, *rows]) + "\n")
    return hu


def test_physionet(tmp_path: Path) -> None:
    hu = physionet(tmp_path / "set")
    result = import_physionet(asked(tmp_path))
    frame = read(result.manifest).frame
    assert frame["patient_id"].tolist() == ["049"] * 4 + ["051"] * 3
    np.testing.assert_array_equal(frame[ANY], [0, 1, 0, np.nan, 0, 0, 0])
    np.testing.assert_array_equal(frame["label_intraparenchymal"], [0, 1, 0, np.nan, 0, 0, 0])
    np.testing.assert_array_equal(frame["label_fracture"], [0, 1, 0, np.nan, 0, 0, 0])
    pairs = trained_on(result)
    assert [int(mask.sum()) for _, mask in pairs] == [0, 12, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(pairs[1][0], hu["049"][..., 1].T)
    assert (result.refused, result.notes) == ((), ())


def test_physionet_labels_that_do_not_fit(tmp_path: Path) -> None:
    physionet(tmp_path / "set")
    table = tmp_path / "set" / "hemorrhage_diagnosis_raw_ct.csv"
    good = table.read_text()
    table.write_text(good + "51,4,0,0,0,0,0,1,0\n")
    result = import_physionet(asked(tmp_path))
    assert "has 3 slices, but the labels name slice 4 (counted from 1)" in result.refused[0].reason
    assert set(read(result.manifest).frame["patient_id"]) == {"049"}
    table.write_text(good + "51,0,0,0,0,0,0,1,0\n51,1,1,0,0,0,0,0,0\n")
    with pytest.raises(ConfigurationError, match=r"1 slices have contradicting rows, and 1 have a number below 1"):
        import_physionet(asked(tmp_path))
    table.write_text(good.replace("49,1,0,0,0,0,0,1", "49,1,0,0,0,0,1,0"))
    assert "1 slices have blood by label or by mask, but not by both" in import_physionet(asked(tmp_path)).notes[0]
    (tmp_path / "set" / "masks" / "051.nii").unlink()
    result = import_physionet(asked(tmp_path))
    assert (result.refused[0].path, result.annotated, result.slices) == ("masks/051.nii", 4, 7)


def test_physionet_of_jpeg_files(tmp_path: Path) -> None:
    """Slices 9 and 10: names sort otherwise than numbers; JPEG leaves grey values around the edges of a mask."""
    brain = tmp_path / "set" / "Patients_CT" / "049" / "brain"
    brain.mkdir(parents=True)
    smooth = np.add.outer(np.arange(32), np.arange(24)).astype(np.uint8) * 4
    for number, grey in ((9, smooth), (10, smooth[::-1])):
        Image.fromarray(grey).save(brain / f"{number}.jpg", quality=95)
    drawn = np.zeros((32, 24), np.uint8)
    drawn[8:16, 8:16] = 255
    Image.fromarray(drawn).save(brain / "10_HGE_Seg.jpg", quality=60)
    rows = ["49,9,0,0,0,0,0,1,0", "49,10,0,1,0,0,0,0,0"]
    (tmp_path / "set" / "hemorrhage_diagnosis.csv").write_text("\n".join([PHYSIONET_COLUMNS, *rows]))
    result = import_physionet(asked(tmp_path))
    assert read(result.manifest).frame[ANY].tolist() == [0, 1]
    (first, empty), (second, mask) = trained_on(result)
    np.testing.assert_allclose(first, smooth / 255 * 120 - 20, atol=1.5)
    np.testing.assert_allclose(second, smooth[::-1] / 255 * 120 - 20, atol=1.5)
    assert not empty.any()
    np.testing.assert_array_equal(mask, drawn > 0)
    made = (tmp_path / "out" / "volumes" / "049.nii.gz").stat().st_mtime_ns
    import_physionet(asked(tmp_path))
    assert (tmp_path / "out" / "volumes" / "049.nii.gz").stat().st_mtime_ns == made


def test_bhsd(tmp_path: Path) -> None:
    """A space in the folder's name, qform only and oblique, uint16 classes."""
    root = tmp_path / "set" / "label_192"
    turn = np.eye(4)
    turn[1:3, 1:3] = [[0.97, -0.24], [0.24, 0.97]]
    classes = np.zeros((16, 12, 4), np.uint16)
    classes[2:4, 2:4, 1], classes[5:7, 5:7, 1], classes[5:7, 5:7, 2] = 2, 3, 5
    hu = volume(4)
    save(root / "images" / "ID_1_ID_2.nii.gz", hu, turn @ LPS, qform_only=True)
    save(root / "ground truths" / "ID_1_ID_2.nii.gz", classes, turn @ LPS, qform_only=True)
    result = import_bhsd(asked(tmp_path))
    frame = read(result.manifest).frame
    expected = {"intraparenchymal": [0, 1, 0, 0], "intraventricular": [0, 1, 0, 0], "subdural": [0, 0, 1, 0]}
    for name in SUBTYPES:
        assert frame[f"label_{name}"].tolist() == expected.get(name, [0] * 4)
    assert frame[ANY].tolist() == [0, 1, 1, 0]
    assert [int(mask.sum()) for _, mask in trained_on(result)] == [0, 8, 4, 0]
    save(root / "ground truths" / "ID_1_ID_2.nii.gz", classes * 2, turn @ LPS, qform_only=True)
    save(root / "images" / "ID_3_ID_4.nii.gz", hu, LPS)
    save(root / "ground truths" / "ID_3_ID_4.nii.gz", classes, LPS)
    refused = import_bhsd(asked(tmp_path)).refused
    assert "holds the classes [6, 10]" in refused[0].reason


def test_instance(tmp_path: Path) -> None:
    """Affines that agree only after rounding; a pair that does not lie together is refused."""
    root = tmp_path / "set" / "train_2"
    mask = np.zeros((16, 12, 3), np.uint8)
    mask[4:8, 4:8, 2] = 1
    nearly = LPS + 1e-5
    for name, affine in (("001", nearly), ("002", LPS + np.diag([0, 0, 5.0, 0]))):
        save(root / "data" / f"{name}.nii.gz", volume(3), LPS)
        save(root / "label" / f"{name}.nii.gz", mask, affine)
    result = import_instance(asked(tmp_path))
    frame = read(result.manifest).frame
    assert frame["patient_id"].tolist() == ["001"] * 3
    assert frame[ANY].tolist() == [0, 0, 1]
    assert trained_on(result)[2][1].sum() == 16
    assert "their centres lie" in result.refused[0].reason


def published(data: Dataset, name: str, study: str) -> None:
    """Headers as RSNA published them: pseudonyms in place of UIDs, no image type, native pixels."""
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = "ID_p1", study, f"{study}s"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = name
    del data.ImageType
    data.decompress()


def rsna(root: Path) -> tuple[list[str], list[Any]]:
    """One study of four slices: wrapped 12-bit values, and one file with short pixel data."""
    names = ["ID_00000000a", "ID_00000000b", "ID_6431af929", "ID_a64d5deed"]
    paths, rendered = write_study(root / "stage_2_train", bleeding_patient(1))
    for path, name in zip(paths, names, strict=True):
        edit(path, lambda data, name=name: published(data, name, "ID_study1"))
        path.rename(path.with_name(f"{name}.dcm"))

    def wrap(data: Dataset) -> None:
        hu = np.maximum(data.pixel_array.astype(np.int32) + int(data.RescaleIntercept), -1000)
        data.RescaleIntercept, data.PixelRepresentation, data.BitsStored, data.HighBit = 0, 0, 12, 11
        data.set_pixel_data((hu % 4096).astype(np.uint16), "MONOCHROME2", 12, generate_instance_uid=False)

    def shorten(data: Dataset) -> None:
        data.PixelData = data.PixelData[:-200]

    edit(root / "stage_2_train" / "ID_00000000b.dcm", wrap)
    edit(root / "stage_2_train" / "ID_6431af929.dcm", shorten)
    kinds = ("any", *SUBTYPES)
    rows = [f"{name}_{kind},{int(number == 1 and kind in ('any', 'subdural'))}" for number, name in enumerate(names)
            for kind in kinds]  # fmt: skip
    rows += [f"ID_a64d5deed_{kind},0" for kind in kinds]  # there twice, as in the release
    (root / "stage_2_train.csv").write_text("\n".join(["ID,Label", *rows]) + "\n")
    return names, rendered


def test_rsna(tmp_path: Path) -> None:
    names, rendered = rsna(tmp_path / "set")
    result = import_rsna(asked(tmp_path))
    frame = read(result.manifest).frame
    assert [Path(name).stem for name in frame["image"]] == [names[0], names[1], names[3]]
    assert frame[ANY].tolist() == frame["label_subdural"].tolist() == [0, 1, 0]
    assert frame["label_epidural"].tolist() == [0, 0, 0]
    assert result.refused[0].path == "ID_6431af929.dcm"
    assert "holds 7992 bytes of pixel data" in result.refused[0].reason
    for (image, mask), one in zip(trained_on(result), [rendered[n] for n in (0, 1, 3)], strict=True):
        np.testing.assert_array_equal(image, np.maximum(one.hu, -1000 if one is rendered[1] else -1024))
        assert mask is None
    table = tmp_path / "set" / "stage_2_train.csv"
    table.write_text(table.read_text() + "ID_a64d5deed_any,1\nID_x_other,0\n")
    with pytest.raises(
        ConfigurationError, match=r"1 rows end in no type of haemorrhage .* and 1 contradict another row"
    ):
        import_rsna(asked(tmp_path))


def in_series(name: str) -> Callable[[Dataset, int], None]:
    uid, study = generate_uid(), generate_uid()

    def change(data: Dataset, _: int) -> None:
        data.SeriesInstanceUID, data.StudyInstanceUID, data.SeriesDescription = uid, study, name
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.PatientID = data.PatientName = "CQ500"

    return change


def cq500(root: Path) -> None:
    """Case 0: thin and thick plain series, bone and contrast. Case 310: no name says plain. Case 7: contrast only."""
    series = {
        ("CQ500-CT-0", "CQ500CT0 CQ500CT0"): ("CT PLAIN THIN", "CT Plain", "CT BONE", "CT POST CONTRAST"),
        ("CQ500-CT-310", "CQ500CT310 CQ500CT310"): ("CT 5mm", "CT H60 BONE"),
        ("CQ500-CT-7", "CQ500CT7 CQ500CT7"): ("CT POST CONTRAST",),
    }
    for (case, inner), names in series.items():
        for name in names:
            folder = root / case / inner / "Unknown Study" / name
            paths, _ = write_study(folder, bleeding_patient(1), change=in_series(name))
            if name == "CT Plain":
                paths[-1].unlink()
    findings = "ICH IPH IVH SDH EDH SAH BleedLocation-Left BleedLocation-Right ChronicBleed Fracture CalvarialFracture"
    findings += " OtherFracture MassEffect MidlineShift"
    columns = [f"{reader}:{finding}" for reader in ("R1", "R2", "R3") for finding in findings.split()]
    table = pd.DataFrame(0, index=range(3), columns=columns)
    table.insert(0, "name", ["CQ500-CT-0", "CQ500-CT-310", "CQ500-CT-7"])
    table.insert(1, "Category", "B1")
    table.loc[0, ["R1:ICH", "R3:ICH", "R2:SDH"]] = 1  # two of three see blood, one of three a subdural
    table.loc[1, ["R1:SAH", "R2:SAH", "R3:SAH"]] = 1
    table.to_csv(root / "reads.csv", index=False)


def test_cq500(tmp_path: Path) -> None:
    cq500(tmp_path / "set")
    result = import_cq500(asked(tmp_path))
    frame = read(result.manifest).frame
    assert {Path(name).parent.name for name in frame["image"]} == {"CT Plain", "CT 5mm"}
    case_0, case_310 = (frame[frame["image"].str.startswith(f"CQ500-CT-{n}/")] for n in (0, 310))
    assert (len(case_0), len(case_310)) == (SLICES - 1, SLICES)
    assert (set(case_0[ANY]), set(case_0["label_subdural"]), set(case_310["label_subarachnoid"])) == ({1}, {0}, {1})
    assert case_0["patient_id"].iloc[0] != case_310["patient_id"].iloc[0]
    assert [(entry.path, entry.reason) for entry in result.refused if "plain" in entry.reason] == [
        ("CQ500-CT-7", "none of its series is plain: CT POST CONTRAST")
    ]
    thin = read(import_cq500(asked(tmp_path), slices="thin").manifest).frame
    assert "CT PLAIN THIN" in {Path(name).parent.name for name in thin["image"]}
    np.testing.assert_array_equal(
        stored_pixels(read(result.manifest))[-1][0], np.maximum(rendered_slices(1)[-1].hu, -1024)
    )


@pytest.mark.parametrize("name", ["physionet", "rsna", "cq500", "bhsd", "instance"])
def test_commands_on_another_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(ConfigurationError, match=r"does not exist, so .* is not this data set as it is published"):
        CliRunner().invoke(
            cli, ["import", name, str(tmp_path / "set"), "--manifest", str(tmp_path / "m.csv")], catch_exceptions=False
        )


def test_a_command_reports_what_it_did(tmp_path: Path) -> None:
    physionet(tmp_path / "set")
    arguments = ["import", "physionet", str(tmp_path / "set"), "--manifest", str(tmp_path / "m.csv")]
    outcome = CliRunner().invoke(cli, [*arguments, "--output", str(tmp_path / "out"), "--workers", "1"])
    assert "7 slices (7 annotated) of 2 studies, 2 patients" in outcome.output
    assert outcome.exit_code == 0


def test_imported_labels_can_be_learned(tmp_path: Path) -> None:
    """`label_<name>` columns are labels like the markers: read, checked and given to the data set."""
    from monai_ich.bundle.settings import SETTINGS
    from monai_ich.data import SliceDataset, SliceStore, read_manifest, write_manifest

    physionet(tmp_path / "set")
    imported = read(import_physionet(asked(tmp_path)).manifest)
    frame = imported.frame[imported.frame[ANY].notna()].assign(split=["train", "train", "val", "val", "train", "val"])
    write_manifest(
        frame, tmp_path / "split.csv", name="x", description="x", licence="x", dataset_dir=imported.dataset_dir,
        window_hu=(40, 80), protocol={"name": "by hand"},
    )  # fmt: skip
    manifest = read_manifest(tmp_path / "split.csv", markers=(ANY, "label_subdural"))
    store = SliceStore(manifest.frame, manifest.dataset_dir, LoadSlicesd(), progress=False)
    assert SliceDataset(store, "train", markers=(ANY,)).labels.tolist() == [0, 1, 0]
    assert manifest.card is not None
    assert manifest.card["counts"]["train"]["positives"][ANY] == 1
    assert SETTINGS["markers"].fault("markers", [ANY]) is None
    assert SETTINGS["markers"].fault("markers", ["subdural"]) is not None
