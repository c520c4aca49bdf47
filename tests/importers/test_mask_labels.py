# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is blood in masks of several labels is chosen, not guessed. Segmentations of 3D Slicer come onto slices."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from importer_support import SLICES, bleeding_patient, read, request, stored_pixels, write_nifti_mask, write_study
from PIL import Image

from monai_ich.importers import ImportResult, import_dicom

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Study:
    """One series with its masks, stored in the order of the series, rows and columns as stored."""

    def __init__(self, folder: Path, hospital: int = 1) -> None:
        self.folder, self.patient = folder, bleeding_patient(hospital)
        self.paths, rendered = write_study(folder / "export", self.patient)
        self.rendered = rendered
        self.blood = np.stack([one.mask for one in rendered])
        self.other = np.roll(self.blood, 9, axis=2) & ~self.blood & 1
        assert self.blood.any()
        assert self.other.any()
        self.name = self.patient.truth.patient_id
        headers = [pydicom.dcmread(path) for path in self.paths]
        first, last = headers[0], headers[-1]
        place = np.array(first.ImagePositionPatient, float)
        step = (np.array(last.ImagePositionPatient, float) - place) / (len(headers) - 1)
        row, column = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
        self.axes = np.stack([row * float(first.PixelSpacing[1]), column * float(first.PixelSpacing[0]), step])
        self.origin = place  # axes (3,3): LPS mm of one column, row and slice
        (folder / "masks").mkdir()

    def imported(self, **settings: Any) -> ImportResult:
        return import_dicom(request(self.folder, masks=self.folder / "masks", **settings))

    def assert_masks(self, result: ImportResult, expected: np.ndarray) -> None:
        """Every slice has its own mask; slices are compared by the place of their files."""
        assert (result.refused, result.annotated) == ((), SLICES)
        manifest = read(result.manifest)
        by_uid = {pydicom.dcmread(path).SOPInstanceUID: mask for path, mask in zip(self.paths, expected, strict=True)}
        for image, (_, found) in zip(manifest.frame["image"], stored_pixels(manifest), strict=True):
            uid = pydicom.dcmread(manifest.dataset_dir / image).SOPInstanceUID
            np.testing.assert_array_equal(found, by_uid[uid])

    def write_nrrd(
        self,
        stored: np.ndarray,
        fields: dict[str, str],
        name: str = "",
        start: tuple[int, int, int] = (0, 0, 0),
        encoding: str = "raw",
        space: str = "left-posterior-superior",
    ) -> None:
        """Writes values (slices, rows, columns[, layers]) that begin at `start` (slice, row, column) of the series."""
        turn = RAS[:3, :3] if space.startswith("right-anterior") else np.eye(3)
        origin = turn @ (self.origin + np.array(start[::-1]) @ self.axes)
        layered = stored.ndim == 4
        vectors = [f"({','.join(f'{v:.9g}' for v in turn @ axis)})" for axis in self.axes]
        kinds, sizes = ["domain"] * 3, [*map(str, stored.shape[2::-1])]
        if layered:
            vectors, kinds, sizes = ["none", *vectors], ["list", *kinds], [str(stored.shape[3]), *sizes]
        lines = ["NRRD0004", "# made for a test", "type: unsigned char", f"dimension: {stored.ndim}", f"space: {space}"]
        lines += [f"sizes: {' '.join(sizes)}", f"space directions: {' '.join(vectors)}", f"kinds: {' '.join(kinds)}"]
        lines += [f"encoding: {encoding}", f"space origin: ({','.join(f'{v:.9g}' for v in origin)})"]
        lines += [f"{key}:={value}" for key, value in fields.items()]
        data = np.ascontiguousarray(stored.astype(np.uint8)).tobytes()
        path = self.folder / "masks" / (name or f"{self.name}.seg.nrrd")
        path.write_bytes("\n".join([*lines, "", ""]).encode() + (gzip.compress(data) if encoding == "gzip" else data))


