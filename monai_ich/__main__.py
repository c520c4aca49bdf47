# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command line beside `python -m monai.bundle run`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from monai_ich import __version__
from monai_ich.cli import imports, manifests, runs
from monai_ich.utils.failures import show_failure

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tools around the bundles. Train with: python -m monai.bundle run --config_file bundles/mtl/train.json",
)
cli.add_typer(imports.cli, name="import")
cli.add_typer(manifests.cli)
cli.add_typer(runs.cli)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"monai_ich {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """The options of the program itself."""


def main() -> None:
    """Runs the command line; an error that is the user's to mend is shown without a traceback."""
    try:
        cli()
    except Exception as error:
        if not show_failure(error):
            raise
        sys.exit(1)


if __name__ == "__main__":
    main()
