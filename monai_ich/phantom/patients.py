# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Patient-level draws: who bleeds, which markers, and every nuisance, without drawing a single pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from scipy.special import ndtr, ndtri

from monai_ich.phantom.hospitals import HOSPITALS, Hospital
from monai_ich.phantom.spec import PhantomSpec

VOLUME_RANGE_ML = (3.0, 100.0)
_IRREGULARITY_VOLUME_CORRELATION = 0.4  # Barras: regular shape in 43/17/3 % of small/middle/large clots
_FLUID_MIN_ML = 12.0  # a level needs a cavity to settle in
_SHARP_NOISE = 1.3  # times the noise of the soft kernel


class Stream(IntEnum):
    """Independent random streams of one patient, so that a change in one leaves the others as they were."""

    CASE = 0
    ANATOMY = 1
    CLOT = 2
    SCAN = 3
    NOISE = 4
    NUISANCE = 5
    INCIDENTAL = 20


@dataclass(frozen=True)
class PatientTruth:
    """What is true of a patient before anything is drawn.

    Attributes:
        hypodensity, margin_irregularity, blend_sign, fluid_level: the clot has the marker somewhere in 3-D.
        clot_volume_ml: the volume aimed at, 0 without haemorrhage.
        kernel_sharp, head_holder, side_letter: the nuisances that a patient has or has not.
        noise_hu, blur_mm, hu_offset: noise (sd in brain), kernel blur (sigma) and HU offset of this scan.
        study: 1, or 2 for the study of a pair that has the paired nuisance.
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
    side_letter: bool = False
    study: int = 1

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
        return f"phantom_{self.hospital:02d}_{self.number:04d}_s{self.study}"

    def with_nuisance(self, nuisance: str, present: bool) -> PatientTruth:
        """The same patient with one nuisance present or absent, and with nothing else changed.

        Args:
            nuisance: one of `PAIRABLE`. The sharp kernel has more noise and less blur, which belongs to it.
            present: whether the patient shall have it.
        """
        if nuisance != "kernel":
            return replace(self, **{nuisance: present})
        if present == self.kernel_sharp:
            return self
        noise_hu = self.noise_hu * _SHARP_NOISE if present else self.noise_hu / _SHARP_NOISE
        blur_mm = self.site.kernel_blur_mm[int(present)]
        return replace(self, kernel_sharp=present, noise_hu=noise_hu, blur_mm=blur_mm)


def generator(spec: PhantomSpec, hospital: int, number: int, stream: Stream, extra: int = 0) -> np.random.Generator:
    """The random generator of one stream of one patient; it depends on nothing else."""
    return np.random.default_rng(np.random.SeedSequence([spec.seed, hospital, number, int(stream), extra]))


def draw_patient(spec: PhantomSpec, hospital: int, number: int) -> PatientTruth:
    """Draws a patient's truth.

    With the mechanism `latent`, the marker has a standard-normal latent h, above its threshold where the marker is. A
    nuisance with dial d has the latent d h + sqrt(1 - d^2) e with independent e, so its own distribution does not
    change with the dial: a nuisance has the hospital's share of patients. For the clot's volume h is standard normal
    among patients with haemorrhage, for the other nuisances among all patients.

    With the mechanism `flip`, a nuisance with dial d is there when the patient's marker is, with probability
    (1 + d) / 2, and otherwise the other way round. Where a share m of the patients has the marker, a share
    1/2 + d (m - 1/2) has the nuisance; at dial 0 half of them have it. A clot is larger than the hospital's median
    volume when the patient has the marker, with that probability; how far it is from the median does not depend on the
    marker.

    Under both, a nuisance that a hospital never has stays absent there: the head holder in hospital 10, and the side
    letter where `side_letter_fraction` is 0 or the hospital masks the background.

    Args:
        spec: seed, dials and mechanism.
        hospital: 1 to 11.
        number: from 0; from `FIRST_PAIRED` on patients of pairs; from `FIRST_REVERSED` on, in hospitals 1-4, patients
            for whom the signs of the dials are turned.
    """
    site, dials = HOSPITALS[hospital], spec.dials_of(hospital, number)
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

    # A stream of their own: what is drawn above and below stays the same whatever the mechanism.
    own = generator(spec, hospital, number, Stream.NUISANCE)
    luck, letter_noise = own.random(4), own.standard_normal()

    def present(dial: float, share: float, independent: float, u: float) -> bool:
        if share == 0:
            return False
        if spec.mechanism == "flip":
            return _goes_along(hypodense, dial, u)
        return bool(_score(dial, among_all, independent) > ndtri(1 - share))

    volume_score = _score(dials.clot_volume, among_clots, noise[0])
    if spec.mechanism == "flip":
        volume_score = abs(noise[0]) if _goes_along(hypodense, dials.clot_volume, luck[0]) else -abs(noise[0])
    median = mix.volume_median_ml * spec.clot_volume_factor
    volume = float(np.clip(median * np.exp(mix.volume_sigma * volume_score), *VOLUME_RANGE_ML))
    sharp = present(dials.kernel, site.sharp_fraction, noise[1], luck[1])
    holder = present(dials.head_holder, site.holder_fraction, noise[2], luck[2])
    letter_share = 0.0 if site.background == "masked" else spec.side_letter_fraction
    letter = present(dials.side_letter, letter_share, letter_noise, luck[3])
    r = _IRREGULARITY_VOLUME_CORRELATION
    irregular = ndtr(r * volume_score + np.sqrt(1 - r**2) * rng.standard_normal()) > 1 - mix.margin_irregularity
    u_fluid, u_blend = rng.random(2)
    fluid = volume >= _FLUID_MIN_ML and u_fluid < mix.fluid_level
    blend = not fluid and u_blend < mix.blend_sign
    return PatientTruth(
        hospital, number, ich, hypodense, bool(ich and irregular), bool(ich and blend), bool(ich and fluid),
        volume if ich else 0.0, sharp, holder,
        noise_hu=float(rng.uniform(*site.noise_hu)) * (_SHARP_NOISE if sharp else 1.0),
        blur_mm=site.kernel_blur_mm[int(sharp)],
        hu_offset=float(rng.normal(*site.hu_offset)),
        side_letter=letter,
    )  # fmt: skip


def _score(dial: float, latent: float, independent: float) -> float:
    """A standard-normal variable whose correlation with `latent` is `dial`."""
    return float(dial * latent + np.sqrt(1 - dial**2) * independent)


def _goes_along(marker: bool, dial: float, u: float) -> bool:
    """What a nuisance is under `flip`: the patient's marker with probability (1 + dial) / 2, or its opposite."""
    return marker == bool(u < (1 + dial) / 2)
