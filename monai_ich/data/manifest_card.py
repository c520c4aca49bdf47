# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The JSON card beside a manifest: what the data set is, where it lies, and which CSV it describes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeGuard

from monai_ich.utils.errors import FaultList, ManifestError, shown
from monai_ich.utils.files import json_text

CARD_KEYS = ("name", "description", "licence", "dataset_dir", "window_hu", "protocol", "counts", "sha256", "created_by")

_MOST_HU = 1e6
_LONGEST_PATH = 4096


def card_path(csv_path: Path) -> Path:
    """The card's path: the manifest's own with the suffix `.json`."""
    return Path(csv_path).with_suffix(".json")


def add_place_faults(csv_path: Path, faults: FaultList) -> None:
    """Adds what keeps a manifest from being written there, before long work; its folder is made."""
    if csv_path.suffix != ".csv":
        faults.add(f"the manifest is to be {csv_path}; expected a file name that ends with .csv")
        return
    try:
        csv_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        faults.add(f"the manifest's folder {csv_path.parent} cannot be made ({error.strerror}); name another")
        return
    if csv_path.is_dir() or not os.access(csv_path.parent, os.W_OK):
        faults.add(
            f"the manifest {csv_path} cannot be written there; name another, or correct the folder's permissions"
        )


def sha256_of(data: bytes) -> str:
    """SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def load_card(csv_path: Path) -> dict[str, Any] | None:
    """Reads the card of a manifest; None when there is none.

    Raises:
        ManifestError: the card is not a JSON object of whole Unicode text.
    """
    path = card_path(csv_path)
    if not path.is_file():
        return None
    try:
        card = json.loads(path.read_bytes())
        dump_card(card)  # half a surrogate pair can be read, but neither printed nor written again
    except (ValueError, RecursionError, OSError) as error:
        remedy = "restore it or write the manifest again"
        raise ManifestError(f"the card {path} is not valid JSON ({error}); {remedy}") from error
    if not isinstance(card, dict):
        raise ManifestError(f"the card {path} holds a JSON {type(card).__name__}; expected an object (see its README)")
    return card


def check_card(card: dict[str, Any], csv_path: Path, sha256: str, faults: FaultList) -> None:
    """Adds a fault for each key that the card lacks or mistypes, and for a CSV that has changed since."""
    name = card_path(csv_path).name
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        faults.add(f"the card {name} lacks {', '.join(missing)}; write the manifest again with write_manifest")
    for key in ("name", "description", "licence"):
        if not isinstance(card.get(key, ""), str):
            faults.add(f"the card {name} has {key} {shown(card[key])}; expected text")
    if not is_path(card.get("dataset_dir", "")):
        faults.add(
            f"the card {name} has dataset_dir {shown(card['dataset_dir'])}; expected a path, relative to the card"
        )
    protocol = card.get("protocol", {})
    if not isinstance(protocol, dict) or not isinstance(protocol.get("name", ""), str):
        faults.add(f"the card {name} has protocol {shown(protocol)}; expected an object with the protocol's name")
    if "window_hu" in card and not is_window(card["window_hu"]):
        faults.add(
            f"the card {name} has window_hu {shown(card['window_hu'])}; expected [level, width] in HU, width above 0"
        )
    if "sha256" in card and card["sha256"] != sha256:
        faults.add(
            f"{csv_path.name} has changed since its card was written (sha256 {sha256[:12]}..., the card says "
            f"{str(card['sha256'])[:12]}...); if the change is meant, refresh the card: "
            f"python -c \"import monai_ich.data as d; d.refresh_card('{csv_path}')\""
        )


def is_window(window_hu: object) -> bool:
    """Whether the value is an HU window (level, width): two finite numbers, the width positive."""
    return (
        isinstance(window_hu, list | tuple)
        and len(window_hu) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in window_hu)
        and all(abs(value) <= _MOST_HU for value in window_hu)  # not so for NaN
        and window_hu[1] > 0
    )


def is_path(value: object) -> TypeGuard[str]:
    """Whether the value is text that a file system takes as a path."""
    return isinstance(value, str) and "\0" not in value and len(value) <= _LONGEST_PATH


def dump_card(card: Any) -> bytes:
    """The card's bytes: the same card gives the same bytes."""
    return (json_text(card, ensure_ascii=False) + "\n").encode()
