# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From the results of all items to what an import leaves: manifest, card, refused.csv, series.csv and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ich.data import write_manifest
from monai_ich.data.manifest_checks import IDENTITY_COLUMNS
from monai_ich.importers.balance_sheet import BALANCE_FILE, Balance
from monai_ich.importers.item_records import Refusal, printable
from monai_ich.labels.label_matching import LEVEL_WORDS, LabelRows, Labels, apply_labels, label_rows, unused_rows
from monai_ich.utils.errors import ManifestError
from monai_ich.utils.files import replace_file
from monai_ich.utils.keys import BRAIN_WINDOW_HU, IMAGE_VALUES, MARKERS, MASK_LABELS, labels_among

REPORT_FOLDER = "import"
PROGRESS_FOLDER = ".import"
REFUSED_FILE, SERIES_FILE = "refused.csv", "series.csv"
# What labels are joined by, and the number of a slice's file; they do not reach the manifest.
TOKEN_COLUMNS = ("patient", "study", "series", "instance", "blood", "file")


@dataclass(frozen=True)
class Card:
    """What the manifest's card says of the data."""

    name: str
    description: str
    licence: str


@dataclass(frozen=True)
class ImportResult:
    """What an import made.

    Attributes:
        manifest: the CSV; its card lies beside it.
        reports: folder of `refused.csv` and `series.csv`.
        slices, annotated, patients, studies: counts of the manifest.
        refused: what was left out.
        notes: what the user should know, in sentences.
        marker_counts: label -> positive, negative and unknown slices of the manifest.
        label_rows: what became of the rows of the table of labels; None without one, and for public sets.
        balance: what became of every file and row of labels, see `Balance.table`.
    """

    manifest: Path
    reports: Path
    slices: int
    annotated: int
    patients: int
    studies: int
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]
    balance: pd.DataFrame
    marker_counts: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    label_rows: LabelRows | None = None


class ImportedSlices:
    """Collects the manifest's rows column by column: a dict a row would take ten times the memory."""

    def __init__(self, further: Sequence[str] = ()) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in (*IDENTITY_COLUMNS, *TOKEN_COLUMNS, *further)}

    def add(self, row: dict[str, Any]) -> None:
        """Adds one slice; what is not given is empty."""
        for name, cells in self._columns.items():
            cells.append(row.get(name))

    def frame(self) -> pd.DataFrame:
        """The table, with empty splits and markers."""
        frame = pd.DataFrame(self._columns)
        frame["blood"] = frame["blood"].astype(float)
        return frame.assign(split="", **dict.fromkeys(MARKERS, ""))


def finish(
    frame: pd.DataFrame,
    refused: Sequence[Refusal],
    series: Iterable[dict[str, Any]],
    notes: Sequence[str],
    *,
    manifest: Path,
    dataset_dir: Path,
    output: Path,
    card: Card,
    labels: Labels | None = None,
    positives: str = "blood",
    importer: str,
    balance: Balance,
) -> ImportResult:
    """Joins the labels and writes everything; the manifest last.

    Raises:
        ManifestError: no slice can be used; refused.csv, which is written then too, says why.
        MonaiIchError: the balance sheet does not add up.
    """
    refused = [Refusal(printable(e.path), e.files, printable(e.reason), printable(e.remedy)) for e in refused]
    notes = [printable(note) for note in notes]
    if labels is not None and len(frame):
        frame = _with_labels(frame, labels, positives, refused, notes, balance)
    frame = frame.drop(
        columns=[name for name in (IMAGE_VALUES, MASK_LABELS) if name in frame and not frame[name].any()]
    )
    reports = output / REPORT_FOLDER
    _write_csv(reports / REFUSED_FILE, pd.DataFrame(refused, columns=list(Refusal.__dataclass_fields__)))
    _write_csv(reports / SERIES_FILE, pd.DataFrame(list(series)))
    sheet = balance.table()
    _write_csv(reports / BALANCE_FILE, sheet)
    if frame.empty:
        raise ManifestError(
            f"nothing can be imported: no slice is left, and {len(refused)} entries of {reports / REFUSED_FILE} say "
            "why. Mend what they name, and import again."
        )
    write_manifest(
        frame.drop(columns=list(TOKEN_COLUMNS)),
        manifest,
        name=card.name,
        description=card.description,
        licence=card.licence,
        dataset_dir=dataset_dir,
        window_hu=BRAIN_WINDOW_HU,
        protocol={"name": "not assigned", "importer": importer},
    )
    return ImportResult(
        manifest=manifest,
        reports=reports,
        slices=len(frame),
        annotated=int((frame["mask"].fillna("") != "").sum()),
        patients=int(frame["patient_id"].nunique()),
        studies=int(frame["study_id"].nunique()),
        refused=tuple(refused),
        notes=tuple(notes),
        balance=sheet,
        marker_counts={name: label_counts(frame[name]) for name in labels_among(frame.columns)},
        label_rows=None if labels is None else label_rows(set(frame[labels.level]), labels),
    )


