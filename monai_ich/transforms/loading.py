# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MONAI dictionary transform that reads the slices of one study, each file once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform

from monai_ich.reading.geometry import SliceStack
from monai_ich.reading.hounsfield import ValueCheck, ValueRule
from monai_ich.reading.slice_reading import Kind, read_slices
from monai_ich.reading.volumes import is_volume
from monai_ich.utils.errors import FaultList, ImageReadError
from monai_ich.utils.keys import IMAGE_VALUES, MASK_LABELS, Key

# A slice to read: its file, and its index in it (None for a file of one slice). None: not annotated.
SliceReference = tuple[Path | str, int | None]


class LoadSlicesd(MapTransform):
    """Reads a group of slices of one study: image float32 HU (N,H,W), mask uint8 (N,H,W), in canonical orientation.

    The N slices ride in the channel axis, so MONAI's 2-D transforms treat the group as one image. The item holds
    `{"image": [(path, index or None), ...], "mask": [(path, index or None) or None, ...]}`; slices without a mask
    get zeros. A `SliceStack` that was read already may stand in place of a list (inference reads a series once). The
    mask may be missing from the item altogether. An item's list `key` names the slices in error messages. Its lists
    `image_values` and `mask_labels`, where it has them, say how to read each slice's files (data_manifests/README.md).

    Image values must look like HU (`ValueCheck`). A volume file is judged by itself, and DICOM slices by their folder.

    Args:
        keys: the image's key, and after it the mask's, where there is one.
        max_offset_mm: how far the centres of an image slice and its mask slice may lie apart in the patient; more
            means a wrong slice index or another series' mask. None switches the check off, for masks whose file
            kept the orientation but lost the position.
    """

    def __init__(self, keys: Sequence[str] = (Key.IMAGE, Key.MASK), max_offset_mm: float | None = 2.5) -> None:
        super().__init__(keys, allow_missing_keys=True)
        if not 1 <= len(self.keys) <= 2:
            raise ValueError(f"keys: expected the image's key and at most the mask's, got {self.keys}")
        self.max_offset_mm = max_offset_mm

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        """The item with arrays in place of references.

        Raises:
            ImageReadError: its `faults` name every slice of the group that cannot be used.
        """
        item = dict(data)
        image_key, mask_key = self.keys[0], self.keys[-1] if len(self.keys) == 2 else None
        if image_key not in item:
            raise ImageReadError(None, f"the item has no {str(image_key)!r}; it has {sorted(map(str, item))}")
        names = item.get(Key.KEY)
        images = _read_group(item[image_key], "image", names, item.get(IMAGE_VALUES))
        if not isinstance(item[image_key], SliceStack):  # of a stack, whoever read it has judged the values
            _refuse_no_hu(images, names, item.get(IMAGE_VALUES))
        if mask_key in item:
            masks = _read_group(item[mask_key], "mask", names, item.get(MASK_LABELS))
            self._refuse_mismatch(images, masks, names)
            item[mask_key] = torch.from_numpy(_stack_masks(masks, images[0].pixels.shape[1:]))
        item[image_key] = torch.from_numpy(_stack_images(images, names))
        return item

    def _refuse_mismatch(
        self, images: Sequence[SliceStack], masks: Sequence[SliceStack | None], names: Sequence[str] | None
    ) -> None:
        faults = []
        for position, (image, mask) in enumerate(zip(images, masks, strict=True)):
            if mask is None:
                continue
            pair = f"{_name(names, position)}image {image.paths[0]} and mask {mask.paths[0]}"
            if image.pixels.shape != mask.pixels.shape:
                faults.append(
                    f"{pair}: differ in rows x columns, {image.pixels.shape[1:]} against {mask.pixels.shape[1:]} in "
                    "one orientation. The mask must be drawn on this very series."
                )
                continue
            offset_mm = float(np.linalg.norm(image.centres_ras_mm()[0] - mask.centres_ras_mm()[0]))
            if self.max_offset_mm is not None and offset_mm > self.max_offset_mm:
                faults.append(
                    f"{pair} (slice {mask.slice_index[0]}): their centres lie {offset_mm:.1f} mm apart in the "
                    "patient. Check the slice index (0-based), or set max_offset_mm of LoadSlicesd to null."
                )
        _raise_faults(faults)


