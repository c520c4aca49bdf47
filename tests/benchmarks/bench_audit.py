# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times the audit of a manifest of RSNA's size without its images: `python tests/benchmarks/bench_audit.py [rows]`."""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_manifest import RSNA_SLICES, table

from monai_ich.apps.audit.command import AuditRequest, audit_manifest
from monai_ich.data import read_manifest, write_manifest
from monai_ich.data.audit import near_pairs

COPIES = 1000


def write(rows: int, folder: Path) -> Path:
    """Writes a manifest in 11 hospitals, with its image files, all empty."""
    frame = table(rows)
    (folder / "stage_2_train").mkdir()
    for name in frame["image"]:
        (folder / name).touch()
    number = np.arange(rows) // 35  # patients
    split = np.where(number % 5 == 0, "val", "train").astype(object)
    split[number % 10 == 1] = "test_patients"
    return write_manifest(
        frame.assign(split=split, hospital=(number % 11).astype(str)),
        folder / "big.csv",
        name="big",
        description="synthetic",
        licence="CC0-1.0",
        dataset_dir=folder,
        window_hu=(40, 80),
        protocol={"name": "patient"},
    )


def fingerprints(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprints with bits as uneven as those of heads, of which the last 1000 copy others but for 8 bits."""
    rng = np.random.default_rng(0)
    shares = rng.beta(2, 2, 256)
    bits = np.concatenate([rng.random((len(block), 256)) < shares for block in np.array_split(np.arange(rows), 50)])
    sources = rng.choice(rows - COPIES, COPIES, replace=False)
    bits[-COPIES:] = bits[sources]
    for copy, flipped in zip(bits[-COPIES:], rng.random((COPIES, 256)).argsort(axis=1)[:, :8], strict=True):
        copy[flipped] ^= True
    return np.packbits(bits, axis=1).view(np.uint64), sources


def main(rows: int) -> None:
    """Reports seconds of each part, and the peak of memory."""
    log = logging.getLogger("bench_audit")
    with tempfile.TemporaryDirectory() as name:
        path = write(rows, Path(name))
        started = time.perf_counter()
        read_manifest(path)
        read = time.perf_counter() - started
        status = audit_manifest(AuditRequest(path, pixels=False))
        log.info("%d rows: read in %.1f s; metadata part in %.1f s", rows, read, time.perf_counter() - started - read)
        log.info("status %d, peak %.0f MiB", status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    words, sources = fingerprints(rows)
    started = time.perf_counter()
    pairs, _ = near_pairs(words, np.arange(rows) // 35)
    seconds = time.perf_counter() - started
    found = {tuple(pair) for pair in pairs.tolist()}
    hits = sum((int(source), rows - COPIES + i) in found for i, source in enumerate(sources))
    log.info(
        "near pairs of %d fingerprints in %.1f s: %d of %d copies, %d pairs", rows, seconds, hits, COPIES, len(pairs)
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RSNA_SLICES)
