# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Items of an import: each is done once, in parallel processes. The results are kept, so an import can go on."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from monai_ich.utils.console import progress_bar
from monai_ich.utils.errors import ImageReadError
from monai_ich.utils.files import replace_json
from monai_ich.utils.worker_pool import map_in_processes

# Raise it whenever an item may give another result than before: older records are then made again.
RULES = 5


class Item(Protocol):
    """A part of the import that is read at one time: some files' headers, a series, a volume."""

    @property
    def name(self) -> str:
        """Names the item's record; holds nothing that identifies a patient."""

    @property
    def state(self) -> str:
        """Changes when a file of the item, or an option that matters to it, changes."""


@dataclass(frozen=True)
class Refusal:
    """What was left out, and why.

    Attributes:
        path: relative to the source, without what identifies a patient.
        files: how many files it concerns.
        reason: what was expected, and what came.
        remedy: what to do.
    """

    path: str
    files: int
    reason: str
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def refusal(path: str, fault: str, remedy: str = "", files: int = 1) -> Refusal:
    """A refusal in one line each."""
    return Refusal(path, files, " ".join(fault.split()), " ".join(remedy.split()) or "Take it out of the folder.")


def printable(text: str) -> str:
    r"""Text that can be written and shown: bytes of a file's name that are no UTF-8 stand as \x and their digits.

    >>> print(printable(chr(0xDCFF) + ".dcm"))
    \xff.dcm
    """
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def refuse_odd_name(path: Path, inside: str) -> None:
    """Raises ImageReadError when `inside`, the path below the source, cannot stand in a manifest."""
    if not inside.isprintable() or any(name != name.strip() for name in (inside, path.name)):
        raise ImageReadError(
            path,
            "its name holds control characters, blanks at an end, or bytes that are no UTF-8, which a "
            "manifest cannot hold",
            "Rename it.",
        )


class Records:
    """Results of finished items, one JSON file each, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, item: Item) -> dict[str, Any] | None:
        """The item's result; None when it has none, or it or the importer's rules have changed since."""
        try:
            record = json.loads(self._path(item).read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:  # damaged, by a full disk for instance: the item is done again
            return None
        is_current = record.get("state") == item.state and record.get("rules") == RULES
        return record["result"] if is_current else None

    def store(self, item: Item, result: dict[str, Any]) -> None:
        """Keeps the result."""
        replace_json(self._path(item), {"rules": RULES, "state": item.state, "result": result}, indent=None)

    def _path(self, item: Item) -> Path:
        return self.folder / item.name[:2] / f"{item.name}.json"  # no folder gets too many files


DIED = (
    "the process that read it died, or memory was not enough",
    "Copy it again from its source; where it is right, import with fewer workers or more memory.",
)


def do_items(
    function: Callable[[Any], dict[str, Any]],
    items: Sequence[Any],
    records: Records,
    what: str,
    workers: int | None,
    died: Callable[[Any], dict[str, Any]],
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yields (item, function(item)) in order; an item that has a record is not done again.

    An item that kills the process which reads it, or for which memory is not enough, gets the result that `died` gives.
    That is not recorded, so the next import tries again.

    Args:
        function: reads one item; files that cannot be used are part of its result, so it raises on nothing else.
        items: what to do.
        records: where results are kept.
        what: what the progress bar says.
        workers: processes; None takes one for each available core.
        died: the result of an item that cannot be read at all; it names `DIED`.
    """
    missing = [number for number, item in enumerate(items) if records.load(item) is None]

    def work(number: int) -> bool:
        with warnings.catch_warnings():
            # pydicom warns about values that break a rule of their type, and quotes them: names and numbers too
            warnings.simplefilter("ignore")
            try:
                records.store(items[number], function(items[number]))
            except MemoryError:
                return False
        return True

    with progress_bar(disable=not missing) as bar:
        task = bar.add_task(what, total=len(items), completed=len(items) - len(missing))
        lost = set()
        for number, is_done in map_in_processes(work, missing, workers, died=lambda _: False):
            bar.advance(task)
            if not is_done:
                lost.add(number)
    for number, item in enumerate(items):
        result = died(item) if number in lost else records.load(item)
        if result is None:  # only when somebody deletes records meanwhile
            raise RuntimeError(f"the record {item.name} has vanished from {records.folder}")
        yield item, result


def state_of(paths: Sequence[Path], *options: object) -> str:
    """Hexadecimal text that changes when a file (name, size, time of change) or an option changes."""
    digest = hashlib.sha256(repr(options).encode(errors="surrogateescape"))
    for path in paths:
        digest.update(f"{path}\0{_change_of(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _change_of(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:  # a link to nothing or to itself: the item is refused by whoever reads it
        return f"cannot be found ({error.errno})"
    return f"{status.st_size}\0{status.st_mtime_ns}"
