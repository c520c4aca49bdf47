# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A hospital's folder becomes a manifest that training reads pixel for pixel, masks of every kind included."""

from __future__ import annotations

from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from importer_support import (
    SLICES,
    bleeding_patient,
    edit,
    read,
    request,
    stored_pixels,
    turned,
    write_nifti_mask,
    write_seg,
    write_study,
)
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid
from support import strict_json

from monai_ich.importers import ScanOptions, import_dicom
from monai_ich.importers.redaction import Identity
from monai_ich.importers.series_attributes import attributes_of_series
from monai_ich.reading.acquisition_notes import contrast_of, lossy_of
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.errors import ManifestError

# hospital 1: straight; 2: tilted gantry, mask rows flipped; 3: padding; 4: from head to foot; 6: tilted, 12-bit
HOSPITALS = [1, 2, 3, 4, 6]


def in_patient_order(patient: object, values: list) -> list:
    return values if patient.truth.site.feet_first else values[::-1]


@pytest.mark.parametrize("kind", ["nifti", "seg", "png", "npy"])
@pytest.mark.parametrize("hospital", HOSPITALS)
def test_round_trip_is_pixel_identical(tmp_path: Path, hospital: int, kind: str) -> None:
    patient = bleeding_patient(hospital)
    folder = tmp_path / "export" / "a"
    paths, rendered = write_study(folder, patient, shuffled=True)
    masks = [one.mask for one in rendered]
    assert any(mask.any() for mask in masks)
    if kind == "nifti":
        write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    elif kind == "seg":
        write_seg(tmp_path / "masks" / "s.dcm", paths, {"haematoma": masks})
    else:
        for path, mask in zip(paths, masks, strict=True):
            target = tmp_path / "masks" / "a" / f"{path.name}.{kind}"
            target.parent.mkdir(parents=True, exist_ok=True)
            if kind == "png":
                Image.fromarray(mask * np.uint8(255)).save(target)
            else:
                np.save(target, mask)
    result = import_dicom(request(tmp_path, masks=tmp_path / "masks"))
    assert (result.slices, result.annotated, result.refused) == (SLICES, SLICES, ())
    manifest = read(result.manifest)
    expected = in_patient_order(patient, [(np.maximum(one.hu, -1024), one.mask) for one in rendered])
    for (image, mask), (hu, truth) in zip(stored_pixels(manifest), expected, strict=True):
        np.testing.assert_array_equal(image, hu)
        np.testing.assert_array_equal(mask, truth)


def test_training_accepts_the_pairs_by_their_place_in_the_patient(tmp_path: Path) -> None:
    patient = bleeding_patient(2)
    _, rendered = write_study(tmp_path / "export", patient)
    write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    manifest = read(import_dicom(request(tmp_path, masks=tmp_path / "masks")).manifest)
    item = {
        "image": [(manifest.dataset_dir / row.image, None) for row in manifest.frame.itertuples()],
        "mask": [(manifest.dataset_dir / row.mask, int(row.mask_slice)) for row in manifest.frame.itertuples()],
    }
    loaded = LoadSlicesd(max_offset_mm=0.01)(item)
    np.testing.assert_array_equal(loaded["mask"], [one.mask for one in rendered])


def test_a_flipped_series(tmp_path: Path) -> None:
    """Columns stored from left to right and rows from back to front: the same picture in the patient."""
    patient = bleeding_patient(1)
    folder = tmp_path / "export"

    _, rendered = write_study(folder, patient, change=turned)
    write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    manifest = read(import_dicom(request(tmp_path, masks=tmp_path / "masks")).manifest)
    for (image, mask), one in zip(stored_pixels(manifest), rendered, strict=True):
        np.testing.assert_array_equal(image, np.maximum(one.hu, -1024))
        np.testing.assert_array_equal(mask, one.mask)


def test_several_hospitals_by_folder_and_one_number_in_two_of_them(tmp_path: Path) -> None:
    for hospital, name in ((1, "north"), (2, "south")):
        write_study(
            tmp_path / "export" / name / "x",
            bleeding_patient(hospital),
            change=lambda data, _: setattr(data, "PatientID", "17"),
        )
    result = import_dicom(request(tmp_path, hospital="", hospital_level=1))
    frame = read(result.manifest).frame
    assert sorted(frame["hospital"].unique()) == ["north", "south"]
    assert result.patients == 2


