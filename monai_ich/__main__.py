# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The command line beside `python -m monai.bundle run`."""

from __future__ import annotations

import sys

import typer

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
