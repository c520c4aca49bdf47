# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Draws the documentation's pictures: markers and hospitals, and counterfactual pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_ich.phantom.hospitals import HOSPITALS
from monai_ich.phantom.patients import PatientTruth, draw_patient
from monai_ich.phantom.render import PhantomPatient, RenderedSlice, make_patient
from monai_ich.phantom.spec import FIRST_PAIRED, PAIRABLE, CounterfactualPairs, PhantomSpec
from monai_ich.utils.errors import MonaiIchError
from monai_ich.utils.files import replace_file
from monai_ich.utils.keys import BRAIN_WINDOW_HU, MARKERS
from monai_ich.visualize import figure_bytes

_MOST_PATIENTS = 200  # a marker that none of so many patients shows alone is a fault of the phantom
Example = tuple[str, RenderedSlice]


def gallery(path: Path | str, spec: PhantomSpec | None = None) -> Path:
    """Draws a 4 x 5 picture in the brain window: four markers, eleven hospitals, and five slices of one whole head.

    Args:
        path: the PNG to write.
        spec: seed and matrix; `slices_per_study` is set as each panel needs it.

    Raises:
        MonaiIchError: a marker was found in none of the first patients.
    """
    spec = spec or PhantomSpec()
    examples = [_find_marker(spec, name) for name in MARKERS]
    examples += [_find_hospital(spec, number) for number in HOSPITALS]
    examples += _whole_head(spec)
    figure = Figure(figsize=(12.5, 10.6), facecolor="black")
    for index, (axes, (title, shown)) in enumerate(zip(figure.subplots(4, 5).flat, examples, strict=True)):
        _draw(axes, title, shown, contour=index < len(MARKERS))
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.965, 0.02, 0.09)
    replace_file(Path(path), figure_bytes(figure, dpi=90))
    return Path(path)


def pair_gallery(path: Path | str, spec: PhantomSpec | None = None) -> Path:
    """Draws a 3 x 3 picture: for each nuisance a slice without it, the same slice with it, and the difference.

    Args:
        path: the PNG to write.
        spec: seed and matrix.

    Returns:
        The picture's path.
    """
    spec = spec or PhantomSpec()
    figure = Figure(figsize=(7.6, 8.0), facecolor="black")
    patient = next(_patients(spec, 1, lambda truth: truth.clot_volume_ml > 18, first=FIRST_PAIRED))
    for row, nuisance in zip(figure.subplots(len(PAIRABLE), 3), PAIRABLE, strict=True):
        paired = replace(patient, spec=replace(spec, pairs=CounterfactualPairs(nuisance)))
        without, with_it = (_largest_cut(paired.paired(present)) for present in (False, True))
        name = _title(nuisance)
        titles = ("soft kernel", "sharp kernel") if nuisance == "kernel" else (f"without {name}", f"with {name}")
        _draw(row[0], titles[0], without, contour=False)
        _draw(row[1], titles[1], with_it, contour=False)
        row[2].imshow(with_it.hu.astype(int) - without.hu, cmap="gray", vmin=-40, vmax=40)
        row[2].set_title("difference, -40 to 40 HU", fontsize=9, color="white", pad=3)
        row[2].set_axis_off()
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.965, 0.02, 0.09)
    replace_file(Path(path), figure_bytes(figure, dpi=80))
    return Path(path)


def _title(marker: str) -> str:
    return marker.replace("_", " ")


def _patients(
    spec: PhantomSpec, hospital: int, wanted: Callable[[PatientTruth], bool], first: int = 0
) -> Iterator[PhantomPatient]:
    """A hospital's patients who fit, in turn; only those are made."""
    for number in range(first, first + _MOST_PATIENTS):
        if wanted(draw_patient(spec, hospital, number)):
            yield make_patient(spec, hospital, number)


def _largest_cut(patient: PhantomPatient) -> RenderedSlice:
    slices = [patient.render(index) for index in range(patient.scan.count)]
    return max(slices, key=lambda rendered: rendered.truth.clot_area_mm2)


def _find_marker(spec: PhantomSpec, marker: str) -> Example:
    """The largest cut of a clot of hospital 1 that shows this marker and no other."""

    def only_this(truth: PatientTruth) -> bool:
        return truth.clot_volume_ml > 18 and {name for name in MARKERS if getattr(truth, name)} == {marker}

    for patient in _patients(spec, 1, only_this):
        rendered = _largest_cut(patient)
        if [name for name in MARKERS if getattr(rendered.truth, name)] == [marker]:
            return _title(marker), rendered
    raise MonaiIchError(f"none of the first {_MOST_PATIENTS} phantom patients shows {_title(marker)} alone")


def _find_hospital(spec: PhantomSpec, hospital: int) -> Example:
    """The first haemorrhage of a hospital, at its largest cut."""
    patient = next(_patients(spec, hospital, lambda truth: truth.ich))
    site = patient.truth.site
    title = f"hospital {hospital}: {site.manufacturer.split()[0]} {patient.truth.kernel}"
    return title, _largest_cut(patient)


def _whole_head(spec: PhantomSpec) -> list[Example]:
    """Five levels from base to vertex of a patient without haemorrhage."""
    spec = replace(spec, slices_per_study=None)
    patient = next(_patients(spec, 1, lambda truth: not truth.ich))
    levels = np.linspace(0.14, 0.90, 5) * patient.scan.count
    return [("no haemorrhage", patient.render(int(level))) for level in levels]


def _draw(axes: Axes, title: str, rendered: RenderedSlice, *, contour: bool) -> None:
    level, width = BRAIN_WINDOW_HU
    axes.imshow(rendered.hu, cmap="gray", vmin=level - width / 2, vmax=level + width / 2, interpolation="bilinear")
    if contour:
        axes.contour(rendered.mask, levels=[0.5], colors="tab:red", linewidths=0.8)
    axes.set_title(title, fontsize=9, color="white", pad=3)
    axes.set_axis_off()
