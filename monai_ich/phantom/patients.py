# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Patient-level draws: who bleeds, which markers, and every nuisance, without drawing a single pixel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.special import ndtr, ndtri

from monai_ich.phantom.hospitals import HOSPITALS, Hospital
from monai_ich.phantom.spec import PhantomSpec

VOLUME_RANGE_ML = (3.0, 100.0)
_IRREGULARITY_VOLUME_CORRELATION = 0.4  # Barras: regular shape in 43/17/3 % of small/middle/large clots
_FLUID_MIN_ML = 12.0  # a level needs a cavity to settle in


class Stream(IntEnum):
    """Independent random streams of one patient, so that a change in one leaves the others as they were."""

    CASE = 0
    ANATOMY = 1
    CLOT = 2
    SCAN = 3
    NOISE = 4
    INCIDENTAL = 20


@dataclass(frozen=True)
class PatientTruth:
    """What is true of a patient before anything is drawn.

    Attributes:
        hypodensity, margin_irregularity, blend_sign, fluid_level: the clot has the marker somewhere in 3-D.
        clot_volume_ml: the volume aimed at, 0 without haemorrhage.
        kernel_sharp, head_holder: the two acquisition nuisances.
        noise_hu, blur_mm, hu_offset: noise (sd in brain), kernel blur (sigma) and HU offset of this scan.
    """

    hospital: int
    number: int
    ich: bool
    hypodensity: bool
    margin_irregularity: bool
    blend_sign: bool
    fluid_level: bool
    clot_volume_ml: float
    kernel_sharp: bool
    head_holder: bool
    noise_hu: float
    blur_mm: float
    hu_offset: float

    @property
    def site(self) -> Hospital:
        return HOSPITALS[self.hospital]

    @property
    def kernel(self) -> str:
        """Name of the reconstruction kernel (0018,1210)."""
        return self.site.kernel_names[int(self.kernel_sharp)]

    @property
    def patient_id(self) -> str:
        return f"PHANTOM-{self.hospital:02d}-{self.number:04d}"

    @property
    def study_id(self) -> str:
        return f"phantom_{self.hospital:02d}_{self.number:04d}_s1"


def generator(spec: PhantomSpec, hospital: int, number: int, stream: Stream, extra: int = 0) -> np.random.Generator:
    """The random generator of one stream of one patient; it depends on nothing else."""
    return np.random.default_rng(np.random.SeedSequence([spec.seed, hospital, number, int(stream), extra]))


def draw_patient(spec: PhantomSpec, hospital: int, number: int) -> PatientTruth:
    """Draws a patient's truth.

    The marker has a standard-normal latent h, above its threshold where the marker is. A nuisance with dial d has the
    latent d h + sqrt(1 - d^2) e with independent e, so its own distribution does not change with the dial. For the
    clot's volume h is standard normal among patients with haemorrhage, for kernel and holder among all patients.
    """
    site, dials = HOSPITALS[hospital], spec.dials_of(hospital)
    mix, rng = site.mix, generator(spec, hospital, number, Stream.CASE)
    ich = bool(rng.random() < mix.ich)
    level = rng.random()
    p = mix.hypodensity
    hypodense = bool(ich and level > 1 - p)
    share = mix.ich * p  # of all patients; the rank among all is uniform, with the marker's patients on top
    within = (level - (1 - p)) / p if hypodense else level / (1 - p) if ich else rng.random()
    rank = 1 - share + share * within if hypodense else (1 - share) * within
    among_clots, among_all = float(ndtri(level)), float(ndtri(rank))
    noise = rng.standard_normal(3)

    def score(dial: float, latent: float, own: float) -> float:
        return dial * latent + np.sqrt(1 - dial**2) * own

    volume_score = score(dials.clot_volume, among_clots, noise[0])
    median = mix.volume_median_ml * spec.clot_volume_factor
    volume = float(np.clip(median * np.exp(mix.volume_sigma * volume_score), *VOLUME_RANGE_ML))
    sharp = bool(score(dials.kernel, among_all, noise[1]) > ndtri(1 - site.sharp_fraction))
    holder = bool(score(dials.head_holder, among_all, noise[2]) > ndtri(1 - site.holder_fraction))
    r = _IRREGULARITY_VOLUME_CORRELATION
    irregular = ndtr(r * volume_score + np.sqrt(1 - r**2) * rng.standard_normal()) > 1 - mix.margin_irregularity
    u_fluid, u_blend = rng.random(2)
    fluid = volume >= _FLUID_MIN_ML and u_fluid < mix.fluid_level
    blend = not fluid and u_blend < mix.blend_sign
    return PatientTruth(
        hospital, number, ich, hypodense, bool(ich and irregular), bool(ich and blend), bool(ich and fluid),
        volume if ich else 0.0, sharp, holder,
        noise_hu=float(rng.uniform(*site.noise_hu)) * (1.3 if sharp else 1.0),
        blur_mm=site.kernel_blur_mm[int(sharp)],
        hu_offset=float(rng.normal(*site.hu_offset)),
    )  # fmt: skip
