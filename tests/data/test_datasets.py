# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Samples keep the contract; studies are decoded once; caches notice change; augmentation replays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import DataLoader, get_track_meta
from monai.transforms import Compose, RandFlipd, RandRotated, Transform

from monai_ich.data.caching import ArrayCache, fingerprint
from monai_ich.data.datasets import SliceDataset
from monai_ich.data.samplers import Draw, EpochSampler
from monai_ich.data.store import SliceStore
from monai_ich.utils.errors import ConfigurationError, ImageReadError, ManifestError
from monai_ich.utils.keys import MARKERS, Key

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
                        raise ImageReadError(f"{path}: cannot be read")
                    type(self).decoded.append(path.name)
                    stored = np.asarray(nib.load(path).dataobj)
                    values = stored if index is None else stored[..., index]
                slices.append(values)
            done[key] = np.stack(slices)
        return {"image": done["image"] / self.scale, "mask": done["mask"]}


@pytest.fixture(autouse=True)
def _forget_decoded() -> None:
    LoadStub.decoded.clear()


def _preprocessing(scale: float = 100.0) -> Compose:
    return Compose([LoadStub(scale)])


def _augmentation() -> Compose:
    keys = ["image", "mask"]
    return Compose([RandFlipd(keys, 0.5, 1), RandRotated(keys, 0.35, prob=0.5, mode=["bilinear", "nearest"])])


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """Two studies of one volume each with a mask volume, one study of two 2-D files without."""
    generator = np.random.default_rng(0)
    rows = []
    for study in ("s1", "s2"):
        image = generator.integers(0, 100, (SIZE, SIZE, 3)).astype(np.int16)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"{study}.nii")
        nib.save(nib.Nifti1Image((image > 60).astype(np.uint8), np.eye(4)), tmp_path / f"{study}_m.nii")
        rows += [(f"{study}/{n}", f"{study}.nii", n, f"{study}_m.nii", n, study, n % 2) for n in range(3)]
    for n in range(2):
        image = generator.integers(0, 100, (SIZE, SIZE)).astype(np.int16)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"flat{n}.nii")
        rows.append((f"s3/{n}", f"flat{n}.nii", pd.NA, "", pd.NA, "s3", n))
    columns = ["key", "image", "image_slice", "mask", "mask_slice", "study_id", "hypodensity"]
    table = pd.DataFrame(rows, columns=columns)
    table["patient_id"] = table["study_id"].str.replace("s", "p")
    table["hospital"], table["split"] = "1", "train"
    table[["image_slice", "mask_slice"]] = table[["image_slice", "mask_slice"]].astype("Int64")
    table["hypodensity"] = table["hypodensity"].astype("float32")
    for marker in MARKERS[1:]:
        table[marker] = np.float32(np.nan)
    return table.sample(frac=1, random_state=1).reset_index(drop=True)  # studies in disorder


@pytest.fixture
def make(tmp_path: Path, frame: pd.DataFrame) -> Callable[..., SliceDataset]:
    def build(table: pd.DataFrame = frame, split: str | None = None, **change: Any) -> SliceDataset:
        of_dataset = {key: change.pop(key) for key in ("augmentation", "markers", "drop_unlabelled") if key in change}
        of_store = {
            "preprocessing": _preprocessing(),
            "cache_dir": tmp_path / "cache",
            "progress": False,
            "num_workers": 0,
        } | change
        return SliceDataset(SliceStore(table, tmp_path, **of_store), split, **of_dataset)

    return build


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


def test_a_hit_decodes_nothing_and_change_decodes_again(
    tmp_path: Path, frame: pd.DataFrame, make: Callable[..., SliceDataset]
) -> None:
    make().slices.prepare()
    assert len(LoadStub.decoded) == 8 + 6  # eight image slices, six masks
    LoadStub.decoded.clear()
    again = make()
    again.slices.prepare()
    before = again[0]["image"]
    assert LoadStub.decoded == []
    make(preprocessing=_preprocessing(scale=50.0)).slices.prepare()
    assert len(LoadStub.decoded) == 14
    LoadStub.decoded.clear()
    changed = tmp_path / "s1.nii"
    content = changed.read_bytes()
    changed.write_bytes(content[:-2] + b"\x07\x00")
    os.utime(changed, ns=(1, 1))
    make().slices.prepare()
    assert set(LoadStub.decoded) == {"s1.nii", "s1_m.nii"}
    np.testing.assert_array_equal(again[0]["image"], before)


