# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A file that kills the process which reads it, or takes all memory, is refused; the others are imported."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from importer_support import SLICES, bleeding_patient, files_by_fate, files_by_kind, read, request, write_study
from public_sets import physionet

import monai_ich.importers.scanning as scanning
import monai_ich.importers.series_reading as series_reading
import monai_ich.importers.volume_items as volume_items
from monai_ich.importers import PublicRequest, import_dicom, import_physionet


def die(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take_all_memory(path: Path) -> None:
    raise MemoryError


WAYS = pytest.mark.parametrize("way", [die, take_all_memory])


def harmed(real: Callable[..., Any], way: Callable[[Path], None], name: str) -> Callable[..., Any]:
    """The function, but for files of one name."""

    def function(path: Path, *rest: Any, **settings: Any) -> Any:
        if path.name == name:
            way(path)
        return real(path, *rest, **settings)

    return function


@WAYS
@pytest.mark.parametrize("workers", [None, 2])
def test_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Any, workers: int | None) -> None:
    paths, _ = write_study(tmp_path / "export" / "a", bleeding_patient(1))
    write_study(tmp_path / "export" / "b", bleeding_patient(2))
    (tmp_path / "export" / "a" / "readme.txt").write_text("text")
    shutil.copy(paths[0], tmp_path / "export" / "a" / "deadly.dcm")
    monkeypatch.setattr(scanning, "open_dicom", harmed(scanning.open_dicom, way, "deadly.dcm"))
    result = import_dicom(request(tmp_path, workers=workers))
    assert (result.slices, len(read(result.manifest).frame)) == (2 * SLICES, 2 * SLICES)
    (entry,) = result.refused
    assert "the process that read it died, or memory was not enough" in entry.reason
    assert "deadly" not in entry.path  # whose it is is not known
    assert files_by_fate(result) == {"used": 2 * SLICES, "refused": 1, "passed over": 1}


@WAYS
def test_the_pixels_of_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Any) -> None:
    paths, _ = write_study(tmp_path / "export" / "a", bleeding_patient(1))
    write_study(tmp_path / "export" / "b", bleeding_patient(2))
    paths[2].rename(paths[2].with_name("deadly.dcm"))
    real = series_reading.read_slice_file
    monkeypatch.setattr(series_reading, "read_slice_file", harmed(real, way, "deadly.dcm"))
    result = import_dicom(request(tmp_path, workers=2))
    assert result.slices == SLICES
    (entry,) = result.refused
    assert (entry.files, "died" in entry.reason) == (SLICES, True)
    assert files_by_kind(result, "refused") == {"CT images": SLICES}
    monkeypatch.setattr(series_reading, "read_slice_file", real)
    assert import_dicom(request(tmp_path, workers=2)).slices == 2 * SLICES, "the next import tries again"


@WAYS
def test_a_volume_of_a_public_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Any) -> None:
    physionet(tmp_path / "set")
    monkeypatch.setattr(volume_items, "read_slices", harmed(volume_items.read_slices, way, "049.nii"))
    result = import_physionet(PublicRequest(tmp_path / "set", tmp_path / "m.csv", tmp_path / "out", workers=2))
    assert result.slices == 3
    assert {entry.path for entry in result.refused} == {"ct_scans/049.nii", "labels"}
    assert files_by_kind(result, "refused") == {"volumes": 1, "masks": 1}
