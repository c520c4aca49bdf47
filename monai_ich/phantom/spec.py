# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What phantom to make: sizes, seed, and the dials that tie nuisances to the marker."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from monai_ich.phantom.hospitals import HOSPITALS
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean

TRANSFER_SYNTAXES = {
    "explicit_vr_little_endian": "1.2.840.10008.1.2.1",
    "jpeg_ls_lossless": "1.2.840.10008.1.2.4.80",
}

# Barras (2009): heterogeneous density in 27/63/83 % of clots of 0-10/10-25/25-106 ml. A probit line through those
# three points has a slope of about 0.6 per standard deviation of ln(volume), which is a correlation of 0.5.
REALISTIC_VOLUME_DIAL = 0.5


@dataclass(frozen=True)
class SpuriousDials:
    """How strongly each nuisance goes with the hypodensity marker, patient by patient.

    A dial is the correlation between the nuisance's and the marker's latent standard-normal variables: 0 makes them
    independent, 1 makes the nuisance a function of the marker's latent. Prevalences do not change with a dial.

    Attributes:
        clot_volume: larger clots with the marker; 0.5 is about what Barras' series shows, hence the default.
        kernel: the sharp kernel with the marker.
        head_holder: the head holder in view with the marker.
    """

    clot_volume: float = REALISTIC_VOLUME_DIAL
    kernel: float = 0.0
    head_holder: float = 0.0


@dataclass(frozen=True)
class IncidentalRates:
    """Share of the patients who have each of these beside or without a haemorrhage, whatever their markers are.

    Attributes:
        contrast_vessels: large vessels filled with contrast medium, 150-320 HU.
        chronic_subdural: a crescent of old blood along the skull, 10-22 HU; it is in no mask.
        old_infarct: a scar of 8-16 HU in the territory of the middle cerebral artery.
        streaks: a metal clip with streaks around it.
    """

    contrast_vessels: float = 0.0
    chronic_subdural: float = 0.0
    old_infarct: float = 0.0
    streaks: float = 0.0


@dataclass(frozen=True)
class PhantomSpec:
    """Everything that decides the phantom's bytes.

    Attributes:
        seed: every patient derives from (seed, hospital, patient number), and can be made again alone.
        studies: studies (one a patient) of hospitals 1 to 11. The default makes about 2,700 slices.
        slices_per_study: contiguous slices a study, around the clot where there is one; None covers the whole head.
        matrix: rows and columns; even, at least 32.
        spurious: dials of the training hospitals 1-4.
        spurious_new: dials of the new hospitals 5-11, where scanner and holder know nothing of the marker.
        clot_volume_factor: times the hospitals' median clot volumes; 1 is what patients have, more is easier.
        transfer_syntax: a key of `TRANSFER_SYNTAXES`; both are lossless.
        incidental: how often other findings are seen, in all hospitals.

    `spurious`, `spurious_new` and `incidental` may be given as {name: value}, as a config does.

    Raises:
        ConfigurationError: on values outside their range, all of them together.
    """

    seed: int = 20260
    studies: tuple[int, ...] = (150, 34, 34, 34, 12, 12, 12, 12, 12, 12, 12)
    slices_per_study: int | None = 8
    matrix: int = 512
    spurious: SpuriousDials = field(default_factory=SpuriousDials)
    spurious_new: SpuriousDials = field(default_factory=SpuriousDials)
    transfer_syntax: str = "jpeg_ls_lossless"
    clot_volume_factor: float = 1.0
    incidental: IncidentalRates = field(default_factory=IncidentalRates)

    def __post_init__(self) -> None:
        faults = FaultList("The phantom's specification cannot be used")
        for name, kind, what in (
            ("spurious", SpuriousDials, "a dial"),
            ("spurious_new", SpuriousDials, "a dial"),
            ("incidental", IncidentalRates, "a finding"),
        ):
            object.__setattr__(self, name, _built(kind, name, getattr(self, name), what, faults))
        if self.seed < 0:
            faults.add(f"seed is {self.seed}, expected 0 or more")
        if len(self.studies) != len(HOSPITALS) or min(self.studies, default=0) < 0 or sum(self.studies) == 0:
            faults.add(f"studies is {self.studies}, expected {len(HOSPITALS)} counts, not all zero")
        if self.slices_per_study is not None and self.slices_per_study < 1:
            faults.add(f"slices_per_study is {self.slices_per_study}, expected 1 or more, or None for the whole head")
        if not self.clot_volume_factor > 0:
            faults.add(f"clot_volume_factor is {self.clot_volume_factor}, expected a number above 0")
        if self.matrix < 32 or self.matrix % 2:
            faults.add(f"matrix is {self.matrix}, expected an even number from 32 on")
        for name in ("spurious", "spurious_new"):
            for dial, value in asdict(getattr(self, name)).items():
                if not 0 <= value <= 1:
                    faults.add(f"{name}.{dial} is {value}, expected 0 (no association) to 1 (complete)")
        for finding, rate in asdict(self.incidental).items():
            if not 0 <= rate <= 1:
                faults.add(f"incidental.{finding} is {rate}, expected a share of patients, 0 to 1")
        if self.transfer_syntax not in TRANSFER_SYNTAXES:
            near = did_you_mean(self.transfer_syntax, TRANSFER_SYNTAXES)
            faults.add(f"transfer_syntax is {self.transfer_syntax!r}, expected {' or '.join(TRANSFER_SYNTAXES)}.{near}")
        faults.raise_if_any(ConfigurationError)

    def dials_of(self, hospital: int) -> SpuriousDials:
        """The dials that hold in a hospital."""
        return self.spurious if HOSPITALS[hospital].is_training else self.spurious_new

    def as_dict(self) -> dict[str, Any]:
        """The specification as JSON-ready values."""
        return {**asdict(self), "studies": list(self.studies)}


def _built(kind: type, name: str, given: Any, what: str, faults: FaultList) -> Any:
    """A part of the specification from {field: value}; adds a fault for each field that there is not."""
    if isinstance(given, kind):
        return given
    known = [part.name for part in fields(kind)]
    for part in (part for part in given if part not in known):
        faults.add(f"{name}.{part} is not {what}, expected one of {', '.join(known)}.{did_you_mean(part, known)}")
    return kind(**{part: value for part, value in given.items() if part in known})
