# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command line beside `python -m monai.bundle run`: make the phantom, check a manifest, predict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from monai_ich.utils.console import console
from monai_ich.utils.errors import MonaiIchError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tools around the bundles. Train with: python -m monai.bundle run --config_file bundles/mtl/train.json",
)


import_cli = typer.Typer(no_args_is_help=True, help="Bring data in: from files to a manifest without names.")
cli.add_typer(import_cli, name="import")


@cli.command()
def phantom(
    dataset_dir: Annotated[Path, typer.Option(help="Folder for the DICOM series and NIfTI masks.")] = Path(
        "data/phantom"
    ),
    manifest: Annotated[Path, typer.Option(help="CSV to write; its card goes beside it.")] = Path(
        "data_manifests/phantom.csv"
    ),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core if not given.")] = None,
) -> None:
    """Make the head-CT phantom: 11 hospitals, DICOM series, masks for hospitals 1-4, manifest and truth."""
    from monai_ich.data import PhantomSpec, generate_phantom

    path = generate_phantom(dataset_dir, manifest, PhantomSpec(seed=seed), workers=workers)
    console.print(f"written: {path}", soft_wrap=True)


@cli.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest's CSV.")],
    marker: Annotated[str, typer.Option(help="The marker to classify.")] = "hypodensity",
    dataset_dir: Annotated[Path | None, typer.Option(help="Folder of the images; the card's if not given.")] = None,
) -> None:
    """Check a manifest as training would, and show its counts."""
    from monai_ich.apps.checking import check_manifest

    check_manifest(manifest, marker, dataset_dir)


@cli.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run's directory, such as runs/mtl-...")],
    source: Annotated[Path, typer.Argument(help="A DICOM file, a folder of DICOM slices, or a NIfTI volume.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
) -> None:
    """Predict one study with a trained run: probabilities (CSV, JSON), mask (NIfTI) and a picture."""
    from monai_ich.apps import predict_with_run

    predict_with_run(run, source, output_dir)


@cli.command()
def predict_example(
    runs_dir: Annotated[Path, typer.Option(help="Where runs are kept; the newest complete one predicts.")] = Path(
        "runs"
    ),
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions/example"),
) -> None:
    """Predict the real head-CT slice that pydicom ships, with the newest complete run."""
    from monai_ich.apps import predict_with_run
    from monai_ich.apps.prediction import example_slice, newest_complete_run

    predict_with_run(newest_complete_run(runs_dir), example_slice(), output_dir)


@cli.command()
def table(
    output_dir: Annotated[Path, typer.Option(help="Folder of the table and its runs.")] = Path("tables/table1"),
    rows: Annotated[list[str] | None, typer.Option(help="Rows, by name or file; repeat or separate by commas.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs a row, seeds 0, 1, ...; the paper has five.")] = 5,
    manifest: Annotated[str, typer.Option(help="The manifest's CSV; the config's if not given.")] = "",
    recipe: Annotated[str, typer.Option(help="demo: minutes a run on a CPU; paper: section 4.2.")] = "demo",
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value for every run; repeat.")] = None,
    reference: Annotated[str, typer.Option(help="The row compared with; Swin Transformer if not given.")] = "",
    seg_reference: Annotated[str, typer.Option(help="The same for the IoU; Swin-Unet if not given.")] = "",
    marker: Annotated[str, typer.Option(help="The marker of the columns; the first if not given.")] = "",
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of patients.")] = 2000,
    bundle: Annotated[Path, typer.Option(help="Folder of the rows' configs.")] = Path("bundles/mtl"),
    train: Annotated[bool, typer.Option(help="--no-train: only the table, from saved predictions.")] = True,
) -> None:
    """Train the paper's Table 1 for your data, resumably, and write it with intervals, differences and warnings."""
    from monai_ich.apps.table import TableRequest, make_table
    from monai_ich.apps.table_results import Analysis

    analysis = Analysis(reference, seg_reference, marker, resamples)
    request = TableRequest(output_dir, rows or (), seeds, bundle, manifest, recipe, settings or (), analysis, train)
    raise typer.Exit(make_table(request))


@cli.command()
def export(
    run: Annotated[Path, typer.Argument(help="A complete run's directory.")],
    output: Annotated[Path, typer.Argument(help="Folder to make, a MONAI bundle; its zip goes beside it.")],
    manifest: Annotated[Path | None, typer.Option(help="The run's manifest; as it was trained if not given.")] = None,
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "1.0.0",
    force: Annotated[bool, typer.Option(help="Replace a bundle that is there already.")] = False,
) -> None:
    """Export a run to share it: a MONAI bundle with TorchScript, ONNX and a model card, as folder and zip."""
    from monai_ich.apps import export_run

    export_run(run, output, manifest=manifest, version=version, force=force)


_SOURCE = Annotated[Path, typer.Argument(help="Folder of the data, as downloaded or exported.")]
_MANIFEST = Annotated[Path, typer.Option(help="CSV to write; its card goes beside it.")]
_OUTPUT = Annotated[
    Path | None, typer.Option(help="Folder for masks, links and reports; data/<manifest> if not given.")
]
_WORKERS = Annotated[int | None, typer.Option(min=1, help="Processes; one a core if not given.")]
_KEY = Annotated[Path | None, typer.Option(help="Key of the pseudonyms; ~/.config/monai_ich if not given.")]


@import_cli.command("dicom")
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
    positives: Annotated[
        str, typer.Option(help="Positive slices of a positive study: blood (by mask) or all.")
    ] = "blood",
    masks: Annotated[Path | None, typer.Option(help="Folder of NIfTI, DICOM SEG, PNG or NPY masks.")] = None,
    segment: Annotated[str, typer.Option(help="Segment label, where a DICOM SEG has several.")] = "",
    files: Annotated[str, typer.Option(help="refer to the files, link them, or copy them under pseudonyms.")] = "refer",
    description: Annotated[str, typer.Option(help="Regular expression of the series descriptions to take.")] = "",
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Take unevenly spaced series.")] = False,
    allow_derived: Annotated[bool, typer.Option("--allow-derived", help="Take derived images.")] = False,
    allow_burnt_in: Annotated[bool, typer.Option("--allow-burnt-in", help="Take images with burnt-in text.")] = False,
    name: Annotated[str, typer.Option(help="Name of the data, for the card.")] = "",
    licence: Annotated[str, typer.Option(help="Terms of the data, for the card.")] = "not stated",
    key_file: _KEY = None,
    workers: _WORKERS = None,
) -> None:
    """Import DICOM series of one or several hospitals, with labels and masks."""
    from monai_ich.apps.importing import parse_columns, report_import
    from monai_ich.importers import Card, DicomRequest, ScanOptions, default_key_file
    from monai_ich.importers import import_dicom as run_import

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
        positives=positives,
        masks=masks,
        files=files,
        scan=ScanOptions(allow_derived=allow_derived, allow_burnt_in=allow_burnt_in, description=description),
        segment=segment,
        allow_gaps=allow_gaps,
        workers=workers,
    )
    report_import(run_import(request))