def segments(*named: tuple[str, int, int]) -> dict[str, str]:
    """Fields of segments: (name, label value, layer)."""
    fields = {"Segmentation_ContainedRepresentationNames": "Binary labelmap|", "Segmentation_Note": r"a\nb"}
    for number, (name, value, layer) in enumerate(named):
        fields |= {f"Segment{number}_ID": f"Segment_{number + 1}", f"Segment{number}_Name": name}
        fields |= {f"Segment{number}_LabelValue": str(value), f"Segment{number}_Layer": str(layer)}
    return fields


@pytest.fixture(params=[1, 2, 4], ids=["straight", "tilted", "from head to foot"])
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Study:
    return Study(tmp_path, request.param)


@pytest.fixture
def straight(tmp_path: Path) -> Study:
    return Study(tmp_path)


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_one_segment_needs_no_choice(study: Study, encoding: str, space: str) -> None:
    study.write_nrrd(3 * study.blood, segments(("Segment_1", 3, 0)), encoding=encoding, space=space)
    study.assert_masks(study.imported(), study.blood)


def test_of_several_segments_one_is_chosen_by_name_or_number(straight: Study) -> None:
    straight.write_nrrd(straight.blood + 2 * straight.other, segments(("Haematoma", 1, 0), ("oedema", 2, 0)))
    result = straight.imported()
    assert result.annotated == 0
    (entry,) = result.refused
    assert (
        f"'Haematoma' (1, {straight.blood.sum()} voxels), 'oedema' (2, {straight.other.sum()} voxels)" in entry.reason
    )
    assert "--mask-labels" in entry.remedy
    straight.assert_masks(straight.imported(mask_labels=("haematoma", "blood")), straight.blood)
    straight.assert_masks(straight.imported(mask_labels=("2",)), straight.other)
    straight.assert_masks(straight.imported(mask_labels=("1", "oedema")), straight.blood | straight.other)
    (entry,) = straight.imported(mask_labels=("clot",)).refused
    assert "holds no segment 'clot'" in entry.reason


def test_overlapping_segments_lie_in_layers(straight: Study) -> None:
    larger = straight.blood | straight.other
    layers = np.stack([straight.blood + 2 * straight.other, larger], axis=-1)
    fields = segments(("blood", 1, 0), ("oedema", 2, 0), ("both", 1, 1))
    straight.write_nrrd(layers, fields, encoding="gzip")
    straight.assert_masks(straight.imported(mask_labels=("blood",)), straight.blood)
    straight.assert_masks(straight.imported(mask_labels=("both",)), larger)
    (entry,) = straight.imported(mask_labels=("1",)).refused
    assert "has 2 segments of number 1" in entry.reason


def test_one_layer_a_segment_as_older_versions_write(straight: Study) -> None:
    fields = {"Segment0_Name": "oedema", "Segment1_Name": "blood"}
    straight.write_nrrd(np.stack([straight.other, straight.blood], axis=-1), fields)
    straight.assert_masks(straight.imported(mask_labels=("blood",)), straight.blood)


def test_a_file_cut_to_what_was_drawn_is_empty_beyond(study: Study) -> None:
    """3D Slicer saves the smallest box, so slices without blood are annotated all the same."""
    study.blood[0], study.blood[-1] = 0, 0
    where = np.argwhere(study.blood)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    assert high[0] - low[0] < SLICES
    box = study.blood[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    fields = segments(("blood", 1, 0)) | {"Segmentation_ReferenceImageExtentOffset": " ".join(map(str, low[::-1]))}
    study.write_nrrd(box, fields, start=tuple(low))
    study.assert_masks(study.imported(), study.blood)


def test_a_cut_file_that_lies_elsewhere_is_refused(straight: Study) -> None:
    straight.write_nrrd(straight.blood[:2], segments(("blood", 1, 0)), start=(-2, 0, 0))
    (entry,) = straight.imported().refused
    assert "lies on none of the 4 slices" in entry.reason
    straight.write_nrrd(straight.blood[:, :, :40], segments(("blood", 1, 0)), start=(0, 0, 52))
    (entry,) = straight.imported().refused
    assert "of its haematoma lies outside the slices" in entry.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (segments(("blood", 1, 0)), "holds labels that none of its segments has: 2"),
        (segments(("blood", 1, 3), ("x", 2, 0)), "'blood' has layer '3' and label value '1'"),
        (segments(("blood", 0, 0)), "label value '0'"),
        ({"Segment0_Name": "blood", "Segment1_Name": "oedema"}, "'blood' has layer '0' and label value ''"),
        (segments(("blood", 1, 0)) | {"Segmentation_MasterRepresentation": "Fractional labelmap"}, "probabilities"),
    ],
)
def test_segments_that_cannot_be_told_are_refused(straight: Study, fields: dict[str, str], reason: str) -> None:
    straight.write_nrrd(straight.blood + 2 * straight.other, fields)
    result = straight.imported(mask_labels=("blood",))
    assert (result.annotated, len(result.refused)) == (0, 1)
    assert reason in result.refused[0].reason
    assert result.refused[0].remedy


