# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Copies of slices under other names: near fingerprints, then like thumbnails, then like pictures, read anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from monai.transforms import Compose

from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.near_duplicates import GUARANTEED_DISTANCE, MOST_PARTNERS, near_pairs
from monai_ich.audit.overlap import both_tests, shared_severity
from monai_ich.audit.slice_features import PICTURES, SlicePictured
from monai_ich.audit.slice_similarity import NEAR_IDENTICAL, similarity
from monai_ich.data import Manifest, SliceStore
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.console import progress_bar
from monai_ich.utils.keys import Key

CHECK = "near-identical slices"
MOST_COMPARED = 200_000  # pairs whose thumbnails are compared, the nearest
MOST_READ = 20_000  # pairs whose slices are read again
EXAMPLES = 5


class Features(Protocol):
    """What is known of every slice: `fingerprints` uint64 (n, 4), and `thumbnails` uint8 (k, S, S) of k rows."""

    @property
    def fingerprints(self) -> np.ndarray: ...

    def thumbnails(self, rows: Sequence[int] | np.ndarray) -> np.ndarray: ...


def copy_findings(
    manifest: Manifest, rows: np.ndarray, features: Features, protocol: str, cache_dir: Path | None, workers: int | None
) -> tuple[np.ndarray, list[Finding]]:
    """Looks for nearly identical slices of different patient_ids; one patient_id in two splits is another check's.

    Args:
        manifest: whose slices they are.
        rows: int (R,), the slices that show enough of a head to be told from others.
        features: of all rows of the manifest.
        protocol: the card's, which says what is grave.
        cache_dir: keeps the pictures of the candidates; None keeps them in memory.
        workers: processes that read them.

    Returns:
        Rows int64 (P,2) of the pairs found, and what they mean.

    Raises:
        ImageReadError: a candidate's file has changed since its features were computed.
    """
    frame = manifest.frame
    if not len(rows):
        nothing = np.empty((0, 2), np.int64)
        return nothing, [Finding(CHECK, Severity.SKIPPED, "No slice shows enough of a head to be told from others.")]
    near, bits = near_pairs(features.fingerprints[rows], pd.factorize(frame["patient_id"])[0][rows])
    candidates = rows[near]
    alike = _alike(candidates[:MOST_COMPARED], features)
    pairs = _confirmed(manifest, alike[:MOST_READ], cache_dir, workers)
    findings = [*_pair_findings(frame, pairs, protocol), *_crowded(candidates[bits <= GUARANTEED_DISTANCE])]
    for most, pairs_there, how in ((MOST_COMPARED, candidates, "near fingerprints"), (MOST_READ, alike, "like looks")):
        if len(pairs_there) > most:
            summary = f"Only {most} of {len(pairs_there)} pairs of slices with {how} were compared further."
            findings.append(Finding(CHECK, Severity.SKIPPED, summary, "Remove the copies found, and audit again."))
    return pairs, findings


def _crowded(nearest: np.ndarray) -> list[Finding]:
    """Says how many slices have too many very near partners (pairs (C,2)) to be compared with all: see `near_pairs`."""
    count = int((np.bincount(nearest.ravel()) >= MOST_PARTNERS).sum())
    if not count:
        return []
    summary = (
        f"{count} slices look like {MOST_PARTNERS} others or more; each was compared with its nearest {MOST_PARTNERS}."
    )
    return [Finding(CHECK, Severity.SKIPPED, summary, "Remove the copies found, if any, and audit again.")]


def _alike(pairs: np.ndarray, features: Features) -> np.ndarray:
    """Those of the pairs (C,2) whose thumbnails are alike in detail; this spares reading most of the others."""
    with progress_bar(disable=not len(pairs)) as bar:
        alike = [
            similarity(*features.thumbnails(pair)) >= NEAR_IDENTICAL
            for pair in bar.track(pairs, description="comparing thumbnails")
        ]
    return pairs[np.array(alike, dtype=bool)]


def _confirmed(manifest: Manifest, pairs: np.ndarray, cache_dir: Path | None, workers: int | None) -> np.ndarray:
    """Those of the pairs (A,2) whose pictures, of twice the resolution, are alike in detail too."""
    if not len(pairs):
        return pairs
    rows, places = np.unique(pairs, return_inverse=True)
    preprocessing = Compose([LoadSlicesd(keys=Key.IMAGE), SlicePictured()])
    frame = manifest.frame.iloc[rows]
    store = SliceStore(frame, manifest.dataset_dir, preprocessing, cache_dir, num_workers=workers, fields=PICTURES)
    store.prepare()
    with progress_bar() as bar:
        same = [
            similarity(store[int(one)]["picture"], store[int(other)]["picture"]) >= NEAR_IDENTICAL
            for one, other in bar.track(places.reshape(-1, 2), description="comparing pictures")
        ]
    return pairs[np.array(same, dtype=bool)]


def _pair_findings(frame: pd.DataFrame, pairs: np.ndarray, protocol: str) -> list[Finding]:
    if not len(pairs):
        return [Finding(CHECK, Severity.PASSED, "No slice is a copy of another patient's.")]
    splits = frame["split"].to_numpy(dtype=object)
    table = pd.DataFrame({"one": splits[pairs[:, 0]], "other": splits[pairs[:, 1]], "pair": range(len(pairs))})
    table[["one", "other"]] = np.sort(table[["one", "other"]].to_numpy(dtype=str), axis=1)
    findings = []
    for (one, other), group in table.groupby(["one", "other"], sort=False):
        of_splits = pairs[group["pair"]]
        which = f"within {one}" if one == other else f"of {one} and {other}"
        summary = f"{len(of_splits)} pairs of slices {which} are nearly the same picture under different patient_ids."
        severity = Severity.WARNING if one == other else shared_severity(protocol, one, other)
        if severity is Severity.FATAL:
            remedy = "Give one person one patient_id, remove the copies, and split anew."
        elif one == other:
            remedy = "Give one person one patient_id, or remove the copies: intervals by patients would be too narrow."
        elif both_tests(one, other):
            remedy = "Say so where the two are compared: they are not independent."
        else:
            remedy = f"The protocol {protocol!r} lets the splits share patients; results include recognising the slice."
        findings.append(Finding(CHECK, severity, summary, remedy, _examples(frame, of_splits)))
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
