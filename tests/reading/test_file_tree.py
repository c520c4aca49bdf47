# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Which files below a folder are read: links are followed once, and what archives leave beside them is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monai_ich.reading.file_tree import files_below, files_in, walk_files
from monai_ich.reading.series import starts_like_dicom
from monai_ich.utils.errors import ImageReadError


def _names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files_below(root)]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    store, source = tmp_path / "store", tmp_path / "source"
    (store / "inner").mkdir(parents=True)
    (store / "a").write_text("a")
    (store / "inner" / "b").write_text("b")
    source.mkdir()
    (source / "patient").symlink_to(store)
    (source / "single").symlink_to(store / "a")
    assert _names(source) == ["patient/a", "patient/inner/b", "single"]


def test_loops_end_and_a_folder_is_read_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "a" / "1").write_text("1")
    (source / "a" / "up").symlink_to(source)
    (source / "a" / "self").symlink_to(source / "a" / "self")
    (source / "b").symlink_to(source / "a")
    assert _names(source) == ["a/1", "a/self"]


def test_a_link_to_nothing_is_a_file_that_somebody_misses(tmp_path: Path) -> None:
    (tmp_path / "slice").symlink_to(tmp_path / "gone")
    assert _names(tmp_path) == ["slice"]


def test_what_archives_and_systems_leave_is_passed_over(tmp_path: Path) -> None:
    for name in ("1.dcm", "._1.dcm", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/1.dcm", "x/__MACOSX/y/1.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".hidden.dcm").write_text("")  # somebody's own name
    assert _names(tmp_path) == [".hidden.dcm", "1.dcm"]
    assert [path.name for path in files_in(tmp_path, "*1.dcm")] == ["1.dcm"]


def test_a_folder_that_cannot_be_opened_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/1", "closed/2", "z/3"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # whoever runs the tests may be allowed to open everything
    assert _names(tmp_path) == ["a/1", "closed", "z/3"]
    with pytest.raises(ImageReadError, match=r"closed: cannot be opened"):
        starts_like_dicom(tmp_path / "closed")


def test_folders_that_are_skipped(tmp_path: Path) -> None:
    for name in ("a/1", "out/2"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    walked = {folder.name: [path.name for path in paths] for folder, paths in walk_files(tmp_path, [tmp_path / "out"])}
    assert walked == {tmp_path.name: [], "a": ["1"]}
    (tmp_path / "again").symlink_to(tmp_path / "out")
    walked = {folder.name: [path.name for path in paths] for folder, paths in walk_files(tmp_path, [tmp_path / "out"])}
    assert walked == {tmp_path.name: [], "a": ["1"]}
