# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Checks of a manifest's cells: each fault is named by its row in a spreadsheet; long runs are counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ich.data.manifest_labels import nowhere_known
from monai_ich.reading.hounsfield import ValueRule
from monai_ich.utils.errors import FaultList, did_you_mean, shown
from monai_ich.utils.keys import (
    IMAGE_VALUES,
    MARKERS,
    MASK_LABELS,
    PAIR_ID,
    Split,
    is_attribute,
    is_label,
    labels_among,
    unknown_label,
)

TEXT_COLUMNS = ("key", "image", "mask", "patient_id", "study_id", "hospital", "split")
REQUIRED_COLUMNS = ("key", "image", "patient_id", "study_id", "hospital")
SLICE_COLUMNS = ("image_slice", "mask_slice")
# what a slice is and whose, in the schema's order; then its split, then its labels
IDENTITY_COLUMNS = ("key", "image", "image_slice", "mask", "mask_slice", "patient_id", "study_id", "hospital")
COLUMNS = (*IDENTITY_COLUMNS, "split", *MARKERS)

SPLIT_NAMES = tuple(split.value for split in Split)
FIRST_DATA_ROW = 2  # the header is row 1 in a spreadsheet
ROWS_SHOWN = 5  # rows spelled out per fault; a wrong column would otherwise hide every other fault
# control characters, zero-width ones and marks of direction, line separators, the byte order mark
INVISIBLE = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"


def add_row_faults(faults: FaultList, bad: pd.Series, describe: Callable[[int], str], remedy: str = "") -> None:
    """Adds the first few rows where `bad` is true, then a count of the others with the same fault.

    Args:
        faults: where to add.
        bad: one truth value a row, indexed by the row number in a spreadsheet.
        describe: the fault's text for a row, given the row's position (0-based).
        remedy: what to do, said once.
    """
    positions = np.flatnonzero(bad.to_numpy(dtype=bool))
    ending = f"; {remedy}" if remedy else ""
    for position in positions[:ROWS_SHOWN]:
        faults.add(f"row {bad.index[position]}: {describe(int(position))}{ending}")
    if len(positions) > ROWS_SHOWN:
        last = positions[ROWS_SHOWN - 1]
        faults.add(f"... and {len(positions) - ROWS_SHOWN} more rows like row {bad.index[last]}")


def check_columns(columns: Sequence[str], faults: FaultList) -> None:
    """Adds a fault for each missing, unknown or repeated column."""
    if len(columns) == 1 and any(separator in columns[0] for separator in ";\t"):
        faults.add(
            f"the header is {shown(columns[0])}: values must be separated by commas; export it again as 'CSV UTF-8'"
        )
        return
    missing = [name for name in COLUMNS if name not in columns]
    unknown = [name for name in columns if not _is_known(name)]
    for name in unknown:
        hint = did_you_mean(name, missing) or (
            " Remove it; notes belong in a table of their own, and what may go with a marker in attribute_<name>."
        )
        faults.add(f"column {shown(name)} is not part of the schema.{hint}")
    for name in missing:
        faults.add(f"column {name!r} is missing; add it (its cells may be empty only where the schema says so)")
    for name in sorted({name for name in columns if list(columns).count(name) > 1}):
        faults.add(f"column {shown(name)} appears more than once; keep one")


def is_text(name: str) -> bool:
    """Whether a manifest's column holds text."""
    return name in (*TEXT_COLUMNS, PAIR_ID, IMAGE_VALUES, MASK_LABELS) or is_attribute(name)


def _is_known(name: str) -> bool:
    return name in COLUMNS or is_text(name) or is_label(name)


def check_cells(frame: pd.DataFrame, faults: FaultList) -> None:
    """Adds the faults of a manifest's text cells, before they are converted.

    Args:
        frame: text cells only, empty string where empty, indexed by row number; columns may be missing.
        faults: where to add.
    """
    for name in (column for column in REQUIRED_COLUMNS if column in frame):
        add_row_faults(faults, frame[name] == "", _empty(name), "every slice needs one")
    _check_texts(frame, faults)
    _check_keys(frame, faults)
    _check_numbers(frame, faults)
    _check_paths(frame, faults)
    _check_splits(frame, faults)
    _check_pairs(frame, faults)
    _check_reading(frame, faults)


def _empty(name: str) -> Callable[[int], str]:
    return lambda _: f"{name} is empty"


def _expected(name: str, cells: pd.Series, expected: str) -> Callable[[int], str]:
    return lambda position: f"{name} is {shown(cells.iloc[position])}; expected {expected}"