def test_the_source_can_be_referred_to(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    paths, rendered = write_study(tmp_path / "export" / "anonymous7", patient)
    write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    manifest = read(import_dicom(request(tmp_path, files="refer", masks=tmp_path / "masks")).manifest)
    assert [manifest.dataset_dir / name for name in manifest.frame["image"]] == paths
    assert not (tmp_path / "out" / "images").exists()
    assert all(mask is not None for _, mask in stored_pixels(manifest))


def test_links_take_no_space_and_copies_stand_alone(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    manifest = read(import_dicom(request(tmp_path)).manifest)
    assert all((manifest.dataset_dir / n).samefile(p) for n, p in zip(manifest.frame["image"], paths, strict=True))
    manifest = read(import_dicom(request(tmp_path, files="copy", output=tmp_path / "copied")).manifest)
    copies = [manifest.dataset_dir / name for name in manifest.frame["image"]]
    assert not any(copy.samefile(path) for copy, path in zip(copies, paths, strict=True))
    assert [copy.read_bytes() for copy in copies] == [path.read_bytes() for path in paths]


def test_linked_folders_and_slices_without_preamble_are_taken_and_broken_links_named(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "store" / "one", bleeding_patient(1))
    other, _ = write_study(tmp_path / "export" / "other", bleeding_patient(2))
    (tmp_path / "export" / "linked").symlink_to(tmp_path / "store" / "one")
    (tmp_path / "export" / "twice").symlink_to(tmp_path / "store" / "one")
    (tmp_path / "export" / "gone").symlink_to(tmp_path / "nowhere")
    for number, path in enumerate(other):
        data = pydicom.dcmread(path)
        data.decompress()
        data.preamble, data.file_meta = None, FileMetaDataset()
        bare = path.with_name(f"IM{number:04d}")
        data.save_as(bare, implicit_vr=True, little_endian=True, enforce_file_format=False)
        path.unlink()
    result = import_dicom(request(tmp_path))
    frame = read(result.manifest).frame
    assert frame["patient_id"].nunique() == 2
    assert len(frame) == len(paths) + len(other)
    (refused,) = result.refused
    assert "cannot be opened" in refused.reason
    assert "gone" not in refused.path  # whose it is is not known, and a name may tell


def test_a_mask_of_some_slices_leaves_the_others_unannotated(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    paths, rendered = write_study(tmp_path / "export", patient)
    write_seg(tmp_path / "export" / "s.dcm", paths[1:3], {"haematoma": [one.mask for one in rendered[1:3]]})
    result = import_dicom(request(tmp_path))
    frame = read(result.manifest).frame
    assert [bool(mask) for mask in frame["mask"]] == [False, True, True, False]


def test_uneven_series_get_one_mask_file_a_slice(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    paths, rendered = write_study(tmp_path / "export", patient)
    write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    paths[1].unlink()
    refused = import_dicom_refusals(tmp_path)
    assert "mm apart where the series has" in refused[0].reason
    assert refused[0].remedy.endswith("--allow-gaps.")
    manifest = read(import_dicom(request(tmp_path, masks=tmp_path / "masks", allow_gaps=True)).manifest)
    kept = [rendered[n] for n in (0, 2, 3)]
    annotated = manifest.frame[manifest.frame["mask"] != ""]
    assert annotated["mask"].nunique() == 3
    item = {
        "image": [(manifest.dataset_dir / row.image, None) for row in annotated.itertuples()],
        "mask": [(manifest.dataset_dir / row.mask, 0) for row in annotated.itertuples()],
    }
    loaded = LoadSlicesd(max_offset_mm=0.01)(item)
    np.testing.assert_array_equal(loaded["mask"], [one.mask for one in kept])
    notes = pd.read_csv(tmp_path / "out" / "import" / "series.csv")["notes"]
    assert notes.str.contains("not evenly spaced").sum() == 1


def import_dicom_refusals(tmp_path: Path) -> list:
    """Imports beside a series that is fine, so that there is something to write."""
    write_study(tmp_path / "export" / "fine", bleeding_patient(3))
    return list(import_dicom(request(tmp_path)).refused)


def test_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    _, rendered = write_study(tmp_path / "export", patient)
    name = tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz"
    for shift_voxels, reason in ((0.4, "(up to 0.40 voxels off)"), (40, "(another step, direction or extent)")):
        write_nifti_mask(name, patient, rendered)
        image = nib.load(name)
        affine = image.affine @ np.array([[1, 0, 0, shift_voxels], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), name)
        result = import_dicom(request(tmp_path, masks=tmp_path / "masks"))
        assert result.annotated == 0
        assert reason in result.refused[0].reason
    write_nifti_mask(name, bleeding_patient(2), rendered)
    result = import_dicom(request(tmp_path, masks=tmp_path / "masks"))
    assert "lies on none of the 4 slices" in result.refused[0].reason
    write_nifti_mask(name, patient, rendered)
    write_nifti_mask(name.with_name(f"{patient.truth.patient_id}_second.nii.gz"), patient, rendered)
    result = import_dicom(request(tmp_path, masks=tmp_path / "masks"))
    assert result.annotated == 0
    assert [entry.reason for entry in result.refused] == ["2 mask files lie on this series"] * 2


def test_a_segment_is_chosen_by_its_label(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    paths, rendered = write_study(tmp_path / "export", patient)
    write_seg(tmp_path / "export" / "s.dcm", paths, {"oedema": [one.mask for one in rendered]})
    result = import_dicom(request(tmp_path, mask_labels=("haematoma",)))
    assert result.annotated == 0
    assert "holds no segment 'haematoma'; it has 'oedema'" in result.refused[0].reason
    assert import_dicom(request(tmp_path, mask_labels=("oedema",))).annotated == SLICES


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    paths, rendered = write_study(tmp_path / "plain", patient)
    sources = [pydicom.dcmread(path) for path in paths]
    for source in sources:
        source.decompress()
        source.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    legacy = highdicom.legacy.LegacyConvertedEnhancedCTImage(
        legacy_datasets=sources[::-1],
        series_instance_uid=generate_uid(),
        series_number=7,
        sop_instance_uid=generate_uid(),
        instance_number=1,
    )
    (tmp_path / "export").mkdir()
    legacy.save_as(tmp_path / "export" / "e.dcm")
    write_nifti_mask(tmp_path / "masks" / f"{patient.truth.patient_id}.nii.gz", patient, rendered)
    manifest = read(import_dicom(request(tmp_path, masks=tmp_path / "masks")).manifest)
    assert len(set(manifest.frame["image"])) == 1
    for (image, mask), one in zip(stored_pixels(manifest), rendered, strict=True):
        np.testing.assert_array_equal(image, one.hu)
        np.testing.assert_array_equal(mask, one.mask)


def test_the_card_and_the_series_table(tmp_path: Path) -> None:
    write_study(tmp_path / "export", bleeding_patient(2))
    result = import_dicom(request(tmp_path))
    card = strict_json(result.manifest.with_suffix(".json"))
    assert (card["name"], card["protocol"]["importer"]) == ("Test", "dicom")
    series = pd.read_csv(result.reports / "series.csv").iloc[0]
    header = pydicom.dcmread(next((tmp_path / "export").rglob("*.dcm")))
    assert series["tilt_deg"] == pytest.approx(abs(float(header.GantryDetectorTilt)), abs=0.01)
    assert series["slice_step_mm"] == pytest.approx(float(header.SpacingBetweenSlices), abs=1e-3)
    assert (series["kernel"], series["kvp"]) == (header.ConvolutionKernel, int(header.KVP))


def test_copies_are_dropped_and_noted(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export" / "a", bleeding_patient(1))
    (tmp_path / "export" / "b").mkdir()
    (tmp_path / "export" / "b" / "again.dcm").write_bytes(paths[1].read_bytes())
    result = import_dicom(request(tmp_path))
    assert result.slices == SLICES
    assert pd.read_csv(result.reports / "series.csv")["notes"].iloc[0] == "1 copies of slices left out"
    edit(tmp_path / "export" / "b" / "again.dcm", lambda data: setattr(data, "RescaleIntercept", -1000))
    refused = import_dicom_refusals(tmp_path)
    assert "lie at the same position" in refused[0].reason


def test_how_a_series_was_acquired_becomes_attributes_of_its_slices(tmp_path: Path) -> None:
    first, second = bleeding_patient(2), bleeding_patient(5)
    write_study(tmp_path / "export" / "a", first)
    write_study(tmp_path / "export" / "b", second)
    for path in (tmp_path / "export" / "a").rglob("*.dcm"):
        header = pydicom.dcmread(path)
        header.ContrastBolusAgent = "Iomeprol 400"
        header.LossyImageCompression = "01"
        header.ManufacturerModelName = f"Scan {header.PatientID}"
        header.save_as(path)
    for path in (tmp_path / "export" / "b").rglob("*.dcm"):
        edit(path, lambda data: setattr(data, "ManufacturerModelName", "Scan 3"))
    manifest = import_dicom(request(tmp_path)).manifest
    frame = read(manifest).frame
    by_study = frame.groupby("study_id")
    cells = {name: by_study[name].unique().map(list).tolist() for name in frame if name.startswith("attribute_")}
    assert sorted(cells["attribute_contrast"]) == [[""], ["yes"]]
    assert ["yes"] in cells["attribute_lossy"]
    assert [f"{float(header.SliceThickness):g}"] in cells["attribute_slice_thickness_mm"]
    assert [header.ConvolutionKernel] in cells["attribute_kernel"]
    assert sorted(cells["attribute_scanner"]) == [[""], ["Scan 3"]], "a value that mentions the patient is left out"
    assert "Iomeprol" not in manifest.read_text(), "the agent's name is not kept"


@pytest.mark.parametrize(("ratio", "is_taken"), [(15, True), (15.1, False), ([4, 4], False), (None, True)])
def test_much_lossy_compression_is_refused_unless_it_is_accepted(
    tmp_path: Path, ratio: float | list[float] | None, is_taken: bool
) -> None:
    write_study(tmp_path / "export" / "a", bleeding_patient(2))

    def lossy(data: Dataset) -> None:
        data.LossyImageCompression = "01"
        if ratio is not None:
            data.LossyImageCompressionRatio = ratio

    for path in (tmp_path / "export" / "a").rglob("*.dcm"):
        edit(path, lossy)
    if not is_taken:
        with pytest.raises(ManifestError, match="no slice is left"):
            import_dicom(request(tmp_path))
        (reasons,) = pd.read_csv(tmp_path / "out" / "import" / "refused.csv")["remedy"].unique()
        assert "--allow-lossy" in reasons
    result = import_dicom(request(tmp_path, scan=ScanOptions(allow_lossy=not is_taken)))
    (notes,) = pd.read_csv(result.reports / "series.csv")["notes"]
    assert "pixels were compressed with loss" in notes


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("ContrastBolusAgent", "NONE", "no"),
        ("ContrastBolusAgent", "", ""),
        ("LossyImageCompression", "00", "no"),
        ("LossyImageCompression", "?", ""),
        ("TransferSyntaxUID", "1.2.840.10008.1.2.4.51", "yes"),
        ("TransferSyntaxUID", "1.2.840.10008.1.2.4.91", ""),
    ],
)
def test_what_a_header_does_not_say_is_unknown(keyword: str, value: str, expected: str) -> None:
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    setattr(header.file_meta if keyword.startswith("Transfer") else header, keyword, value)
    assert (contrast_of if keyword.startswith("Contrast") else lossy_of)(header) == expected


def test_attributes_are_short_technical_texts() -> None:
    header = {"model": "Aquilion\tONE\x00 <b>", "kernel": "x" * 65, "slice_thickness_mm": 5.0, "contrast": "yes"}
    assert attributes_of_series(header, Identity()) == {
        "attribute_scanner": "Aquilion ONE b",
        "attribute_kernel": "",
        "attribute_slice_thickness_mm": "5",
        "attribute_contrast": "yes",
        "attribute_lossy": "",
    }
