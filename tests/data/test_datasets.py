# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Samples keep the contract; augmentation replays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from dataset_support import SIZE, augmentation
from monai.data import DataLoader, get_track_meta

from monai_ich.data.datasets import SliceDataset
from monai_ich.data.samplers import Draw, EpochSampler
from monai_ich.utils.errors import ConfigurationError, ImageReadError, ManifestError
from monai_ich.utils.keys import Key


@pytest.mark.parametrize("cached", [True, False])
def test_samples_hold_what_the_rows_say(
    tmp_path: Path, frame: pd.DataFrame, make: Callable[..., SliceDataset], cached: bool
) -> None:
    dataset = make() if cached else make(cache_dir=None)
    if cached:
        dataset.slices.prepare()
    for index in range(len(dataset)):
        sample, row = dataset[index], frame.iloc[index]
        stored = np.asarray(nib.load(tmp_path / row["image"]).dataobj, np.float32)
        expected = stored if pd.isna(row["image_slice"]) else stored[..., row["image_slice"]]
        np.testing.assert_allclose(sample[Key.IMAGE][0], expected / 100, rtol=1e-6)
        annotated = row["mask"] != ""
        np.testing.assert_array_equal(sample[Key.MASK][0], (expected > 60) & annotated)
        assert (sample[Key.IMAGE].dtype, sample[Key.MASK].dtype) == (torch.float32, torch.uint8)
        assert sample[Key.IMAGE].shape == sample[Key.MASK].shape == (1, SIZE, SIZE)
        assert (sample["has_mask"], sample["label"], sample["index"]) == (annotated, int(row["hypodensity"]), index)
        assert [sample[k] for k in ("key", "patient_id", "study_id", "hospital")] == [
            row[k] for k in ("key", "patient_id", "study_id", "hospital")
        ]
    assert dataset[-1]["key"] == frame["key"].iloc[-1]
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_a_batch_keeps_the_contract(make: Callable[..., SliceDataset]) -> None:
    batch = next(iter(DataLoader(make(), batch_size=8)))
    assert (batch["image"].shape, batch["mask"].shape) == ((8, 1, SIZE, SIZE), (8, 1, SIZE, SIZE))
    assert (batch["image"].dtype, batch["mask"].dtype) == (torch.float32, torch.uint8)
    assert (batch["has_mask"].dtype, batch["label"].dtype, batch["label"].shape) == (torch.bool, torch.int64, (8,))
    assert isinstance(batch["key"], list)
    assert int(batch["has_mask"].sum()) == 6


def test_attributes_and_pairs_are_texts_of_a_sample(frame: pd.DataFrame, make: Callable[..., SliceDataset]) -> None:
    table = frame.assign(attribute_kernel=["", *["soft"] * 7], pair_id="p1")
    batch = next(iter(DataLoader(make(table), batch_size=8)))
    assert batch["attribute_kernel"] == ["", *["soft"] * 7]
    assert batch["pair_id"] == ["p1"] * 8


def test_blood_is_known_from_masks_and_labels(
    frame: pd.DataFrame, make: Callable[..., SliceDataset], tmp_path: Path
) -> None:
    """Every slice with a mask shows blood, but two whose masks are emptied; s3 has none, and is told by labels."""
    emptied = np.asarray(nib.load(tmp_path / "s1_m.nii").dataobj).copy()
    emptied[..., :2] = 0
    nib.save(nib.Nifti1Image(emptied, np.eye(4)), tmp_path / "s1_m.nii")

    def blood(table: pd.DataFrame, **options: Any) -> dict[str, int]:
        batch = next(iter(DataLoader(make(table, **options), batch_size=8)))
        assert (batch["has_blood"].dtype, batch["has_blood"].shape) == (torch.int64, (8,))
        return dict(zip(batch["key"], batch["has_blood"].tolist(), strict=True))

    told = {"s1/0": 0, "s1/1": 1, "s1/2": 1, "s2/0": 1, "s2/1": 1, "s2/2": 1, "s3/0": -1, "s3/1": 1}
    assert blood(frame) == told, "s1/1 and s3/1 have the marker"
    labelled = frame.assign(
        label_any_haemorrhage=np.where(frame["key"] == "s3/0", 0.0, np.nan),
        label_subdural=np.where(frame["key"] == "s1/0", 1.0, np.nan),
        label_fracture=1.0,
    )
    assert blood(labelled) == told | {"s1/0": 1, "s3/0": 0}
    assert blood(labelled, markers=()) == blood(labelled)


def test_several_markers_and_none(frame: pd.DataFrame, make: Callable[..., SliceDataset]) -> None:
    table = frame.assign(blend_sign=[1.0, 0.0] + [np.nan] * 6)
    batch = next(iter(DataLoader(make(table, markers=("hypodensity", "blend_sign")), batch_size=8)))
    assert (batch["label"].dtype, batch["label"].shape) == (torch.float32, (8, 2))
    np.testing.assert_array_equal(batch["label"][:, 1], table["blend_sign"])
    assert next(iter(DataLoader(make(markers=()), batch_size=8)))["label"].shape == (8, 0)


