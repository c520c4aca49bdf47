# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times an audit's parts, up to a manifest of RSNA's size.

Run: PYTHONPATH=tests python tests/benchmarks/bench_audit.py [rows]
"""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from bench_loading import milliseconds, write_study
from bench_manifest import RSNA_SLICES, table
from monai.transforms import Compose

from monai_ich.audit.manifest_audit import AuditRequest, audit_manifest
from monai_ich.audit.near_duplicates import near_pairs
from monai_ich.audit.slice_features import SliceFeaturesd, SlicePictured
from monai_ich.audit.slice_similarity import similarity
from monai_ich.data import read_manifest, write_manifest
from monai_ich.data.store import plain_tensors
from monai_ich.transforms import LoadSlicesd

COPIES = 1000
WRONG_BITS = (4, 8, 16, 24)  # of a copy's 256; the four take turns
SLICES = 35  # of a study
CROWD = 50_000
HIDDEN, NOISE = 6, 0.7


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
    """Fingerprints as alike as those of heads, of which the last 1000 copy others but for some bits (`WRONG_BITS`).

    The bits are signs of linear functions of a few hidden numbers of a study (shape, pose), along which its 35 slices
    move, and of noise. As on the phantom, some 2 in 1,000 pairs of strangers share a bucket.
    """
    rng = np.random.default_rng(0)
    weights, level = rng.normal(size=(HIDDEN, 256)), rng.normal(0, 0.5, 256)
    blocks = []
    for studies in np.array_split(np.arange(-(-rows // SLICES)), max(1, rows // 20_000)):
        hidden = rng.normal(size=(len(studies), 1, HIDDEN)) + 0.15 * rng.normal(
            size=(len(studies), SLICES, HIDDEN)
        ).cumsum(axis=1)
        signs = hidden.reshape(-1, HIDDEN) @ weights + level + rng.normal(0, NOISE, (len(studies) * SLICES, 256)) > 0
        blocks.append(np.packbits(signs, axis=1))
    words = np.concatenate(blocks)[:rows]
    sources = rng.choice(rows - COPIES, COPIES, replace=False)
    bits = np.unpackbits(words[sources], axis=1)
    bits ^= (rng.random((COPIES, 256)).argsort(axis=1) < np.resize(WRONG_BITS, COPIES)[:, None]).astype(np.uint8)
    words[-COPIES:] = np.packbits(bits, axis=1)
    return words.view(np.uint64), sources


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def search(rows: int, log: logging.Logger) -> None:
    """Looks for copies among strangers."""
    words, sources = fingerprints(rows)
    before, started = peak_mib(), time.process_time()
    pairs = near_pairs(words, np.arange(rows) // SLICES)[0]
    seconds = time.process_time() - started
    found = {tuple(pair) for pair in pairs[pairs[:, 1] >= rows - COPIES].tolist()}
    hits = np.array([(int(source), rows - COPIES + i) in found for i, source in enumerate(sources)])
    shares = ", ".join(f"{hits[i :: len(WRONG_BITS)].mean():.1%} of {wrong}" for i, wrong in enumerate(WRONG_BITS))
    log.info(
        "%d fingerprints: %.1f CPU s (%.0f us each), %d pairs; copies found by their wrong bits: %s; "
        "peak %.0f MiB, %.0f before",
        *(rows, seconds, 1e6 * seconds / rows, len(pairs), shares, peak_mib(), before),
    )


def search_crowd(rows: int, noisy_bits: int, log: logging.Logger) -> None:
    """Looks for copies where all slices look alike, and are of different patients."""
    rng = np.random.default_rng(0)
    bits = np.repeat(rng.integers(0, 2, (1, 256), dtype=np.uint8), rows, axis=0)
    for _ in range(noisy_bits):
        bits[np.arange(rows), rng.integers(0, 256, rows)] ^= 1
    words = np.packbits(bits, axis=1).view(np.uint64)
    started = time.process_time()
    pairs, _ = near_pairs(words, np.arange(rows))
    seconds = time.process_time() - started
    log.info(
        "%d slices that differ in %d bits: %.1f CPU s, %d pairs; peak %.0f MiB",
        *(rows, noisy_bits, seconds, len(pairs), peak_mib()),
    )


def features(log: logging.Logger) -> None:
    """Times what the audit computes of a slice against only reading it, one thread, the same files."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, plain_tensors():
        paths, _ = write_study(Path(name))
        item = {"image": [(path, None) for path in paths], "mask": [None] * len(paths)}
        read = LoadSlicesd(keys=["image", "mask"])
        compute = Compose([read, SliceFeaturesd()])
        read_ms, all_ms = (milliseconds(lambda part=part: part(item), len(paths)) for part in (read, compute))
        pictures = SlicePictured()(read(item))["picture"]
        one_ms = milliseconds(lambda: similarity(pictures[0], pictures[1]), 1)
    log.info(
        "features: %.0f slices a second, %.2f times reading alone (%.2f ms); comparing two pictures %.2f times",
        *(1000 / all_ms, all_ms / read_ms, read_ms, one_ms / read_ms),
    )


def metadata(rows: int, log: logging.Logger) -> None:
    """Reports seconds of the part that reads no image."""
    with tempfile.TemporaryDirectory() as name:
        path = write(rows, Path(name))
        started = time.perf_counter()
        read_manifest(path)
        read = time.perf_counter() - started
        status = audit_manifest(AuditRequest(path, pixels=False))
        log.info("%d rows: read in %.1f s; metadata part in %.1f s", rows, read, time.perf_counter() - started - read)
        log.info("status %d, peak %.0f MiB", status, peak_mib())


def main(rows: int) -> None:
    """From small to large, so that the peak of memory is each step's own."""
    log = logging.getLogger("bench_audit")
    features(log)
    for count in (10_000, 100_000, RSNA_SLICES):
        if count <= rows:
            search(count, log)
    for noisy_bits in (0, 4):
        search_crowd(min(rows, CROWD), noisy_bits, log)
    metadata(rows, log)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RSNA_SLICES)
