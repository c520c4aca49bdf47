# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Each public set, on a miniature of its published layout with its known traps."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from importer_support import SLICES, read, rendered_slices, stored_pixels
from public_sets import LPS, SUBTYPES, bhsd, cq500, instance, jpeg, physionet, rsna, save
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
from monai_ich.importers.dicom import Tree
from monai_ich.importers.dicom_sets import _NOT_PLAIN, choose_plain
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import IMAGE_VALUES, MASK_LABELS

ANY = "label_any_haemorrhage"


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
                **{name: [getattr(row, name)] for name in (IMAGE_VALUES, MASK_LABELS) if hasattr(row, name)},
            })  # fmt: skip
    return stored_pixels(manifest)


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
    smooth, drawn = jpeg(tmp_path / "set")
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
    hu, classes, affine = bhsd(tmp_path / "set")
    root = tmp_path / "set" / "label_192"
    result = import_bhsd(asked(tmp_path))
    frame = read(result.manifest).frame
    expected = {"intraparenchymal": [0, 1, 0, 0], "intraventricular": [0, 1, 0, 0], "subdural": [0, 0, 1, 0]}
    for name in SUBTYPES:
        assert frame[f"label_{name}"].tolist() == expected.get(name, [0] * 4)
    assert frame[ANY].tolist() == [0, 1, 1, 0]
    assert [int(mask.sum()) for _, mask in trained_on(result)] == [0, 8, 4, 0]
    save(root / "ground truths" / "ID_1_ID_2.nii.gz", classes * 2, affine, qform_only=True)
    save(root / "images" / "ID_3_ID_4.nii.gz", hu, LPS)
    save(root / "ground truths" / "ID_3_ID_4.nii.gz", classes, LPS)
    refused = import_bhsd(asked(tmp_path)).refused
    assert "holds the classes [6, 10]" in refused[0].reason


def test_instance(tmp_path: Path) -> None:
    instance(tmp_path / "set")
    result = import_instance(asked(tmp_path))
    frame = read(result.manifest).frame
    assert frame["patient_id"].tolist() == ["001"] * 3
    assert frame[ANY].tolist() == [0, 0, 1]
    assert trained_on(result)[2][1].sum() == 16
    assert "their centres lie" in result.refused[0].reason


def test_what_macos_adds_to_an_archive_is_passed_over(tmp_path: Path) -> None:
    instance(tmp_path / "set")
    bhsd(tmp_path / "set")
    physionet(tmp_path / "set")
    for path in sorted((tmp_path / "set").rglob("*")):
        if path.is_file():
            path.with_name(f"._{path.name}").write_bytes(b"\0\x05\x16\x07" + bytes(300))
    for imported, slices in ((import_instance, 3), (import_bhsd, 4), (import_physionet, 7)):
        result = imported(replace(asked(tmp_path), manifest=tmp_path / f"{imported.__name__}.csv"))
        assert len(read(result.manifest).frame) == slices
        assert not any("._" in refused.path for refused in result.refused)


def test_two_volumes_of_one_patient_are_both_refused(tmp_path: Path) -> None:
    instance(tmp_path / "set")
    folder = tmp_path / "set" / "train_2" / "data"
    known = next(path for path in folder.iterdir() if path.name.startswith("001."))
    image = nib.load(known)
    nib.save(image, folder / ("001.nii" if known.suffix == ".gz" else "001.nii.gz"))
    nib.save(image, folder / "777.nii.gz")
    result = import_instance(asked(tmp_path))
    assert set(read(result.manifest).frame["patient_id"]) == {"777"}
    (told,) = (refused for refused in result.refused if "2 volumes" in refused.reason)
    assert told.files == 2
    assert "001.nii, " in told.reason
    assert "001.nii.gz" in told.reason


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


PLAIN = (
    "CT Plain,CT 5mm,CT 0.625mm,CT 2.55mm,CT PRE CONTRAST 5MM,CT NON-CONTRAST,CT Thin Plain,CT 55mm Plain,CT I To S,"
    "CT CIRCLE OF 5mm,CT CODED,CT according"
)
NOT_PLAIN = (
    "CT 4cc sec 150cc D3D on,CT 4cc sec 150cc D3D on-2,CT C,CT C+,CT CECT THIN,CT ORAL IV,CT POST CONTRAST,"
    "CT contrast 5mm,CT BONE,CT ANGIO,CT CTA head,CT SAG"
)


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [*((name, True) for name in PLAIN.split(",")), *((name, False) for name in NOT_PLAIN.split(","))],
)
def test_cq500_series_by_their_names(name: str, is_plain: bool) -> None:
    assert (not _NOT_PLAIN.search(name)) == is_plain


def test_a_fragment_of_a_cq500_series_is_not_the_thick_one() -> None:
    def series(name: str, *heights: float | None) -> list[dict[str, Any]]:
        return [{"study": "s", "path": Path("set/case") / name / f"{n}.dcm", "z_mm": z} for n, z in enumerate(heights)]

    def chosen(slices: str, **names: list[dict[str, Any]]) -> list[str]:
        return list(choose_plain(Path("set"), slices, Tree(names, {}, {}, [])).series)

    thin, thick = series("CT Thin Plain", *range(0, 120, 1)), series("CT Plain", *range(0, 120, 5))
    fragment, unknown = series("CT Plain-2", 30, 35, 40), series("CT Plain-3", *[None] * 10)
    assert chosen("thick", a=thin, b=fragment, c=thick) == ["c"]
    assert chosen("thin", a=thin, b=fragment, c=thick) == ["a"]
    assert chosen("thick", b=fragment) == ["b"]
    assert chosen("thick", c=thick, d=unknown) == ["d"], "where nothing is known, nothing is left out"


@pytest.mark.parametrize(
    ("make", "run", "cited", "terms"),
    [
        (
            physionet,
            import_physionet,
            "doi 10.13026/4nae-zg36",
            "Restricted .* https://physionet.org/content/ct-ich/1.3.1/",
        ),
        (
            jpeg,
            import_physionet,
            "doi 10.13026/w8q8-ky94",
            "CC BY 4.0; see https://physionet.org/content/ct-ich/1.2.0/",
        ),
        (rsna, import_rsna, "doi 10.1148/ryai.2020190211", "non-commercial .* https://www.kaggle.com/c/rsna-"),
        (cq500, import_cq500, "arXiv 1803.05854", "CC BY-NC-SA 4.0; see http://headctstudy.qure.ai/dataset"),
        (
            bhsd,
            import_bhsd,
            "doi 10.1007/978-3-031-45673-2_15",
            "CC BY-NC-ND 4.0 by https://github.com/White65534/BHSD",
        ),
        (instance, import_instance, "arXiv 2301.03281", "agreement .* https://instance.grand-challenge.org/"),
    ],
)
def test_cards(
    tmp_path: Path, make: Callable[[Path], Any], run: Callable[..., ImportResult], cited: str, terms: str
) -> None:
    make(tmp_path / "set")
    card = read(run(asked(tmp_path)).manifest).card
    assert card is not None
    assert f"({cited})" in card["description"]
    assert re.search(terms, card["licence"])


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
    from monai_ich.config.settings import SETTINGS
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
