# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part of an audit that decodes every slice once: near-identical slices, the canary, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from monai.transforms import Compose
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from monai_ich.apps.audit.canary import canary_findings
from monai_ich.apps.audit.masks import mask_findings
from monai_ich.data import Manifest, SliceStore
from monai_ich.data.audit import NEAR_IDENTICAL, Finding, Severity, both_tests, near_pairs, shared_severity, similarity
from monai_ich.transforms import FEATURES, LoadSlicesd, PixelCount, SliceFeaturesd
from monai_ich.utils.console import console, progress_bar
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.keys import Key

FEWEST_CONTENT_PX = 50  # a thumbnail with less is all air or all bone, like any other
NEAR_CHECK = "near-identical slices"
MOST_COMPARED = 20_000  # pairs whose pictures are compared: of different patients first, then the nearest
EXAMPLES = 5


@dataclass(frozen=True, eq=False)
class Pixels:
    """Features of the slices that could be read.

    Attributes:
        store: of all rows.
        readable: bool (n,).
        fingerprints: uint64 (n, 4).
        counts: int32 (n, PixelCount).
    """

    store: SliceStore
    readable: np.ndarray
    fingerprints: np.ndarray
    counts: np.ndarray

    def thumbnails(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """uint8 (len(rows), 64, 64)."""
        return np.stack([self.store[int(row)]["thumbnail"] for row in rows])


@dataclass(frozen=True, eq=False)
class PixelFindings:
    """What the pixels say, and the rows that are worth a picture: pairs of slices, and slices with their mask."""

    findings: list[Finding]
    pairs: list[tuple[int, int]]
    masks: list[int]


def pixel_findings(manifest: Manifest, protocol: str, cache_dir: Path | None, workers: int | None) -> PixelFindings:
    """Reads every slice and judges pairs, identities and masks."""
    pixels, unreadable = _read(manifest, cache_dir, workers)
    frame = manifest.frame
    pairs, uncompared = _near_identical(pixels, frame)
    findings = [*unreadable, *_pair_findings(frame, pairs, protocol), *uncompared]
    findings += canary_findings(frame, pixels.readable, pixels.thumbnails, persons(frame, pairs), protocol)
    masks, wrong = mask_findings(frame, pixels.readable, pixels.counts)
    across = frame["split"].to_numpy()[pairs]
    first_across = np.argsort(across[:, 0] == across[:, 1], kind="stable")
    shown = [(int(one), int(other)) for one, other in pairs[first_across][:EXAMPLES]]
    return PixelFindings([*findings, *masks], shown, wrong[:EXAMPLES])


def persons(frame: pd.DataFrame, pairs: np.ndarray) -> np.ndarray:
    """int (n,): who each slice is of; patient_ids that share a near-identical slice are one person."""
    patients, names = pd.factorize(frame["patient_id"])
    links = patients[pairs] if len(pairs) else np.empty((0, 2), dtype=np.int64)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(names), len(names)))
    return connected_components(graph, directed=False)[1][patients]


def _read(manifest: Manifest, cache_dir: Path | None, workers: int | None) -> tuple[Pixels, list[Finding]]:
    preprocessing = Compose([LoadSlicesd(keys=[Key.IMAGE, Key.MASK]), SliceFeaturesd()])
    store = SliceStore(
        manifest.frame, manifest.dataset_dir, preprocessing, cache_dir, num_workers=workers, fields=FEATURES
    )
    try:
        store.prepare()
    except ImageReadError as error:
        # paths may name patients: they are for this screen, not for a report
        console.print(str(error), markup=False, soft_wrap=True)
    rows = len(manifest.frame)
    pixels = Pixels(
        store, np.zeros(rows, bool), np.zeros((rows, 4), np.uint64), np.zeros((rows, len(PixelCount)), np.int32)
    )
    for of_study, arrays in store.studies():
        if arrays is not None:
            pixels.readable[of_study] = True
            pixels.fingerprints[of_study] = arrays["fingerprint"]
            pixels.counts[of_study] = arrays["pixel_counts"]
    return pixels, [_unreadable(manifest.frame, pixels.readable)]