def test_unknown_labels_and_empty_sets(frame: pd.DataFrame, make: Callable[..., SliceDataset]) -> None:
    table = frame.copy()
    table.loc[2, "hypodensity"] = np.nan
    with pytest.raises(ManifestError, match=rf"1 rows have no hypodensity label \({table['key'][2]}.*drop_unlabelled"):
        make(table)
    dataset = make(table, drop_unlabelled=True)
    assert (len(dataset), dataset.dropped_rows) == (7, 1)
    assert table["key"][2] not in [dataset[i]["key"] for i in range(7)]
    with pytest.raises(ManifestError, match="no rows"):
        make(table.iloc[:0])


def test_slices_with_blood_alone(
    frame: pd.DataFrame, make: Callable[..., SliceDataset], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="monai_ich")
    emptied = np.asarray(nib.load(tmp_path / "s1_m.nii").dataobj).copy()
    emptied[..., 1] = 0
    nib.save(nib.Nifti1Image(emptied, np.eye(4)), tmp_path / "s1_m.nii")
    everything = make()
    with_blood = [sample[Key.KEY] for sample in map(everything.__getitem__, range(8)) if sample[Key.MASK].any()]
    annotated = [key for key, mask in zip(frame["key"], frame["mask"], strict=True) if mask]
    assert 0 < len(with_blood) < len(annotated) < 8, "the data must hold empty masks and slices without one"
    dataset = make(only_with_blood=True)
    assert [dataset[i][Key.KEY] for i in range(len(dataset))] == with_blood
    assert dataset.dropped_rows == 8 - len(with_blood)
    assert f"all splits: {len(with_blood)} of 8 slices have blood in their mask; only these are used." in caplog.text
    with pytest.raises(
        ManifestError, match=r"with blood in their mask, but none of its 8 rows.*--train::seg_slices all"
    ):
        make(frame.assign(mask="", mask_slice=pd.NA), only_with_blood=True)


def test_unreadable_files_of_all_splits_are_reported_before_any_slice_is_chosen(
    frame: pd.DataFrame, make: Callable[..., SliceDataset], tmp_path: Path
) -> None:
    for name in ("s1.nii", "s2.nii"):
        (tmp_path / name).unlink()
    table = frame.assign(split=np.where(frame["study_id"] == "s1", "val", "train"))
    with pytest.raises(ImageReadError) as caught:
        make(table, "train", only_with_blood=True)
    assert [sum(name in fault for fault in caught.value.faults) for name in ("s1.nii", "s2.nii")] == [1, 1]


def _epoch(dataset: SliceDataset, num_workers: int, rank: int = 0, world_size: int = 1) -> list[dict[str, Any]]:
    sampler = EpochSampler(len(dataset), 4, seed=5, rank=rank, world_size=world_size)
    sampler.set_epoch(3)
    return list(DataLoader(dataset, batch_size=4 // world_size, sampler=sampler, num_workers=num_workers))


def test_batches_do_not_depend_on_workers_or_ranks(make: Callable[..., SliceDataset]) -> None:
    dataset = make(augmentation=augmentation())
    dataset.slices.prepare()
    alone, with_workers = _epoch(dataset, 0), _epoch(dataset, 2)
    shares = [_epoch(dataset, 0, rank, 2) for rank in (1, 0)][::-1]
    assert len(alone) == 2
    for number, batch in enumerate(alone):
        for key in ("image", "mask"):
            assert torch.equal(batch[key], with_workers[number][key])
            assert torch.equal(batch[key], torch.cat([share[number][key] for share in shares]))
        assert batch["key"] == with_workers[number]["key"]


def test_augmentation_follows_its_seed_only(make: Callable[..., SliceDataset]) -> None:
    dataset = make(augmentation=augmentation())
    plain = make()
    first = dataset[Draw(2, 77)]
    dataset[Draw(1, 5)]
    again = dataset[Draw(2, 77)]
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["mask"], again["mask"])
    images = {dataset[Draw(2, seed)]["image"].numpy().tobytes() for seed in range(12)}
    assert len(images) > 5
    assert plain[2]["image"].numpy().tobytes() in images  # with neither group
    for seed in range(12):
        sample = dataset[Draw(2, seed)]
        assert set(sample["mask"].unique().tolist()) <= {0, 1}
        assert sample["mask"].dtype == torch.uint8
        assert 0 <= float(sample["image"].min()) <= float(sample["image"].max()) <= 1
        assert type(sample["image"]) is torch.Tensor
    assert get_track_meta()  # left as it was


def test_an_augmenting_set_wants_a_seed(make: Callable[..., SliceDataset]) -> None:
    with pytest.raises(ConfigurationError, match="without a seed; give its loader an EpochSampler"):
        make(augmentation=augmentation())[0]
    with pytest.raises(ConfigurationError, match="expected a MONAI random transform, got function"):
        make(augmentation=lambda pair: pair)
