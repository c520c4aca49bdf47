# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Assigns the splits of a manifest by a protocol, and writes the result as a manifest of its own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.data.manifest import UnsplitManifest, read_unsplit, write_manifest
from monai_ich.data.manifest_card import add_place_faults, card_path
from monai_ich.data.split_counts_table import split_table
from monai_ich.data.splits import PROTOCOLS, shared_patients
from monai_ich.utils.console import console, progress_bar
from monai_ich.utils.errors import FaultList, ManifestError, did_you_mean
from monai_ich.utils.keys import BRAIN_WINDOW_HU, PAIR_ID, Split

CARD_TEXTS = ("name", "description", "licence")


@dataclass(frozen=True)
class SplitRequest:
    """What `split_manifest` is asked to do.

    Attributes:
        manifest: the CSV to split; its `split` cells are not looked at.
        output: the CSV to write; protocol `kfold` writes `<stem>-fold0.csv` and so on beside it.
        protocol: a name in `monai_ich.data.PROTOCOLS`.
        settings: arguments of the protocol's function; what is not given has its default.
        card: what the new card says in place of the manifest's own: name, description, licence, dataset_dir, window_hu.
        force: replace files that are there already.
    """

    manifest: Path
    output: Path
    protocol: str = "patient"
    settings: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False


def split_manifest(request: SplitRequest) -> list[Path]:
    """Splits a manifest by a protocol, prints the counts, and writes the result with its card.

    Everything is drawn and checked before the first file is written.

    Returns:
        The manifests written: one, or one a fold.

    Raises:
        ManifestError: the request, the manifest or the draw is impossible, or a file is in the way.
    """
    faults = FaultList(f"{request.manifest} cannot be split:")
    runs = _runs(request, faults)
    _check_outputs(request, list(runs), faults)
    faults.raise_if_any(ManifestError)
    slices = read_unsplit(request.manifest)
    card = _card(request, slices, faults)
    paired = int((slices.frame[PAIR_ID] != "").sum()) if PAIR_ID in slices.frame else 0
    if paired:
        faults.add(
            f"{paired} rows are of counterfactual pairs (column {PAIR_ID}), which make up a test set: "
            "split a manifest without these rows"
        )
    faults.raise_if_any(ManifestError)
    with progress_bar() as bar:
        task = bar.add_task(request.protocol, total=2 * len(runs))
        # twice over the folds, for one that is impossible shall leave no file of another
        for settings in runs.values():
            PROTOCOLS[request.protocol](slices.frame, **settings)
            bar.advance(task)
        for path, settings in runs.items():
            table = PROTOCOLS[request.protocol](slices.frame, **settings)
            protocol = _described(request.protocol, settings, slices.frame, table)
            write_manifest(table, path, **card, protocol=protocol, seed=settings["seed"])
            _report(path, table, protocol)
            bar.advance(task)
    return list(runs)


def _runs(request: SplitRequest, faults: FaultList) -> dict[Path, dict[str, Any]]:
    """The protocol's arguments, complete with its defaults, for each manifest to write."""
    if request.protocol not in PROTOCOLS:
        hint = did_you_mean(request.protocol, PROTOCOLS)
        faults.add(f"protocol {request.protocol!r} is unknown; expected one of {', '.join(PROTOCOLS)}.{hint}")
        return {}
    parameters = list(inspect.signature(PROTOCOLS[request.protocol]).parameters.values())[1:]
    names = [parameter.name for parameter in parameters]
    for name in (setting for setting in request.settings if setting not in names):
        options = ", ".join(_option(name) for name in names)
        faults.add(f"protocol {request.protocol!r} has no {_option(name)}; it takes {options}")
    settings = {}
    for parameter in parameters:
        settings[parameter.name] = request.settings.get(parameter.name, parameter.default)
        if settings[parameter.name] is inspect.Parameter.empty:
            faults.add(f"protocol {request.protocol!r} needs {_option(parameter.name)}")
    if request.protocol != "kfold":
        return {request.output: settings}
    # one at least, so that the protocol itself refuses a number of folds that makes no sense
    folds = [request.settings["fold"]] if "fold" in request.settings else range(max(1, settings["folds"]))
    stem = request.output.stem
    return {request.output.with_name(f"{stem}-fold{fold}.csv"): {**settings, "fold": fold} for fold in folds}


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_outputs(request: SplitRequest, outputs: Sequence[Path], faults: FaultList) -> None:
    before = len(faults)
    add_place_faults(request.output, faults)
    if len(faults) > before:
        return
    for path in () if request.force else outputs:
        if path.resolve() == request.manifest.resolve():
            faults.add("--output is the manifest itself, and slices may be left out; name another, or pass --force")
            continue
        for existing in (file for file in (path, card_path(path)) if file.exists()):
            faults.add(f"{existing} exists; name another --output, or pass --force to replace it")


def _card(request: SplitRequest, slices: UnsplitManifest, faults: FaultList) -> dict[str, Any]:
    """What the new card says of the data: as requested, or else as the manifest's own card says."""
    own = slices.card or {}
    card = {name: request.card.get(name, own.get(name, "")) for name in CARD_TEXTS}
    card["window_hu"] = request.card.get("window_hu", own.get("window_hu", BRAIN_WINDOW_HU))
    folder = own.get("dataset_dir")
    # a card's folder is relative to the card, an option's to where the command runs
    known = {"dataset_dir": request.manifest.resolve().parent / folder} if isinstance(folder, str) else {}
    card["dataset_dir"] = request.card.get("dataset_dir", known.get("dataset_dir", ""))
    missing = [_option(name) for name, value in card.items() if value == ""]
    if missing:
        state = (
            "has no card beside it" if slices.card is None else f"has a card, {card_path(request.manifest)}, without it"
        )
        faults.add(f"{request.manifest.name} {state}: give {', '.join(missing)}")
    return card


def _described(name: str, settings: dict[str, Any], before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """The protocol as the card holds it: its name, its arguments but the seed, and what it left out."""
    unknown = int(before[settings["marker"]].isna().sum())
    shown = {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items() if key != "seed"
    }
    left_out = {"left_out_unknown": unknown, "left_out_others": len(before) - len(after) - unknown}
    return {"name": name, **shown, **left_out}


def _report(path: Path, table: pd.DataFrame, protocol: dict[str, Any]) -> None:
    marker, others = protocol["marker"], protocol["left_out_others"]
    console.print(f"written: {path}; protocol: {protocol['name']}", soft_wrap=True, markup=False)
    console.print(split_table(table, marker))
    shared = sum(count for pair, count in shared_patients(table).items() if set(pair) == {Split.TRAIN, Split.VAL})
    if shared:
        patients = table.loc[table["split"] == Split.VAL, "patient_id"].nunique()
        console.print(
            f"{shared} of the {patients} patients of val are also in train: the choice of the best epoch, by val_auc, "
            "is optimistic",
            soft_wrap=True,
        )
    if protocol["left_out_unknown"]:
        console.print(f"left out: {protocol['left_out_unknown']} slices whose {marker} is unknown", soft_wrap=True)
    if others:
        reason = (
            "that the second test set did not draw"
            if protocol["name"] == "paper"
            else "of patients whom a held-out hospital examined as well"
        )
        console.print(f"left out: {others} slices {reason}", soft_wrap=True)
