# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Commands about data: phantom, split, check, audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from monai_ich.utils.console import console
from monai_ich.utils.lists import comma_list

cli = typer.Typer()
_QUOTED = """ or, with a comma in a name, as '5,"6, Bern"'"""
_OWN_CARD = "as the manifest's own card says"
_WORKERS = Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")]
_DATASET_DIR = Annotated[Path | None, typer.Option(help="Folder of the images.", show_default="the card's")]


@cli.command()
def phantom(
    dataset_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for the DICOM series and NIfTI masks.", show_default="data/<manifest's name>"),
    ] = None,
    manifest: Annotated[Path, typer.Option(help="CSV to write; its card goes beside it.")] = Path(
        "data_manifests/phantom.csv"
    ),
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed gives the same bytes.", show_default="the demo's")
    ] = None,
    studies: Annotated[
        str | None,
        typer.Option(help="Patients of hospitals 1 to 11, as 150,34,34,34,12,...", show_default="the demo's"),
    ] = None,
    slices_per_study: Annotated[
        int | None, typer.Option(help="Slices of a patient, 1 or more.", show_default="the demo's")
    ] = None,
    matrix: Annotated[
        int | None, typer.Option(help="Rows and columns, even, 32 or more.", show_default="the demo's")
    ] = None,
    dial: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Hospitals 1-4: how strongly clot_volume, kernel, head_holder or side_letter goes with hypodensity, "
            "from -1 to 1; repeat.",
            show_default="clot_volume=0.5, others 0",
        ),
    ] = None,
    dial_new: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="The dials of hospitals 5-11; repeat.", show_default="clot_volume=0.5, others 0"
        ),
    ] = None,
    mechanism: Annotated[
        str,
        typer.Option(
            help="latent: a dial is a correlation and shares of patients stay; flip: a nuisance equals the patient's "
            "marker with probability (1 + dial) / 2."
        ),
    ] = "latent",
    side_letter_fraction: Annotated[
        float | None, typer.Option(help="Share of patients with a burnt-in side letter.", show_default="0")
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Add test sets of heads without and with one nuisance: kernel, head_holder or side_letter.",
            show_default="none",
        ),
    ] = None,
    pair_studies: Annotated[
        str | None,
        typer.Option(
            help="Patients of these pairs in hospitals 1 to 11.", show_default="24 in hospital 1, 6 in others, 0 in 10"
        ),
    ] = None,
    reversed_studies: Annotated[
        str | None,
        typer.Option(
            help="Patients of hospitals 1 to 4 for the test set whose dials have the opposite sign, as 24,6,6,6.",
            show_default="none",
        ),
    ] = None,
    workers: _WORKERS = None,
) -> None:
    """Make the head-CT phantom: 11 hospitals, DICOM series, masks for hospitals 1-4, manifest and truth."""
    from monai_ich.phantom import generate_phantom, phantom_folder, spec_from_options

    spec = spec_from_options(
        dial or (),
        dial_new or (),
        pairs,
        pair_studies,
        studies,
        reversed_studies,
        seed=seed,
        slices_per_study=slices_per_study,
        matrix=matrix,
        mechanism=mechanism,
        side_letter_fraction=side_letter_fraction,
    )
    path = generate_phantom(dataset_dir or phantom_folder(manifest), manifest, spec, workers=workers)
    console.print(f"written: {path}", soft_wrap=True)