@import_cli.command("physionet")
def import_physionet(source: _SOURCE, manifest: _MANIFEST, output: _OUTPUT = None, workers: _WORKERS = None) -> None:
    """Import PhysioNet CT-ICH: release 1.3.1, or the older one of JPEG files."""
    from monai_ich.apps.importing import import_public_set

    import_public_set("physionet", source, manifest, output, workers)


@import_cli.command("rsna")
def import_rsna(source: _SOURCE, manifest: _MANIFEST, output: _OUTPUT = None, workers: _WORKERS = None) -> None:
    """Import RSNA 2019: stage_2_train and its table."""
    from monai_ich.apps.importing import import_public_set

    import_public_set("rsna", source, manifest, output, workers)


@import_cli.command("cq500")
def import_cq500(
    source: _SOURCE,
    manifest: _MANIFEST,
    output: _OUTPUT = None,
    slices: Annotated[str, typer.Option(help="Which of several plain series: thick or thin.")] = "thick",
    workers: _WORKERS = None,
) -> None:
    """Import CQ500: one plain series a case, and the majority of three readers."""
    from monai_ich.apps.importing import import_public_set

    import_public_set("cq500", source, manifest, output, workers, slices=slices)


@import_cli.command("bhsd")
def import_bhsd(source: _SOURCE, manifest: _MANIFEST, output: _OUTPUT = None, workers: _WORKERS = None) -> None:
    """Import BHSD: masks of five types of haemorrhage."""
    from monai_ich.apps.importing import import_public_set

    import_public_set("bhsd", source, manifest, output, workers)


@import_cli.command("instance")
def import_instance(source: _SOURCE, manifest: _MANIFEST, output: _OUTPUT = None, workers: _WORKERS = None) -> None:
    """Import INSTANCE 2022."""
    from monai_ich.apps.importing import import_public_set

    import_public_set("instance", source, manifest, output, workers)


@import_cli.command("locate")
def import_locate(
    source: _SOURCE,
    shown: Annotated[str, typer.Argument(help="The path as refused.csv shows it.")],
    key_file: _KEY = None,
) -> None:
    """Find a file whose path a report shows with [...] in place of what names a patient."""
    from monai_ich.apps.importing import locate_refused
    from monai_ich.importers import default_key_file

    locate_refused(source, shown, key_file or default_key_file())


def main() -> None:
    """Runs the command line; an error that is the user's to mend is shown without a traceback."""
    try:
        cli()
    except MonaiIchError as error:
        console.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        console.print(str(error), markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