def _check_keys(frame: pd.DataFrame, faults: FaultList) -> None:
    if "key" not in frame:
        return
    keys = frame["key"]
    repeated = keys.duplicated() & (keys != "")
    if not repeated.any():
        return
    first_row = keys[~keys.duplicated()]
    rows = pd.Series(first_row.index, index=first_row.to_numpy())
    add_row_faults(
        faults,
        repeated,
        lambda i: f"key {shown(keys.iloc[i])} is already that of row {rows[keys.iloc[i]]}",
        "give every slice a key of its own",
    )


def _check_numbers(frame: pd.DataFrame, faults: FaultList) -> None:
    for name in (column for column in SLICE_COLUMNS if column in frame):
        cells = frame[name]
        add_row_faults(
            faults,
            ~cells.str.fullmatch(r"(?:0|[1-9][0-9]{0,8})?"),
            _expected(name, cells, "a whole number from 0, or empty for a 2-D file (no leading zeros)"),
        )
    if {"mask", "mask_slice"} <= set(frame.columns):
        orphan = (frame["mask"] == "") & (frame["mask_slice"] != "")
        add_row_faults(faults, orphan, lambda _: "mask_slice is given but mask is empty", "fill in mask or empty both")
    for name in labels_among(frame.columns):
        cells = frame[name]
        add_row_faults(faults, ~cells.isin(["", "0", "1"]), _expected(name, cells, "0, 1, or empty for unknown"))


def _check_pairs(frame: pd.DataFrame, faults: FaultList) -> None:
    """The two slices of a counterfactual pair are one head: of one patient and split, and with the same labels."""
    if PAIR_ID not in frame:
        return
    ids = frame[PAIR_ID]
    sizes = ids.map(ids.value_counts())
    add_row_faults(
        faults,
        (ids != "") & (sizes != 2),
        lambda i: f"pair_id {shown(ids.iloc[i])} is of {sizes.iloc[i]} slices; expected 2",
        "give both slices of a pair one pair_id that no other slice has, or leave it empty",
    )
    shared = [name for name in ("patient_id", "split", *labels_among(frame.columns)) if name in frame]
    pairs = frame[(ids != "") & (sizes == 2)]
    for name in shared:
        differs = pairs.groupby(PAIR_ID)[name].transform(lambda cells: len(set(cells)) > 1).astype(bool)
        add_row_faults(
            faults,
            differs.reindex(frame.index, fill_value=False),
            _unlike(name, ids),
            "the two slices of a pair show one head and differ in one attribute alone",
        )


def _check_reading(frame: pd.DataFrame, faults: FaultList) -> None:
    """How a slice's files are to be read: `image_values` and `mask_labels`."""
    if IMAGE_VALUES in frame:
        cells = frame[IMAGE_VALUES]
        expected = "a number to be added to make HU, 'any' for values that are taken as they are, or empty for HU"
        add_row_faults(faults, ~cells.map(_is_value_rule), _expected(IMAGE_VALUES, cells, expected))
    if MASK_LABELS in frame:
        cells = frame[MASK_LABELS]
        expected = "the numbers that mean haemorrhage in the mask, as '1 4', or empty"
        add_row_faults(
            faults,
            ~cells.str.fullmatch(r"(?:[1-9]\d{0,8}(?: [1-9]\d{0,8})*)?"),
            _expected(MASK_LABELS, cells, expected),
        )


def _is_value_rule(text: str) -> bool:
    try:
        ValueRule.parse(text)
    except ValueError:
        return False
    return True


def _unlike(name: str, ids: pd.Series) -> Callable[[int], str]:
    return lambda position: f"{name} differs between the two slices of pair_id {shown(ids.iloc[position])}"


def _check_paths(frame: pd.DataFrame, faults: FaultList) -> None:
    for name in (column for column in ("image", "mask") if column in frame):
        cells = frame[name]
        leaves = cells.str.match(r"/|[A-Za-z]:") | cells.str.contains("\\", regex=False)
        leaves |= cells.str.contains(r"(?:^|/)\.\.(?:/|$)", regex=True)
        add_row_faults(
            faults,
            leaves,
            _expected(name, cells, "a path inside dataset_dir with forward slashes"),
        )
        # a second spelling of one path would hide that a slice is in two splits
        detours = cells.str.contains(r"(?:^|/)\.(?:/|$)|//|/$", regex=True) & ~leaves
        add_row_faults(faults, detours, _expected(name, cells, "a path without '//', './' or a '/' at its end"))


def _check_texts(frame: pd.DataFrame, faults: FaultList) -> None:
    """Blanks and invisible characters: two cells that look the same would be two patients, or two hospitals."""
    for name in filter(is_text, frame.columns):
        cells = frame[name]
        invisible = cells.str.contains(INVISIBLE, regex=True)
        if name not in ("image", "mask"):  # a file's name may end in a blank
            invisible |= cells != cells.str.strip()
        expected = "text without blanks at its ends and without line breaks or invisible characters"
        add_row_faults(faults, invisible, _expected(name, cells, expected))


