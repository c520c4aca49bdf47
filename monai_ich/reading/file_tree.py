# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The files below a folder: links are followed, and what archives leave beside the real files is passed over."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path


def is_litter(name: str) -> bool:
    """True for what a system puts beside the files: "._NAME" of macOS, its folder __MACOSX, and indices of folders.

    >>> [is_litter(name) for name in ("._001.nii.gz", "__MACOSX", ".DS_Store", "001.nii.gz")]
    [True, True, True, False]
    """
    return name.startswith("._") or name in ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


def walk_files(root: Path, skip: Collection[Path] = ()) -> Iterator[tuple[Path, list[Path]]]:
    """Yields each folder at or below `root` with its files, both in the order of their names.

    Links to folders are followed; a folder that several paths lead to is read once, by the first of them. A link to
    nothing counts as a file: somebody believes that it is one. So does a folder that cannot be opened: whoever opens it
    as a file gets the reason.

    Args:
        root: a folder.
        skip: folders that are left out, whatever path leads to them.
    """
    seen = {_identity(folder) for folder in skip if folder.exists()}
    closed: list[Path] = []
    for here, folders, names in os.walk(root, followlinks=True, onerror=lambda e: closed.append(Path(e.filename))):
        folder = Path(here)
        if _identity(folder) in seen:
            folders.clear()
            continue
        seen.add(_identity(folder))
        folders[:] = sorted(name for name in folders if not is_litter(name))
        paths = (folder / name for name in sorted(names) if not is_litter(name))
        yield folder, [path for path in paths if path.is_file() or (path.is_symlink() and not path.exists())]
    for folder in closed:
        yield folder.parent, [folder]


def left_out(root: Path, skip: Collection[Path] = ()) -> list[Path]:
    """What `walk_files` leaves out: what systems left, with all below it, and what is neither file nor folder."""
    found: set[Path] = set()
    for folder in {folder for folder, _ in walk_files(root, skip)}:
        if not os.access(folder, os.R_OK | os.X_OK):
            continue  # it counts as a file itself
        with os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if not is_litter(entry.name):
                    # asked of the path, as a scan's entry raises on a link to itself; most are plain and quick to ask
                    is_plain = not entry.is_symlink() and (entry.is_file() or entry.is_dir())
                    if not (is_plain or path.is_file() or path.is_dir() or (path.is_symlink() and not path.exists())):
                        found.add(path)
                elif entry.is_dir(follow_symlinks=False):
                    found.update(below for below in path.rglob("*") if below.is_symlink() or not below.is_dir())
                else:
                    found.add(path)
    return sorted(found)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def files_below(root: Path, skip: Collection[Path] = ()) -> list[Path]:
    """All files of `walk_files`, sorted by their paths."""
    return sorted(path for _, paths in walk_files(root, skip) for path in paths)


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The files of one folder whose names fit a pattern, such as `*.nii*`, sorted."""
    return sorted(path for path in folder.glob(pattern) if not is_litter(path.name))