def label_counts(cells: pd.Series) -> tuple[int, int, int]:
    """How many cells of a label are 1, 0 and empty."""
    numbers = pd.to_numeric(cells.where(cells != ""))
    return int((numbers == 1).sum()), int((numbers == 0).sum()), int(numbers.isna().sum())


def _with_labels(
    frame: pd.DataFrame,
    labels: Labels,
    positives: str,
    refused: list[Refusal],
    notes: list[str],
    balance: Balance,
) -> pd.DataFrame:
    frame, unknown = apply_labels(frame, labels, positives)
    if unknown:
        notes.append(
            f"{unknown} labels stayed unknown: their {labels.level} is positive, but without a mask nothing says in "
            "which slices. Label slices by SOPInstanceUID, give masks, or spread them with --positives all."
        )
    present, word = set(frame[labels.level]), LEVEL_WORDS[labels.level]
    _balance_rows(balance, present, labels)
    _refuse_rows(
        refused,
        unused_rows(present, labels),
        f"name no {word} that was imported",
        "Check them against the headers; spreadsheets drop leading zeros of numbers, so keep IDs as text.",
    )
    _refuse_rows(
        refused,
        unused_rows(present, labels, ambiguous=True),
        "fit several patients, or one that another row fits, but for leading zeros",
        "Write their numbers with all their zeros.",
    )
    if labels.table is not None:
        _refuse_rows(
            refused,
            labels.table.empty_but_labelled,
            f"hold labels without a name of a {word}",
            "Fill in the name, or empty the labels.",
        )
        notes += labels.table.notes()
    return frame


def _balance_rows(balance: Balance, present: set[str], labels: Labels) -> None:
    counts = label_rows(present, labels)
    if counts is None:  # of a public set, whose every row has a name
        unused = len(unused_rows(present, labels))
        balance.add_rows(len(labels.rows), used=len(labels.rows) - unused, refused=unused)
    else:
        balance.add_rows(counts.read, used=counts.used, refused=counts.unmatched, passed_over=counts.empty)


def _refuse_rows(refused: list[Refusal], rows: Sequence[int], what: str, remedy: str) -> None:
    """Adds a refusal of rows of the table of labels, by their numbers."""
    if rows:
        shown = ", ".join(map(str, rows[:20])) + (", ..." if len(rows) > 20 else "")
        refused.append(Refusal("labels", len(rows), f"{len(rows)} rows {what} (rows {shown})", remedy))


def fill_hospital(
    frame: pd.DataFrame, labels: Labels | None, refused: list[Refusal], pseudonym: Callable[[str, str], str]
) -> pd.DataFrame:
    """Takes the hospital from the labels where they have it, then names the patients.

    Two hospitals may give one number to two patients, so the hospital is part of what the pseudonym is made of. Slices
    without a hospital are refused.
    """
    if labels is not None and labels.hospital is not None:
        named = labels.hospital.reindex(frame[labels.level]).set_axis(frame.index)
        frame = frame.assign(hospital=named.where(named.notna() & (named != ""), frame["hospital"]))
    unknown = frame["hospital"].fillna("") == ""
    if unknown.any():
        count = int(unknown.sum())
        reason = f"{count} slices of {frame.loc[unknown, 'study'].nunique()} studies have no hospital"
        remedy = "Name it with --hospital or --hospital-level, or in the column 'hospital' of the labels."
        refused.append(Refusal("labels", count, reason, remedy))
        frame = frame[~unknown]
    pairs = frame[["hospital", "patient"]].drop_duplicates()
    names = {pair: pseudonym("patient", "\0".join(pair)) for pair in pairs.itertuples(index=False, name=None)}
    of_row = zip(frame["hospital"], frame["patient"], strict=True)
    return frame.assign(patient_id=[names[pair] for pair in of_row]).reset_index(drop=True)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    replace_file(path, table.to_csv(index=False, lineterminator="\n").encode())
