# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An exported run: the same numbers elsewhere without this package, files that agree, facts that are the run's."""

from __future__ import annotations

import getpass
import hashlib
import re
import socket
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import onnxruntime
import pandas as pd
import pydicom
import pytest
import torch
from export_support import run_alone
from monai.bundle import ConfigParser
from pydicom.data import get_testdata_file
from support import ROOT, strict_json
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.bundle import predict_with_run
from monai_ich.export.carried_rooms import renamed

pytestmark = pytest.mark.usefixtures("in_root")

PACKAGE = ROOT / "monai_ich"
CARRIED_ROOMS = {"config", "engines", "networks", "prediction", "reading", "transforms", "utils", "visualize"}
REAL_SLICE = Path(str(get_testdata_file("J2K_pixelrep_mismatch.dcm")))
CONFIGS = ["--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json"]
CHECK_PROPERTIES = """
from monai.bundle import ConfigWorkflow
workflow = ConfigWorkflow("configs/inference.json", "configs/metadata.json", workflow_type="infer", input=%r)
workflow.initialize()
assert workflow.check_properties() == [], workflow.check_properties()
"""


@pytest.fixture(scope="module")
def sources(tiny_phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A DICOM series, the same as NIfTI with other axes, and a real slice: JPEG 2000, tilted gantry."""
    series = sorted((tiny_phantom.parent / "images").rglob("*.dcm"))[0].parent
    files = sorted(series.glob("*.dcm"), key=lambda file: float(pydicom.dcmread(file).ImagePositionPatient[2]))
    datasets = [pydicom.dcmread(file) for file in files]
    hu = np.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in datasets])
    volume = nib.Nifti1Image(hu.transpose(2, 1, 0).astype(np.float32), np.diag([-0.5, -0.5, 5.0, 1.0]))
    nifti = tmp_path_factory.mktemp("volume") / "volume.nii.gz"
    nib.save(volume.as_reoriented(np.array([[0, -1], [1, -1], [2, 1]])), nifti)
    return {"series": series, "nifti": nifti, "real": REAL_SLICE}


def _version_without(absent: str, version: Callable[[str], str], name: str) -> str:
    if name == absent:
        raise metadata.PackageNotFoundError(name)
    return version(name)


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command makes of the tiny run, where one of the decoders is not installed."""
    folder = tmp_path_factory.mktemp("shared") / "ich_markers"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "version", partial(_version_without, "python-gdcm", metadata.version))
        done = CliRunner().invoke(cli, ["export", str(tiny_run), str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    return folder


@pytest.fixture(scope="module")
def elsewhere(exported: Path, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that held nothing but the unpacked zip, after MONAI's commands ran there without this package."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(f"{exported}.zip") as archive:
        archive.extractall(folder)
    run = ["run", "--config_file", "configs/inference.json", "--bundle_root", "."]
    (folder / "two").mkdir()
    for uid, name in (("1.2.3.4", "thick"), ("1.2.3.5", "thin")):
        for file in sorted(sources["series"].glob("*.dcm")):
            dataset = pydicom.dcmread(file)
            dataset.SeriesInstanceUID, dataset.SeriesDescription = uid, f"Head {name}"
            dataset.save_as(folder / "two" / f"{name}-{file.name}")
    choice = ["--input", "../two", "--output_dir", "../chosen", "--series_description", "thin$", "--file_names", "True"]
    checkpoint = ["--filepath", "../by_monai.ts", "--ckpt_file", "models/model.pt", "--use_trace", "True"]
    steps: list[Any] = [
        *([*run, "--input", str(path), "--output_dir", f"../{name}"] for name, path in sources.items()),
        [*run, *choice],
        ["verify_net_in_out", "network_def", *CONFIGS],
        ["ckpt_export", "network_def", *checkpoint, *CONFIGS],
        CHECK_PROPERTIES % str(REAL_SLICE),
    ]
    modules = run_alone(folder / exported.name, PACKAGE, steps)
    assert {"scripts.reading.series", "scripts.networks.multitask_net"} <= set(modules)
    return folder


@pytest.fixture(scope="module")
def network(tiny_run: Path) -> torch.nn.Module:
    """The run's network, built from its own config and checkpoint."""
    built = ConfigParser(ConfigParser.load_config_file(tiny_run / "train.json")).get_parsed_content("network_def")
    built.load_state_dict(torch.load(tiny_run / "models/best.pt", weights_only=True)["model"])
    return built.eval()


@pytest.mark.parametrize("source", ["series", "nifti", "real"])
def test_the_unpacked_zip_predicts_what_the_run_predicts(
    source: str, elsewhere: Path, sources: dict[str, Path], tiny_run: Path, tmp_path: Path
) -> None:
    predict_with_run(tiny_run, sources[source], tmp_path)
    there = elsewhere / source
    assert (there / "slices.csv").read_bytes() == (tmp_path / "slices.csv").read_bytes()
    masks = [nib.load(folder / "mask.nii.gz") for folder in (there, tmp_path)]
    np.testing.assert_array_equal(masks[0].dataobj, masks[1].dataobj)
    np.testing.assert_array_equal(masks[0].affine, masks[1].affine)
    studies = [strict_json(folder / "study.json") for folder in (there, tmp_path)]
    weights = elsewhere / "ich_markers/models/model.pt"
    assert studies[0].pop("checkpoint_sha256") == hashlib.sha256(weights.read_bytes()).hexdigest()
    studies[1].pop("checkpoint_sha256")
    assert studies[0] == studies[1]


def test_the_bundle_chooses_among_series_as_predict_does(elsewhere: Path, sources: dict[str, Path]) -> None:
    chosen, whole = (pd.read_csv(elsewhere / name / "slices.csv") for name in ("chosen", "series"))
    assert chosen.pop("file").str.startswith("thin-").all()
    pd.testing.assert_frame_equal(chosen, whole)


def test_what_ckpt_export_traces_computes_the_classifier(elsewhere: Path, network: torch.nn.Module) -> None:
    images = torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(elsewhere / "by_monai.ts")(images), network(images)["cls"])


@pytest.mark.parametrize("size", [1, 3, 7])
def test_torchscript_and_onnx_compute_the_network_at_any_batch_size(
    size: int, exported: Path, network: torch.nn.Module
) -> None:
    images = torch.rand(size, 1, 64, 64, generator=torch.Generator().manual_seed(size))
    with torch.no_grad():
        expected = network(images)
        traced = torch.jit.load(exported / "models/model.ts")(images)
    session = onnxruntime.InferenceSession(exported / "models/model.onnx", providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_outputs()] == ["cls", "seg", "rec"]
    assert [entry.shape for entry in session.get_inputs()] == [["batch", 1, 64, 64]]
    assert set(traced) == {"cls", "seg", "rec"}
    for head, output in zip(("cls", "seg", "rec"), session.run(None, {"image": images.numpy()}), strict=True):
        torch.testing.assert_close(traced[head], expected[head], rtol=0, atol=1e-5)
        torch.testing.assert_close(torch.from_numpy(output), expected[head], rtol=0, atol=1e-5)


def test_the_weights_are_a_bare_state_dict_of_the_best_epoch(exported: Path, tiny_run: Path) -> None:
    """As MONAI's specification has it: "model.pt: the state dictionary of a saved model"."""
    state = torch.load(exported / "models/model.pt", weights_only=True)
    best = torch.load(tiny_run / "models/best.pt", weights_only=True)["model"]
    assert list(state) == list(best)
    assert all(torch.equal(state[key], best[key]) for key in best)


# The mandatory keys of MONAI's bundle specification and of its schema, and of each tensor's description.
MANDATORY = {"schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "task"}
MANDATORY |= {"required_packages_version", "description", "authors", "copyright", "network_data_format"}
OF_A_TENSOR = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data"}
OF_A_TENSOR |= {"channel_def"}


def test_the_metadata_describe_this_very_network(exported: Path, tiny_phantom: Path) -> None:
    meta = strict_json(exported / "configs/metadata.json")
    assert set(meta) >= MANDATORY
    inputs, outputs = meta["network_data_format"]["inputs"], meta["network_data_format"]["outputs"]
    for tensor in [*inputs.values(), *outputs.values()]:
        assert set(tensor) >= OF_A_TENSOR
        assert len(tensor["channel_def"]) == tensor["num_channels"]
    assert (inputs["image"]["num_channels"], inputs["image"]["spatial_shape"]) == (1, [64, 64])
    shapes = {head: (tensor["num_channels"], tensor["spatial_shape"]) for head, tensor in outputs.items()}
    assert shapes == {"pred": (2, []), "cls": (2, []), "seg": (2, [64, 64]), "rec": (1, [64, 64])}
    assert (meta["markers"], meta["image_size"]) == (["hypodensity"], 64)
    assert meta["window_hu"] == {"level": 40, "width": 80}
    assert meta["manifest_sha256"] == hashlib.sha256(tiny_phantom.read_bytes()).hexdigest()
    required = meta["required_packages_version"]
    assert set(required) >= {"nibabel", "pydicom", "pytorch-ignite", "einops", "itk", "pyjpegls", "fire"}
    assert not {"python-gdcm", "mlflow", "monai_ich"} & set(required)
    assert {name: metadata.version(name) for name in required} == required


def test_the_model_card_states_where_the_numbers_come_from(exported: Path, tiny_run: Path, tiny_phantom: Path) -> None:
    card = (exported / "docs/README.md").read_text()
    assert "**MTL-Swin-Unet (cls+seg+rec)**" in card
    assert hashlib.sha256(tiny_phantom.read_bytes()).hexdigest() in card
    assert "- protocol: paper (" in card
    for heading in ("Intended use", "Limits", "Data", "Results", "Network", "Checks of the export", "Licence"):
        assert f"\n## {heading}\n" in card
    for name in ("test_hospitals_1_4", "test_hospitals_5_11"):
        labels = pd.read_csv(tiny_run / f"predictions/{name}.csv")["label_hypodensity"]
        assert f"\n| {name} | {len(labels)} | {labels.sum()} |" in card
    assert "fewer than 50 positives in test_hospitals_1_4 and test_hospitals_5_11." in card
    assert "not a medical device" in card


def test_the_code_is_a_copy(exported: Path) -> None:
    """Of whole rooms, under another name; and of no room that only training needs."""
    scripts = exported / "scripts"
    of_rooms = [file for room in CARRIED_ROOMS for file in (PACKAGE / room).rglob("*") if file.suffix != ".pyc"]
    assert {str(file.relative_to(scripts)) for file in scripts.rglob("*")} == {
        "__init__.py",
        *CARRIED_ROOMS,
        *(str(file.relative_to(PACKAGE)) for file in of_rooms if file.name != "__pycache__"),
    }
    for file in scripts.rglob("*.py"):
        text = file.read_text()
        assert text == renamed((PACKAGE / file.relative_to(scripts)).read_text())
        assert not re.search(r"(import|from) (monai_ich|mlflow)", text), file


def _members(file: Path) -> list[tuple[str, bytes]]:
    """What a file holds; an archive's members are unpacked, to any depth."""
    if not zipfile.is_zipfile(file):
        return [(file.name, file.read_bytes())]
    with zipfile.ZipFile(file) as archive:
        return [(f"{file.name}:{name}", archive.read(name)) for name in archive.namelist()]


def test_nothing_tells_of_patients_or_of_this_machine(exported: Path, tiny_run: Path, tiny_phantom: Path) -> None:
    frame = pd.read_csv(tiny_phantom, dtype=str)
    secrets = {str(tiny_run.parents[1]), str(tiny_phantom.parent), str(ROOT), str(Path.cwd()), "site-packages"}
    secrets |= {*frame["patient_id"], *frame["study_id"]}
    for file in [file for file in exported.rglob("*") if file.is_file()]:
        for name, content in _members(file):
            assert not [secret for secret in secrets if secret.encode() in content], name
    # short names are found by chance in weights and code, so as whole words in what the export writes itself
    names = rf"\b({re.escape(socket.gethostname())}|{re.escape(getpass.getuser())})\b"
    for file in [*exported.glob("configs/*.json"), exported / "docs/README.md"]:
        assert not re.search(names, file.read_text()), file
    with zipfile.ZipFile(f"{exported}.zip") as archive:
        files = {str(file.relative_to(exported.parent)) for file in exported.rglob("*") if file.is_file()}
        assert set(archive.namelist()) == files
