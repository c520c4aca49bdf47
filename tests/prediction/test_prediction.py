# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A trained run predicts real files: a slice, a shuffled series and a volume, in the input's own geometry."""

from __future__ import annotations

import shutil
from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from monai.bundle import run as run_bundle
from monai.data import ITKReader
from pydicom.data import get_testdata_file
from support import from_root, strict_json
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.bundle import predict_with_run
from monai_ich.bundle.saved_runs import newest_complete_run
from monai_ich.utils.errors import ImageReadError, RunDirectoryError

pytestmark = pytest.mark.usefixtures("in_root")

REAL_SLICE = Path(str(get_testdata_file("J2K_pixelrep_mismatch.dcm")))


def _cause(error: BaseException) -> BaseException:
    """The project's own error beneath MONAI's."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@pytest.fixture(scope="module")
def real_slice(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    with from_root():
        predict_with_run(tiny_run, REAL_SLICE, folder)
    return folder


@pytest.fixture(scope="module")
def phantom_series(tiny_phantom: Path) -> Path:
    """The folder of one DICOM series of the tiny phantom."""
    return sorted((tiny_phantom.parent / "images").rglob("*.dcm"))[0].parent


def test_the_real_slice_gets_probabilities_and_a_mask(real_slice: Path, tiny_run: Path) -> None:
    slices = pd.read_csv(real_slice / "slices.csv")
    study = strict_json(real_slice / "study.json")
    assert len(slices) == 1
    assert 0 <= slices["probability_hypodensity"][0] <= 1
    assert study["probabilities"]["hypodensity"] == slices["probability_hypodensity"].max()
    assert study["source"] == "DICOM series"
    assert len(study["checkpoint_sha256"]) == 64
    assert (real_slice / "panel.png").stat().st_size > 10_000
    assert (real_slice / "panel.pdf").read_bytes().startswith(b"%PDF")
    mask = nib.load(real_slice / "mask.nii.gz")
    dataset = pydicom.dcmread(REAL_SLICE)
    assert mask.shape == (dataset.Columns, dataset.Rows, 1) or mask.shape == (dataset.Columns, dataset.Rows)
    assert mask.get_data_dtype() == np.uint8


def test_the_mask_lies_where_itk_puts_the_slice(real_slice: Path) -> None:
    """The slice is tilted by about 22 degrees; ITK reads its geometry independently."""
    reader = ITKReader(affine_lps_to_ras=True)
    _, meta = reader.get_data(reader.read(str(REAL_SLICE)))
    mask = nib.load(real_slice / "mask.nii.gz")
    np.testing.assert_allclose(mask.affine[:3, [0, 1, 3]], np.asarray(meta["affine"])[:3, [0, 1, 3]], atol=1e-3)


def test_no_identity_of_the_patient_is_written(real_slice: Path) -> None:
    dataset = pydicom.dcmread(REAL_SLICE)
    secrets = [str(dataset.get(k, "")) for k in ("PatientName", "PatientID", "AccessionNumber", "PatientBirthDate")]
    written = (real_slice / "study.json").read_text() + (real_slice / "slices.csv").read_text()
    for secret in filter(None, secrets):
        assert secret not in written


def test_a_folder_of_shuffled_files_is_sorted_by_position(tiny_run: Path, phantom_series: Path, tmp_path: Path) -> None:
    straight, shuffled = tmp_path / "straight", tmp_path / "shuffled"
    files = sorted(phantom_series.glob("*.dcm"))
    shuffled.mkdir()
    for number, file in enumerate(reversed(files)):
        shutil.copy(file, shuffled / f"{number:03d}.dcm")
    predict_with_run(tiny_run, phantom_series, straight)
    predict_with_run(tiny_run, shuffled, tmp_path / "out")
    first, second = (pd.read_csv(d / "slices.csv") for d in (straight, tmp_path / "out"))
    assert first["z_mm"].is_monotonic_increasing
    pd.testing.assert_frame_equal(first, second)
    np.testing.assert_array_equal(*(nib.load(d / "mask.nii.gz").dataobj for d in (straight, tmp_path / "out")))


def test_a_volume_predicts_as_its_series_does(tiny_run: Path, phantom_series: Path, tmp_path: Path) -> None:
    """The series as NIfTI with another axis order: the same slices, the same numbers, the mask in the new order."""
    files = sorted(phantom_series.glob("*.dcm"), key=lambda f: float(pydicom.dcmread(f).ImagePositionPatient[2]))
    datasets = [pydicom.dcmread(f) for f in files]
    hu = np.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in datasets])
    predict_with_run(tiny_run, phantom_series, tmp_path / "series")
    assert not (tmp_path / "series/mask_unsheared.nii.gz").exists()
    affine = nib.load(tmp_path / "series/mask.nii.gz").affine
    volume = nib.Nifti1Image(hu.transpose(2, 1, 0).astype(np.float32), affine)
    turned = volume.as_reoriented(np.array([[0, -1], [1, -1], [2, 1]]))
    nib.save(turned, tmp_path / "volume.nii.gz")
    predict_with_run(tiny_run, tmp_path / "volume.nii.gz", tmp_path / "out")
    series, out = (pd.read_csv(tmp_path / d / "slices.csv") for d in ("series", "out"))
    np.testing.assert_allclose(out["probability_hypodensity"], series["probability_hypodensity"], atol=2e-5)
    mask = nib.load(tmp_path / "out/mask.nii.gz")
    np.testing.assert_allclose(mask.affine, turned.affine, atol=1e-4)
    back = np.asarray(mask.dataobj)[::-1, ::-1]
    agreement = (back == np.asarray(nib.load(tmp_path / "series/mask.nii.gz").dataobj)).mean()
    assert agreement > 0.999


def test_a_tilted_series_gets_its_mask_where_its_slices_lie(tiny_run: Path, tiny_phantom: Path, tmp_path: Path) -> None:
    """Every voxel of both masks against the equation of DICOM PS3.3 C.7.6.2.1.1, worked out from the headers."""
    folder = sorted((tiny_phantom.parent / "images").rglob("hospital_02/**/*.dcm"))[0].parent
    predict_with_run(tiny_run, folder, tmp_path, file_names=True)
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert (int(mask.header["sform_code"]) > 0, int(mask.header["qform_code"])) == (True, 0)
    slices = pd.read_csv(tmp_path / "slices.csv")
    columns, rows = np.meshgrid(np.arange(mask.shape[0]), np.arange(mask.shape[1]), indexing="ij")
    for number, name in zip(slices["slice"], slices["file"], strict=True):
        header = pydicom.dcmread(folder / name)
        assert abs(header.GantryDetectorTilt) > 5
        orientation, spacing = np.array(header.ImageOrientationPatient, float), header.PixelSpacing
        lps = np.array(header.ImagePositionPatient, float) + columns[..., None] * orientation[:3] * spacing[1]
        lps = lps + rows[..., None] * orientation[3:] * spacing[0]
        index = np.stack([columns, rows, np.full_like(rows, number)], axis=-1)
        np.testing.assert_allclose(nib.affines.apply_affine(mask.affine, index), lps * [-1, -1, 1], atol=1e-3)
    with pytest.raises(RuntimeError, match="orthonormal"):
        itk.imread(str(tmp_path / "mask.nii.gz"))
    upright, image = itk.imread(str(tmp_path / "mask_unsheared.nii.gz")), nib.load(tmp_path / "mask_unsheared.nii.gz")
    assert int(itk.array_view_from_image(upright).sum()) == int(np.asarray(mask.dataobj).sum())
    for corner in np.ndindex(2, 2, 2):
        index = [int(c * (n - 1)) for c, n in zip(corner, image.shape, strict=True)]
        ras = np.array(upright.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        np.testing.assert_allclose(nib.affines.apply_affine(image.affine, index), ras, atol=1e-3)


def test_the_volume_is_the_mask_s_in_millilitres(tiny_run: Path, phantom_series: Path, tmp_path: Path) -> None:
    predict_with_run(tiny_run, phantom_series, tmp_path)
    mask = nib.load(tmp_path / "mask.nii.gz")
    millilitres = float(np.asarray(mask.dataobj).sum()) * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    assert strict_json(tmp_path / "study.json")["haematoma_volume_ml"] == pytest.approx(millilitres, abs=1e-3)


def test_the_literal_command_does_the_same(tiny_run: Path, real_slice: Path, tmp_path: Path) -> None:
    run_bundle(
        config_file=[str(tiny_run / "train.json"), str(tiny_run / "inference.json")],
        input=str(REAL_SLICE),
        output_dir=str(tmp_path),
    )
    assert (tmp_path / "slices.csv").read_bytes() == (real_slice / "slices.csv").read_bytes()


@pytest.fixture
def two_series(phantom_series: Path, tmp_path: Path) -> tuple[Path, str, int]:
    """A study folder of two series, the second of two slices; its UID, and how many slices the first has."""
    shutil.copytree(phantom_series, tmp_path / "study" / "a")
    files = sorted((tmp_path / "study" / "a").glob("*.dcm"))
    uid = str(pydicom.uid.generate_uid())
    (tmp_path / "study" / "b").mkdir()
    for file in files[:2]:
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID, dataset.SeriesDescription = uid, "Head $1.0@ (bone)"
        dataset.save_as(tmp_path / "study" / "b" / file.name)
    return tmp_path / "study", uid, len(files)


def test_a_study_of_several_series_lists_them_and_takes_the_chosen(
    tiny_run: Path, two_series: tuple[Path, str, int], tmp_path: Path
) -> None:
    study, uid, count = two_series
    with pytest.raises(RuntimeError) as caught:
        predict_with_run(tiny_run, study, tmp_path / "none")
    message = str(_cause(caught.value))
    assert "--series-uid" in message
    assert "description 'Head $1.0@ (bone)', " in message
    choices = (["--series-uid", uid], ["--series-description", r"@ \(bone"], ["--series-description", r"$1.0@"])
    for number, options in enumerate(choices[:2]):
        out = tmp_path / str(number)
        called = CliRunner().invoke(cli, ["predict", str(tiny_run), str(study), "--output-dir", str(out), *options])
        assert called.exit_code == 0, called.output
        assert len(pd.read_csv(out / "slices.csv")) == 2
    called = CliRunner().invoke(cli, ["predict", str(tiny_run), str(study), *choices[2]])
    assert "with '$1.0@' in its description" in str(_cause(called.exception or RuntimeError()))
    heat = tmp_path / "heat"
    called = CliRunner().invoke(
        cli, ["gradcam", str(tiny_run), str(study), "--output-dir", str(heat), "--series-uid", uid]
    )
    assert called.exit_code == 0, called.output
    assert len(pd.read_csv(heat / "gradcam.csv")) == 2 < count
    run_bundle(
        config_file=[str(tiny_run / "train.json"), str(tiny_run / "inference.json")],
        input=str(study),
        output_dir=str(tmp_path / "literal"),
        series_uid=uid,
    )
    assert (tmp_path / "literal/slices.csv").read_bytes() == (tmp_path / "0/slices.csv").read_bytes()


def test_an_uneven_study_s_heat_lies_on_an_even_grid(tiny_run: Path, phantom_series: Path, tmp_path: Path) -> None:
    shutil.copytree(phantom_series, tmp_path / "ct")
    files = sorted((tmp_path / "ct").glob("*.dcm"), key=lambda f: float(pydicom.dcmread(f).ImagePositionPatient[2]))
    top = pydicom.dcmread(files[-1])
    x, y, z = map(float, top.ImagePositionPatient)
    column_mm = float(top.PixelSpacing[1])
    top.ImagePositionPatient = [x + 4 * column_mm, y, z + 3]
    top.save_as(files[-1])
    called = CliRunner().invoke(cli, ["gradcam", str(tiny_run), str(tmp_path / "ct"), "--output-dir", str(tmp_path)])
    assert called.exit_code == 0, called.output
    assert "gradcam.nii.gz lies on an even grid" in called.output
    volume, table = nib.load(tmp_path / "gradcam.nii.gz"), pd.read_csv(tmp_path / "gradcam.csv")
    assert table["z_mm"].iloc[-1] == pytest.approx(z + 3, abs=0.01)
    heat = np.asarray(volume.dataobj)
    voxel = nib.affines.apply_affine(np.linalg.inv(volume.affine), [-(x + 4 * column_mm), -y, z + 3])
    first = np.rint(voxel).astype(int)
    own = heat[first[0] : first[0] + 64, first[1] : first[1] + 64, first[2]]
    assert own.shape == (64, 64)
    assert own.max() == pytest.approx(table["map_maximum"].iloc[-1], rel=1e-5)


def test_what_cannot_be_predicted_is_refused_with_the_reason(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "nowhere.dcm", "no such file"),
        (tmp_path / "empty", "holds no axial CT slice"),
        (Path(str(get_testdata_file("MR_small.dcm"))), "MR"),
    ):
        with pytest.raises(RuntimeError) as caught:
            predict_with_run(tiny_run, source, tmp_path / "out")
        assert isinstance(_cause(caught.value), ImageReadError)
        assert message in str(_cause(caught.value))
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_none_or_of_another_network_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"has no train\.json, inference\.json"):
        predict_with_run(tmp_path, REAL_SLICE, tmp_path / "out")
    with pytest.raises(RunDirectoryError, match="found none"):
        newest_complete_run(tmp_path)
    assert newest_complete_run(tiny_run.parent).parent == tiny_run.parent
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    torch.save({"model": torch.nn.Linear(1, 1).state_dict(), "epoch": 1}, other / "models/best.pt")
    with pytest.raises(RuntimeError) as caught:
        predict_with_run(other, REAL_SLICE, tmp_path / "out")
    cause = caught.value.__cause__
    assert isinstance(cause, RunDirectoryError)
    assert "weights of another network" in str(cause)