@cli.command()
def split(
    manifest: Annotated[Path, typer.Argument(help="The manifest's CSV; what its split column holds is not used.")],
    output: Annotated[Path, typer.Option(help="CSV to write; its card goes beside it. kfold: <name>-fold0.csv, ...")],
    protocol: Annotated[str, typer.Option(help="paper, patient, hospital or kfold.")] = "patient",
    marker: Annotated[str, typer.Option(help="The marker whose classes are balanced.")] = "hypodensity",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of every draw.")] = 0,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="paper, patient: share of the test hospital's slices, or of the patients, to test on.",
            show_default="paper 0.1, patient 0.2",
        ),
    ] = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="All but kfold: validation's share of the rest.", show_default="0.2")
    ] = None,
    held_out: Annotated[
        str | None, typer.Option(help=f"hospital, patient: hospitals to test on, as 5,6,7{_QUOTED}.")
    ] = None,
    separate: Annotated[bool, typer.Option("--separate", help="hospital: a test set for each of them.")] = False,
    folds: Annotated[int | None, typer.Option(help="kfold: how many.", show_default="5")] = None,
    fold: Annotated[int | None, typer.Option(help="kfold: write this one only, from 0.", show_default="all")] = None,
    train_hospitals: Annotated[
        str | None,
        typer.Option(help=f"paper: hospitals to train on, as 1,2,3,4{_QUOTED}.", show_default="1,2,3,4"),
    ] = None,
    test_hospital: Annotated[
        str | None, typer.Option(help="paper: the one that the first test set is from.", show_default="1")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data, for the card.", show_default=_OWN_CARD)] = None,
    description: Annotated[
        str | None, typer.Option(help="What the data are, for the card.", show_default=_OWN_CARD)
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Terms of the data, for the card.", show_default=_OWN_CARD)
    ] = None,
    dataset_dir: Annotated[
        Path | None, typer.Option(help="Folder of the images, for the card.", show_default=_OWN_CARD)
    ] = None,
    window_hu: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Level and width in HU, for the card.", show_default=f"{_OWN_CARD}, or else 40 80"),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace files that are there already.")] = False,
) -> None:
    """Assign a manifest's splits by a protocol, show the counts, and write the result as a new manifest."""
    from monai_ich.data.splits.split_command import SplitRequest, split_manifest

    numbers = {"test_fraction": test_fraction, "val_fraction": val_fraction, "folds": folds, "fold": fold}
    hospitals = {"held_out": _listed(held_out), "train_hospitals": _listed(train_hospitals)}
    others = {"marker": marker, "seed": seed, "separate": separate or None, "test_hospital": test_hospital}
    card = {"name": name, "description": description, "licence": licence}
    places = {"dataset_dir": dataset_dir, "window_hu": window_hu}
    settings = _given({**numbers, **hospitals, **others})
    split_manifest(SplitRequest(manifest, output, protocol, settings, _given({**card, **places}), force))


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else comma_list(text)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@cli.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest's CSV.")],
    marker: Annotated[str, typer.Option(help="The marker to classify.")] = "hypodensity",
    dataset_dir: _DATASET_DIR = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read every slice, not those of 40 studies of all hospitals.")
    ] = False,
) -> None:
    """Check a manifest as training would, read some of its slices, and show its counts."""
    from monai_ich.audit.manifest_check import check_manifest

    check_manifest(manifest, marker, dataset_dir, thorough)


@cli.command()
def audit(
    manifest: Annotated[Path, typer.Argument(help="The manifest's CSV; the report is written beside it.")],
    marker: Annotated[str, typer.Option(help="The marker to classify.")] = "hypodensity",
    dataset_dir: _DATASET_DIR = None,
    pixels: Annotated[bool, typer.Option(help="--no-pixels: the table alone, neither headers nor images.")] = True,
    pictures: Annotated[bool, typer.Option(help="--no-pictures: no slices in the HTML page.")] = True,
    strict: Annotated[bool, typer.Option(help="Warnings, too, end with status 1.")] = False,
    cache_dir: Annotated[Path, typer.Option(help="Keeps what was computed of each slice.")] = Path("data/cache"),
    workers: _WORKERS = None,
) -> None:
    """Audit a manifest: leaks, shortcuts, imbalance, masks, power. Exit status 2: fatal; 1: warnings with --strict."""
    from monai_ich.audit.manifest_audit import AuditRequest, audit_manifest

    request = AuditRequest(manifest, marker, dataset_dir, pixels, pictures, strict, cache_dir, workers)
    raise typer.Exit(audit_manifest(request))
