# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The part of an audit that decodes every slice once: the background, near-identical slices, the canary, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from monai.transforms import Compose
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from monai_ich.audit.background_check import background_findings
from monai_ich.audit.canary_check import canary_findings
from monai_ich.audit.copies_check import copy_findings
from monai_ich.audit.findings import Finding, Severity
from monai_ich.audit.mask_check import mask_findings
from monai_ich.audit.slice_features import FEATURES, THUMBNAIL_SIDE, BackgroundMeasure, PixelCount, SliceFeaturesd
from monai_ich.audit.slice_similarity import FEWEST_CONTENT_SHARE
from monai_ich.data import Manifest, SliceStore
from monai_ich.transforms import LoadSlicesd
from monai_ich.utils.console import console
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.keys import Key

EXAMPLES = 5


@dataclass(frozen=True, eq=False)
class Pixels:
    """Features of the slices that could be read.

    Attributes:
        store: of all rows.
        readable: bool (n,).
        fingerprints: uint64 (n, 4).
        counts: int32 (n, PixelCount).
        background: float32 (n, BackgroundMeasure).
    """

    store: SliceStore
    readable: np.ndarray
    fingerprints: np.ndarray
    counts: np.ndarray
    background: np.ndarray

    def thumbnails(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """uint8 (len(rows), 64, 64)."""
        return np.stack([self.store[int(row)]["thumbnail"] for row in rows])


@dataclass(frozen=True, eq=False)
class PixelFindings:
    """What the pixels say, and the rows that are worth a picture: pairs of slices, and slices with their mask."""

    findings: list[Finding]
    pairs: list[tuple[int, int]]
    masks: list[int]


def pixel_findings(
    manifest: Manifest, protocol: str, marker: str, cache_dir: Path | None, workers: int | None
) -> PixelFindings:
    """Reads every slice and judges the background, pairs, identities and masks."""
    pixels, unreadable = _read(manifest, cache_dir, workers)
    frame = manifest.frame
    enough = pixels.counts[:, PixelCount.CONTENT] >= FEWEST_CONTENT_SHARE * THUMBNAIL_SIDE**2
    rows = np.flatnonzero(pixels.readable & enough)
    pairs, copies = copy_findings(manifest, rows, pixels, protocol, cache_dir, workers)
    findings = [*unreadable, *background_findings(frame, pixels.readable, pixels.background, marker), *copies]
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
        store,
        np.zeros(rows, bool),
        np.zeros((rows, 4), np.uint64),
        np.zeros((rows, len(PixelCount)), np.int32),
        np.zeros((rows, len(BackgroundMeasure)), np.float32),
    )
    for of_study, arrays in store.studies():
        if arrays is not None:
            pixels.readable[of_study] = True
            pixels.fingerprints[of_study] = arrays["fingerprint"]
            pixels.counts[of_study] = arrays["pixel_counts"]
            pixels.background[of_study] = arrays["background"]
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