def _read_group(
    references: SliceStack | Sequence[SliceReference | None],
    kind: Kind,
    names: Sequence[str] | None,
    rules: Sequence[str] | None = None,
) -> list[Any]:
    """One single-slice stack per reference, None where there is none; each file is decoded once for each rule."""
    if isinstance(references, SliceStack):
        return [references.take([position]) for position in range(len(references.pixels))]
    by_file: dict[tuple[Path, str], list[int]] = {}
    for position, reference in enumerate(references):
        if reference is not None:
            by_file.setdefault((Path(reference[0]), rules[position] if rules else ""), []).append(position)
    singles: list[SliceStack | None] = [None] * len(references)
    faults = []
    for (path, rule), positions in by_file.items():
        indices = [references[position][1] for position in positions]  # type: ignore[index]
        try:
            stack = _read_file(path, indices, kind, rule)
        except ImageReadError as error:
            faults.append(f"{_name(names, *positions)}{error}")
            continue
        for number, position in enumerate(positions):
            singles[position] = stack.take([number])
    _raise_faults(faults)
    return singles


def _refuse_no_hu(images: Sequence[SliceStack], names: Sequence[str] | None, rules: Sequence[str] | None) -> None:
    """Raises ImageReadError with every volume of the group whose values do not look like HU."""
    places: dict[Path, list[int]] = {}
    for position, image in enumerate(images):
        if ValueRule.parse(rules[position] if rules else "").is_checked:
            path = image.paths[0]
            places.setdefault(path if is_volume(path) else path.parent, []).append(position)
    faults = []
    for place, positions in places.items():
        check, paths = ValueCheck(), {images[position].paths[0] for position in positions}
        for position in positions:
            check.add(images[position].pixels, images[position].paths)
        try:
            check.refuse(place if len(paths) > 1 else paths.pop())
        except ImageReadError as error:
            faults.append(f"{_name(names, *positions)}{error}")
    _raise_faults(faults)


def _read_file(path: Path, indices: Sequence[int | None], kind: Kind, rule: str) -> SliceStack:
    """Raises ImageReadError when no slice index is given for a file that holds several slices."""
    how: dict[str, Any] = {"kind": kind}
    if kind == "image":
        how["offset_hu"] = ValueRule.parse(rule).offset_hu
    else:
        how["labels"] = [int(number) for number in rule.split()]
    if None not in indices:
        return read_slices(path, [int(i) for i in indices if i is not None], **how)
    stack = read_slices(path, None, **how)
    if len(stack.pixels) != 1:
        raise ImageReadError(path, f"holds {len(stack.pixels)} slices, but no slice index is given", "Give one.")
    return stack if len(indices) == 1 else stack.take([0] * len(indices))


def _stack_images(images: Sequence[SliceStack], names: Sequence[str] | None) -> np.ndarray:
    first = images[0]
    _raise_faults(
        [
            f"{_name(names, position)}{image.paths[0]} has {image.pixels.shape[1:]} rows x columns, {first.paths[0]} "
            f"of the same group has {first.pixels.shape[1:]}. Give the two series different study_ids or folders."
            for position, image in enumerate(images)
            if image.pixels.shape != first.pixels.shape
        ]
    )
    return np.concatenate([image.pixels for image in images])


def _stack_masks(masks: Sequence[SliceStack | None], shape_rc: tuple[int, ...]) -> np.ndarray:
    stacked = np.zeros((len(masks), *shape_rc), dtype=np.uint8)
    for target, mask in zip(stacked, masks, strict=True):
        if mask is not None:
            target[:] = mask.pixels[0]
    return stacked


def _name(names: Sequence[str] | None, first: int, *others: int) -> str:
    """The key of the first slice concerned, and how many more there are."""
    if names is None:
        return ""
    return f"{names[first]}{f' and {len(others)} more' if others else ''}: "


def _raise_faults(faults: Sequence[str]) -> None:
    collected = FaultList("slices of one study cannot be used")
    for fault in faults:
        collected.add(fault)
    collected.raise_if_any(ImageReadError)
