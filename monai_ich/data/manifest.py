# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The manifest, a CSV with one row a slice and a JSON card beside it: all faults reported, written atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import monai_ich
from monai_ich.data import manifest_checks as checks
from monai_ich.data.manifest_card import (
    card_path,
    check_card,
    dump_card,
    is_path,
    is_window,
    load_card,
    sha256_of,
)
from monai_ich.data.manifest_cells import (
    read_bytes,
    read_cells,
    text_frame,
    typed_frame,
    whole_floats_as_numbers,
    written_columns,
)
from monai_ich.data.splits import protocol_counts
from monai_ich.utils.errors import FaultList, ManifestError
from monai_ich.utils.files import replace_file
from monai_ich.utils.keys import Split

MOST_FAULTS = 60


@dataclass(frozen=True, eq=False)
class Manifest:
    """A manifest that passed every check.

    Attributes:
        frame: one row a slice, in file order, index 0..n-1. Text columns and attributes are strings (empty string = not
            given), slices are `Int64` (missing = a 2-D file), markers and labels are `float32` (0, 1, or NaN =
            unknown).
        card: the JSON card, or None when there is none.
        path: the CSV file.
        dataset_dir: the folder that `image` and `mask` are relative to.
        sha256: of the CSV's bytes.
    """

    frame: pd.DataFrame
    card: dict[str, Any] | None
    path: Path
    dataset_dir: Path
    sha256: str

    @property
    def protocol(self) -> str:
        """The name of the protocol that assigned the splits; "unknown" where no card says it."""
        protocol = (self.card or {}).get("protocol")
        return str(protocol.get("name", "unknown")) if isinstance(protocol, Mapping) else "unknown"


@dataclass(frozen=True, eq=False)
class UnsplitManifest:
    """A manifest's slices before a protocol assigns their splits.

    Attributes:
        frame: as `Manifest.frame`, with every `split` empty, whatever the file says.
        card: the JSON card as it is, or None when there is none.
    """

    frame: pd.DataFrame
    card: dict[str, Any] | None


def read_manifest(
    csv_path: Path | str,
    *,
    markers: Sequence[str] = ("hypodensity",),
    dataset_dir: Path | str | None = None,
    check_files: bool = True,
    required_splits: Sequence[str] = (Split.TRAIN, Split.VAL),
) -> Manifest:
    """Reads and checks a manifest; all its faults are reported together.

    Args:
        csv_path: the CSV file; its card is the file of the same stem with the suffix `.json`.
        markers: the markers to be learned. One alone must have both classes in every split; none is allowed (for
            segmentation or reconstruction only).
        dataset_dir: overrides the card's `dataset_dir`; needed when there is no card.
        check_files: also look whether each image and mask file exists (each folder is listed once).
        required_splits: splits that must have rows; empty to evaluate on a manifest of test sets only, or to read one
            whose splits are still to be assigned.

    Raises:
        ManifestError: with every fault, its row in a spreadsheet (the header is row 1), and the remedy.
    """
    path = Path(csv_path)
    data = read_bytes(path)
    digest = sha256_of(data)
    faults = FaultList(f"{path} cannot be used:", most=MOST_FAULTS)
    card = _checked_card(path, digest, faults)
    directory = _directory(path, card, dataset_dir, faults)
    frame = _known_columns(path, data, faults)
    checks.check_cells(frame, faults)
    checks.check_classes(frame, tuple(markers), required_splits, faults)
    if check_files and directory is not None:
        checks.check_files(frame, directory, faults)
    faults.raise_if_any(ManifestError)
    assert directory is not None  # otherwise a fault was raised
    return Manifest(typed_frame(frame), card, path, directory, digest)


def read_unsplit(csv_path: Path | str) -> UnsplitManifest:
    """Reads a manifest whose splits are to be assigned: every cell but those of `split` is checked.

    Training reads with `read_manifest`, whose checks include the splits, the files, and the card. Here the card's hash
    is not compared with the CSV: a table that is still being labelled changes, and the protocol's result gets a card of
    its own.

    Raises:
        ManifestError: with every fault, its row in a spreadsheet (the header is row 1), and the remedy.
    """
    path = Path(csv_path)
    data = read_bytes(path)
    faults = FaultList(f"{path} cannot be used:", most=MOST_FAULTS)
    card = _loaded_card(path, faults)
    frame = _known_columns(path, data, faults)
    checks.check_cells(frame.drop(columns="split", errors="ignore"), faults)
    faults.raise_if_any(ManifestError)
    return UnsplitManifest(typed_frame(frame.assign(split="")), card)


