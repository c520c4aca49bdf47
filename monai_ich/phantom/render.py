# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""One patient, from seed to slices: everything that can be computed without touching a file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monai_ich.phantom.brain import Brain
from monai_ich.phantom.canvas import Canvas
from monai_ich.phantom.clot import MASS_EFFECT_MM, Clot, ClotLevels
from monai_ich.phantom.clot_draw import draw_clot
from monai_ich.phantom.detector import acquire
from monai_ich.phantom.grids import Array, PlaneGrid, shifted
from monai_ich.phantom.head import Head
from monai_ich.phantom.incidental import Incidental
from monai_ich.phantom.patients import PatientTruth, Stream, draw_patient, generator
from monai_ich.phantom.scan import Pose, Scan, draw_scan
from monai_ich.phantom.slice_truth import SliceTruth, full_mask, measure
from monai_ich.phantom.spec import PhantomSpec
from monai_ich.utils.errors import ConfigurationError


@dataclass(frozen=True)
class RenderedSlice:
    """One slice as the hospital has it.

    Attributes:
        hu: int16 (matrix, matrix), rescaled values with noise, padding included.
        mask: uint8 (matrix, matrix), 1 = haematoma.
        truth: labels and measurements.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    truth: SliceTruth


@dataclass(frozen=True)
class PhantomPatient:
    """A patient's anatomy, haematoma, position and scan."""

    spec: PhantomSpec
    truth: PatientTruth
    head: Head
    brain: Brain
    clot: Clot | None
    incidental: Incidental
    pose: Pose
    scan: Scan

    def paired(self, present: bool) -> PhantomPatient:
        """A study of the patient's counterfactual pair: study 1 without the nuisance `spec.pairs` names, 2 with it.

        Anatomy, position, noise and every other nuisance are the same in both.

        Raises:
            ConfigurationError: the specification names no nuisance.
        """
        nuisance = self.spec.pairs.nuisance
        if nuisance is None:
            raise ConfigurationError(
                "the specification makes no pairs; expected one with pairs.nuisance, such as kernel"
            )
        truth = self.truth.with_nuisance(nuisance, present)
        return replace(self, truth=replace(truth, study=2 if present else 1))

    def tissue(self, index: int) -> tuple[Array, PlaneGrid, ClotLevels | None]:
        """Noise-free HU of a slice on every second pixel (matrix / 2), its grid, and the clot's cut through it."""
        grid = self.scan.half_grid(index, self.pose)
        hu: Array = np.full(grid.shape, -1000, dtype=np.float32)
        window = self.head.window(grid)
        if window is None:
            return hu, grid, None
        hu[window], levels = self._paint(grid.crop(window))
        return hu, grid, replace(levels, window=shifted(levels.window, window)) if levels else None

    def _paint(self, grid: PlaneGrid) -> tuple[Array, ClotLevels | None]:
        slack = 6.0 + (MASS_EFFECT_MM if self.clot else 0.0)
        canvas = Canvas(grid, self.scan.thickness_mm, *self.head.warp(grid), slack_mm=slack)
        depth = self.head.paint(canvas)
        levels = self.clot.levels(grid, self.head, self.scan.thickness_mm) if self.clot else None
        if self.clot:
            self.clot.displace(canvas, depth)
        self.brain.paint(canvas, depth)
        self.incidental.paint(canvas, depth)
        if self.clot and levels:
            self.clot.paint(canvas, levels, depth)
        return canvas.hu, levels

    def _noise(self, index: int) -> np.random.Generator:
        return generator(self.spec, self.truth.hospital, self.truth.number, Stream.NOISE, index)

    def render(self, index: int) -> RenderedSlice:
        """Renders one slice; no other slice has to be rendered for it."""
        hu, grid, levels = self.tissue(index)
        if self.incidental.streaks:
            self.incidental.streaks.add_to(hu, grid, self.scan.thickness_mm)
        pixels = acquire(hu, self.truth, self.scan, self.head, grid, (self._noise(index), self._noise(index + 1)))
        truth = measure(levels, self.scan.pixel_mm, fluid=self.truth.fluid_level)
        return RenderedSlice(pixels, full_mask(levels, grid.shape), truth)


def make_patient(spec: PhantomSpec, hospital: int, number: int) -> PhantomPatient:
    """Makes one patient of a hospital (1-11) by number (from 0); no other patient is needed for it.

    >>> patient = make_patient(PhantomSpec(matrix=64), hospital=1, number=0)
    >>> patient.render(0).hu.shape
    (64, 64)
    """
    truth = draw_patient(spec, hospital, number)
    anatomy = generator(spec, hospital, number, Stream.ANATOMY)
    head, brain = Head.draw(anatomy), Brain.draw(anatomy)
    scanning = generator(spec, hospital, number, Stream.SCAN)
    pose = Pose.draw(truth.site, scanning)
    clot = draw_clot(truth, head, pose.gravity, generator(spec, hospital, number, Stream.CLOT)) if truth.ich else None
    incidental = Incidental.draw(
        spec.incidental, head, lambda finding: generator(spec, hospital, number, Stream.INCIDENTAL, finding)
    )
    target = np.asarray(clot.body.centre_mm) if clot else None
    scan = draw_scan(truth.site, pose, target, spec.slices_per_study, spec.matrix, scanning)
    return PhantomPatient(spec, truth, head, brain, clot, incidental, pose, scan)