def _unreadable(frame: pd.DataFrame, readable: np.ndarray) -> Finding:
    lost = frame[~readable]
    if lost.empty:
        return Finding("files", Severity.PASSED, f"All {len(frame)} slices and their masks can be read.")
    return Finding(
        "files",
        Severity.FATAL,
        f"{len(lost)} slices belong to {lost['study_id'].nunique()} studies that cannot be read whole.",
        "The command names each file and its fault on the screen; training would stop there too.",
        tuple(lost[["key", "study_id"]].head(EXAMPLES).to_dict("records")),
    )


def _near_identical(pixels: Pixels, frame: pd.DataFrame) -> tuple[np.ndarray, list[Finding]]:
    """Rows (P, 2) of nearly identical slices of different patients or splits, and whether some were not compared."""
    group = pd.factorize(pd.MultiIndex.from_frame(frame[["patient_id", "split"]]))[0]
    patient = pd.factorize(frame["patient_id"])[0]
    rows = np.flatnonzero(pixels.readable & (pixels.counts[:, PixelCount.CONTENT] >= FEWEST_CONTENT_PX))
    kept = []
    with progress_bar() as bar:
        bar.add_task("comparing fingerprints", total=None)
        candidates = rows[near_pairs(pixels.fingerprints[rows], group[rows])[0]]
        # first those that nothing else in the audit would find
        candidates = candidates[np.argsort(patient[candidates[:, 0]] == patient[candidates[:, 1]], kind="stable")]
        for one, other in bar.track(candidates[:MOST_COMPARED], description="comparing slices"):
            if similarity(*pixels.thumbnails([one, other])) >= NEAR_IDENTICAL:
                kept.append((int(one), int(other)))
    uncompared = []
    if len(candidates) > MOST_COMPARED:
        summary = f"Only {MOST_COMPARED} of {len(candidates)} pairs with near fingerprints were compared."
        uncompared = [Finding(NEAR_CHECK, Severity.SKIPPED, summary, "Remove the copies found, and audit again.")]
    return np.array(kept, dtype=np.int64).reshape(-1, 2), uncompared


def _pair_findings(frame: pd.DataFrame, pairs: np.ndarray, protocol: str) -> list[Finding]:
    if not len(pairs):
        return [Finding(NEAR_CHECK, Severity.PASSED, "No slice is a copy of one of another split or patient.")]
    splits, patients = frame["split"].to_numpy(dtype=object), frame["patient_id"].to_numpy(dtype=object)
    table = pd.DataFrame({"one": splits[pairs[:, 0]], "other": splits[pairs[:, 1]], "pair": range(len(pairs))})
    table[["one", "other"]] = np.sort(table[["one", "other"]].to_numpy(dtype=str), axis=1)
    findings = []
    for (one, other), group in table.groupby(["one", "other"], sort=False):
        of_splits = pairs[group["pair"]]
        strangers = int((patients[of_splits[:, 0]] != patients[of_splits[:, 1]]).sum())
        which = (
            f"{len(of_splits)} pairs of slices of {one} and {other}"
            if one != other
            else (f"{len(of_splits)} pairs of slices within {one}")
        )
        summary = f"{which} are the same picture, {strangers} of them under different patient_ids."
        severity = Severity.WARNING if one == other else shared_severity(protocol, one, other)
        if severity is Severity.FATAL:
            remedy = "Give one person one patient_id, remove the copies, and split anew."
        elif one == other:
            remedy = "Give one person one patient_id, or remove the copies: intervals by patients would be too narrow."
        elif both_tests(one, other):
            remedy = "Say so where the two are compared: they are not independent."
        else:
            remedy = f"The protocol {protocol!r} lets the splits share patients; results include recognising the slice."
        findings.append(Finding(NEAR_CHECK, severity, summary, remedy, _examples(frame, of_splits)))
    return findings


def _examples(frame: pd.DataFrame, pairs: np.ndarray) -> tuple[dict[str, str], ...]:
    rows = []
    for pair in pairs[:EXAMPLES]:
        one, other = (frame.iloc[int(row)] for row in pair)
        rows.append(
            {
                "key": one["key"],
                "patient_id": one["patient_id"],
                "split": one["split"],
                "copy's key": other["key"],
                "copy's patient_id": other["patient_id"],
                "copy's split": other["split"],
            }
        )
    return tuple(rows)