def test_a_header_that_is_cut_short_is_refused(straight: Study) -> None:
    straight.write_nrrd(straight.blood, segments(("blood", 1, 0)))
    path = straight.folder / "masks" / f"{straight.name}.seg.nrrd"
    path.write_bytes(path.read_bytes()[:-100])
    (entry,) = straight.imported().refused
    assert "cannot be decoded" in entry.reason


def write_labels(study: Study, values: np.ndarray) -> None:
    path = study.folder / "masks" / f"{study.name}.nii.gz"
    write_nifti_mask(path, study.patient, study.rendered)
    image = nib.load(path)
    plain = np.asarray(image.dataobj)
    labels = np.zeros(plain.shape, values.dtype)
    labels[plain > 0] = values.max() if values.size == 1 else values[0]
    if values.size > 1:
        labels[np.roll(plain, 9, axis=0) > plain] = values[1]
    nib.save(nib.Nifti1Image(labels, image.affine), path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_volume_of_several_labels_asks_which_are_blood(straight: Study, dtype: Any) -> None:
    write_labels(straight, np.array([4, 2], dtype))
    result = straight.imported()
    (entry,) = result.refused
    assert f"4 ({straight.blood.sum()} voxels)" in entry.reason
    assert "2 (" in entry.reason
    assert "--mask-labels" in entry.remedy
    straight.assert_masks(straight.imported(mask_labels=("1", "4")), straight.blood)
    straight.assert_masks(straight.imported(mask_labels=("7",)), np.zeros_like(straight.blood))
    (entry,) = straight.imported(mask_labels=("haematoma",)).refused
    assert "nothing says which are blood" in entry.reason


@pytest.mark.parametrize(("label", "is_taken"), [(1, True), (255, True), (2, False), (254, False)])
def test_one_label_is_taken_where_it_is_1_or_255(straight: Study, label: int, is_taken: bool) -> None:
    write_labels(straight, np.array([label], np.uint8))
    result = straight.imported()
    if is_taken:
        straight.assert_masks(result, straight.blood)
    else:
        assert f"holds the labels {label} (" in result.refused[0].reason
        assert result.annotated == 0


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_pictures_of_several_labels_ask_too(straight: Study, kind: str) -> None:
    labels = straight.blood * 3 + straight.other * np.uint8(1)
    for path, values in zip(straight.paths, labels, strict=True):
        target = straight.folder / "masks" / f"{path.stem}.{kind}"
        Image.fromarray(values).save(target) if kind == "png" else np.save(target, values)
    result = straight.imported()
    assert "3 (" in result.refused[0].reason
    straight.assert_masks(straight.imported(mask_labels=("3",)), straight.blood)


def test_255_is_not_left_out_by_a_choice_of_other_numbers(straight: Study) -> None:
    write_labels(straight, np.array([255], np.uint8))
    (entry,) = straight.imported(mask_labels=("1", "4")).refused
    assert "holds the labels 255" in entry.reason
    straight.assert_masks(straight.imported(mask_labels=("1", "255")), straight.blood)
