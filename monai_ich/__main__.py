# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command line beside `python -m monai.bundle run`."""

from __future__ import annotations

import sys

import typer

from monai_ich.cli import imports, manifests, runs
from monai_ich.utils.console import console
from monai_ich.utils.errors import MonaiIchError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tools around the bundles. Train with: python -m monai.bundle run --config_file bundles/mtl/train.json",
)
cli.add_typer(imports.cli, name="import")
cli.add_typer(manifests.cli)
cli.add_typer(runs.cli)


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
