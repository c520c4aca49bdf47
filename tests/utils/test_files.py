# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Files and folders are replaced in one step, whatever goes wrong before it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from monai_ich.utils.files import PARTIAL, replace_file, replaced


def test_the_old_content_stays_until_all_of_the_new_is_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.nii.gz"
    replace_file(path, b"old")
    with replaced(path) as partial:
        assert (partial.parent, partial.suffixes) == (path.parent, [".nii", ".gz"])
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def fail_within(path: Path, folder: bool) -> None:
    with replaced(path) as partial:
        if folder:
            partial.mkdir()
        (partial / "part" if folder else partial).write_bytes(b"half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("folder", [False, True])
def test_what_fails_leaves_the_old_content_and_no_part(folder: bool, tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old")
    with pytest.raises(KeyboardInterrupt):
        fail_within(tmp_path / "a", folder)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_is_seen_whole(tmp_path: Path) -> None:
    with replaced(tmp_path / "study") as partial:
        partial.mkdir()
        (partial / "slice").touch()
        assert not (tmp_path / "study").exists()
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["slice"]


def test_two_writers_of_one_path_do_not_disturb_each_other(tmp_path: Path) -> None:
    with replaced(tmp_path / "a") as first, replaced(tmp_path / "a") as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert (tmp_path / "a").read_bytes() == b"first", "the one that ends last"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_sole_writer_takes_away_what_a_killed_process_left(tmp_path: Path) -> None:
    left = tmp_path / f"{PARTIAL}study"
    left.mkdir()
    (left / "half").touch()
    with replaced(tmp_path / "study", sole_writer=True) as partial:
        assert partial == left
        assert not partial.exists()
        partial.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    assert list((tmp_path / "study").iterdir()) == []


@pytest.mark.parametrize("durable", [False, True])
def test_a_durable_file_is_on_the_disk_before_it_is_seen(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (calls.append(name), real(*given))[1])
    with replaced(tmp_path / "a", durable=durable) as partial:
        partial.write_bytes(b"weights")
    assert calls == (["fsync", "replace"] if durable else ["replace"])
    assert (tmp_path / "a").read_bytes() == b"weights"


def test_files_have_the_rights_that_the_user_s_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
