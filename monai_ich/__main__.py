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
