# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An import that was killed goes on: what was read is not read again, and the result is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from importer_support import SLICES, bleeding_patient, edit, plant, request, write_study

import monai_ich.importers.dicom as module
from monai_ich.importers import import_dicom

KILLED_AFTER = 2

# The command as a process of its own, which kills itself while it reads the third series.
SCRIPT = f"""
import os, signal, sys
import monai_ich.importers.dicom as module
from monai_ich.__main__ import cli
real, seen = module.read_series_item, []
def dying(item):
    seen.append(item)
    if len(seen) > {KILLED_AFTER}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(item)
module.read_series_item = dying
cli(sys.argv[1:])
"""


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
    arguments = ["import", "dicom", str(asked.source), "--manifest", str(asked.manifest), "--output", str(asked.output)]
    arguments += ["--hospital", "1", "--files", "link", "--workers", "1", "--key-file", str(asked.key_file)]
    killed = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
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
