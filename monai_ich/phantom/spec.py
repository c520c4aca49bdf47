# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What phantom to make: sizes, seed, the dials that tie nuisances to the marker, and the extra test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal

from monai_ich.phantom.hospitals import HOSPITALS, TRAINING_HOSPITALS
from monai_ich.utils.errors import ConfigurationError, FaultList, did_you_mean, shown

TRANSFER_SYNTAXES = {
    "explicit_vr_little_endian": "1.2.840.10008.1.2.1",
    "jpeg_ls_lossless": "1.2.840.10008.1.2.4.80",
}

# Barras (2009): heterogeneous density in 27/63/83 % of clots of 0-10/10-25/25-106 ml. A probit line through those
# three points has a slope of about 0.6 per standard deviation of ln(volume), which is a correlation of 0.5.
REALISTIC_VOLUME_DIAL = 0.5

Mechanism = Literal["latent", "flip"]
MECHANISMS: tuple[Mechanism, ...] = ("latent", "flip")
PAIRABLE = ("kernel", "head_holder", "side_letter")  # nuisances that a patient has or has not

# Patient numbers of the extra test sets. They do not depend on the number of other patients, so phantoms of different
# sizes have the same extra test sets.
FIRST_PAIRED, FIRST_REVERSED = 10_000, 20_000
MOST_STUDIES = 10_000  # of a hospital, in each of the three ranges
DEFAULT_PAIRS = (24, 6, 6, 6, 6, 6, 6, 6, 6, 0, 6)  # nothing outside the head is visible in hospital 10


@dataclass(frozen=True)
class SpuriousDials:
    """How strongly each nuisance goes with the hypodensity marker, patient by patient; see `draw_patient`.

    Each dial goes from -1 to 1. 0 makes the nuisance independent of the marker. A negative dial turns the association
    round: the nuisance goes with patients without the marker.

    Attributes:
        clot_volume: larger clots with the marker; 0.5 is about what Barras' series shows, hence the default.
        kernel: the sharp kernel with the marker.
        head_holder: the head holder in view with the marker.
        side_letter: the burnt-in letter with the marker; `PhantomSpec.side_letter_fraction` must be above 0.
    """

    clot_volume: float = REALISTIC_VOLUME_DIAL
    kernel: float = 0.0
    head_holder: float = 0.0
    side_letter: float = 0.0

    def turned(self) -> SpuriousDials:
        """The same dials with their signs turned."""
        return SpuriousDials(**{name: -value for name, value in asdict(self).items()})