def write_manifest(
    frame: pd.DataFrame,
    csv_path: Path | str,
    *,
    name: str,
    description: str,
    licence: str,
    dataset_dir: Path | str,
    window_hu: Sequence[float],
    protocol: dict[str, Any],
    seed: int | None = None,
) -> Path:
    """Writes a manifest and its card; the same frame gives the same bytes.

    Each of the two files is replaced in one step, the CSV first: a crash between the two leaves a card that does not
    fit the CSV, which `read_manifest` reports.

    Args:
        frame: the schema's columns, in any order, any `label_<name>` and `attribute_<name>` columns, and `pair_id`;
            empty cells may be missing values or empty strings.
        csv_path: the CSV to write; folders are made.
        name: what the data set is called.
        description: what it is, in a sentence or two.
        licence: the licence of the data.
        dataset_dir: the folder that `image` and `mask` are relative to; stored relative to the card's folder.
        window_hu: the HU window (level, width) that the data are meant to be seen in.
        protocol: how `split` was assigned: `{"name": ..., ...}`.
        seed: the seed of what was drawn at random, if anything was.

    Returns:
        The CSV's path.

    Raises:
        ManifestError: the frame does not fit the schema, or the window is not (level, width).
    """
    path = Path(csv_path)
    faults = FaultList(f"the table cannot be written to {path}:", most=MOST_FAULTS)
    if not is_window(list(window_hu)):
        faults.add(f"window_hu is {window_hu!r}; expected (level, width) in HU, width above 0")
    checks.check_columns(list(frame.columns), faults)
    cells = text_frame(frame)
    checks.check_cells(cells, faults)
    faults.raise_if_any(ManifestError)
    data = cells.loc[:, written_columns(cells)].to_csv(index=False, lineterminator="\n").encode()
    relative = os.path.relpath(Path(dataset_dir).resolve(), path.resolve().parent)
    card: dict[str, Any] = {
        "name": name,
        "description": description,
        "licence": licence,
        "dataset_dir": Path(relative).as_posix(),
        "window_hu": [float(value) for value in window_hu],
        "protocol": protocol,
        "counts": protocol_counts(cells),
        "sha256": sha256_of(data),
        "created_by": f"monai_ich {monai_ich.__version__}",
    }
    if seed is not None:
        card["seed"] = seed
    replace_file(path, data)
    replace_file(card_path(path), dump_card(card))
    return path


def refresh_card(csv_path: Path | str) -> Path:
    """Renews the counts and the hash in a manifest's card after the CSV was edited by hand; returns the card's path.

    Raises:
        ManifestError: there is no card, or the CSV does not fit the schema.
    """
    path = Path(csv_path)
    card = load_card(path)
    if card is None:
        raise ManifestError(f"there is no card {card_path(path)} to refresh; write the manifest with write_manifest")
    data = read_bytes(path)
    faults = FaultList(f"{path} cannot be used:", most=MOST_FAULTS)
    frame = _known_columns(path, data, faults)
    checks.check_cells(frame, faults)
    faults.raise_if_any(ManifestError)
    card |= {"counts": protocol_counts(frame), "sha256": sha256_of(data)}
    replace_file(card_path(path), dump_card(card))
    return card_path(path)


def dataset_directory(csv_path: Path | str) -> Path:
    """The folder that a manifest's paths are relative to, as its card says.

    Raises:
        ManifestError: there is no card, or it does not name the folder.
    """
    path = Path(csv_path)
    faults = FaultList(f"{path} cannot be used:")
    directory = _directory(path, load_card(path), None, faults)
    faults.raise_if_any(ManifestError)
    assert directory is not None  # otherwise a fault was raised
    return directory


def split_names(frame: pd.DataFrame) -> list[str]:
    """The splits in order of appearance."""
    return [str(name) for name in frame["split"].unique()]


def test_splits(frame: pd.DataFrame) -> list[str]:
    """The test sets (splits whose name begins with `test`) in order of appearance."""
    return [name for name in split_names(frame) if name.startswith("test")]


test_splits.__test__ = False  # type: ignore[attr-defined]  # pytest would otherwise collect it wherever it is imported


def _known_columns(path: Path, data: bytes, faults: FaultList) -> pd.DataFrame:
    """The CSV's cells as text, one column a name; adds the faults of the header and of rows of another width."""
    frame = read_cells(path, data, faults)
    checks.check_columns(list(frame.columns), faults)
    return whole_floats_as_numbers(frame.loc[:, ~frame.columns.duplicated()])


def _loaded_card(path: Path, faults: FaultList) -> dict[str, Any] | None:
    try:
        return load_card(path)
    except ManifestError as error:
        faults.add(str(error))
        return None


def _checked_card(path: Path, digest: str, faults: FaultList) -> dict[str, Any] | None:
    card = _loaded_card(path, faults)
    if card is not None:
        check_card(card, path, digest, faults)
    return card


def _directory(path: Path, card: dict[str, Any] | None, override: Path | str | None, faults: FaultList) -> Path | None:
    if override is not None:
        return Path(override).resolve()
    named = (card or {}).get("dataset_dir")
    if is_path(named):
        return (path.resolve().parent / named).resolve()
    card_file = card_path(path)
    what = f"there is no card {card_file}" if card is None else f"the card {card_file} has no dataset_dir"
    faults.add(f"{what}, so the folder of its files is unknown; pass dataset_dir, or write a card with write_manifest")
    return None
