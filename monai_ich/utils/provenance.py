# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Where a result comes from: code, packages, machine and data."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

RECORDED_PACKAGES = (
    "monai_ich",
    "torch",
    "monai",
    "pytorch-ignite",
    "numpy",
    "pandas",
    "scikit-learn",
    "pydicom",
    "nibabel",
    "mlflow",
)


def git_commit(directory: Path | None = None) -> str | None:
    """Returns the commit of the checkout that holds the package, with `-dirty` when files differ from it.

    None where the package is not in a git checkout or git is not installed.
    """
    where = directory or Path(__file__).resolve().parent
    try:
        commit = _git(where, "rev-parse", "HEAD")
        changed = _git(where, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(where: Path, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=True)
    return finished.stdout.strip()


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Returns the versions of those packages that are installed, in the order of `names`.

    A package can be absent and its module present: conda installs gdcm without the Python package `python-gdcm`.
    """
    versions: dict[str, str] = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def package_versions() -> dict[str, str]:
    """Returns the installed versions of the packages that can change a result."""
    return installed_versions(RECORDED_PACKAGES)


def machine() -> dict[str, str]:
    """Returns what the program runs on, without host or user names."""
    return {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine()}
