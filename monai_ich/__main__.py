# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command line beside `python -m monai.bundle run`: phantom, manifests, prediction, Grad-CAM, table, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

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
def split(
    manifest: Annotated[Path, typer.Argument(help="The manifest's CSV; what its split column holds is not used.")],
    output: Annotated[Path, typer.Option(help="CSV to write; its card goes beside it. kfold: <name>-fold0.csv, ...")],
    protocol: Annotated[str, typer.Option(help="paper, patient, hospital or kfold.")] = "patient",
    marker: Annotated[str, typer.Option(help="The marker whose classes are balanced.")] = "hypodensity",
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    test_fraction: Annotated[float | None, typer.Option(help="paper, patient: share of the test set.")] = None,
    val_fraction: Annotated[float | None, typer.Option(help="All but kfold: validation's share of the rest.")] = None,
    held_out: Annotated[str | None, typer.Option(help="hospital, patient: hospitals to test on, as 5,6,7.")] = None,
    separate: Annotated[bool, typer.Option("--separate", help="hospital: a test set for each of them.")] = False,
    folds: Annotated[int | None, typer.Option(help="kfold: how many.")] = None,
    fold: Annotated[int | None, typer.Option(help="kfold: write this one only, from 0.")] = None,
    train_hospitals: Annotated[str | None, typer.Option(help="paper: hospitals to train on, as 1,2,3,4.")] = None,
    test_hospital: Annotated[str | None, typer.Option(help="paper: the one that the first test set is from.")] = None,
    name: Annotated[str | None, typer.Option(help="For the card; the manifest's own card's if not given.")] = None,
    description: Annotated[str | None, typer.Option(help="The same.")] = None,
    licence: Annotated[str | None, typer.Option(help="The same.")] = None,
    dataset_dir: Annotated[Path | None, typer.Option(help="The same: folder of the images.")] = None,
    window_hu: Annotated[tuple[float, float] | None, typer.Option(help="The same: level and width; or 40 80.")] = None,
    force: Annotated[bool, typer.Option(help="Replace files that are there already.")] = False,
) -> None:
    """Assign a manifest's splits by a protocol, show the counts, and write the result as a new manifest."""
    from monai_ich.apps.splitting import SplitRequest, split_manifest

    numbers = {"test_fraction": test_fraction, "val_fraction": val_fraction, "folds": folds, "fold": fold}
    hospitals = {"held_out": _listed(held_out), "train_hospitals": _listed(train_hospitals)}
    others = {"marker": marker, "seed": seed, "separate": separate or None, "test_hospital": test_hospital}
    card = {"name": name, "description": description, "licence": licence}
    places = {"dataset_dir": dataset_dir, "window_hu": window_hu}
    settings = _given({**numbers, **hospitals, **others})
    split_manifest(SplitRequest(manifest, output, protocol, settings, _given({**card, **places}), force))


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


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
def audit(
    manifest: Annotated[Path, typer.Argument(help="The manifest's CSV; the report is written beside it.")],
    marker: Annotated[str, typer.Option(help="The marker to classify.")] = "hypodensity",
    dataset_dir: Annotated[Path | None, typer.Option(help="Folder of the images; the card's if not given.")] = None,
    pixels: Annotated[bool, typer.Option(help="--no-pixels: the table alone, neither headers nor images.")] = True,
    pictures: Annotated[bool, typer.Option(help="--no-pictures: no slices in the HTML page.")] = True,
    strict: Annotated[bool, typer.Option(help="Warnings, too, end with status 1.")] = False,
    cache_dir: Annotated[Path, typer.Option(help="Keeps what was computed of each slice.")] = Path("data/cache"),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core if not given.")] = None,
) -> None:
    """Audit a manifest: leaks, shortcuts, imbalance, masks, power. Exit status 2: fatal; 1: warnings with --strict."""
    from monai_ich.apps.audit import AuditRequest, audit_manifest

    request = AuditRequest(manifest, marker, dataset_dir, pixels, pictures, strict, cache_dir, workers)
    raise typer.Exit(audit_manifest(request))


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
def gradcam(
    run: Annotated[Path, typer.Argument(help="A run's directory, such as runs/mtl-...")],
    source: Annotated[
        Path | None, typer.Argument(help="A DICOM file, a folder or a volume; the run's test sets if not given.")
    ] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Folder for the results; <run>/gradcam if not given.")] = None,
    slices: Annotated[int, typer.Option(min=1, help="Slices to draw with the marker, and as many without.")] = 4,
    head: Annotated[str, typer.Option(help="cls: the marker's logit; seg: the haematoma's, over the slice.")] = "cls",
    marker: Annotated[str, typer.Option(help="The marker; the run's first if not given.")] = "",
    layer: Annotated[str, typer.Option(help="A module of the network; docs/gradcam.md says which if not given.")] = "",
    method: Annotated[str, typer.Option(help="gradcam or gradcam++.")] = "gradcam",
    against: Annotated[bool, typer.Option("--against", help="What speaks against the marker.")] = False,
) -> None:
    """Show where a run's classifier looks (the paper's Figure 4): pictures, and the heat inside the haematoma."""
    from monai_ich.apps.gradcam import GradCAMRequest, explain_run
    from monai_ich.apps.gradcam_network import GradCAMChoice

    choice = GradCAMChoice(head, marker, layer, method, against)
    explain_run(GradCAMRequest(run, source, output_dir, slices, choice))


@cli.command()
def table(
    output_dir: Annotated[Path, typer.Option(help="Folder of the table and its runs.")] = Path("tables/table1"),
    rows: Annotated[
        list[str] | None, typer.Option(help="Rows by name or file, also overlays of your own; repeat, or use commas.")
    ] = None,
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
