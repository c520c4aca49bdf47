# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Commands about runs: predict, gradcam, table, spurious, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer()

SERIES_UID = typer.Option(help="Series Instance UID to take where the source holds several series.")
SERIES_DESCRIPTION = typer.Option(help="A part of the Series Description, or a regular expression, to take it by.")
ACQUISITION = typer.Option(min=0, help="Of several acquisitions under one UID: its number in the error's list.")
OFFSET = typer.Option(help="Add this to the source's values to make HU: -1024 for HU + 1024.")
ANY_VALUES = typer.Option("--any-values", help="Take values that do not look like HU.")
ALLOW_LOSSY = typer.Option("--allow-lossy", help="Take pixels compressed with loss at more than 15:1.")


@cli.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run's directory, such as runs/mtl-...")],
    source: Annotated[Path, typer.Argument(help="A DICOM file, a folder of DICOM slices, or a NIfTI volume.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    series_uid: Annotated[str, SERIES_UID] = "",
    series_description: Annotated[str, SERIES_DESCRIPTION] = "",
    acquisition: Annotated[int, ACQUISITION] = 0,
    file_names: Annotated[
        bool, typer.Option("--file-names", help="Write names of files into the results; they often name patients.")
    ] = False,
    offset: Annotated[float, OFFSET] = 0.0,
    any_values: Annotated[bool, ANY_VALUES] = False,
    allow_lossy: Annotated[bool, ALLOW_LOSSY] = False,
) -> None:
    """Predict one study with a trained run: probabilities (CSV, JSON), mask (NIfTI) and a picture."""
    from monai_ich.bundle import predict_with_run
    from monai_ich.reading.hounsfield import ValueRule
    from monai_ich.reading.series_choice import SeriesChoice

    choice, values = SeriesChoice(series_uid, series_description, acquisition), ValueRule(offset, not any_values)
    predict_with_run(run, source, output_dir, choice, file_names=file_names, values=values, allow_lossy=allow_lossy)


@cli.command()
def predict_example(
    runs_dir: Annotated[Path, typer.Option(help="Where runs are kept; the newest complete one predicts.")] = Path(
        "runs"
    ),
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions/example"),
) -> None:
    """Predict the real head-CT slice that pydicom ships, with the newest complete run."""
    from monai_ich.bundle import predict_with_run
    from monai_ich.bundle.saved_runs import example_slice, newest_complete_run

    predict_with_run(newest_complete_run(runs_dir), example_slice(), output_dir)


@cli.command()
def gradcam(
    run: Annotated[Path, typer.Argument(help="A run's directory, such as runs/mtl-...")],
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A DICOM file, a folder of DICOM slices, or a NIfTI volume.", show_default="the run's test sets"
        ),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="<run>/gradcam")
    ] = None,
    slices: Annotated[int, typer.Option(min=1, help="Slices to draw with the marker, and as many without.")] = 4,
    head: Annotated[str, typer.Option(help="cls: the marker's logit; seg: the haematoma's, over the slice.")] = "cls",
    marker: Annotated[str, typer.Option(help="The marker.", show_default="the run's first")] = "",
    layer: Annotated[str, typer.Option(help="A module of the network.", show_default="see docs/gradcam.md")] = "",
    method: Annotated[str, typer.Option(help="gradcam, hirescam or gradcam++.")] = "gradcam",
    against: Annotated[bool, typer.Option("--against", help="What speaks against the marker.")] = False,
    attribute: Annotated[str, typer.Option(help="Also maps of pairs against their cause: head_holder=yes.")] = "",
    series_uid: Annotated[str, SERIES_UID] = "",
    series_description: Annotated[str, SERIES_DESCRIPTION] = "",
    acquisition: Annotated[int, ACQUISITION] = 0,
    offset: Annotated[float, OFFSET] = 0.0,
    any_values: Annotated[bool, ANY_VALUES] = False,
    allow_lossy: Annotated[bool, ALLOW_LOSSY] = False,
) -> None:
    """Show where a run's classifier looks (the paper's Figure 4): pictures, and the heat inside the haematoma."""
    from monai_ich.gradcam.explainer import GradCAMChoice
    from monai_ich.gradcam.run_explanation import GradCAMRequest, explain_run
    from monai_ich.reading.hounsfield import ValueRule
    from monai_ich.reading.series_choice import SeriesChoice

    choice = GradCAMChoice(head, marker, layer, method, against)
    series = SeriesChoice(series_uid, series_description, acquisition)
    values = ValueRule(offset, not any_values)
    explain_run(GradCAMRequest(run, source, output_dir, slices, choice, attribute, series, values, allow_lossy))


