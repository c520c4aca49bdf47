# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every file of an import and every row of labels was used, refused or passed over, and the sums agree."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from importer_support import (
    SLICES,
    bleeding_patient,
    count_files,
    edit,
    files_by_fate,
    files_by_kind,
    request,
    write_nifti_mask,
    write_seg,
    write_study,
)
from PIL import Image
from public_sets import bhsd, cq500, instance, jpeg, physionet, rsna
from pydicom.uid import RTPlanStorage, generate_uid

from monai_ich.importers import (
    PublicRequest,
    import_bhsd,
    import_cq500,
    import_dicom,
    import_instance,
    import_physionet,
    import_rsna,
)
from monai_ich.importers.balance_sheet import PASSED_OVER, REFUSED, USED, Balance, balance_lines
from monai_ich.importers.import_command import report_import
from monai_ich.utils.errors import ManifestError, MonaiIchError


class Bench:
    """What trees are made of: files that were written once and are copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.patients = {}
        for hospital in (1, 2):
            patient = bleeding_patient(hospital)
            paths, rendered = write_study(folder / f"s{hospital}", patient)
            write_nifti_mask(folder / f"m{hospital}.nii.gz", patient, rendered)
            write_seg(folder / f"g{hospital}.dcm", paths, {"haematoma": [one.mask for one in rendered]})
            self.patients[hospital] = (patient.truth.patient_id, paths, rendered)
        shutil.copy(folder / "g1.dcm", folder / "bare.dcm")
        edit(folder / "bare.dcm", lambda data: delattr(data, "ReferencedSeriesSequence"))
        shutil.copy(folder / "g1.dcm", folder / "lost.dcm")
        edit(
            folder / "lost.dcm",
            lambda data: setattr(data.ReferencedSeriesSequence[0], "SeriesInstanceUID", generate_uid()),
        )
        self.other_kind(folder / "rt.dcm", RTPlanStorage, "RTPLAN")
        self.other_kind(folder / "unknown.dcm", "1.2.3.4", "XX")

    def other_kind(self, path: Path, sop_class: str, modality: str) -> None:
        data = pydicom.dcmread(self.patients[1][1][0])
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = sop_class
        data.Modality = modality
        data.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def add_file(root: Path, inside: str, name: str, content: bytes | Path) -> None:
    path = root / inside / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)


def plant(bench: Bench, place: Path, what: str, inside: str) -> None:
    """Adds one thing to the tree of images, or of masks."""
    images, masks = place / "export", place / "masks"
    first, second = bench.patients[1], bench.patients[2]
    plain: dict[str, tuple[Path, str, Any]] = {
        "text": (images, "readme.txt", b"words"),
        "zip": (images, "more.zip", b"PK\3\4"),
        "empty": (images, "nothing.dcm", b""),
        "damaged": (images, "damaged.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 200),
        "short slice": (images, "short.dcm", first[1][0].read_bytes()[:-300]),
        "copy of a slice": (images, "again.dcm", first[1][1]),
        "other class": (images, "rt.dcm", bench.folder / "rt.dcm"),
        "unknown class": (images, "u.dcm", bench.folder / "unknown.dcm"),
        "litter": (images, ".DS_Store", b"x"),
        "archive's folder": (images, "__MACOSX/deep/._a.dcm", b"x"),
        "odd name": (images, "no\tname.bin", b"x"),
        "volume among images": (images, "ct.nii.gz", bench.folder / "m2.nii.gz"),
        "segmentation among images": (images, "g2.dcm", bench.folder / "g2.dcm"),
        "segmentation": (masks, "g1.dcm", bench.folder / "g1.dcm"),
        "bare segmentation": (masks, "bare.dcm", bench.folder / "bare.dcm"),
        "lost segmentation": (masks, "lost.dcm", bench.folder / "lost.dcm"),
        "image among masks": (masks, "a.dcm", first[1][0]),
        "volume": (masks, f"{first[0]}.nii.gz", bench.folder / "m1.nii.gz"),
        "volume of another": (masks, "nobody.nii.gz", bench.folder / "m1.nii.gz"),
        "damaged volume": (masks, f"{second[0]}.nii.gz", b"\x1f\x8b123"),
        "text among masks": (masks, "notes.md", b"x"),
        "array": (masks, "lonely.npy", b"x"),
    }
    if what in plain:
        root, name, content = plain[what]
        add_file(root, inside, name, content)
    elif what == "pictures":
        for path, one in zip(second[1], second[2], strict=True):
            target = masks / inside / "s2" / f"{path.stem}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one.mask * np.uint8(255)).save(target)
    else:
        (images / inside).mkdir(parents=True, exist_ok=True)
        link = images / inside / what.replace(" ", "_")
        targets = {
            "link to nothing": "nowhere",
            "link to itself": link.name,
            "link to a file": first[1][0],
            "link to a folder": images / "s1",
            "link to the whole": images,
            "link to all": place,
            "link to another folder": bench.folder / "s2",
        }
        if what == "pipe":
            if not link.exists():
                os.mkfifo(link)
        elif not link.is_symlink():
            link.symlink_to(targets[what])


THINGS = (
    *("text", "zip", "empty", "damaged", "short slice", "copy of a slice", "other class", "unknown class", "litter"),
    *("archive's folder", "odd name", "volume among images", "segmentation among images", "segmentation"),
    *("bare segmentation", "lost segmentation", "image among masks", "volume", "volume of another", "damaged volume"),
    *("text among masks", "array", "pictures", "link to nothing", "link to itself", "link to a file"),
    *("link to a folder", "link to the whole", "link to all", "link to another folder", "pipe"),
)
ROWS = st.lists(st.sampled_from(["first", "second", "nobody", ""]), max_size=4, unique=True)


# without shrinking: each case is an import, and making a failing one smaller takes minutes
@settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(
    things=st.lists(st.tuples(st.sampled_from(THINGS), st.sampled_from(["", "deep", "deep/er", "s1"])), max_size=6),
    series=st.sampled_from([(1,), (2,), (1, 2)]),
    masks_at=st.sampled_from(["masks", "export", ".", "export/s1", None]),
    rows=st.one_of(st.none(), ROWS),
    drawn=st.fixed_dictionaries(
        {
            "allow_gaps": st.booleans(),
            "hospital": st.sampled_from(["", "1"]),
            "files": st.sampled_from(["copy", "link"]),
            "output": st.sampled_from(["out", "export/out"]),
        }
    ),
)
def test_the_sheet_of_any_tree_adds_up(
    bench: Bench,
    tmp_path_factory: pytest.TempPathFactory,
    things: list[tuple[str, str]],
    series: tuple[int, ...],
    masks_at: str | None,
    rows: list[str] | None,
    drawn: dict[str, Any],
) -> None:
    place = tmp_path_factory.mktemp("tree")
    for number in series:
        shutil.copytree(bench.folder / f"s{number}", place / "export" / f"s{number}")
    (place / "masks").mkdir()
    for what, inside in things:
        plant(bench, place, what, inside)
    masks = None if masks_at is None or not (place / masks_at).is_dir() else place / masks_at
    labels = None
    if rows is not None:
        labels = place / "export" / "labels.csv"
        names = {"first": bench.patients[1][0], "second": bench.patients[2][0], "nobody": "17", "": ""}
        table = {"PatientID": [names[row] for row in rows], "hypodensity": "1", "hospital": "1"}
        pd.DataFrame(table, dtype=str).to_csv(labels, index=False)
    output = place / drawn["output"]
    output.mkdir(parents=True, exist_ok=True)
    key_file = place.parent / f"{place.name}.key"  # not in a tree that is counted
    hospital = "1" if labels is None else drawn["hospital"]
    asked = request(
        place, masks=masks, labels=labels, key_file=key_file, **{**drawn, "output": output, "hospital": hospital}
    )
    roots = [place / "export", *([] if masks is None else [masks])]
    expected = count_files(*roots, skip=output)
    try:
        result = import_dicom(asked)
    except ManifestError as error:
        if "none of its" in str(error):  # names in the table of labels is of an image: said before any is read
            assert rows is not None
            assert not {f"{kind}" for kind in rows} & {{1: "first", 2: "second"}[number] for number in series}
            return
        # no slice is left, which refused.csv explains
        sheet = pd.read_csv(output / "import" / "balance.csv")
        assert int(sheet.loc[(sheet["what"] == "files") & (sheet["fate"] == "total"), "count"].iloc[0]) == expected
        return
    assert sum(files_by_fate(result).values()) == expected
    used = files_by_kind(result, USED)
    frame = pd.read_csv(result.manifest)
    assert used["CT images"] == frame["image"].nunique()
    assert ("masks" in used) == (result.annotated > 0)
    assert used.get("tables of labels", 0) == int(labels is not None)
    sheet = result.balance
    total = sheet[(sheet["what"] == "rows of labels") & (sheet["fate"] == "total")]["count"].sum()
    assert total == len(rows or ())
    written = pd.read_csv(result.reports / "balance.csv", keep_default_na=False)
    assert written.to_dict("records") == sheet.to_dict("records")


def test_what_is_passed_over_is_named_by_kind(tmp_path: Path, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(bench.folder / "s1", tmp_path / "export" / "s1")
    for what in (
        "text",
        "zip",
        "other class",
        "litter",
        "archive's folder",
        "link to a folder",
        "pipe",
        "unknown class",
    ):
        plant(bench, tmp_path, what, "")
    add_file(tmp_path / "export", "", "DICOMDIR", pydicom.examples.get_path("jpeg2k"))
    shutil.copy(pydicom.data.get_testdata_file("DICOMDIR"), tmp_path / "export" / "DICOMDIR")
    result = import_dicom(request(tmp_path))
    assert files_by_kind(result, PASSED_OVER) == {
        "text files": 1,
        "archives (unpack them)": 1,
        "DICOMDIR": 1,
        "DICOM: RT Plan (not read)": 1,
        "DICOM: unknown class (not read)": 1,
        "files that macOS or Windows left": 2,
        "neither files nor folders": 1,
    }
    report_import(result)
    said = capsys.readouterr().out
    assert f"{SLICES + 8} files: {SLICES} used (CT images: {SLICES}), 0 refused, 8 passed over (" in said
    assert "archives (unpack them): 1" in said


def test_a_series_that_was_not_asked_for_and_one_that_is_refused(tmp_path: Path, bench: Bench) -> None:
    for number in (1, 2):
        shutil.copytree(bench.folder / f"s{number}", tmp_path / "export" / f"s{number}")
    for path in (tmp_path / "export" / "s2").iterdir():
        edit(path, lambda data: setattr(data, "SeriesDescription", "bone"))
    scan = request(tmp_path).scan.__class__(description="^(?!bone)")
    result = import_dicom(request(tmp_path, scan=scan))
    assert files_by_kind(result, PASSED_OVER) == {"CT images of series that were not asked for": SLICES}
    next((tmp_path / "export" / "s2").iterdir()).unlink()
    (tmp_path / "export" / "s1" / "IM0002.dcm").unlink()
    result = import_dicom(request(tmp_path))
    assert files_by_kind(result, REFUSED) == {"CT images": SLICES - 1}


@pytest.mark.parametrize(
    ("make", "run", "used", "refused"),
    [
        (physionet, import_physionet, {"volumes": 2, "masks": 2, "tables of labels": 1}, {}),
        (jpeg, import_physionet, {"pictures of slices and masks": 3, "tables of labels": 1}, {}),
        (rsna, import_rsna, {"CT images": 3, "tables of labels": 1}, {"CT images": 1}),
        (cq500, import_cq500, None, {"CT images of series that were not chosen": SLICES}),
        (bhsd, import_bhsd, {"volumes": 1, "masks": 1}, {}),
        (instance, import_instance, {"volumes": 1, "masks": 1}, {"volumes": 1, "masks": 1}),
    ],
)
def test_public_sets(
    tmp_path: Path, make: Callable[[Path], Any], run: Callable[..., Any], used: Any, refused: dict[str, int]
) -> None:
    make(tmp_path / "set")
    (tmp_path / "set" / "LICENSE.txt").write_text("terms")
    (tmp_path / "set" / "test").mkdir()
    with zipfile.ZipFile(tmp_path / "set" / "test" / "rest.zip", "w"):
        pass
    (tmp_path / "set" / "._x").write_text("litter")
    result = run(PublicRequest(tmp_path / "set", tmp_path / "m.csv", tmp_path / "set" / "out", workers=1))
    assert sum(files_by_fate(result).values()) == count_files(tmp_path / "set", skip=tmp_path / "set" / "out")
    assert used is None or files_by_kind(result, USED) == used
    assert files_by_kind(result, REFUSED) == refused
    passed_over = files_by_kind(result, PASSED_OVER)
    assert passed_over["archives (unpack them)"] == 1
    assert passed_over["text files"] == 1


def test_masks_and_rows_of_nobody_in_public_sets_are_refused(tmp_path: Path) -> None:
    physionet(tmp_path / "set")
    masks = tmp_path / "set" / "masks"
    shutil.copy(masks / "049.nii", masks / "050.nii")
    table = tmp_path / "set" / "hemorrhage_diagnosis_raw_ct.csv"
    table.write_text(table.read_text() + "50,1,0,0,0,0,0,1,0\n50,2,0,0,0,0,0,1,0\n")
    result = import_physionet(PublicRequest(tmp_path / "set", tmp_path / "m.csv", tmp_path / "out", workers=1))
    assert files_by_kind(result, REFUSED) == {"masks": 1}
    rows = result.balance[result.balance["what"] == "rows of labels"].set_index("fate")["count"]
    assert rows.to_dict() == {"used": 6, "refused": 2, "total": 8}
    assert {entry.path for entry in result.refused} == {"masks/050.nii", "labels"}


def test_a_sheet_that_does_not_add_up_says_what(tmp_path: Path) -> None:
    sheet = Balance()
    sheet.meet([tmp_path / "a.dcm", tmp_path / "b.zip"])
    sheet.claim(USED, "CT images", [tmp_path / "a.dcm", tmp_path / "c.dcm"])
    sheet.add_rows(3, used=1, refused=1)
    with pytest.raises(MonaiIchError) as caught:
        sheet.table()
    text = str(caught.value)
    assert "internal error" in text
    assert "of 2 files, 1 were neither used, refused nor passed over (archives (unpack them): 1)" in text
    assert "1 files were in no folder that was listed (used CT images: 1)" in text
    assert "3 rows of labels were read, and the sum is another (used: 1, refused: 1)" in text
    assert str(tmp_path) not in text


def test_of_several_claims_use_counts_then_refusal(tmp_path: Path) -> None:
    path, sheet = tmp_path / "m.nii", Balance()
    sheet.meet([path])
    for fate in (PASSED_OVER, REFUSED, USED, REFUSED, PASSED_OVER):
        sheet.claim(fate, "masks", [path])
    sheet.claim_rest(REFUSED, "other", [path])
    assert balance_lines(sheet.table()) == ["1 files: 1 used (masks: 1), 0 refused, 0 passed over"]
