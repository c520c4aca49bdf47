# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Exports a complete run to a MONAI bundle that predicts elsewhere, without this package."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from monai_ich.export.bundle_metadata import bundle_metadata, primary_head
from monai_ich.export.carried_rooms import (
    CARRIED,
    OWN,
    copy_rooms,
    imported_distributions,
    renamed,
    rooms_behind,
    with_home_rooms,
)
from monai_ich.export.exported_network import (
    ExampleBatch,
    example_batches,
    missing_extra,
    write_onnx,
    write_torchscript,
)
from monai_ich.export.inference_config import NETWORK, inference_config
from monai_ich.export.model_card import ExportChecks, model_card
from monai_ich.export.run_facts import RunFacts, add_faults_of_run, read_facts
from monai_ich.networks import load_weights
from monai_ich.utils.console import console
from monai_ich.utils.errors import ExportError, FaultList
from monai_ich.utils.files import json_text
from monai_ich.utils.run_files import RunDirectory

FIRST_VERSION = "1.0.0"
_INFERENCE, _METADATA, _LOGGING = "configs/inference.json", "configs/metadata.json", "configs/logging.conf"
# A shorter path, such as /root, is found by chance among the bytes of weights.
_SHORTEST_TRACE = 8


def export_run(
    run_dir: str | Path,
    output_dir: str | Path,
    *,
    manifest: str | Path | None = None,
    version: str = FIRST_VERSION,
    force: bool = False,
) -> Path:
    """Writes the folder `output_dir`, a MONAI bundle, and `<output_dir>.zip` with that folder in it.

    Both are made in a hidden folder beside `output_dir` and moved when they are complete, so that a kill leaves no half
    bundle. What the bundle holds: docs/sharing.md.

    Args:
        run_dir: a complete run's directory.
        output_dir: the folder to make; its name is the bundle's.
        manifest: where the run's manifest is now; None takes the path that the run was trained with.
        version: of the bundle.
        force: replace a bundle that is there already.

    Returns:
        The folder.

    Raises:
        ExportError: with all that stands in the way, or where TorchScript or ONNX compute something else.
        ManifestError: the manifest is missing, has faults, or is another one.
        RunDirectoryError: the weights are not those of the configured network.
    """
    run, output = RunDirectory(Path(run_dir)), Path(output_dir).absolute()
    _refuse(run, output, force)
    facts = read_facts(run, None if manifest is None else Path(manifest))
    config = inference_config(run)
    network = _trained_network(config, facts)
    batches = example_batches(network, facts.settings["image_size"])
    config["network_def"]["task"] = primary_head(batches[0].outputs)
    with _staged(output) as bundle:
        checks = _fill(bundle, facts, config, network, batches, version)
        _refuse_traces(bundle, facts)
    _report(output, checks)
    return output


def _refuse(run: RunDirectory, output: Path, force: bool) -> None:
    faults = FaultList(f"{run.path} cannot be exported to {output}:")
    add_faults_of_run(run, faults)
    if output.suffix == ".zip":
        faults.add(f"name the folder, {output.with_suffix('')}; the zip is made beside it")
    there = [path for path in (output, _zip_of(output)) if path.exists()]
    if there and not force:
        faults.add(f"{' and '.join(map(str, there))} exist already; name another folder, or replace with --force")
    foreign = output.exists() and not (output / _METADATA).is_file()
    if force and foreign and not (output.is_dir() and not any(output.iterdir())):
        faults.add(f"{output} is not a bundle and will not be replaced, not even with --force; name another folder")
    if missing := missing_extra():
        faults.add(missing)
    faults.raise_if_any(ExportError)


def _zip_of(output: Path) -> Path:
    return output.with_name(output.name + ".zip")


@contextmanager
def _staged(output: Path) -> Iterator[Path]:
    """Gives a folder to fill; when that is done, zips it and moves both to their places, the folder last."""
    stage = output.with_name(f".{output.name}.partial")
    shutil.rmtree(stage, ignore_errors=True)  # left by a kill
    bundle = stage / output.name
    bundle.mkdir(parents=True)
    try:
        yield bundle
        _write_zip(bundle, stage / "bundle.zip")
        if output.exists():
            output.rename(stage / "replaced")
        (stage / "bundle.zip").replace(_zip_of(output))
        bundle.rename(output)
    finally:
        shutil.rmtree(stage)


