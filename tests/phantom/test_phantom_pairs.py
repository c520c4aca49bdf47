# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Counterfactual pairs and the reversed test set, on the files that are written and on what a network would see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from phantom_cases import TINY, digests
from pydicom.pixels import apply_rescale
from scipy import ndimage
from support import bundle_part

from monai_ich.data import SliceStore, read_manifest
from monai_ich.phantom import CounterfactualPairs, PhantomSpec, generate_phantom, make_patient
from monai_ich.phantom.planned_studies import PlannedStudy, planned_studies
from monai_ich.phantom.spec import FIRST_PAIRED, FIRST_REVERSED
from monai_ich.utils.errors import ConfigurationError, ManifestError

PAIRS_1_4, PAIRS_5_11 = "test_pairs_1_4", "test_pairs_5_11"
STUDIES = (3, 1, 1, 1, 2, 1, 1, 0, 0, 0, 0)
SPEC = replace(
    TINY,
    matrix=64,
    clot_volume_factor=2.0,
    spurious={"head_holder": 0.9},
    pairs=CounterfactualPairs("head_holder", STUDIES),
    reversed_studies=(3, 1, 0, 1),
)
# The two files of a pair differ in the pixels and in these: they are two studies, and no instance has two files.
OWN = {"StudyID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "PixelData"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    generate_phantom(root / "data", root / "phantom.csv", SPEC, workers=1)
    return root


def rows(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "phantom.csv", dtype=str, keep_default_na=False)


def pairs_of(root: Path) -> list[tuple[pd.Series, pd.Series]]:
    table = rows(root)
    groups = [group for _, group in table[table.pair_id != ""].groupby("pair_id")]
    assert {len(group) for group in groups} == {2}
    return [(group.iloc[0], group.iloc[1]) for group in groups]


def hu_of(root: Path, row: pd.Series) -> np.ndarray:
    header = pydicom.dcmread(root / "data" / row.image)
    return np.asarray(apply_rescale(header.pixel_array, header))


def mask_of(root: Path, row: pd.Series) -> np.ndarray:
    return np.asarray(nib.load(root / "data" / row["mask"]).dataobj)[..., int(row.mask_slice)]


def test_two_rows_of_a_pair_differ_in_the_nuisance_alone(made: Path) -> None:
    pairs = pairs_of(made)
    assert len(pairs) == sum(STUDIES) * 4
    assert {one.split for one, _ in pairs} == {PAIRS_1_4, PAIRS_5_11}
    for one, other in pairs:
        assert (one.attribute_head_holder, other.attribute_head_holder) == ("no", "yes")
        assert (one.split == PAIRS_1_4) == (int(one.hospital) <= 4) == bool(one["mask"])
        own = ["key", "image", "mask", "study_id", "attribute_head_holder"]
        assert one.drop(own).equals(other.drop(own))
    truth = pd.read_csv(made / "data" / "truth.csv").set_index("key")
    same = truth.columns.drop(["study_id", "head_holder"])
    for one, other in pairs:
        assert truth.loc[one.key, same].fillna(0).equals(truth.loc[other.key, same].fillna(0))
        assert (truth.loc[one.key, "head_holder"], truth.loc[other.key, "head_holder"]) == (0, 1)


def test_files_of_a_pair_differ_where_the_holder_is(made: Path) -> None:
    for one, other in pairs_of(made):
        first, second = hu_of(made, one), hu_of(made, other)
        patient = make_patient(SPEC, int(one.hospital), int(one.patient_id[-5:]))
        index = int(one.pair_id[-4:]) - 1
        air = np.repeat(np.repeat(patient.tissue(index)[0] < -400, 2, 0), 2, 1)  # before blur and noise
        reach = int(np.ceil(3 * patient.truth.blur_mm / patient.scan.pixel_mm)) + 3
        changed = first != second
        assert changed.mean() > 0.01
        assert not changed[ndimage.binary_erosion(~air, iterations=reach)].any()
        assert second[changed].max() > 60  # the shell is bright in a brain window
        if one["mask"]:
            np.testing.assert_array_equal(mask_of(made, one), mask_of(made, other))
        headers = [pydicom.dcmread(made / "data" / row.image) for row in (one, other)]
        differing = {element.keyword for element in headers[0] if element != headers[1][element.tag]}
        assert differing == OWN


def test_a_network_sees_the_same_head_twice(made: Path) -> None:
    """After the bundle's preprocessing: equal masks and labels, and equal pictures inside the head."""
    manifest = read_manifest(made / "phantom.csv")  # as training reads it, with all its checks
    frame = manifest.frame[manifest.frame["split"] == PAIRS_1_4].reset_index(drop=True)
    store = SliceStore(frame, manifest.dataset_dir, bundle_part("preprocessing", image_size=64), None, num_workers=1)
    store.prepare()
    blood = 0
    for _, places in frame.groupby("pair_id").groups.items():
        one, other = (store[int(place)] for place in places)
        np.testing.assert_array_equal(one["mask"], other["mask"])
        blood += int(np.count_nonzero(one["mask"]))
        changed = np.asarray(one["image"] != other["image"])
        assert 20 < changed.sum() < 0.5 * changed.size
        assert not changed[np.asarray(one["mask"]) > 0].any()
    assert blood > 500
    assert frame["hypodensity"].sum() > 0


def test_extra_test_sets_share_no_patient_and_leave_the_paper_s_protocol_as_it_was(made: Path, tmp_path: Path) -> None:
    plain = replace(SPEC, pairs=CounterfactualPairs(), reversed_studies=(0, 0, 0, 0))
    generate_phantom(tmp_path / "data", tmp_path / "phantom.csv", plain, workers=1)
    table, without = rows(made), rows(tmp_path)
    assert "pair_id" not in without
    assert set(without.split) == {"train", "val", "test_hospitals_1_4", "test_hospitals_5_11"}
    extra = table[~table.split.isin(set(without.split))]
    assert set(extra.split) == {PAIRS_1_4, PAIRS_5_11, "test_reversed"}
    paper = table.drop(extra.index).drop(columns="pair_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(paper, without)
    patients = {name: set(of_split.patient_id) for name, of_split in extra.groupby("split")}
    assert {name: len(ids) for name, ids in patients.items()} == {PAIRS_1_4: 6, PAIRS_5_11: 4, "test_reversed": 5}
    assert len(set.union(*patients.values())) == 15
    assert not set.union(*patients.values()) & set(pd.read_csv(tmp_path / "data" / "truth.csv").patient_id)
    assert set(table[table.split == "test_reversed"].hospital) == {"1", "2", "4"}
    here, there = digests(tmp_path / "data"), digests(made / "data")
    assert here.items() - there.items() == {(n, here[n]) for n in ("truth.csv", "phantom.json")}
    uids = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in made.rglob("*.dcm")]
    assert len(set(uids)) == len(uids)


def test_every_attribute_is_that_of_the_truth_table(made: Path) -> None:
    table, truth = rows(made).set_index("key"), pd.read_csv(made / "data" / "truth.csv").set_index("key")
    truth = truth.loc[table.index]
    assert (table.attribute_head_holder == truth.head_holder.map({0: "no", 1: "yes"})).all()
    assert (table.attribute_side_letter == "no").all()
    assert (table.attribute_kernel == truth.kernel_sharp.map({0: "soft", 1: "sharp"})).all()
    assert set(table.attribute_kernel) == {"soft", "sharp"}
    np.testing.assert_allclose(table.attribute_clot_volume_ml.astype(float), truth.clot_volume_ml, atol=0.005001)
    assert set(table.attribute_clot_volume_ml[truth.ich == 0]) == {"0"}


def rendered_pair(nuisance: str, hospital: int, index: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU without and with a nuisance, and the noise-free tissue, of the first paired patient who bleeds."""
    spec = PhantomSpec(matrix=128, pairs=CounterfactualPairs(nuisance))
    patients = (make_patient(spec, hospital, FIRST_PAIRED + number) for number in range(20))
    patient = next(p for p in patients if p.truth.ich)
    without, with_it = (patient.paired(present).render(index) for present in (False, True))
    assert without.truth == with_it.truth
    np.testing.assert_array_equal(without.mask, with_it.mask)
    return without.hu, with_it.hu, np.repeat(np.repeat(patient.tissue(index)[0], 2, 0), 2, 1)


def test_a_pair_of_side_letters_differs_in_the_corner_alone() -> None:
    for hospital in (1, 3, 11):
        without, with_it, _ = rendered_pair("side_letter", hospital)
        changed = np.argwhere(without != with_it)
        assert len(changed) == 10 * 2**2
        assert changed.max() < 16


@pytest.mark.parametrize("matrix", [64, 128, 256])
def test_the_holder_is_seen_at_any_matrix(matrix: int) -> None:
    """Its shell is brighter than 20 HU over 3 to 25 cm2; a line one point wide would be lost in the air."""
    spec = PhantomSpec(matrix=matrix, pairs=CounterfactualPairs("head_holder"))
    for hospital in (1, 4, 7, 9):
        patient = make_patient(spec, hospital, FIRST_PAIRED)
        without, with_it = (patient.paired(present).render(3).hu for present in (False, True))
        shown = (with_it > 20) & (without < -300)
        assert 300 < shown.sum() * patient.scan.pixel_mm**2 < 2500


@pytest.mark.parametrize("hospital", [2, 10])
def test_a_pair_of_kernels_has_one_noise_and_one_anatomy(hospital: int) -> None:
    """The sharp kernel has stronger edges and more noise, of one and the same pattern."""
    without, with_it, tissue = rendered_pair("kernel", hospital)
    brain = ndimage.binary_erosion((tissue > 15) & (tissue < 60), iterations=4)  # away from the skull and the skin
    assert brain.sum() > 300
    soft, sharp = (hu.astype(float) - ndimage.gaussian_filter(hu.astype(float), 2) for hu in (without, with_it))
    assert np.corrcoef(soft[brain], sharp[brain])[0, 1] > 0.5
    assert sharp[brain].std() > 1.05 * soft[brain].std()
    assert abs(without[brain].mean() - with_it[brain].mean()) < 0.5


def test_a_pair_keeps_the_patient_who_was_drawn() -> None:
    spec = PhantomSpec(matrix=32, pairs=CounterfactualPairs("kernel"))
    for number in range(FIRST_PAIRED, FIRST_PAIRED + 12):
        drawn = make_patient(spec, 6, number)
        kept, turned = (drawn.paired(p) for p in (drawn.truth.kernel_sharp, not drawn.truth.kernel_sharp))
        assert replace(kept.truth, study=1) == drawn.truth
        assert turned.truth.noise_hu == pytest.approx(
            drawn.truth.noise_hu * (1.3 if turned.truth.kernel_sharp else 1 / 1.3)
        )
        assert turned.truth.kernel != drawn.truth.kernel
        assert {kept.truth.study_id[-2:], turned.truth.study_id[-2:]} == {"s1", "s2"}
        assert turned.truth.with_nuisance("kernel", drawn.truth.kernel_sharp).blur_mm == drawn.truth.blur_mm


def test_the_default_pairs_leave_out_who_masks_the_background() -> None:
    assert planned_studies(PhantomSpec())[-1] == PlannedStudy(11, 11)
    studies = planned_studies(PhantomSpec(pairs={"nuisance": "side_letter"}, reversed_studies=(0, 0, 2, 0)))
    paired = [study for study in studies if study.present is not None]
    counts = pd.Series([study.hospital for study in paired]).value_counts()
    assert counts.to_dict() == {1: 48, **dict.fromkeys((2, 3, 4, 5, 6, 7, 8, 9, 11), 12)}
    assert {study.number for study in paired} == set(range(FIRST_PAIRED, FIRST_PAIRED + 24))
    assert studies[-2:] == [PlannedStudy(3, FIRST_REVERSED + n, "test_reversed") for n in (0, 1)]
    assert PhantomSpec(pairs=CounterfactualPairs("kernel", (1,) * 11)).pairs.studies[9] == 1
    with pytest.raises(ConfigurationError, match=r"makes no pairs; expected one with pairs.nuisance"):
        make_patient(PhantomSpec(matrix=32), 1, 0).paired(True)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({"nuisance": "clot_volume"}, "pairs.nuisance is 'clot_volume', which is a volume and not something that a he"),
        ({"nuisance": "headholder"}, "expected kernel or head_holder or side_letter. Did you mean 'head_holder'?"),
        ({"nuisance": "kernel", "study": 3}, "pairs.study is not a field of the pairs, expected one of nuisance, stud"),
        ({"nuisance": "kernel", "studies": [1] * 10}, "expected 11 counts, one for each of hospitals 1 to 11"),
        ({"nuisance": "kernel", "studies": [0] * 11}, "expected at least one count above 0"),
        ({"nuisance": "kernel", "studies": [10_001] + [0] * 10}, "expected whole numbers from 0 to 10000"),
        ({"nuisance": "kernel", "studies": 4}, "pairs.studies is 4, expected 11 counts"),
        (
            {"nuisance": "head_holder", "studies": [1] * 11},
            "pairs.studies has 1 for hospital 10, expected 0: this hosp",
        ),
        ({"nuisance": ""}, "pairs.nuisance is '', expected kernel or head_holder or side_letter."),
        ("head_holder", "pairs is 'head_holder', expected {name: value}"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(pairs: object, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PhantomSpec(matrix=33, pairs=pairs)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "matrix is 33" in str(caught.value)  # all faults together


def test_a_test_set_without_the_marker_is_refused(tmp_path: Path) -> None:
    spec = replace(SPEC, matrix=32, pairs=CounterfactualPairs("kernel", (1, *[0] * 10)), reversed_studies=(1, 0, 0, 0))
    with pytest.raises(
        ManifestError, match=r"extra test sets cannot be used; make more patients(.|\n)*'test_reversed' has"
    ):
        generate_phantom(tmp_path / "data", tmp_path / "phantom.csv", spec, workers=1)
    assert not (tmp_path / "phantom.csv").exists()


def killed_at(study: PlannedStudy, real: Callable[..., Path]) -> Callable[..., Path]:
    def make(folder: Path, spec: PhantomSpec, planned: PlannedStudy) -> Path:
        if planned == study:
            raise KeyboardInterrupt
        return real(folder, spec, planned)

    return make


def test_generation_goes_on_between_the_studies_of_a_pair(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import monai_ich.phantom.generate as module

    second = PlannedStudy(1, FIRST_PAIRED + 1, PAIRS_1_4, True)
    real = module.make_study
    monkeypatch.setattr(module, "make_study", killed_at(second, real))
    with pytest.raises(KeyboardInterrupt):
        generate_phantom(tmp_path / "data", tmp_path / "phantom.csv", SPEC, workers=1)
    monkeypatch.setattr(module, "make_study", real)
    series = tmp_path / "data/images/hospital_01/PHANTOM-01-10001"
    assert [path.name for path in series.iterdir()] == ["phantom_01_10001_s1"]
    assert not (tmp_path / "phantom.csv").exists()
    kept = series / "phantom_01_10001_s1/IM0001.dcm"
    written = kept.stat().st_mtime_ns
    generate_phantom(tmp_path / "data", tmp_path / "phantom.csv", SPEC, workers=2)
    assert kept.stat().st_mtime_ns == written
    assert digests(tmp_path) == digests(made)
