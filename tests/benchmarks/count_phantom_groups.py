# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Counts slices by marker and head holder for several dials: `python tests/benchmarks/count_phantom_groups.py`."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from monai_ich.phantom import TRAINING_HOSPITALS, PhantomSpec, draw_patient, make_patient
from monai_ich.phantom.slice_truth import measure
from monai_ich.phantom.spec import MECHANISMS

DIALS = (0.0, 0.8, 0.95, 1.0)


def main() -> None:
    """Prints the counts of the demo's hospitals 1-4; labels are measured at 128 x 128, without noise."""
    table = Table("mechanism", "dial", "neither", "holder alone", "marker alone", "both", "patients with holder")
    for mechanism in MECHANISMS:
        spec = PhantomSpec(matrix=128, mechanism=mechanism)
        patients = [(h, n) for h in TRAINING_HOSPITALS for n in range(spec.studies[h - 1])]
        labels = {patient: _labels(spec, *patient) for patient in patients}  # the holder's dial changes none of them
        for dial in DIALS:
            dialled = PhantomSpec(matrix=128, mechanism=mechanism, spurious={"head_holder": dial})
            holder = {patient: draw_patient(dialled, *patient).head_holder for patient in patients}
            groups = Counter((label, holder[patient]) for patient in patients for label in labels[patient])
            counts = [groups[marker, shown] for marker in (0, 1) for shown in (False, True)]
            table.add_row(mechanism, f"{dial:g}", *map(str, counts), f"{sum(holder.values()) / len(holder):.0%}")
    Console().print(table)


def _labels(spec: PhantomSpec, hospital: int, number: int) -> list[int]:
    """The hypodensity label of each slice of a patient."""
    patient = make_patient(spec, hospital, number)
    levels = [patient.tissue(index)[2] for index in range(patient.scan.count)]
    return [measure(cut, patient.scan.pixel_mm, fluid=patient.truth.fluid_level).hypodensity for cut in levels]


if __name__ == "__main__":
    main()