@pytest.mark.parametrize("cached", [True, False])
def test_a_study_in_several_splits_is_decoded_once(
    tmp_path: Path, frame: pd.DataFrame, make: Callable[..., SliceDataset], cached: bool
) -> None:
    table = frame.sort_values("key").assign(split=["train", "val", "test_a", "train", "val", "test_a", "train", "val"])
    cache_dir = tmp_path / "cache" if cached else None
    store = SliceStore(table, tmp_path, _preprocessing(), cache_dir, progress=False, num_workers=0)
    datasets = {split: SliceDataset(store, split) for split in ("train", "val", "test_a")}
    for split, dataset in datasets.items():
        for index in range(len(dataset)):
            assert dataset[index]["key"] in table["key"][table["split"] == split].tolist()
    assert sum(map(len, datasets.values())) == len(table)
    assert len(LoadStub.decoded) == 8 + 6  # each image slice and each mask slice of the table, once
    if cached:
        LoadStub.decoded.clear()
        make(table.assign(split=table["split"].to_numpy()[::-1]), split="train").slices.prepare()
        assert LoadStub.decoded == []  # another split of the same slices decodes nothing


def test_only_the_studies_asked_for_are_prepared(frame: pd.DataFrame, make: Callable[..., SliceDataset]) -> None:
    table = frame.assign(split=np.where(frame["study_id"] == "s2", "test_a", "train"))
    dataset = make(table, split="test_a")
    dataset.slices.prepare(dataset.rows)
    assert set(LoadStub.decoded) == {"s2.nii", "s2_m.nii"}


