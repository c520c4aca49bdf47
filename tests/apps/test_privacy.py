# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Nothing that a full run writes holds what the DICOM headers say of the patient."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from monai.bundle import run as run_bundle
from support import TINY
from typer.testing import CliRunner

from monai_ich.__main__ import cli
from monai_ich.data import PhantomSpec, generate_phantom

pytestmark = pytest.mark.usefixtures("in_root")

PLANTED = {
    "PatientName": "Kirschbaum^Eleonore",
    "PatientID": "KZ8842193756",
    "PatientBirthDate": "19370419",
    "AccessionNumber": "ACC5566778899",
    "ReferringPhysicianName": "Quastenflosser^Dr",
    "OtherPatientNames": "Steinadler^Ada",
    "PatientAddress": "Uferweg 17 Zwiefalten",
}
# Names are searched for in parts and in either order, as programs reformat them.
SEARCHED = [
    *("Kirschbaum", "Eleonore", "KZ8842193756", "19370419", "1937-04-19", "ACC5566778899", "Quastenflosser"),
    *("Steinadler", "Zwiefalten"),
]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a phantom whose headers hold a patient."""
    folder = tmp_path_factory.mktemp("private")
    spec = PhantomSpec(studies=(8,) + (1,) * 10, slices_per_study=3, matrix=64)
    manifest = generate_phantom(folder / "images", folder / "phantom.csv", spec, workers=1)
    for path in (folder / "images").rglob("*.dcm"):
        data = pydicom.dcmread(path)
        for keyword, value in PLANTED.items():
            setattr(data, keyword, value)
        data.save_as(path)
    return manifest


def command(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def full_run(manifest: Path, folder: Path) -> None:
    """Trains, evaluates, predicts, explains, audits and exports, all with real components, into `folder`."""
    run = folder / "runs/private"
    settings: dict[str, Any] = {
        **TINY,
        "manifest": str(manifest),
        "cache_dir": str(folder / "cache"),
        "runs_dir": str(folder / "runs"),
        "run_dir": str(run),
        "tracking_uri": f"sqlite:///{folder}/mlflow.db",
    }
    run_bundle(config_file=["bundles/mtl/train.json"], **settings)
    study = sorted((manifest.parent / "images").rglob("*.dcm"))[0].parent
    said = command("predict", run, study, "--output-dir", folder / "predicted")
    said += command("gradcam", run, "--slices", 1)
    said += command("gradcam", run, study, "--output-dir", folder / "explained")
    said += command("audit", manifest, "--cache-dir", folder / "cache", "--workers", 1)
    said += command("export", run, folder / "shared/bundle")
    (folder / "said.txt").write_text(said)


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and those of what is packed in it."""
    data = path.read_bytes()
    yield str(path), data
    yield from unpacked(str(path), data)


def unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield f"{name}!{member}", archive.read(member)
                yield from unpacked(f"{name}!{member}", archive.read(member))
    if data[:2] == b"\x1f\x8b":
        yield f"{name}!gz", gzip.decompress(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        for kind in (b"zTXt", b"iTXt"):
            for part in data.split(kind)[1:]:
                packed = part[part.find(b"\0") + 2 :]
                yield f"{name}!{kind.decode()}", zlib.decompressobj().decompress(packed)


def found(path: Path) -> list[str]:
    """Where the planted texts are: file names and contents, in UTF-8 and UTF-16, whatever their case."""
    places = [f"{path}: name" for text in SEARCHED if text.lower() in str(path).lower()]
    for name, data in contents(path):
        lowered = data.lower()
        for text in SEARCHED:
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                if text.lower().encode(encoding) in lowered:
                    places.append(f"{name}: {text}")
    return places


def test_the_search_finds_what_is_planted(phantom: Path, tmp_path: Path) -> None:
    header = sorted((phantom.parent / "images").rglob("*.dcm"))[0]
    assert len(found(header)) >= len(PLANTED)
    (tmp_path / "a.gz").write_bytes(gzip.compress("x 19370419".encode("utf-16")))
    assert found(tmp_path / "a.gz")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.gz", "a.gz")
        archive.writestr("c.json", '{"id": "kz8842193756"}')
    assert {place.split(": ")[1] for place in found(tmp_path / "b.zip")} == {"19370419", "KZ8842193756"}


def test_a_full_run_holds_nothing_of_the_patient(phantom: Path, tmp_path: Path) -> None:
    full_run(phantom, tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    written += [path for path in phantom.parent.iterdir() if path.is_file()]  # manifest, card, audit
    names = " ".join(str(path.relative_to(path.parents[2])) for path in written)
    expected = (
        *("phantom.csv", "phantom.json", "phantom.audit.html", "phantom.audit.json", "mlflow.db", "train.json"),
        *("best.pt", "results.json", ".npy", "study.json", "mask.nii.gz", "bundle.zip", "metadata.json", "said.txt"),
    )
    for name in expected:  # the search would be worth nothing if a step had written elsewhere
        assert name in names, name
    assert [place for path in written for place in found(path)] == []
