# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Studies are decoded once, whoever asks; the store notices change, and reports the faults of all files together."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dataset_support import FAULTY, LoadStub, augmentation, preprocessing

from monai_ich.data.caching import ArrayCache, fingerprint
from monai_ich.data.datasets import SliceDataset
from monai_ich.data.store import SliceStore
from monai_ich.utils.errors import ConfigurationError, ImageReadError


@pytest.fixture(autouse=True)
def _forget_decoded() -> None:
    LoadStub.decoded.clear()


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
    make(preprocessing=preprocessing(scale=50.0)).slices.prepare()
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
    store = SliceStore(table, tmp_path, preprocessing(), cache_dir, progress=False, num_workers=0)
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
    dataset = SliceDataset(SliceStore(frame[frame["study_id"] == "s2"], tmp_path, preprocessing(), progress=False))
    with pytest.raises(ImageReadError, match=r"cannot be used any more(.|\n)*s2/\d: .*s2\.nii: cannot be read"):
        dataset[0]


def test_preprocessing_of_the_wrong_shape_is_refused(make: Callable[..., SliceDataset]) -> None:
    with pytest.raises(ConfigurationError, match=r"expected image and mask \(\d,S,S\), got \(1, 4, 4\)"):
        make(preprocessing=lambda item: {"image": np.zeros((1, 4, 4)), "mask": np.zeros((1, 4, 4))}).slices.prepare()


def test_fingerprints_tell_parameters_apart_and_ignore_random_states() -> None:
    assert fingerprint(preprocessing()) == fingerprint(preprocessing())
    assert fingerprint(preprocessing()) != fingerprint(preprocessing(99.0))
    assert fingerprint(augmentation().set_random_state(1)) == fingerprint(augmentation().set_random_state(2))
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
        done = preprocessing()(item)
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
