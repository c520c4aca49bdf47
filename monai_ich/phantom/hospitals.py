# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The eleven phantom hospitals: what each one's scanner, protocol, positioning and patients are like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CaseMix:
    """Shares of patients. Markers are shares of the patients with a haemorrhage.

    Attributes:
        ich: patients with an intracerebral haemorrhage.
        hypodensity, margin_irregularity, blend_sign, fluid_level: of those, the ones with the marker in 3-D.
        volume_median_ml, volume_sigma: log-normal clot volume (sigma of ln ml), kept within 3-100 ml.
    """

    ich: float = 0.72
    hypodensity: float = 0.46
    margin_irregularity: float = 0.42
    blend_sign: float = 0.20
    fluid_level: float = 0.12
    volume_median_ml: float = 24.0
    volume_sigma: float = 0.5


@dataclass(frozen=True)
class Hospital:
    """One site. Ranges are (low, high) of a uniform draw for each patient; pairs of kernels are (soft, sharp).

    Attributes:
        kernel_names, kernel_blur_mm: name and Gaussian blur (sigma, mm) of the soft and of the sharp kernel.
        sharp_fraction: share of patients reconstructed with the sharp kernel.
        noise_hu: standard deviation in brain, soft kernel.
        hu_offset: mean and standard deviation of the scanner's HU offset (tube voltage, calibration).
        fov_mm: reconstruction field of view; pixel spacing is this over the matrix.
        slice_mm: slice thickness and table increment, one of these.
        gantry_tilt_deg: 0 means a straight gantry.
        pose_sd_deg: standard deviation of the head's pitch, roll and yaw on the table.
        holder_fraction: share of patients whose head holder lies in the field of view.
        background: `air`; `padded`: outside the reconstruction circle lies PixelPaddingValue -2000; `masked`:
            everything around the head is replaced by one constant.
        signed, bits_stored, intercept_hu: how pixels are stored (Pixel Representation, Bits Stored, Rescale Intercept).
        feet_first: whether instance 1 is the lowest slice.
        mask_axes: axes of the hospital's mask files: `dicom` (column, row, slice), or `flipped` (rows reversed, as
            common DICOM-to-NIfTI converters do).
    """

    number: int
    manufacturer: str
    model: str
    kvp: int
    kernel_names: tuple[str, str]
    kernel_blur_mm: tuple[float, float]
    sharp_fraction: float
    noise_hu: tuple[float, float]
    hu_offset: tuple[float, float]
    fov_mm: tuple[float, float]
    slice_mm: tuple[float, ...]
    gantry_tilt_deg: tuple[float, float]
    pose_sd_deg: tuple[float, float, float]
    holder_fraction: float
    background: Literal["air", "padded", "masked"] = "air"
    signed: bool = False
    bits_stored: int = 12
    intercept_hu: int = -1024
    feet_first: bool = True
    mask_axes: Literal["dicom", "flipped"] = "dicom"
    mix: CaseMix = CaseMix()

    @property
    def is_training(self) -> bool:
        """Whether the site is one of the paper's hospitals 1-4, which have masks."""
        return self.number in TRAINING_HOSPITALS


TRAINING_HOSPITALS = (1, 2, 3, 4)

_SIEMENS, _GE, _PHILIPS, _TOSHIBA, _HITACHI = "SIEMENS", "GE MEDICAL SYSTEMS", "Philips", "TOSHIBA", "Hitachi"

_TABLE = (
    Hospital(1, _SIEMENS, "Phantom Definition", 120, ("H31s", "H45s"), (0.70, 0.48), 0.30, (2.6, 3.8), (0.0, 1.0),
             (206, 220), (5.0,), (0, 0), (4, 2.5, 3.5), 0.35),
    Hospital(2, _GE, "Phantom LightSpeed", 120, ("SOFT", "STANDARD"), (0.74, 0.52), 0.35, (2.8, 4.2), (0.8, 1.0),
             (208, 224), (5.0,), (10, 18), (3, 2.5, 3.5), 0.40, signed=True, bits_stored=16, mask_axes="flipped"),
    Hospital(3, _PHILIPS, "Phantom Brilliance", 120, ("UA", "UB"), (0.66, 0.46), 0.25, (3.0, 4.4), (-0.8, 1.0),
             (206, 220), (5.0, 4.5), (0, 0), (5, 3, 4), 0.30, background="padded", signed=True, bits_stored=16,
             mix=CaseMix(ich=0.70, hypodensity=0.44)),
    Hospital(4, _TOSHIBA, "Phantom Aquilion", 120, ("FC21", "FC26"), (0.72, 0.50), 0.30, (2.8, 4.6), (0.4, 1.2),
             (208, 222), (5.0,), (0, 8), (4, 3, 4), 0.45, signed=True, bits_stored=16, intercept_hu=0,
             feet_first=False, mask_axes="flipped", mix=CaseMix(hypodensity=0.48, volume_median_ml=27)),
    Hospital(5, _HITACHI, "Phantom Supria", 120, ("21", "32"), (0.85, 0.55), 0.40, (3.4, 5.0), (-1.6, 1.0),
             (206, 218), (5.0,), (0, 0), (6, 4, 6), 0.70, signed=True, bits_stored=16, intercept_hu=0),
    Hospital(6, _SIEMENS, "Phantom Emotion", 130, ("H21s", "H50s"), (0.90, 0.40), 0.50, (3.2, 5.0), (-1.6, 0.8),
             (212, 230), (6.0,), (12, 20), (5, 4, 7), 0.20, mix=CaseMix(ich=0.66, hypodensity=0.50)),
    Hospital(7, _GE, "Phantom Optima", 100, ("STANDARD", "DETAIL"), (0.62, 0.40), 0.50, (3.4, 5.0), (2.4, 0.9),
             (208, 222), (5.0,), (0, 0), (7, 5, 8), 0.50, background="padded", signed=True, bits_stored=16,
             mix=CaseMix(hypodensity=0.50, volume_median_ml=20)),
    Hospital(8, _PHILIPS, "Phantom Ingenuity", 120, ("UA", "UC"), (0.80, 0.45), 0.30, (3.2, 5.0), (1.0, 0.8),
             (206, 230), (4.0, 5.0), (0, 10), (8, 5, 10), 0.60, feet_first=False),
    Hospital(9, _TOSHIBA, "Phantom Asteion", 120, ("FC22", "FC30"), (0.95, 0.50), 0.35, (3.4, 5.0), (-1.4, 1.2),
             (214, 230), (5.0, 6.0), (-12, 0), (6, 4, 8), 0.80, signed=True, bits_stored=16, intercept_hu=0,
             mix=CaseMix(ich=0.80, hypodensity=0.50, volume_median_ml=32)),
    Hospital(10, _SIEMENS, "Phantom Perspective", 110, ("J30s", "J45s"), (0.70, 0.45), 0.40, (3.2, 4.8), (2.0, 1.0),
             (206, 220), (4.8,), (0, 0), (6, 5, 10), 0.0, background="masked", mix=CaseMix(hypodensity=0.50)),
    Hospital(11, _HITACHI, "Phantom Scenaria", 120, ("13", "22"), (1.00, 0.60), 0.30, (3.6, 5.0), (-2.2, 0.8),
             (208, 228), (5.5,), (5, 15), (7, 5, 12), 0.50, feet_first=False, mix=CaseMix(ich=0.70)),
)  # fmt: skip

HOSPITALS: dict[int, Hospital] = {hospital.number: hospital for hospital in _TABLE}