def _write_zip(bundle: Path, path: Path) -> None:
    """The folder itself is the archive's only entry at the top, as MONAI's specification and its `download` want it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(file for file in bundle.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(bundle.parent))


def _trained_network(config: dict[str, Any], facts: RunFacts) -> nn.Module:
    network: nn.Module = ConfigParser(config).get_parsed_content(NETWORK)
    load_weights(network, facts.run.best_checkpoint)
    return network.eval().requires_grad_(False)


def _fill(
    bundle: Path,
    facts: RunFacts,
    config: dict[str, Any],
    network: nn.Module,
    batches: list[ExampleBatch],
    version: str,
) -> ExportChecks:
    for folder in ("configs", "models", "docs"):
        (bundle / folder).mkdir()
    own_config = with_home_rooms(json_text(config, indent=4))
    rooms = rooms_behind(own_config)
    copy_rooms(rooms, bundle)
    inference = renamed(own_config) + "\n"
    meta = bundle_metadata(facts, batches[0].outputs, imported_distributions(rooms), version)
    (bundle / _INFERENCE).write_text(inference, encoding="utf-8")
    (bundle / _METADATA).write_text(json_text(meta, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
    logging_conf = facts.run.logging_config.read_text(encoding="utf-8")
    own_logger = logging_conf.replace(f"qualname={OWN}", f"qualname={CARRIED}")
    (bundle / _LOGGING).write_text(own_logger, encoding="utf-8")
    torch.save(network.state_dict(), bundle / "models/model.pt")
    files = {Path(_INFERENCE).name: inference.encode()}
    checks = ExportChecks(
        torchscript=write_torchscript(network, bundle / "models/model.ts", batches, meta, files),
        onnx=write_onnx(network, bundle / "models/model.onnx", batches),
    )
    parameters = sum(parameter.numel() for parameter in network.parameters())
    (bundle / "docs/README.md").write_text(model_card(facts, meta, checks, parameters), encoding="utf-8")
    (bundle / "LICENSE").write_text(_licence_text(), encoding="utf-8")
    return checks


def _licence_text() -> str:
    """The licence that this package was installed with; a checkout's own egg-info, found first there, has none."""
    for distribution in metadata.distributions(name=OWN):
        text = distribution.read_text("licenses/LICENSE") or distribution.read_text("LICENSE")
        if text:
            return text
    raise ExportError(f"{OWN} is installed without its LICENSE; install it again with pip.")


def _refuse_traces(bundle: Path, facts: RunFacts) -> None:
    """Raises ExportError when a file of the bundle names a folder of this machine."""
    places = (facts.run.path.resolve(), facts.manifest.path.resolve().parent, Path.cwd(), Path.home())
    traces = {str(place) for place in places if len(str(place)) >= _SHORTEST_TRACE}
    faults = FaultList("The bundle would name folders of this machine, so nothing was exported:")
    for file in sorted(file for file in bundle.rglob("*") if file.is_file()):
        for content in _contents(file):
            for trace in sorted(trace for trace in traces if trace.encode() in content):
                faults.add(f"{file.relative_to(bundle)} holds {trace}")
    faults.raise_if_any(ExportError)


def _contents(file: Path) -> Iterator[bytes]:
    """A file's bytes; of an archive, such as PyTorch's files are, those of each member."""
    if not zipfile.is_zipfile(file):
        yield file.read_bytes()
        return
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            yield archive.read(name)


def _report(output: Path, checks: ExportChecks) -> None:
    for kind, differences in (("TorchScript", checks.torchscript), ("ONNX", checks.onnx)):
        text = ", ".join(f"{head} {difference:.1e}" for head, difference in differences.items())
        console.print(f"{kind}: largest difference from the network: {text}")
    console.print(f"written: {output} and {_zip_of(output)}", soft_wrap=True)
