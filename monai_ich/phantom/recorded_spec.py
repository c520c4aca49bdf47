# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The specification that a phantom on disk was made with, compared with the one that is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monai_ich.data.manifest_card import load_card
from monai_ich.phantom.spec import PhantomSpec
from monai_ich.utils.errors import ConfigurationError, FaultList
from monai_ich.utils.files import replace_json

PHANTOM_VERSION = 3  # raise it whenever the same specification no longer gives the same bytes
PHANTOM_NAME = "head-CT phantom"  # in the manifest's card
SPEC_FILE = "phantom.json"
IMAGE_FOLDERS = ("images", "masks")

_VERSION = "phantom_version"


def record_spec(folder: Path, spec: PhantomSpec) -> None:
    """Writes the specification into the phantom's folder, before its first image."""
    replace_json(folder / SPEC_FILE, {_VERSION: PHANTOM_VERSION, **spec.as_dict()})


def recorded_spec(folder: Path) -> dict[str, Any] | None:
    """The specification recorded in a folder; None where there is none.

    Raises:
        ConfigurationError: the file is not a JSON object.
    """
    path = folder / SPEC_FILE
    if not path.is_file():
        return None
    try:
        recorded = json.loads(path.read_bytes())
    except ValueError as error:
        recorded = error
    if not isinstance(recorded, dict):
        raise ConfigurationError(
            f"{path} does not hold the phantom's specification; expected a JSON object. Delete {folder} and the "
            "manifests of it, and make the phantom again."
        )
    return recorded


def refuse_another_phantom(folder: Path, table: Path, spec: PhantomSpec) -> None:
    """Refuses to make a phantom where another one, or something else, lies.

    Raises:
        ConfigurationError: with every field in which the specifications differ, or with what else is in the way.
    """
    faults = FaultList(_headline(folder, table, f"{folder} cannot take the phantom that is asked for."))
    recorded = recorded_spec(folder)
    if recorded is not None:
        _add_differences(recorded, {_VERSION: PHANTOM_VERSION, **spec.as_dict()}, faults)
    elif any((folder / name).exists() for name in IMAGE_FOLDERS):
        faults.add(
            f"it holds images without {SPEC_FILE}: they are not a phantom's, or an older version of this program made "
            "them and did not record how"
        )
    if table.exists():
        card = load_card(table) or {}
        named = card.get("dataset_dir")
        described = (table.resolve().parent / named).resolve() if isinstance(named, str) else None
        if described != folder.resolve():
            faults.add(f"{table} is there already and describes {described or 'files that its card does not name'}")
    faults.raise_if_any(ConfigurationError)


def refuse_other_specification(table: Path, spec: PhantomSpec, made_in: Path | None) -> None:
    """Refuses a manifest of a phantom that was made with another specification; other manifests are left alone.

    Args:
        table: a manifest that exists.
        spec: what the run's setting `phantom` asks for.
        made_in: the folder in which the run itself would make this phantom; None if it would not. Of a phantom that
            lies there every field counts. Of another one, such as one that the user names, only those fields count that
            are asked for: that differ from the default.

    Raises:
        ConfigurationError: with every field in which the two differ.
        ManifestError: the manifest's card cannot be read.
    """
    card = load_card(table) or {}
    named = card.get("dataset_dir")
    folder = table.parent / named if isinstance(named, str) else table.parent
    recorded = recorded_spec(folder)
    faults = FaultList(_headline(folder, table, f"{table} is of a phantom with another specification."))
    asked = {_VERSION: PHANTOM_VERSION, **spec.as_dict()}
    if made_in is None or folder.resolve() != made_in.resolve():
        default = dict(_fields(PhantomSpec().as_dict()))
        asked = {name: value for name, value in _fields(spec.as_dict()) if value != default[name]}
    if recorded is not None:
        _add_differences(recorded, asked, faults)
    elif card.get("name") == PHANTOM_NAME and folder.is_dir() and asked:
        faults.add(f"{folder} has no {SPEC_FILE}: an older version of this program made it, or the file was deleted")
    faults.raise_if_any(ConfigurationError)


def _headline(folder: Path, table: Path, what: str) -> str:
    other = table.with_name(f"phantom_2{table.suffix}")
    return (
        f"{what} Ask for what is on disk (settings of the bundle: --phantom::<field> <value>), name another manifest, "
        f"such as {other}, or delete {folder} and {table} to make it again:"
    )


def _add_differences(recorded: Mapping[str, Any], asked: Mapping[str, Any], faults: FaultList) -> None:
    on_disk = dict(_fields(recorded))
    for name, value in _fields(asked):
        if name not in on_disk:
            faults.add(f"{name}: not recorded on disk, asked for {value}")
        elif on_disk[name] != value:
            older = " (an older or newer version of this program made it)" if name == _VERSION else ""
            faults.add(f"{name}: on disk {on_disk[name]}, asked for {value}{older}")


def _fields(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a specification, those of its dials by `spurious::kernel`."""
    for name, value in spec.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{name}::")
        else:
            yield f"{prefix}{name}", value
