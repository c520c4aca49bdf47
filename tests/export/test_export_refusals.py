# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What cannot be exported is refused before the work starts, and a failure leaves what was there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from monai_ich.export import export_run
from monai_ich.export import exported_network as export_network
from monai_ich.export.exported_network import example_batches, write_onnx, write_torchscript
from monai_ich.utils.errors import ExportError, ManifestError

pytestmark = pytest.mark.usefixtures("in_root")


@pytest.fixture
def copied_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A run's directory that may be spoilt."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("last.pt", "figures")))


def test_a_run_that_is_not_complete_is_refused(copied_run: Path, tmp_path: Path) -> None:
    (copied_run / "results.json").unlink()
    with pytest.raises(ExportError, match=r"is not complete: it holds no results\.json"):
        export_run(copied_run, tmp_path / "bundle")
    with pytest.raises(ExportError, match=r"no run's directory: it holds no train\.json"):
        export_run(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_all_faults_come_together(copied_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied_run / "models/best.pt").unlink()
    (tmp_path / "bundle").mkdir()
    monkeypatch.setattr(export_network, "EXTRA", ("onnx", "a_runtime_that_is_not_there"))
    with pytest.raises(ExportError) as caught:
        export_run(copied_run, tmp_path / "bundle")
    message = str(caught.value)
    assert "lacks models/best.pt" in message
    assert "exist already; name another folder, or replace with --force" in message
    assert "a_runtime_that_is_not_there not installed" in message
    assert "pip install 'monai_ich[export]'" in message


def test_force_replaces_a_bundle_and_nothing_else(copied_run: Path, tmp_path: Path) -> None:
    diary = tmp_path / "documents/diary.txt"
    diary.parent.mkdir()
    diary.write_text("dear diary")
    with pytest.raises(ExportError, match="is not a bundle and will not be replaced, not even with --force"):
        export_run(copied_run, diary.parent, force=True)
    assert diary.read_text() == "dear diary"
    with pytest.raises(ExportError, match=r"name the folder, .*/bundle;"):
        export_run(copied_run, tmp_path / "bundle.zip")


def test_another_manifest_is_refused(copied_run: Path, tiny_phantom: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    frame = pd.read_csv(tiny_phantom, dtype=str, keep_default_na=False)
    frame["key"] = "other_" + frame["key"]
    frame.to_csv(other, index=False)
    with pytest.raises(ManifestError, match=r"2 of the 2 slices that were predicted for test_hospitals_1_4"):
        export_run(copied_run, tmp_path / "bundle", manifest=other)
    with pytest.raises(ManifestError, match="name the manifest with --manifest"):
        export_run(copied_run, tmp_path / "bundle", manifest=tmp_path / "nowhere.csv")


def test_a_failure_leaves_the_old_bundle_and_nothing_half(
    copied_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No difference is small enough, so the export fails in its middle; then the same goes well, over a kill's rest."""
    output = tmp_path / "bundle"
    (output / "configs").mkdir(parents=True)
    (output / "configs/metadata.json").write_text("{}")
    with monkeypatch.context() as context:
        context.setattr(export_network, "TOLERANCE", -1.0)
        with pytest.raises(ExportError, match="TorchScript does not compute what the network computes"):
            export_run(copied_run, output, force=True)
    assert (output / "configs/metadata.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "run"]
    (tmp_path / ".bundle.partial/bundle/configs").mkdir(parents=True)
    assert export_run(copied_run, output, force=True) == output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "bundle.zip", "run"]
    assert (output / "models/model.onnx").is_file()


def test_a_folder_of_this_machine_in_the_files_is_refused(copied_run: Path, tmp_path: Path) -> None:
    """Whatever brings it in; here, a file that the run keeps."""
    with (copied_run / "logging.conf").open("a") as file:
        file.write(f"# {copied_run.resolve()}/log.txt\n")
    with pytest.raises(ExportError, match=r"configs/logging\.conf holds .*/run"):
        export_run(copied_run, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


class _BakesTheBatchIn(nn.Module):
    """Tracing turns its batch size into a constant."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"cls": x.mean(dim=(1, 2, 3)).unsqueeze(1) * float(len(x))}


class _Undefined(nn.Module):
    """Gives NaN where the network is compared."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"cls": torch.full((x.shape[0], 2), float("nan")) + x.mean(dim=(1, 2, 3)).unsqueeze(1)}


@pytest.mark.parametrize("network", [_BakesTheBatchIn(), _Undefined()], ids=["batch", "nan"])
def test_a_network_that_tracing_changes_is_refused(network: nn.Module, tmp_path: Path) -> None:
    batches = example_batches(network, 32)
    with pytest.raises(ExportError, match=r"cls, batch of 1: differs by"):
        write_torchscript(network, tmp_path / "model.ts", batches, {}, {})
    with pytest.raises(ExportError, match=r"cls, batch of 1: differs by"):
        write_onnx(network, tmp_path / "model.onnx", batches)
