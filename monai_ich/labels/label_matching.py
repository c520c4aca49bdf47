# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Labels by name: which names the images have, also in another spelling, and which slices a label holds for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from monai_ich.labels.label_cells import Level
from monai_ich.utils.errors import ManifestError

POSITIVES = ("blood", "all")
LEVEL_WORDS: dict[Level, str] = {"patient": "patient", "study": "study", "series": "series", "instance": "slice"}


@dataclass(frozen=True)
class LabelTable:
    """How a table of labels was read; it holds nothing of a patient.

    Attributes:
        name: of the file.
        where: sheet, or encoding and delimiter, and the header's row, in words.
        key_column: what the column is called that names what a row is about.
        sources: label -> the column that it was read from; the hospital, too.
        unused: columns that were not read.
        read: rows with anything in them, below the header.
        empty: those of them without a name of a patient (study, series, slice).
        empty_but_labelled: numbers of the rows that hold labels all the same.
        shapes: what some of the names look like.
        is_legacy: whether it was read in an encoding that is not Unicode and was not named.
    """

    name: str
    where: str
    key_column: str
    sources: Mapping[str, str]
    unused: tuple[str, ...]
    read: int
    empty: int
    empty_but_labelled: tuple[int, ...] = ()
    shapes: tuple[str, ...] = ()
    is_legacy: bool = False

    def notes(self) -> list[str]:
        """What the user should check, in sentences."""
        if not self.is_legacy:
            return []
        return [f"{self.name} was read as {self.where}; if names look wrong, say another --encoding."]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels by name.

    Attributes:
        level: what a row is about.
        cells: float64, one row a name, indexed by its token; a column for each marker or `label_<name>`; NaN unknown.
        hospital: text, indexed alike; None when the table has no such column.
        rows: row number in the spreadsheet, indexed alike.
        copies: token -> how many rows say the same; 1 where it is not there.
        exact: token -> tokens of the same name in other spellings.
        padded: token -> tokens of the same number with other leading zeros.
        by_zeros: tokens that stand for such a number since the labels were matched.
        ambiguous: tokens of numbers that fit several names but for leading zeros.
        table: how the table was read; None for the tables of public sets.
    """

    level: Level
    cells: pd.DataFrame
    hospital: pd.Series | None
    rows: pd.Series
    copies: Mapping[str, int] = field(default_factory=dict)
    exact: Mapping[str, Sequence[str]] = field(default_factory=dict)
    padded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_zeros: frozenset[str] = frozenset()
    ambiguous: frozenset[str] = frozenset()
    table: LabelTable | None = None


@dataclass(frozen=True)
class LabelRows:
    """What became of a table's rows: `read` is the sum of `used`, `unmatched` and `empty`.

    Attributes:
        read: rows with anything in them, below the header.
        used: rows whose name an imported slice has; `by_zeros` of them but for leading zeros.
        unmatched: rows whose name no imported slice has; `ambiguous` of them fit several but for leading zeros.
        empty: rows without a name.
    """

    read: int
    used: int
    by_zeros: int
    unmatched: int
    ambiguous: int
    empty: int

    def __str__(self) -> str:
        zeros = f" ({self.by_zeros} of them but for leading zeros)" if self.by_zeros else ""
        several = f" ({self.ambiguous} fit several but for leading zeros)" if self.ambiguous else ""
        return (
            f"{self.read} rows read, {self.used} used{zeros}, {self.unmatched} unmatched{several}, "
            f"{self.empty} without a name"
        )


def match_labels(labels: Labels, present: Collection[str]) -> Labels:
    """The labels by the names that the images have.

    A name counts as it stands, then in another spelling. A number counts with other leading zeros only if one row and
    one name of the images fit each other: 12345 is 0012345 unless there is a 012345, or another row for it.

    Args:
        labels: as read.
        present: tokens of the images' names, at the labels' level.
    """
    present = set(present)
    names = list(labels.cells.index)
    taken = present.intersection(names)
    renamed: dict[str, str] = {}
    for name in (name for name in names if name not in taken):
        spelt = next((other for other in labels.exact.get(name, ()) if other in present and other not in taken), None)
        if spelt is not None:
            renamed[name] = spelt
            taken.add(spelt)
    free = present - taken
    fits = {
        name: found
        for name in names
        if name not in taken and name not in renamed
        if (found := [other for other in labels.padded.get(name, ()) if other in present])
    }
    claims = Counter(other for found in fits.values() for other in found)
    sure = {n: found[0] for n, found in fits.items() if len(found) == 1 and found[0] in free and claims[found[0]] == 1}
    renamed |= sure
    index = pd.Index([renamed.get(name, name) for name in names])
    return replace(
        labels,
        cells=labels.cells.set_axis(index, axis=0),
        hospital=None if labels.hospital is None else labels.hospital.set_axis(index),
        rows=labels.rows.set_axis(index),
        copies={renamed.get(name, name): count for name, count in labels.copies.items()},
        by_zeros=frozenset(sure.values()),
        ambiguous=frozenset(fits.keys() - sure.keys()),
    )


def refuse_unmatched(labels: Labels, present: Collection[str], shapes: Sequence[str]) -> None:
    """Raises ManifestError where no name of the table is one of the images.

    Names may not be printed. What they look like may, and mostly shows what is wrong.

    Args:
        labels: after `match_labels`.
        present: tokens of the images' names.
        shapes: what some names of the images look like.
    """
    table = labels.table
    if table is None or not len(labels.cells) or not present or labels.cells.index.isin(list(present)).any():
        return
    word = LEVEL_WORDS[labels.level]
    raise ManifestError(
        f"{table.name} ({table.where}): none of its {len(labels.cells)} names in column {table.key_column!r} is a "
        f"{word} of the images, which have {len(set(present))}. Names may identify patients and are not printed; they "
        "look like this:\n"
        f"  in the table:  {' | '.join(table.shapes)}\n"
        f"  in the images: {' | '.join(shapes) or 'not known'}\n"
        "Check the column and what it names (--id-column, --id-level), the sheet and the header's row (--sheet, "
        "--header-row), and whether the table is of these images."
    )


def apply_labels(frame: pd.DataFrame, labels: Labels, positives: str) -> tuple[pd.DataFrame, int]:
    """Fills the labels into a table of slices.

    A label of a whole study (series, patient) says that *some* slice shows the marker. Its 0 holds for every slice; its
    1 holds for the slices with blood in their mask, and 0 for those with an empty mask; slices without a mask stay
    unknown. `positives="all"` gives the 1 to every slice instead.

    Args:
        frame: one row a slice, with a token column for each level, and `blood` (1, 0, NaN without a mask).
        labels: the labels.
        positives: which slices of a positive study are positive.

    Returns:
        A new table with label columns, and the number of labels that stayed unknown for want of a mask.
    """
    spread = labels.cells.reindex(frame[labels.level]).set_axis(frame.index, axis=0)
    unknown = 0
    if labels.level != "instance" and positives == "blood":
        for name in spread:
            positive = spread[name] == 1
            unknown += int((positive & frame["blood"].isna()).sum())
            spread[name] = spread[name].mask(positive, frame["blood"])
    return frame.assign(**{name: spread[name] for name in spread}), unknown


def unused_rows(present: Collection[str], labels: Labels, ambiguous: bool = False) -> list[int]:
    """The rows, in the spreadsheet, whose name no slice has: those that fit several but for zeros, or the others."""
    rows = labels.rows[~labels.rows.index.isin(list(present))]
    return [int(row) for row in rows[rows.index.isin(list(labels.ambiguous)) == ambiguous]]


def label_rows(present: Collection[str], labels: Labels) -> LabelRows | None:
    """What became of the rows of the table; None for the tables of public sets."""
    table = labels.table
    if table is None:
        return None
    counts = pd.Series([labels.copies.get(name, 1) for name in labels.cells.index], labels.cells.index, dtype=int)
    is_used = counts.index.isin(list(present))
    return LabelRows(
        read=table.read,
        used=int(counts[is_used].sum()),
        by_zeros=int(counts[is_used & counts.index.isin(list(labels.by_zeros))].sum()),
        unmatched=int(counts[~is_used].sum()),
        ambiguous=int(counts[~is_used & counts.index.isin(list(labels.ambiguous))].sum()),
        empty=table.empty,
    )
