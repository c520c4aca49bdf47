# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Which studies a specification asks for: those that the paper's protocol splits, and those of the extra test sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from monai_ich.phantom.hospitals import HOSPITALS
from monai_ich.phantom.spec import FIRST_PAIRED, FIRST_REVERSED, PhantomSpec

PAIRS_1_4, PAIRS_5_11, REVERSED = "test_pairs_1_4", "test_pairs_5_11", "test_reversed"


@dataclass(frozen=True)
class PlannedStudy:
    """One study to make.

    Attributes:
        split: the extra test set that it belongs to; "" where the paper's protocol draws the split of each slice.
        present: in a pair, whether this study has the paired nuisance; None where the nuisances are as drawn.
    """

    hospital: int
    number: int
    split: str = ""
    present: bool | None = None


def planned_studies(spec: PhantomSpec) -> list[PlannedStudy]:
    """Every study of a specification, those of the paper's protocol first."""
    paper = [PlannedStudy(hospital, number) for hospital, number in _patients(spec.studies, 0)]
    pairs = [
        PlannedStudy(hospital, number, PAIRS_1_4 if HOSPITALS[hospital].is_training else PAIRS_5_11, present)
        for hospital, number in _patients(spec.pairs.studies if spec.pairs.nuisance else (), FIRST_PAIRED)
        for present in (False, True)
    ]
    turned = [PlannedStudy(*patient, REVERSED) for patient in _patients(spec.reversed_studies, FIRST_REVERSED)]
    return [*paper, *pairs, *turned]


def _patients(counts: tuple[int, ...], first: int) -> Iterator[tuple[int, int]]:
    """Hospital and number of each patient."""
    for hospital, count in enumerate(counts, start=1):
        yield from ((hospital, number) for number in range(first, first + count))
