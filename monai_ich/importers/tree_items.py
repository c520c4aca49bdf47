# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From a tree's headers to the series that are read, each with its masks; and the masks that no series has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monai_ich.importers.balance_sheet import PASSED_OVER, REFUSED, USED, Balance
from monai_ich.importers.item_records import Refusal
from monai_ich.importers.mask_files import MaskFinder
from monai_ich.importers.redaction import Redactor
from monai_ich.importers.series_item import SeriesItem, SeriesOptions

MASKS = "masks"
NOT_NEEDED = "masks of slices that were not read, or that have another mask"


def series_items(
    series: Mapping[str, Sequence[Mapping[str, Any]]],
    redactor: Redactor,
    options: SeriesOptions,
    masks: MaskFinder,
) -> tuple[list[SeriesItem], list[Refusal]]:
    """One item a series; a series UID that two patients, studies or hospitals share is refused.

    Args:
        series: token of a series -> entries of its files, see `scan_chunk`, with their `path`.
        redactor: see `SeriesItem`.
        options: see `SeriesItem`.
        masks: finds the mask files.
    """
    items, refused = [], []
    for name, entries in series.items():
        owners = {(entry["patient"], entry["study"], entry["hospital"]) for entry in entries}
        if len(owners) > 1:
            reason = f"one series UID is used by {len(owners)} patients, studies or hospitals"
            refused.append(Refusal(f"series {name}", len(entries), reason, "Export those series again."))
            continue
        patient, study, hospital = owners.pop()
        paths = tuple(entry["path"] for entry in entries)
        found = masks.of_series(name, study, patient, paths, {entry["reference"] for entry in entries})
        items.append(SeriesItem(redactor, paths, patient, study, name, hospital, found, options))
    return with_shared_masks(items, series), refused


def with_shared_masks(
    items: Sequence[SeriesItem], series: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[SeriesItem]:
    """Marks the mask volumes that may be of several series whose positions cannot be compared.

    A mask that is named after the patient may be of any examination. Only where it has the pixels of a series is it
    known to be that one's.
    """
    references: dict[Path, set[tuple[str, str]]] = {}
    for item in items:
        of_item = {(item.study, entry["reference"]) for entry in series[item.series]}
        for path in item.masks.volumes:
            references.setdefault(path, set()).update(of_item)
    marked = []
    for item in items:
        shared = tuple(path for path in item.masks.volumes if len(references[path]) > 1)
        marked.append(replace(item, masks=replace(item.masks, shared=shared)))
    return marked


def claim_files(balance: Balance, item: SeriesItem, result: Mapping[str, Any], is_imported: bool) -> None:
    """Says what became of a series' files and masks; of those that were read, only where nothing is in the manifest."""
    kinds = {REFUSED: "CT images", PASSED_OVER: "copies of CT images"}
    for fate, places in result["files"].items():
        if fate != USED or not is_imported:
            balance.claim(fate if fate != USED else REFUSED, kinds.get(fate, "CT images"), _at(item.paths, places))
    masks = item.masks.all_paths()
    for fate, places in result["masks"].items():
        if fate != USED or is_imported:
            balance.claim(fate, MASKS, _at(masks, places))


def _at(paths: Sequence[Path], places: Iterable[int]) -> list[Path]:
    return [paths[place] for place in places]


def refuse_masks_of_no_series(
    masks: MaskFinder,
    items: Sequence[SeriesItem],
    unfit: Mapping[Path, Refusal],
    redactors: Sequence[Redactor],
    balance: Balance,
) -> list[Refusal]:
    """Refuses the mask files that no series takes, each by a path that names nobody; whose they are is not known.

    Args:
        masks: all mask files.
        items: all series.
        unfit: files that name no series, with why one of those in their frame of reference does not take them.
        redactors: of the folders that masks lie in.
        balance: knows what became of the others, and is told of these.
    """
    candidates = {path for item in items for path in item.masks.all_paths()}
    refused = []
    for path in sorted(masks.all_files()):
        if balance.fate(path) in (USED, REFUSED):
            continue
        if path in unfit:
            refused.append(unfit[path])
        elif path in candidates:
            balance.claim(PASSED_OVER, NOT_NEEDED, [path])
            continue
        else:
            redactor = next(one for one in redactors if path.is_relative_to(one.source))
            refused.append(
                Refusal(
                    f"mask {redactor.path(path, None)}",
                    1,
                    "belongs to no series that was read: neither its name, nor its folder, nor what it refers to fits",
                    "Name it after the series, study or patient, or import the series that it was drawn on.",
                )
            )
        balance.claim(REFUSED, MASKS, [path])
    return refused
