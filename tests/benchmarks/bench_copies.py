# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How alike copies of slices are after a re-export, and slices of different patients, on the phantom.

Run: PYTHONPATH=tests python tests/benchmarks/bench_copies.py [seed ...]
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from monai_ich.audit.near_duplicates import MAX_DISTANCE, near_pairs
from monai_ich.audit.slice_features import THUMBNAIL_SIDE, PixelCount, SliceFeaturesd, SlicePictured
from monai_ich.audit.slice_similarity import FEWEST_CONTENT_SHARE, NEAR_IDENTICAL, similarity
from monai_ich.phantom import PhantomSpec, make_patient

COPIED = 30  # slices, of as many patients
RANDOM_PAIRS = 2000
Change = Callable[[np.ndarray], np.ndarray]


def jpeg(low: float, high: float, quality: int) -> Change:
    """A JPEG of 8 bits between two HU."""

    def change(hu: np.ndarray) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(_eight_bits(hu, low, high)).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream)) / 255 * (high - low) + low

    return change


def eight_bits(low: float, high: float) -> Change:
    return lambda hu: _eight_bits(hu, low, high) / 255 * (high - low) + low


def _eight_bits(hu: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def matrix(side: int, resample: Image.Resampling) -> Change:
    return lambda hu: np.asarray(Image.fromarray(hu).resize((side, side), resample))


def noise(sigma_hu: float) -> Change:
    return lambda hu: hu + np.random.default_rng(0).normal(0, sigma_hu, hu.shape)


def turned(degrees: float) -> Change:
    return lambda hu: ndimage.rotate(hu, degrees, reshape=False, order=1, mode="nearest")


def moved(pixels: int) -> Change:
    return lambda hu: np.roll(hu, (pixels, pixels), axis=(0, 1))


def cropped(pixels: int) -> Change:
    return lambda hu: hu[pixels:-pixels, pixels:-pixels]


CHANGES: dict[str, Change] = {
    "none (lossless)": lambda hu: hu,
    "JPEG 90 of 0..80 HU": jpeg(0, 80, 90),
    "JPEG 75 of 0..80 HU": jpeg(0, 80, 75),
    "JPEG 50 of 0..80 HU": jpeg(0, 80, 50),
    "JPEG 75 of -100..200 HU": jpeg(-100, 200, 75),
    "JPEG 75 of -1024..1024 HU": jpeg(-1024, 1024, 75),
    "8 bits of 0..80 HU": eight_bits(0, 80),
    "8 bits of -1024..1024 HU": eight_bits(-1024, 1024),
    "-20..100 HU shown as 0..80": lambda hu: (hu + 20) / 120 * 80,
    "0..120 HU shown as 0..80": lambda hu: hu / 1.5,
    "HU + 4": lambda hu: hu + 4,
    "HU - 8": lambda hu: hu - 8,
    "HU * 1.1": lambda hu: hu * 1.1,
    "background masked": lambda hu: np.where(hu < -900, -1024, hu),
    "matrix 1024": matrix(1024, Image.Resampling.BILINEAR),
    "matrix 400": matrix(400, Image.Resampling.BICUBIC),
    "matrix 256": matrix(256, Image.Resampling.BOX),
    "matrix 224": matrix(224, Image.Resampling.BOX),
    "matrix 256, then JPEG 75": lambda hu: jpeg(-100, 200, 75)(matrix(256, Image.Resampling.BOX)(hu)),
    "noise of 4 HU": noise(4),
    "noise of 10 HU": noise(10),
    "blurred by 1 pixel": lambda hu: ndimage.gaussian_filter(hu, 1),
    "blurred by 2 pixels": lambda hu: ndimage.gaussian_filter(hu, 2),
    "moved by 1 pixel": moved(1),
    "moved by 2 pixels": moved(2),
    "moved by 3 pixels": moved(3),
    "moved by 6 pixels": moved(6),
    "turned by 1 degree": turned(1),
    "turned by 2 degrees": turned(2),
    "turned by 3 degrees": turned(3),
    "cropped by 8 pixels": cropped(8),
    "flipped": lambda hu: hu[:, ::-1],
}


def looks(hu: np.ndarray) -> dict[str, np.ndarray]:
    """What the audit sees of one slice (H,W): fingerprint (4,), thumbnail, picture; and whether it is looked at."""
    image = torch.from_numpy(np.maximum(hu, -1024).astype(np.float32, copy=True))[None]
    features = SliceFeaturesd()({"image": image, "mask": torch.zeros_like(image, dtype=torch.uint8)})
    content = features["pixel_counts"][0, PixelCount.CONTENT]
    return {
        "fingerprint": features["fingerprint"][0],
        "thumbnail": features["thumbnail"][0],
        "picture": SlicePictured()({"image": image})["picture"][0],
        "looked_at": np.array(content >= FEWEST_CONTENT_SHARE * THUMBNAIL_SIDE**2),
    }


def slices(spec: PhantomSpec) -> Iterator[tuple[int, np.ndarray]]:
    """Patient's number and HU (H,W) of every slice of the phantom."""
    studies = [(hospital, number) for hospital, count in enumerate(spec.studies, 1) for number in range(count)]
    for person, (hospital, number) in enumerate(studies):
        patient = make_patient(spec, hospital, number)
        for index in range(patient.scan.count):
            yield person, patient.render(index).hu.astype(np.float32)


def copies(hu: list[np.ndarray], log: logging.Logger) -> None:
    """Prints, for each change, hash distance and similarity of slices and their copies."""
    originals = [looks(plane) for plane in hu]
    log.info("%-28s %s", "change", "found; wrong bits max, median; 64 x 64 min, median; 128 x 128 min, median")
    for name, change in CHANGES.items():
        changed = [looks(np.asarray(change(plane), dtype=np.float32)) for plane in hu]
        pairs = list(zip(originals, changed, strict=True))
        bits = np.array([np.bitwise_count(a["fingerprint"] ^ b["fingerprint"]).sum() for a, b in pairs])
        small, large = (np.array([similarity(a[k], b[k]) for a, b in pairs]) for k in ("thumbnail", "picture"))
        found = (bits <= MAX_DISTANCE) & (np.minimum(small, large) >= NEAR_IDENTICAL)
        log.info(
            "%-28s %3.0f %%; %3d, %3d; %5.2f, %5.2f; %5.2f, %5.2f",
            *(name, 100 * found.mean(), bits.max(), np.median(bits)),
            *(small.min(), np.median(small), large.min(), np.median(large)),
        )


def others(person: np.ndarray, seen: list[dict[str, np.ndarray]], log: logging.Logger) -> None:
    """Prints the similarity of slices that are no copies."""
    fingerprints = np.stack([look["fingerprint"] for look in seen])
    near = near_pairs(fingerprints, np.arange(len(seen)))[0]
    of_one = person[near[:, 0]] == person[near[:, 1]]
    drawn = np.random.default_rng(0).integers(0, len(seen), (RANDOM_PAIRS, 2))
    drawn = drawn[person[drawn[:, 0]] != person[drawn[:, 1]]]
    kinds = {
        "strangers with near hashes": near_pairs(fingerprints, person)[0],
        "strangers drawn at random": drawn,
        "one patient, near hashes": near[of_one],
    }
    for name, pairs in kinds.items():
        small, large = (
            np.array([similarity(seen[a][k], seen[b][k]) for a, b in pairs]) for k in ("thumbnail", "picture")
        )
        both = np.minimum(small, large)
        log.info(
            "%-28s %d pairs; max %.3f at 64 x 64, %.3f at 128 x 128, %.3f in both; %d pass both",
            *(name, len(pairs), small.max(), large.max(), both.max(), (both >= NEAR_IDENTICAL).sum()),
        )


def main(seeds: list[int]) -> None:
    log = logging.getLogger("bench_copies")
    for seed in seeds:
        person, seen, hu, last = [], [], [], -1
        for who, plane in slices(PhantomSpec(seed=seed)):
            look = looks(plane)
            if not look["looked_at"]:
                continue
            person.append(who)
            seen.append(look)
            if who % 10 == 0 and who != last and len(hu) < COPIED:  # the first slice of every tenth patient
                hu.append(plane)
                last = who
        log.info("seed %d: %d slices of %d patients", seed, len(seen), len(set(person)))
        others(np.array(person), seen, log)
        copies(hu, log)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main([int(seed) for seed in sys.argv[1:]] or [PhantomSpec().seed])
