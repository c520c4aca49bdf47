# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Pseudonyms by keyed hash; the key lies outside every project and data set, readable by its owner only."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import monai_ich
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.files import replace_file

_KEY_BYTES = 32
# 64 bits: among a million names, two get the same pseudonym with a probability of 3e-8.
_TOKEN_HEX_DIGITS = 16


class Pseudonyms:
    """Gives names by HMAC-SHA256 (RFC 2104): the same key gives the same ones, another key quite different ones.

    >>> Pseudonyms(bytes(32)).token("patient", "4711") == Pseudonyms(bytes(32)).token("patient", "4711")
    True
    >>> Pseudonyms(bytes(32)).token("patient", "4711") == Pseudonyms(bytes(32)).token("study", "4711")
    False
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_project(self, name: str) -> Pseudonyms:
        """Other pseudonyms, from a key that is derived from this one; the same for an empty name.

        Who has two projects' pseudonyms cannot tell which are of one patient, not even with the projects' names: that
        takes the key.

        >>> own, other = (Pseudonyms(bytes(32)).of_project(name).token("patient", "4711") for name in ("", "trial"))
        >>> own == other, own == Pseudonyms(bytes(32)).token("patient", "4711")
        (False, True)
        """
        return Pseudonyms(hmac.digest(self._key, f"project\0{name}".encode(), "sha256")) if name else self

    def token(self, kind: str, value: str) -> str:
        """16 hexadecimal digits that stand for `value`, a name of this kind."""
        text = f"{kind}\0{value}".encode(errors="surrogateescape")  # file names need not be UTF-8
        return hmac.digest(self._key, text, "sha256").hex()[:_TOKEN_HEX_DIGITS]


class PublishedNames(Pseudonyms):
    """For public data sets: what identifies a patient there is published, so every group gets the same tokens."""

    def __init__(self) -> None:
        super().__init__(b"names that are published")


def default_key_file() -> Path:
    """`monai_ich/pseudonyms.key` in the user's configuration folder."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "monai_ich" / "pseudonyms.key"


def load_key(path: Path, never_in: Iterable[Path]) -> bytes:
    """Reads the key; makes one (mode 600) where there is none.

    Args:
        path: the key's file.
        never_in: folders that are shared or exported, and must not hold the key.

    Raises:
        ConfigurationError: the file lies in one of those, or in a git repository; others can read it; it is no key.
    """
    _refuse_shared_place(path, never_in)
    if not path.exists():
        _make_key(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"the key {path} can be read by others (mode {stat.S_IMODE(path.stat().st_mode):o}); whoever has it can "
            f"link pseudonyms to patients. Take their rights away: chmod 600 {path}"
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise ConfigurationError(
            f"{path} holds no key; expected {2 * _KEY_BYTES} hexadecimal digits. Name another file, which is made if "
            "it does not exist, or restore this one: with another key every pseudonym changes."
        )
    return key


def refuse_other_pseudonyms(progress: Path, pseudonyms: Pseudonyms) -> None:
    """Marks the folder of an import's progress as that of one key and project; the mark says nothing of them.

    Raises:
        ConfigurationError: it is that of another: one folder with both would tell which pseudonyms are of one patient.
    """
    mark, path = pseudonyms.token("mark", "of an output folder"), progress / "pseudonyms"
    if path.is_file() and path.read_text(encoding="ascii", errors="replace").strip() != mark:
        raise ConfigurationError(
            f"{progress.parent} holds an import under the pseudonyms of another key or project, and with both in one "
            "folder they could be joined. Name another --output-dir, or the same --key-file and --project as before."
        )
    replace_file(path, f"{mark}\n".encode())


def _refuse_shared_place(path: Path, never_in: Iterable[Path]) -> None:
    parents = list(path.resolve().parents)
    package = Path(monai_ich.__file__).resolve().parents[1]
    shared = [*(folder for folder in parents if (folder / ".git").exists()), package]
    for folder in (*shared, *(folder.resolve() for folder in never_in)):
        if folder in parents:
            raise ConfigurationError(
                f"the key {path} lies in {folder}, which is shared or holds the data; with the key, pseudonyms lead "
                f"back to patients. Keep it elsewhere, for instance in {default_key_file()} (--key-file)."
            )


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # made with its rights, so that there is no moment at which others can read it
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(_KEY_BYTES) + "\n")
