# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports data into a manifest, and says what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from monai_ich.data.manifest_card import add_place_faults
from monai_ich.importers.assembly import REFUSED_FILE, ImportResult
from monai_ich.importers.balance_sheet import balance_lines
from monai_ich.importers.dicom_sets import import_cq500, import_rsna
from monai_ich.importers.physionet import import_physionet
from monai_ich.importers.pseudonyms import Pseudonyms, load_key
from monai_ich.importers.redaction import locate
from monai_ich.importers.segmentation_sets import import_bhsd, import_instance
from monai_ich.importers.volume_items import PublicRequest
from monai_ich.utils.console import console
from monai_ich.utils.errors import ConfigurationError, FaultList

REASONS_SHOWN = 8


PUBLIC_SETS: dict[str, Callable[..., ImportResult]] = {
    "physionet": import_physionet,
    "rsna": import_rsna,
    "cq500": import_cq500,
    "bhsd": import_bhsd,
    "instance": import_instance,
}


def import_public_set(
    name: str, source: Path, manifest: Path, output: Path | None, workers: int | None, **options: str
) -> None:
    """Imports one of `PUBLIC_SETS` and prints what came of it.

    Raises:
        ConfigurationError: the manifest cannot be written there, or the source is not this set.
    """
    faults = FaultList("the import cannot start:")
    add_place_faults(manifest, faults)
    faults.raise_if_any(ConfigurationError)
    request = PublicRequest(source, manifest, output or Path("data") / manifest.stem, workers)
    report_import(PUBLIC_SETS[name](request, **options))


def report_import(result: ImportResult) -> None:
    """Prints the counts, the commonest reasons of refusal, and what to do next; it holds nothing of a patient."""
    console.print(
        f"{result.manifest}: {result.slices} slices ({result.annotated} annotated) of {result.studies} studies, "
        f"{result.patients} patients",
        soft_wrap=True,
    )
    for line in balance_lines(result.balance):
        console.print(line, soft_wrap=True, markup=False)
    for note in result.notes:
        console.print(note, soft_wrap=True, markup=False)
    if result.refused:
        console.print(f"left out, file by file in {result.reports / REFUSED_FILE}:", soft_wrap=True)
        table = Table("files", "reason", "what to do", box=None)
        files: Counter[tuple[str, str]] = Counter()
        for entry in result.refused:
            files[entry.reason, entry.remedy] += entry.files
        for (reason, remedy), count in files.most_common(REASONS_SHOWN):
            table.add_row(str(count), escape(reason), escape(remedy))
        console.print(table)
    console.print("next: assign splits with a protocol, then check the manifest")


def parse_columns(pairs: Sequence[str]) -> dict[str, str]:
    """`["hypodensity=Black hole"]` -> `{"hypodensity": "Black hole"}`.

    Raises:
        ConfigurationError: a pair without `=`.
    """
    split = [pair.partition("=") for pair in pairs]
    wrong = [pair for pair, (_, equals, column) in zip(pairs, split, strict=True) if not equals or not column]
    if wrong:
        raise ConfigurationError(f"column: expected label=column, got {', '.join(map(repr, wrong))}")
    return {label.strip(): column.strip() for label, _, column in split}


def locate_refused(source: Path, shown: str, key_file: Path) -> None:
    """Prints where the file or folder lies that a report shows with parts in brackets.

    Raises:
        ConfigurationError: nothing under the source is shown so with this key.
    """
    if not key_file.exists():
        raise ConfigurationError(f"there is no key {key_file}; name the one of the import with --key-file")
    found = locate(source.resolve(), shown.removeprefix("mask "), Pseudonyms(load_key(key_file, ())))
    if not found:
        raise ConfigurationError(f"nothing under {source} is shown as {shown!r} with this key; check both")
    for path in found:
        console.print(str(path), markup=False, soft_wrap=True)
