# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The balance sheet of an import: each file and row of labels was used, refused or passed over; the sums agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from monai_ich.importers.file_kinds import LITTER, kind_by_name
from monai_ich.reading.file_tree import left_out, walk_files
from monai_ich.utils.errors import MonaiIchError

BALANCE_FILE = "balance.csv"
USED, REFUSED, PASSED_OVER = "used", "refused", "passed over"
FATES = (USED, REFUSED, PASSED_OVER)
FILES, LABEL_ROWS = "files", "rows of labels"


class Balance:
    """Counts what became of every file and of every row of labels.

    A file is met when its folder is listed. Then it is claimed by whoever uses it, refuses it or passes it over.
    Of several claims the first of `FATES` counts: a mask that one series takes and another refuses was used. A file is
    known by its folder, whatever links lead there.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, Path] = {}  # as it was reached -> as it is without links
        self._met: set[Path] = set()
        self._claims: dict[Path, tuple[str, str]] = {}
        self._rows: Counter[tuple[str, str]] = Counter()
        self._rows_read = 0

    def meet(self, paths: Iterable[Path]) -> None:
        """Files that a folder holds."""
        self._met.update(map(self._place, paths))

    def claim(self, fate: str, kind: str, paths: Iterable[Path]) -> None:
        """What became of files, and what they are, in the plural."""
        for path in map(self._place, paths):
            before = self._claims.get(path)
            if before is None or FATES.index(fate) < FATES.index(before[0]):
                self._claims[path] = (fate, kind)

    def claim_rest(self, fate: str, kind: str, paths: Iterable[Path]) -> None:
        """As `claim`, for files that nobody has claimed yet."""
        self.claim(fate, kind, [path for path in paths if self._place(path) not in self._claims])

    def meet_folder(self, root: Path, skip: Sequence[Path] = ()) -> None:
        """Meets all files of a tree; those that nobody claims are passed over by what their names say."""
        for _, paths in walk_files(root, skip):
            self.meet(paths)
            for path in paths:
                self.claim_rest(PASSED_OVER, kind_by_name(path), [path])
        self.meet_left_out(root, skip)

    def meet_left_out(self, root: Path, skip: Sequence[Path] = ()) -> None:
        """Meets, and passes over, what a walk through a tree leaves out."""
        for path in left_out(root, skip):
            self.meet([path])
            self.claim(PASSED_OVER, LITTER if path.is_file() else "neither files nor folders", [path])

    def add_rows(self, read: int, **fates: int) -> None:
        """Rows of labels: how many were read, and what became of how many (`used`, `refused`, `passed_over`)."""
        self._rows_read += read
        for fate, count in fates.items():
            self._rows[fate.replace("_", " "), "rows"] += count

    def has_met(self, path: Path) -> bool:
        """Whether the file is in a folder that was listed."""
        return self._place(path) in self._met

    def fate(self, path: Path) -> str:
        """What became of a file so far; empty when nothing."""
        return self._claims.get(self._place(path), ("", ""))[0]

    def _place(self, path: Path) -> Path:
        folder = self._folders.get(path.parent)
        if folder is None:
            folder = self._folders[path.parent] = path.parent.resolve()
        return folder / path.name

    def table(self) -> pd.DataFrame:
        """Columns what, fate, kind, count: a row for each kind, and for each `what` the total.

        Raises:
            MonaiIchError: the sums do not agree; this is a fault of the import and not of the data.
        """
        faults = []
        pending = self._met - self._claims.keys()
        if pending:
            kinds = Counter(kind_by_name(path) for path in pending)
            faults.append(f"of {len(self._met)} files, {len(pending)} were neither used, refused nor passed over ("
                          f"{_in_words(kinds)})")  # fmt: skip
        strange = Counter(" ".join(self._claims[path]) for path in self._claims.keys() - self._met)
        if strange:
            faults.append(f"{strange.total()} files were in no folder that was listed ({_in_words(strange)})")
        if self._rows.total() != self._rows_read:
            kinds = Counter({fate: count for (fate, _), count in self._rows.items()})
            faults.append(f"{self._rows_read} rows of labels were read, and the sum is another ({_in_words(kinds)})")
        if faults:
            raise MonaiIchError(
                "internal error: what became of the files does not add up, so no manifest is written. Run the import "
                "again; if files were not changed meanwhile, report this message.",
                faults,
            )
        counts = Counter(self._claims.values())
        rows = [(FILES, fate, kind, count) for (fate, kind), count in _sorted(counts)]
        rows.append((FILES, "total", "", len(self._met)))
        if self._rows_read:
            rows += [(LABEL_ROWS, fate, "", count) for (fate, _), count in _sorted(self._rows) if count]
            rows.append((LABEL_ROWS, "total", "", self._rows_read))
        return pd.DataFrame(rows, columns=["what", "fate", "kind", "count"])


def balance_lines(table: pd.DataFrame) -> list[str]:
    """The balance sheet in a few lines for the screen.

    >>> rows = [("used", "CT images", 30), ("passed over", "text files", 2), ("total", "", 32)]
    >>> balance_lines(pd.DataFrame(rows, columns=["fate", "kind", "count"]).assign(what="files"))
    ['32 files: 30 used (CT images: 30), 0 refused, 2 passed over (text files: 2)']
    """
    lines = []
    for what, part in table.groupby("what", sort=False):
        parts = []
        for fate in FATES:
            of_fate = part[part["fate"] == fate]
            kinds = dict(zip(of_fate["kind"], of_fate["count"], strict=True))
            named = Counter({kind: int(count) for kind, count in kinds.items() if kind})
            parts.append(f"{int(of_fate['count'].sum())} {fate}" + (f" ({_in_words(named)})" if named else ""))
        total = int(part.loc[part["fate"] == "total", "count"].iloc[0])
        lines.append(f"{total} {what}: {', '.join(parts)}")
    return lines


def _sorted(counts: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    return sorted(counts.items(), key=lambda item: (FATES.index(item[0][0]), -item[1], item[0][1]))


def _in_words(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind}: {count}" for kind, count in kinds.most_common())
