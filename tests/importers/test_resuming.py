# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An import that was killed goes on: what was read is not read again, and the result is the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from importer_support import SLICES, bleeding_patient, edit, plant, request, write_study

import monai_ich.importers.dicom as module
from monai_ich.importers import DicomRequest, import_dicom

KILLED_AFTER = 2


def import_until_killed(asked: DicomRequest) -> None:
    """Imports in this process, and kills it while it reads the third series."""
    real, seen = module.read_series_item, []

    def dying(item: object) -> dict:
        seen.append(item)
        if len(seen) > KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(item)

    module.read_series_item = dying
    import_dicom(asked)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """Counts what is read in this process."""
    calls: dict[str, list] = {"scan_chunk": [], "read_series_item": []}
    for name, seen in calls.items():
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda item, real=real, seen=seen: (seen.append(item), real(item))[1])
    return calls


def export(tmp_path: Path) -> None:
    for hospital in (1, 2, 3, 4):
        write_study(tmp_path / "export" / f"s{hospital}", bleeding_patient(hospital))


def test_goes_on_after_a_kill(tmp_path: Path, counted: dict[str, list]) -> None:
    export(tmp_path)
    whole = import_dicom(request(tmp_path, output=tmp_path / "elsewhere", manifest=tmp_path / "whole.csv"))
    expected = whole.manifest.read_bytes()
    counted["scan_chunk"].clear()
    counted["read_series_item"].clear()
    asked = request(tmp_path)
    process = multiprocessing.get_context("fork").Process(target=import_until_killed, args=(asked,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not asked.manifest.exists()
    result = import_dicom(asked)
    assert len(counted["scan_chunk"]) == 0
    assert len(counted["read_series_item"]) == 4 - KILLED_AFTER
    assert result.manifest.read_bytes() == expected


def test_only_what_changed_is_read_again(tmp_path: Path, counted: dict[str, list]) -> None:
    export(tmp_path)
    import_dicom(request(tmp_path))
    edit(tmp_path / "export" / "s2" / "IM0002.dcm", lambda data: setattr(data, "RescaleSlope", 2))
    write_study(tmp_path / "export" / "s6", bleeding_patient(6))
    counted["scan_chunk"].clear()
    counted["read_series_item"].clear()
    result = import_dicom(request(tmp_path))
    assert len(counted["scan_chunk"]) == 2
    assert len(counted["read_series_item"]) == 2
    assert result.slices == 5 * SLICES


def test_a_damaged_record_is_made_again(tmp_path: Path) -> None:
    export(tmp_path)
    first = import_dicom(request(tmp_path)).manifest.read_bytes()
    record = next((tmp_path / "out" / ".import" / "series").rglob("*.json"))
    record.write_bytes(record.read_bytes()[:50])
    assert import_dicom(request(tmp_path)).manifest.read_bytes() == first


def test_processes_give_the_same_manifest(tmp_path: Path) -> None:
    export(tmp_path)
    write_study(tmp_path / "export" / "planted", bleeding_patient(6), change=plant)
    one = import_dicom(request(tmp_path)).manifest.read_bytes()
    two = import_dicom(request(tmp_path, output=tmp_path / "two" / "out", manifest=tmp_path / "two.csv", workers=2))
    assert two.manifest.read_bytes() == one
