# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Commands that bring data in: DICOM, and the public sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(no_args_is_help=True, help="Bring data in: from files to a manifest without names.")

_OWN_KEY = "~/.config/monai_ich/pseudonyms.key"
_SOURCE = Annotated[Path, typer.Argument(help="Folder of the data, as downloaded or exported.")]
_MANIFEST = Annotated[Path, typer.Option(help="CSV to write; its card goes beside it.")]
_OUTPUT = Annotated[
    Path | None,
    typer.Option(
        "--output-dir", "--output", help="Folder for masks, links and reports.", show_default="data/<manifest's name>"
    ),
]
_WORKERS = Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")]
_OFFSET = Annotated[
    float | None,
    typer.Option(help="Add this to the images' values to make HU: -1024 for HU + 1024.", show_default="0"),
]
_ANY_VALUES = Annotated[bool, typer.Option("--any-values", help="Take values that do not look like HU.")]
_PROJECT = Annotated[
    str, typer.Option(help="Name of a project with pseudonyms of its own, which cannot be joined with another's.")
]
_KEY = Annotated[
    Path | None,
    typer.Option(help="File with the key of the pseudonyms; made where there is none.", show_default=_OWN_KEY),
]


@cli.command("dicom")
def import_dicom(
    source: _SOURCE,
    manifest: _MANIFEST,
    output: _OUTPUT = None,
    hospital: Annotated[str, typer.Option(help="The hospital's name, when there is but one.")] = "",
    hospital_level: Annotated[int, typer.Option(min=0, help="Or the folder level below SOURCE that names it.")] = 0,
    labels: Annotated[
        Path | None, typer.Option(help="CSV or xlsx, keyed by patient, study, series or SOP UID.")
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="label=column of the table; repeat.")] = None,
    id_column: Annotated[
        str, typer.Option(help="Column of the table that names what a row is about.", show_default="as in DICOM")
    ] = "",
    id_level: Annotated[
        str, typer.Option(help="What it names: patient, study, series or slice.", show_default="as in DICOM")
    ] = "",
    header_row: Annotated[
        int | None, typer.Option(min=1, help="Row of the table's header, from 1.", show_default="the first filled one")
    ] = None,
    sheet: Annotated[str, typer.Option(help="Sheet of the workbook of labels.", show_default="the first")] = "",
    values: Annotated[
        str, typer.Option(help="Meaning of texts in the table: text=1, text=0, text= (unknown), with commas between.")
    ] = "",
    encoding: Annotated[
        str, typer.Option(help="Of the CSV of labels: cp932, cp1252, gb18030, ...", show_default="found out")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the table of labels would give, and write nothing.")
    ] = False,
    positives: Annotated[
        str, typer.Option(help="Positive slices of a positive study: blood (by mask) or all.")
    ] = "blood",
    masks: Annotated[Path | None, typer.Option(help="Folder of NIfTI, NRRD, DICOM SEG, PNG or NPY masks.")] = None,
    mask_labels: Annotated[
        str,
        typer.Option(
            "--mask-labels", "--segment", help='What is blood in masks of several labels: "1,4" or "haematoma,blood".'
        ),
    ] = "",
    files: Annotated[str, typer.Option(help="refer to the files, link them, or copy them under pseudonyms.")] = "refer",
    series_description: Annotated[
        str, typer.Option(help="Regular expression: take the series whose Series Description matches.")
    ] = "",
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Take unevenly spaced series.")] = False,
    allow_derived: Annotated[bool, typer.Option("--allow-derived", help="Take derived images.")] = False,
    allow_burnt_in: Annotated[bool, typer.Option("--allow-burnt-in", help="Take images with burnt-in text.")] = False,
    allow_lossy: Annotated[
        bool, typer.Option("--allow-lossy", help="Take images compressed with loss at more than 15:1.")
    ] = False,
    offset: _OFFSET = None,
    any_values: _ANY_VALUES = False,
    name: Annotated[str, typer.Option(help="Name of the data, for the card.", show_default="the manifest's name")] = "",
    licence: Annotated[str, typer.Option(help="Terms of the data, for the card.")] = "not stated",
    key_file: _KEY = None,
    project: _PROJECT = "",
    workers: _WORKERS = None,
) -> None:
    """Import DICOM series of one or several hospitals, with labels and masks."""
    from monai_ich.importers import Card, DicomRequest, ScanOptions, TableOptions, default_key_file, preview_labels
    from monai_ich.importers import import_dicom as run_import
    from monai_ich.importers.import_command import image_values, parse_columns, report_import, report_preview
    from monai_ich.labels.label_cells import parse_values
    from monai_ich.utils.lists import comma_list

    request = DicomRequest(
        source=source,
        manifest=manifest,
        output=output or Path("data") / manifest.stem,
        card=Card(name or manifest.stem, "Imported from DICOM.", licence),
        key_file=key_file or default_key_file(),
        hospital=hospital,
        hospital_level=hospital_level,
        labels=labels,
        columns=parse_columns(column or ()),
        table=TableOptions(id_column, id_level, header_row or 0, sheet, parse_values(values), encoding),
        positives=positives,
        masks=masks,
        files=files,
        scan=ScanOptions(allow_derived, allow_burnt_in, allow_lossy, series_description),
        mask_labels=tuple(comma_list(mask_labels)),
        allow_gaps=allow_gaps,
        image_values=image_values(offset, any_values),
        workers=workers,
        project=project,
    )
    if dry_run:
        report_preview(preview_labels(request))
    else:
        report_import(run_import(request))


def _add_public_set(name: str, about: str) -> None:
    @cli.command(name, help=about)
    def import_set(
        source: _SOURCE,
        manifest: _MANIFEST,
        output: _OUTPUT = None,
        offset: _OFFSET = None,
        any_values: _ANY_VALUES = False,
        workers: _WORKERS = None,
    ) -> None:
        from monai_ich.importers.import_command import image_values, import_public_set

        import_public_set(name, source, manifest, output, workers, image_values(offset, any_values))


_add_public_set("physionet", "Import PhysioNet CT-ICH: release 1.3.1, or the older one of JPEG files.")
_add_public_set("rsna", "Import RSNA 2019: stage_2_train and its table.")
_add_public_set("bhsd", "Import BHSD: masks of five types of haemorrhage.")
_add_public_set("instance", "Import INSTANCE 2022: masks of haemorrhage.")


@cli.command("cq500")
def import_cq500(
    source: _SOURCE,
    manifest: _MANIFEST,
    output: _OUTPUT = None,
    slices: Annotated[str, typer.Option(help="Which of several plain series: thick or thin.")] = "thick",
    offset: _OFFSET = None,
    any_values: _ANY_VALUES = False,
    workers: _WORKERS = None,
) -> None:
    """Import CQ500: one plain series a case, and the majority of three readers."""
    from monai_ich.importers.import_command import image_values, import_public_set

    import_public_set("cq500", source, manifest, output, workers, image_values(offset, any_values), slices=slices)


@cli.command("locate")
def import_locate(
    source: _SOURCE,
    shown: Annotated[str, typer.Argument(help="The path as refused.csv shows it.")],
    key_file: _KEY = None,
    project: _PROJECT = "",
) -> None:
    """Find a file whose path a report shows with [...] in place of what names a patient."""
    from monai_ich.importers import default_key_file
    from monai_ich.importers.import_command import locate_refused

    locate_refused(source, shown, key_file or default_key_file(), project)