def _check_splits(frame: pd.DataFrame, faults: FaultList) -> None:
    if "split" not in frame:
        return
    splits = frame["split"]
    named = splits.isin(["", Split.TRAIN, Split.VAL]) | splits.str.startswith("test")
    add_row_faults(
        faults,
        ~named,
        lambda i: (
            f"split is {shown(splits.iloc[i])}; expected 'train', 'val' or a name that begins with 'test'"
            + (f".{hint}" if (hint := did_you_mean(splits.iloc[i], SPLIT_NAMES)) else "")
        ),
    )
    if not {"image", "image_slice"} <= set(frame.columns):
        return
    twins = frame.loc[frame.duplicated(["image", "image_slice"], keep=False), ["image", "image_slice", "split"]]
    if twins.empty:
        return
    first = twins.groupby(["image", "image_slice"], sort=False)["split"].transform("first")
    leaks = twins["split"] != first
    add_row_faults(
        faults,
        leaks,
        lambda i: (
            f"slice {twins['image_slice'].iloc[i] or '(2-D)'} of {shown(twins['image'].iloc[i])} is in split "
            f"{shown(twins['split'].iloc[i])} and in {shown(first.iloc[i])}"
        ),
        "a slice may be in one split only",
    )


def check_classes(frame: pd.DataFrame, markers: Sequence[str], required: Iterable[str], faults: FaultList) -> None:
    """Adds a fault for each marker that is unknown, each required split without rows, and each split of one class.

    Args:
        frame: text cells; columns may be missing.
        markers: the labels to be learned; one alone must have both classes in every split, or AUC is undefined.
        required: the splits that must have rows; then every row must be in some split, and every marker must be known
            in some row. Where none is required, rows may be without a split, as an import leaves them.
        faults: where to add.
    """
    said = [unknown_label(name, [*MARKERS, *frame.columns]) for name in markers]
    if len(markers) == 1 or required:
        said += [nowhere_known(frame, name) for name in markers if is_label(name) and name in frame]
    for fault in filter(None, said):
        faults.add(fault)
    if "split" not in frame:
        return
    if required:
        remedy = "assign one with a protocol, or remove the row"
        add_row_faults(faults, frame["split"] == "", lambda _: "split is empty", remedy)
    present = list(frame["split"].unique())
    for name in (split for split in required if split not in present):
        faults.add(f"split {str(name)!r} has no rows; assign some in column 'split' (or apply a protocol)")
    if len(markers) != 1 or any(said) or markers[0] not in frame:
        return
    for name in (split for split in present if split in SPLIT_NAMES or split.startswith("test")):
        cells = frame.loc[frame["split"] == name, markers[0]]
        counts = {value: int((cells == value).sum()) for value in ("0", "1")}
        if min(counts.values()) == 0:
            faults.add(
                f"split {shown(name)} has {counts['1']} slices with {markers[0]} and {counts['0']} without; "
                "AUC needs both: move rows between splits, draw them with another seed, or choose another marker"
            )


def check_files(frame: pd.DataFrame, dataset_dir: Path, faults: FaultList) -> None:
    """Adds a fault for each image or mask file that is not under `dataset_dir`.

    Every folder is listed once, however many rows name its files: a look-up a row would be slow on network disks.
    """
    if not dataset_dir.is_dir():
        faults.add(f"the dataset directory {dataset_dir} does not exist; fetch or make the data, or pass dataset_dir")
        return
    listings: dict[str, set[str]] = {}
    for name in (column for column in ("image", "mask") if column in frame):
        paths = [path for path in frame[name].unique() if path]
        missing = {path for path in paths if not _is_listed(path, dataset_dir, listings)}
        if missing:
            bad = frame[name].isin(list(missing))
            describe = _expected(f"{name} file", frame[name], f"a file in {dataset_dir}, where there is none")
            add_row_faults(faults, bad, describe, "restore it or remove the row")


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself: it must not hide the other files of its folder
        return False


def _is_listed(path: str, dataset_dir: Path, listings: dict[str, set[str]]) -> bool:
    folder, _, name = path.rpartition("/")
    if folder not in listings:
        try:
            with os.scandir(dataset_dir / folder) as entries:
                listings[folder] = {entry.name for entry in entries if _is_file(entry)}
        except (OSError, ValueError):  # no such folder, not to be read, or a name that no file system takes
            listings[folder] = set()
    return name in listings[folder]
