# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Two studies of volumes and one of flat files, and a stand-in for the preprocessing that counts what it decodes."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from monai.transforms import Compose, RandFlipd, RandRotated, Transform

from monai_ich.utils.errors import ImageReadError

SIZE = 32
FAULTY = "broken.nii"


class LoadStub(Transform):
    """Stands in for the project's preprocessing, which is another room's: NIfTI slices, divided by `scale`."""

    decoded: list[str] = []  # noqa: RUF012  one list for the test to look at

    def __init__(self, scale: float = 100.0) -> None:
        self.scale = scale

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        done = {}
        for key, dtype in (("image", np.float32), ("mask", np.uint8)):
            slices = []
            for reference in item[key]:
                values = np.zeros((SIZE, SIZE), dtype)
                if reference is not None:
                    path, index = reference
                    if not path.is_file() or path.name == FAULTY:
                        raise ImageReadError(path, "cannot be read")
                    type(self).decoded.append(path.name)
                    stored = np.asarray(nib.load(path).dataobj)
                    values = stored if index is None else stored[..., index]
                slices.append(values)
            done[key] = np.stack(slices)
        return {"image": done["image"] / self.scale, "mask": done["mask"]}


def preprocessing(scale: float = 100.0) -> Compose:
    return Compose([LoadStub(scale)])


def augmentation() -> Compose:
    keys = ["image", "mask"]
    return Compose([RandFlipd(keys, 0.5, 1), RandRotated(keys, 0.35, prob=0.5, mode=["bilinear", "nearest"])])
