# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From a clot's 3-D truth to what can be seen in one slice: areas, contrasts and the four labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monai_ich.phantom.clot import ClotLevels
from monai_ich.phantom.grids import Array, upsample_twice

MIN_HYPODENSE_MM2 = 20.0  # largest enclosed dark region
MIN_HYPODENSE_CONTRAST_HU = 10.0  # below the clot around it
MIN_PART_MM2 = 30.0  # each side of a blend sign or fluid level
MIN_BLEND_CONTRAST_HU = 18.0
MIN_INTERFACE_MM = 8.0
# What tells a fluid level is that its line is straight and horizontal; clinical definitions name no least size. A head
# kernel blurs an edge over 1-2.4 mm (full width at half maximum), so each end of the line is seen to about 1 mm: over
# 10 mm its direction is known to within some 8 degrees. A layer of less than 4 mm cannot be told from the soft rim of a
# clot that is cut obliquely, which is up to 4.5 mm wide.
MIN_LEVEL_MM = 10.0
MIN_LAYER_MM = 4.0
MIN_BUMPS = 2
MIN_BUMP_MM2 = 10.0
MIN_BUMP_HEIGHT_MM = 2.0


@dataclass(frozen=True)
class SliceTruth:
    """What one slice shows. Areas in mm2, contrasts in HU (positive: darker than the rest of the clot)."""

    hypodensity: int = 0
    margin_irregularity: int = 0
    blend_sign: int = 0
    fluid_level: int = 0
    clot_area_mm2: float = 0.0
    hypodense_area_mm2: float = 0.0
    hypodense_contrast_hu: float = 0.0
    dark_part_area_mm2: float = 0.0
    dark_part_contrast_hu: float = 0.0
    bumps_visible: int = 0


def full_mask(levels: ClotLevels | None, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The haematoma's mask (2H, 2W) from levels on an (H, W) grid: 1 where its surface has negative distance."""
    mask = np.zeros((2 * shape[0], 2 * shape[1]), dtype=np.uint8)
    if levels is not None:
        rows, cols = levels.window
        mask[2 * rows.start : 2 * rows.stop, 2 * cols.start : 2 * cols.stop] = upsample_twice(levels.surface) < 0
    return mask


def measure(levels: ClotLevels | None, pixel_mm: float, *, fluid: bool) -> SliceTruth:
    """Measures a slice.

    Args:
        levels: the clot's cut through the slice, on every second pixel; None when the slice misses it.
        pixel_mm: pixel spacing of the full-size slice.
        fluid: whether the clot's dark part is a fluid level (else a blend sign).
    """
    if levels is None or not bool((levels.surface < 0).any()):
        return SliceTruth()
    surface, hu, rim = (upsample_twice(a) for a in (levels.surface, levels.hu, levels.rim_mm))
    clot, cell = surface < 0, pixel_mm**2
    hypodense = np.zeros_like(clot) if levels.hypodense is None else upsample_twice(levels.hypodense) < 0
    dark = np.full_like(surface, np.inf) if levels.dark is None else upsample_twice(levels.dark)
    bright = (surface < -1.5) & ~ndimage.binary_dilation(hypodense, iterations=max(1, round(2 / pixel_mm)))
    # A rim that the slice's thickness has washed out encloses nothing: the dark region would look open.
    largest = _largest_enclosed(hypodense, surface < -0.3 * rim) * cell
    contrast = _mean(hu, bright & (dark > 1.5)) - _mean(hu, hypodense)
    dark_mm2, dark_contrast, split = _parts(surface, dark, hu, bright, cell)
    visible = split and dark_contrast >= MIN_BLEND_CONTRAST_HU
    bumps = sum(_protrudes(bump, levels.body, 4 * cell) for bump in levels.bumps)
    return SliceTruth(
        hypodensity=int(largest >= MIN_HYPODENSE_MM2 and contrast >= MIN_HYPODENSE_CONTRAST_HU),
        margin_irregularity=int(bumps >= MIN_BUMPS),
        blend_sign=int(visible and not fluid),
        fluid_level=int(visible and fluid and _level_mm(surface < -0.5 * rim, dark, pixel_mm) >= MIN_LEVEL_MM),
        clot_area_mm2=float(clot.sum() * cell),
        hypodense_area_mm2=float(hypodense.sum() * cell),
        hypodense_contrast_hu=max(0.0, contrast) if hypodense.any() else 0.0,
        dark_part_area_mm2=dark_mm2,
        dark_part_contrast_hu=dark_contrast,
        bumps_visible=bumps,
    )


def _largest_enclosed(inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> int:
    """Pixels of the largest component of `inner` that does not touch the outside of `outer`."""
    names, count = ndimage.label(inner)
    if count == 0:
        return 0
    rim = ndimage.binary_dilation(~outer, structure=np.ones((3, 3)), border_value=1)
    sizes = np.bincount(names.ravel(), minlength=count + 1)
    sizes[np.unique(names[rim])] = 0
    sizes[0] = 0
    return int(sizes.max())


def _parts(
    surface: Array, dark: Array, hu: Array, bright: NDArray[np.bool_], cell_mm2: float
) -> tuple[float, float, bool]:
    """Area of the dark part, its contrast to the bright part, and whether an interface between the two is in view."""
    dark_mm2 = float(((surface < 0) & (dark < 0)).sum() * cell_mm2)
    bright_mm2 = float(((surface < 0) & (dark > 0)).sum() * cell_mm2)
    interface_mm = float(((np.abs(dark) < 1) & (surface < -1)).sum() * cell_mm2 / 2)
    contrast = _mean(hu, bright & (dark > 1.5)) - _mean(hu, bright & (dark < -1.5))
    split = min(dark_mm2, bright_mm2) >= MIN_PART_MM2 and interface_mm >= MIN_INTERFACE_MM
    return dark_mm2, max(0.0, contrast) if dark_mm2 else 0.0, split


def _level_mm(solid: NDArray[np.bool_], dark: Array, pixel_mm: float) -> float:
    """Length of the longest unbroken interface at which dark lies on bright, over `MIN_LAYER_MM` of dark or more.

    Rows run down the image, as blood settles in a patient who lies supine. Neighbouring columns meet the interface in
    the same row, so whatever lies on an unbroken stretch of it is one connected part.

    Args:
        solid: (2H, 2W), where the clot fills the slice's thickness, so that its rim does not pass for a dark layer.
        dark: (2H, 2W), distance to the interface in mm, negative in the dark part.
        pixel_mm: pixel spacing.
    """
    layer_mm = _run_lengths(solid & (dark < 0)) * pixel_mm
    lies_on = (layer_mm[:-1] >= MIN_LAYER_MM) & (solid & (dark >= 0))[1:]
    columns: NDArray[np.bool_] = np.logical_or.reduce(lies_on, axis=0)
    return float(_run_lengths(columns).max() * pixel_mm)


def _run_lengths(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many flags in a row are set up to and with each element, along the first axis."""
    total = np.cumsum(flags, axis=0, dtype=np.int64)
    run: NDArray[np.int64] = total - np.maximum.accumulate(np.where(flags, 0, total), axis=0)
    return run


def _protrudes(bump: Array, body: Array, cell_mm2: float) -> bool:
    """Whether a bump sticks out of the body far and wide enough to be seen."""
    beyond = (bump < 0) & (body > 0)
    tall = bool((body[beyond] >= MIN_BUMP_HEIGHT_MM).any())
    return tall and float(beyond.sum()) * cell_mm2 >= MIN_BUMP_MM2


def _mean(values: Array, where: NDArray[np.bool_]) -> float:
    return float(values[where].mean()) if where.any() else 0.0