@dataclass(frozen=True)
class CounterfactualPairs:
    """Test sets in which each head is there twice, once without and once with one nuisance.

    Attributes:
        nuisance: one of `PAIRABLE`; None makes no pairs.
        studies: patients of hospitals 1 to 11; each has two studies.
    """

    nuisance: str | None = None
    studies: tuple[int, ...] = DEFAULT_PAIRS


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
        mechanism: what a dial does, `latent` or `flip`; see `draw_patient`.
        side_letter_fraction: share of patients with a letter burnt into the corner of their slices, in every hospital
            but those that mask the background; 0 makes none.
        pairs: what the test sets `test_pairs_1_4` and `test_pairs_5_11` hold.
        reversed_studies: patients of hospitals 1 to 4 in the test set `test_reversed`. They are new patients, drawn
            with the signs of `spurious` turned, that of `clot_volume` too.
        incidental: how often other findings are seen, in all hospitals.

    `spurious`, `spurious_new`, `pairs` and `incidental` may be given as {name: value}, as a config does.

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
    mechanism: Mechanism = "latent"
    side_letter_fraction: float = 0.0
    pairs: CounterfactualPairs = field(default_factory=CounterfactualPairs)
    reversed_studies: tuple[int, ...] = (0, 0, 0, 0)
    incidental: IncidentalRates = field(default_factory=IncidentalRates)

    def __post_init__(self) -> None:
        faults = FaultList("The phantom's specification cannot be used")
        self._make_parts(faults)
        self._check_sizes(faults)
        self._check_dials(faults)
        self._check_pairs(faults)
        for finding, rate in asdict(self.incidental).items():
            _check(faults, f"incidental.{finding}", rate, lambda v: 0 <= v <= 1, "a share of patients, 0 to 1")
        faults.raise_if_any(ConfigurationError)

    def _make_parts(self, faults: FaultList) -> None:
        """Builds the parts that a config gives as mappings and lists."""
        for name, kind, what in (
            ("spurious", SpuriousDials, "a dial"),
            ("spurious_new", SpuriousDials, "a dial"),
            ("pairs", CounterfactualPairs, "a field of the pairs"),
            ("incidental", IncidentalRates, "a finding"),
        ):
            object.__setattr__(self, name, _built(kind, name, getattr(self, name), what, faults))
        for name in ("studies", "reversed_studies"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        object.__setattr__(self, "pairs", CounterfactualPairs(self.pairs.nuisance, _tuple(self.pairs.studies)))

    def _check_sizes(self, faults: FaultList) -> None:
        _check(faults, "seed", self.seed, _is_whole(0), "a whole number from 0 on")
        _check_counts(faults, "studies", self.studies, len(HOSPITALS), some=True)
        _check_counts(faults, "reversed_studies", self.reversed_studies, len(TRAINING_HOSPITALS))
        if self.slices_per_study is not None:
            expected = "a whole number from 1 on, or None for the whole head"
            _check(faults, "slices_per_study", self.slices_per_study, _is_whole(1), expected)
        even = _is_whole(32)
        _check(faults, "matrix", self.matrix, lambda v: even(v) and v % 2 == 0, "an even number from 32 on")
        _check(
            faults, "clot_volume_factor", self.clot_volume_factor, lambda v: 0 < v < float("inf"), "a number above 0"
        )
        expected = "a share from 0 to below 1"
        _check(faults, "side_letter_fraction", self.side_letter_fraction, lambda v: 0 <= v < 1, expected)
        if self.transfer_syntax not in TRANSFER_SYNTAXES:
            _add_unknown(faults, "transfer_syntax", self.transfer_syntax, TRANSFER_SYNTAXES)

    def _check_dials(self, faults: FaultList) -> None:
        if self.mechanism not in MECHANISMS:
            _add_unknown(faults, "mechanism", self.mechanism, MECHANISMS)
        expected = "-1 (complete, turned round) to 0 (no association) to 1 (complete)"
        for name in ("spurious", "spurious_new"):
            dials = getattr(self, name)
            for dial, value in asdict(dials).items():
                _check(faults, f"{name}.{dial}", value, lambda v: -1 <= v <= 1, expected)
            if dials.side_letter and self.side_letter_fraction == 0:
                faults.add(
                    f"{name}.side_letter is {dials.side_letter}, but side_letter_fraction is 0, so no slice has the "
                    "letter: give a share of the patients, such as 0.35"
                )

    def _check_pairs(self, faults: FaultList) -> None:
        nuisance, studies = self.pairs.nuisance, self.pairs.studies
        _check_counts(faults, "pairs.studies", studies, len(HOSPITALS), some=nuisance is not None)
        if nuisance is None:
            return
        if nuisance == "clot_volume":
            faults.add(
                "pairs.nuisance is 'clot_volume', which is a volume and not something that a head has or has not; "
                f"expected {' or '.join(PAIRABLE)}"
            )
        elif nuisance not in PAIRABLE:
            _add_unknown(faults, "pairs.nuisance", nuisance, PAIRABLE)
        elif nuisance != "kernel" and isinstance(studies, tuple):
            for number, count in enumerate(studies[: len(HOSPITALS)], start=1):
                if HOSPITALS[number].background == "masked" and count != 0:
                    faults.add(
                        f"pairs.studies has {shown(count)} for hospital {number}, expected 0: this hospital masks the "
                        f"background, so its slices never show the {nuisance}"
                    )

    def dials_of(self, hospital: int, number: int = 0) -> SpuriousDials:
        """The dials that hold for a patient of a hospital."""
        if not HOSPITALS[hospital].is_training:
            return self.spurious_new
        return self.spurious.turned() if number >= FIRST_REVERSED else self.spurious

    def as_dict(self) -> dict[str, Any]:
        """The specification as JSON-ready values."""
        values = asdict(self)
        values["pairs"]["studies"] = list(self.pairs.studies)
        return {**values, "studies": list(self.studies), "reversed_studies": list(self.reversed_studies)}


def _built(kind: type, name: str, given: Any, what: str, faults: FaultList) -> Any:
    """A part of the specification from {field: value}; adds a fault for each field that there is not."""
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        faults.add(f"{name} is {shown(given)}, expected {{name: value}}")
        return kind()
    known = [part.name for part in fields(kind)]
    for part in (part for part in given if part not in known):
        near = did_you_mean(str(part), known)
        faults.add(f"{name}.{part} is not {what}, expected one of {', '.join(known)}.{near}")
    return kind(**{part: value for part, value in given.items() if part in known})


def _tuple(given: Any) -> Any:
    """A list as a tuple; what is neither is left for the checks to report."""
    return tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else given


def _is_whole(lowest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Integral) and int(value) >= lowest


def _check(faults: FaultList, name: str, value: Any, fits: Callable[[Any], bool], expected: str) -> None:
    """Adds a fault unless `value` is a number that fits."""
    if isinstance(value, bool) or not isinstance(value, Real) or not fits(value):
        faults.add(f"{name} is {shown(value)}, expected {expected}")


def _check_counts(faults: FaultList, name: str, given: Any, count: int, *, some: bool = False) -> None:
    """Adds a fault unless there is a count for each of the hospitals 1 to `count`, and with `some` one above 0."""
    whole = _is_whole(0)
    if not isinstance(given, tuple) or len(given) != count:
        faults.add(f"{name} is {shown(given)}, expected {count} counts, one for each of hospitals 1 to {count}")
    elif not all(whole(n) and not isinstance(n, bool) and n <= MOST_STUDIES for n in given):
        faults.add(f"{name} is {shown(given)}, expected whole numbers from 0 to {MOST_STUDIES}")
    elif some and not any(given):
        faults.add(f"{name} is {shown(given)}, expected at least one count above 0")


def _add_unknown(faults: FaultList, name: str, given: Any, known: Sequence[str] | Mapping[str, Any]) -> None:
    near = did_you_mean(str(given), known)
    faults.add(f"{name} is {shown(given)}, expected {' or '.join(known)}.{near}")