def test_half_written_files_are_never_read(
    tmp_path: Path, make: Callable[..., SliceDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make()
    monkeypatch.setattr(os, "replace", _killed)
    with pytest.raises(KeyboardInterrupt):
        dataset[0]
    monkeypatch.undo()
    assert list((tmp_path / "cache").iterdir()) == []
    dataset.slices.prepare()
    good = dataset[0]["image"]
    for path in (tmp_path / "cache").glob("*.image.npy"):
        path.write_bytes(path.read_bytes()[:-100])  # a full disk, say
    np.testing.assert_array_equal(make()[0]["image"], good)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_all_faults_of_all_studies_together_and_the_rest_is_kept(
    tmp_path: Path, frame: pd.DataFrame, make: Callable[..., SliceDataset]
) -> None:
    (tmp_path / FAULTY).write_bytes(b"")
    table = frame.copy()
    table.loc[table["study_id"] == "s1", "image"] = FAULTY
    table.loc[table["key"] == "s3/1", "image"] = "gone.nii"
    with pytest.raises(ImageReadError) as caught:
        make(table).slices.prepare()
    assert FAULTY in str(caught.value)
    assert "gone.nii" in str(caught.value)
    assert "cannot be used" in str(caught.value)
    LoadStub.decoded.clear()
    dataset = make(table)
    position = int(np.flatnonzero(table["study_id"] == "s2")[0])
    assert dataset[position]["study_id"] == "s2"
    assert LoadStub.decoded == []


def test_a_file_that_breaks_in_mid_run_is_named_with_its_key(tmp_path: Path, frame: pd.DataFrame) -> None:
    (tmp_path / "s2.nii").unlink()
    dataset = SliceDataset(SliceStore(frame[frame["study_id"] == "s2"], tmp_path, _preprocessing(), progress=False))
    with pytest.raises(ImageReadError, match=r"cannot be used any more(.|\n)*s2/\d: .*s2\.nii: cannot be read"):
        dataset[0]


def _epoch(dataset: SliceDataset, num_workers: int, rank: int = 0, world_size: int = 1) -> list[dict[str, Any]]:
    sampler = EpochSampler(len(dataset), 4, seed=5, rank=rank, world_size=world_size)
    sampler.set_epoch(3)
    return list(DataLoader(dataset, batch_size=4 // world_size, sampler=sampler, num_workers=num_workers))


def test_batches_do_not_depend_on_workers_or_ranks(make: Callable[..., SliceDataset]) -> None:
    dataset = make(augmentation=_augmentation())
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
    dataset = make(augmentation=_augmentation())
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
        make(augmentation=_augmentation())[0]
    with pytest.raises(ConfigurationError, match="expected a MONAI random transform, got function"):
        make(augmentation=lambda pair: pair)


def test_preprocessing_of_the_wrong_shape_is_refused(make: Callable[..., SliceDataset]) -> None:
    with pytest.raises(ConfigurationError, match=r"expected image and mask \(\d,S,S\), got \(1, 4, 4\)"):
        make(preprocessing=lambda item: {"image": np.zeros((1, 4, 4)), "mask": np.zeros((1, 4, 4))}).slices.prepare()


def test_fingerprints_tell_parameters_apart_and_ignore_random_states() -> None:
    assert fingerprint(_preprocessing()) == fingerprint(_preprocessing())
    assert fingerprint(_preprocessing()) != fingerprint(_preprocessing(99.0))
    assert fingerprint(_augmentation().set_random_state(1)) == fingerprint(_augmentation().set_random_state(2))
    assert fingerprint(lambda x: x + 1) != fingerprint(lambda x: x + 2)


def test_memory_and_file_caches_agree(tmp_path: Path) -> None:
    arrays = {"a": np.arange(4), "b": np.eye(2)}
    for folder in (None, tmp_path / "new" / "cache"):
        cache = ArrayCache(folder, ("a", "b"))
        assert cache.load("x") is None
        cache.store("x", arrays)
        loaded = cache.load("x")
        assert loaded is not None
        for field, array in arrays.items():
            np.testing.assert_array_equal(loaded[field], array)


def test_several_processes_fill_the_same_cache_and_report_the_same_faults(
    tmp_path: Path, frame: pd.DataFrame, make: Callable[..., SliceDataset]
) -> None:
    make(cache_dir=tmp_path / "alone").slices.prepare()
    make(num_workers=2).slices.prepare()
    alone, together = (sorted((tmp_path / name).iterdir()) for name in ("alone", "cache"))
    assert [path.name for path in alone] == [path.name for path in together]
    assert len(alone) == 2 * 3
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together]
    (tmp_path / "s1.nii").unlink()
    (tmp_path / "flat0.nii").unlink()
    with pytest.raises(ImageReadError, match=r"^files of the data set cannot be used(.|\n)*s1\.nii: cannot be read"):
        make(num_workers=2).slices.prepare()
    with pytest.raises(ConfigurationError, match=r"^preprocessing: expected image and mask"):
        make(
            num_workers=2, preprocessing=lambda i: {"image": np.zeros((9, 4, 4)), "mask": np.zeros((9, 4, 4))}
        ).slices.prepare()


def test_a_store_of_other_fields_keeps_them_and_says_what_is_missing(
    make: Callable[..., SliceDataset], tmp_path: Path
) -> None:
    dataset = make()
    frame, folder = dataset.slices.frame, dataset.slices.dataset_dir

    def sums(item: dict[str, Any]) -> dict[str, np.ndarray]:
        done = _preprocessing()(item)
        return {"sum": np.asarray(done["image"]).sum(axis=(1, 2))}

    store = SliceStore(frame, folder, sums, tmp_path / "fields", num_workers=1, fields=("sum",))
    assert all(arrays is None for _, arrays in store.studies())
    store.prepare()
    for rows, arrays in store.studies():
        assert arrays is not None
        assert [float(value) for value in arrays["sum"]] == [float(store[row]["sum"]) for row in rows]
        assert float(store[rows[0]]["sum"]) == pytest.approx(float(dataset.slices[rows[0]]["image"].sum()), rel=1e-5)
    wrong = SliceStore(frame, folder, lambda item: {"sum": np.zeros(99)}, fields=("sum",))
    with pytest.raises(ConfigurationError, match=r"expected \d+ entries of 'sum', got \(99,\)"):
        wrong.prepare()