@cli.command()
def table(
    output_dir: Annotated[Path, typer.Option(help="Folder of the table and its runs.")] = Path("tables/table1"),
    rows: Annotated[
        list[str] | None,
        typer.Option(
            help="Rows by name or file, also overlays of your own; repeat, or use commas.", show_default="all"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs a row, seeds 0, 1, ...; the paper has five.")] = 5,
    manifest: Annotated[str, typer.Option(help="The manifest's CSV.", show_default="the config's")] = "",
    recipe: Annotated[str, typer.Option(help="demo: minutes a run on a CPU; paper: section 4.2.")] = "demo",
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value for every run; repeat.")] = None,
    reference: Annotated[
        str, typer.Option(help="The row that classifiers are compared with.", show_default="Swin Transformer")
    ] = "",
    seg_reference: Annotated[
        str, typer.Option(help="The row that the IoU is compared with.", show_default="Swin-Unet")
    ] = "",
    marker: Annotated[str, typer.Option(help="The marker of the columns.", show_default="the first")] = "",
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of patients.")] = 2000,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="Also groups and pairs: head_holder=yes, volume:10:25 (bins), hospital; repeat."),
    ] = None,
    bundle: Annotated[Path, typer.Option(help="Folder of the rows' configs.")] = Path("bundles/mtl"),
    train: Annotated[bool, typer.Option(help="--no-train: only the table, from saved predictions.")] = True,
) -> None:
    """Train the paper's Table 1 for your data, resumably, and write it with intervals, differences and warnings."""
    from monai_ich.table.table1 import TableRequest, make_table
    from monai_ich.table.table_results import Analysis

    analysis = Analysis(reference, seg_reference, marker, resamples, attributes=tuple(attribute or ()))
    request = TableRequest(output_dir, rows or (), seeds, bundle, manifest, recipe, settings or (), analysis, train)
    raise typer.Exit(make_table(request))


@cli.command()
def spurious(
    output_dir: Annotated[Path, typer.Option(help="Folder of the benchmark's runs.")] = Path("tables/spurious"),
    page_dir: Annotated[
        Path | None, typer.Option(help="Folder of the page, its CSV and figures.", show_default="the output folder")
    ] = None,
    nuisances: Annotated[
        list[str] | None,
        typer.Option("--nuisance", help="What goes with the marker; repeat.", show_default="all of the declaration"),
    ] = None,
    dials: Annotated[
        list[float] | None,
        typer.Option(
            "--dial",
            min=-1,
            max=1,
            help="How strongly, in training; repeat.",
            show_default="all of the declaration",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", help="A method by its name; repeat.", show_default="all of the declaration"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method and dial: seeds 0, 1, ...")] = 3,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of patients.")] = 2000,
    declaration: Annotated[Path, typer.Option(help="What is compared: a JSON file.")] = Path(
        "bundles/mtl/benchmarks/spurious.json"
    ),
    train: Annotated[bool, typer.Option(help="--no-train: only the page, from saved predictions.")] = True,
    maps: Annotated[
        bool, typer.Option("--maps", help="Also measure whether heat maps show the nuisance: half a minute a run.")
    ] = False,
) -> None:
    """Measure on the phantom whether classifiers use the marker or what goes with it: dials x methods, resumable."""
    from monai_ich.spurious.benchmark_command import BenchmarkRequest, run_benchmark

    chosen = nuisances or (), dials or (), methods or ()
    request = BenchmarkRequest(declaration, output_dir, page_dir, *chosen, seeds, resamples, train, maps)
    raise typer.Exit(run_benchmark(request))


@cli.command()
def export(
    run: Annotated[Path, typer.Argument(help="A complete run's directory.")],
    output: Annotated[Path, typer.Argument(help="Folder to make, a MONAI bundle; its zip goes beside it.")],
    manifest: Annotated[
        Path | None, typer.Option(help="The run's manifest, where it is now.", show_default="where it was trained")
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "1.0.0",
    force: Annotated[bool, typer.Option(help="Replace a bundle that is there already.")] = False,
) -> None:
    """Export a run to share it: a MONAI bundle with TorchScript, ONNX and a model card, as folder and zip."""
    from monai_ich.export import export_run

    export_run(run, output, manifest=manifest, version=version, force=force)
