# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Imports data into a manifest, and says what came of it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from monai_ich.data.manifest_card import add_place_faults
from monai_ich.importers.assembly import REFUSED_FILE, ImportResult
from monai_ich.importers.balance_sheet import balance_lines
from monai_ich.importers.dicom_sets import import_cq500, import_rsna
from monai_ich.importers.label_preview import LabelPreview
from monai_ich.importers.physionet import import_physionet
from monai_ich.importers.pseudonyms import Pseudonyms, load_key
from monai_ich.importers.redaction import locate
from monai_ich.importers.segmentation_sets import import_bhsd, import_instance
from monai_ich.importers.volume_items import PublicRequest
from monai_ich.labels.label_matching import LEVEL_WORDS
from monai_ich.reading.hounsfield import ANY_VALUES
from monai_ich.utils.console import console
from monai_ich.utils.errors import ConfigurationError, FaultList

REASONS_SHOWN = 8
ROWS_SHOWN = 20


PUBLIC_SETS: dict[str, Callable[..., ImportResult]] = {
    "physionet": import_physionet,
    "rsna": import_rsna,
    "cq500": import_cq500,
    "bhsd": import_bhsd,
    "instance": import_instance,
}


def import_public_set(
    name: str,
    source: Path,
    manifest: Path,
    output: Path | None,
    workers: int | None,
    image_values: str = "",
    **options: str,
) -> None:
    """Imports one of `PUBLIC_SETS` and prints what came of it.

    Raises:
        ConfigurationError: the manifest cannot be written there, or the source is not this set.
    """
    faults = FaultList("the import cannot start:")
    add_place_faults(manifest, faults)
    faults.raise_if_any(ConfigurationError)
    request = PublicRequest(source, manifest, output or Path("data") / manifest.stem, workers, image_values)
    report_import(PUBLIC_SETS[name](request, **options))


def report_import(result: ImportResult) -> None:
    """Prints the counts, the commonest reasons of refusal, and what to do next; it holds nothing of a patient."""
    counts = (
        f"{result.slices} slices ({result.annotated} annotated) of {result.studies} studies, {result.patients} patients"
    )
    rows = [] if result.label_rows is None else [f"table of labels: {result.label_rows}"]
    for line in (counts, *rows, *label_lines(result.marker_counts, "slices")):
        console.print(f"{result.manifest}: {line}", soft_wrap=True, markup=False)
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
    console.print(f"next: {next_step(result)}", soft_wrap=True, markup=False)


def label_lines(counts: Mapping[str, tuple[int, int, int]], what: str) -> list[str]:
    """A line for each label that is known anywhere, and one for all others.

    >>> label_lines({"hypodensity": (2, 3, 1), "blend_sign": (0, 0, 6), "fluid_level": (0, 0, 6)}, "slices")
    ['hypodensity: 2 positive, 3 negative, 1 unknown slices', 'blend_sign, fluid_level: unknown in all 6 slices']
    """
    known = {name: of_label for name, of_label in counts.items() if of_label[0] + of_label[1]}
    unknown = [name for name in counts if name not in known]
    lines = [f"{name}: {yes} positive, {no} negative, {none} unknown {what}" for name, (yes, no, none) in known.items()]
    if unknown:
        lines.append(f"{', '.join(unknown)}: unknown in all {sum(counts[unknown[0]])} {what}")
    return lines


def next_step(result: ImportResult) -> str:
    """The command to run next, by the label of which most slices of both classes are known."""
    known = {name: min(yes, no) for name, (yes, no, _) in result.marker_counts.items() if yes + no}
    if not known:
        return "no label is known yet; give a table of labels (import dicom --labels), and import again"
    marker = max(known, key=lambda name: known[name])
    output = result.manifest.with_name(f"{result.manifest.stem}_split.csv")
    command = ["python", "-m", "monai_ich", "split", str(result.manifest), "--protocol", "patient"]
    return shlex.join([*command, "--marker", marker, "--output", str(output)])


def report_preview(preview: LabelPreview) -> None:
    """Prints what a table of labels is and what it would give; it holds nothing of a patient."""
    labels, table = preview.labels, preview.labels.table
    assert table is not None  # a table was read
    word = LEVEL_WORDS[labels.level]
    lines = [
        f"{table.name}: {table.where}",
        f"columns: {table.key_column} names the {word}",
        *(f"columns: {column} is {label}" for label, column in table.sources.items()),
        f"columns: not used: {', '.join(table.unused) or 'none'}",
        f"rows: {preview.rows}",
    ]
    if preview.unmatched:
        shown = ", ".join(map(str, preview.unmatched[:ROWS_SHOWN]))
        lines.append(f"rows: unmatched are {shown}{', ...' if len(preview.unmatched) > ROWS_SHOWN else ''}")
    share = 100 * preview.labelled / preview.named if preview.named else 0
    lines += [
        f"images: {preview.labelled} of {preview.named} names of a {word} have a row ({share:.0f}%); {preview.slices} "
        f"files can be used by their headers, {preview.refused} cannot",
        *label_lines(preview.counts, "rows"),
        *table.notes(),
        "nothing was written. next: the same command without --dry-run",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def image_values(offset_hu: float | None, any_values: bool) -> str:
    """The manifest's cell `image_values` for the options `--offset` and `--any-values`.

    Raises:
        ConfigurationError: both are given.
    """
    if offset_hu is not None and any_values:
        raise ConfigurationError("--offset and --any-values are both given; give one")
    return ANY_VALUES if any_values else f"{offset_hu:g}" if offset_hu else ""


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


def locate_refused(source: Path, shown: str, key_file: Path, project: str = "") -> None:
    """Prints where the file or folder lies that a report shows with parts in brackets.

    Raises:
        ConfigurationError: nothing under the source is shown so with this key.
    """
    if not key_file.exists():
        raise ConfigurationError(f"there is no key {key_file}; name the one of the import with --key-file")
    pseudonyms = Pseudonyms(load_key(key_file, ())).of_project(project)
    found = locate(source.resolve(), shown.removeprefix("mask "), pseudonyms)
    if not found:
        raise ConfigurationError(
            f"nothing under {source} is shown as {shown!r} with this key and project; check --key-file, --project and "
            "the path"
        )
    for path in found:
        console.print(str(path), markup=False, soft_wrap=True)
