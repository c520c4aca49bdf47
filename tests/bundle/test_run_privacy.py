# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Nothing that a full run writes holds what the DICOM headers say of the patient."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from support import PATIENT
from typer.testing import CliRunner

from monai_ich.__main__ import cli

pytestmark = pytest.mark.usefixtures("in_root")

# Names are searched for in parts and in either order, as programs reformat them.
SEARCHED = [
    *("Kirschbaum", "Eleonore", "KZ8842193756", "19370419", "1937-04-19", "ACC5566778899", "Quastenflosser"),
    *("Steinadler", "Zwiefalten"),
]


def command(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def use(run: Path, phantom: Path, folder: Path, cache_dir: str) -> None:
    """Predicts, explains, audits and exports with a trained run, all with real components, into `folder`."""
    images = phantom.parent / "images"
    study = sorted(images.rglob("*.dcm"))[0].parent
    said = command("predict", run, study, "--output-dir", folder / "predicted")
    said += command("gradcam", run, "--slices", 1, "--output-dir", folder / "heat")
    said += command("gradcam", run, study, "--output-dir", folder / "explained")
    for file in (phantom, phantom.with_suffix(".json")):  # a copy: training looks for an audit beside the manifest
        shutil.copy(file, folder)
    audit = ("audit", folder / phantom.name, "--dataset-dir", images, "--cache-dir", cache_dir, "--workers", 1)
    said += command(*audit)
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


def found(paths: Iterable[Path]) -> list[str]:
    """Where the planted texts are: file names and contents, in UTF-8 and UTF-16, whatever their case.

    What was searched once is not searched again: MLflow, archives and checkpoints hold copies.
    """
    places, searched = [], set()
    for path in paths:
        places += [f"{path}: name" for text in SEARCHED if text.lower() in str(path).lower()]
        for name, data in contents(path):
            digest = hashlib.sha256(data).digest()
            if digest in searched:
                continue
            searched.add(digest)
            lowered = data.lower()
            for text in SEARCHED:
                encodings = ("utf-8", "utf-16-le", "utf-16-be")
                places += [f"{name}: {text}" for e in encodings if text.lower().encode(e) in lowered]
    return places


def test_the_search_finds_what_is_planted(tiny_phantom: Path, tmp_path: Path) -> None:
    header = sorted((tiny_phantom.parent / "images").rglob("*.dcm"))[0]
    assert len(found([header])) >= len(PATIENT)
    (tmp_path / "a.gz").write_bytes(gzip.compress("x 19370419".encode("utf-16")))
    assert found([tmp_path / "a.gz"])
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.gz", "a.gz")
        archive.writestr("c.json", '{"id": "kz8842193756"}')
    assert {place.split(": ")[1] for place in found([tmp_path / "b.zip"])} == {"19370419", "KZ8842193756"}


def test_a_full_run_holds_nothing_of_the_patient(
    tiny_run: Path, tiny_phantom: Path, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    use(tiny_run, tiny_phantom, tmp_path, tiny_settings["cache_dir"])
    uri = tiny_settings["tracking_uri"]
    tracked = mlflow.MlflowClient(uri).get_run(json.loads((tiny_run / "mlflow.json").read_text())["run_id"])
    folders = (tmp_path, tiny_run, Path(tiny_settings["cache_dir"]), Path(tracked.info.artifact_uri))
    written = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    written += [path for path in tiny_phantom.parent.iterdir() if path.is_file()]  # manifest and card
    written.append(Path(uri.removeprefix("sqlite:///")))
    names = " ".join(str(path.relative_to(path.parents[2])) for path in written)
    expected = (
        *("tiny.csv", "tiny.json", "tiny.audit.html", "tiny.audit.json", "mlflow.db", "train.json"),
        *("best.pt", "results.json", ".npy", "study.json", "mask.nii.gz", "bundle.zip", "metadata.json", "said.txt"),
        *("artifacts/results.json", "artifacts/figures/", "artifacts/checkpoints/", "heat/gradcam.csv"),
    )
    for name in expected:  # the search would be worth nothing if a step had written elsewhere
        assert name in names, name
    assert found(written) == []
