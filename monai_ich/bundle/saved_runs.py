# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Runs that are there already: opening the config of one, finding the newest, and predicting with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle import run as run_bundle
from pydicom.data import get_testdata_file

from monai_ich.config.former_configs import upgraded
from monai_ich.reading.hounsfield import HU, ValueRule
from monai_ich.reading.series_choice import SeriesChoice
from monai_ich.utils.errors import RunDirectoryError
from monai_ich.utils.run_files import RunDirectory

EXAMPLE_SLICE = "J2K_pixelrep_mismatch.dcm"


def open_config(run: Path) -> ConfigParser:
    """A run's own config, to build parts of: nothing is trained or fetched, and its weights come from `best.pt`.

    Raises:
        RunDirectoryError: it is no run's directory.
    """
    directory = RunDirectory(run)
    if not directory.config.is_file():
        raise RunDirectoryError(f"expected a run's directory, but {run} has no {directory.config.name}.")
    config = upgraded(directory.read_config())
    config |= {
        "run_dir": str(run),
        "bundle_root": str(run),
        "segmentation_checkpoint": "",
        "run_directory": "$monai_ich.bundle.RunDirectory(Path(@run_dir))",
        "network": "$@network_def.to(@device)",
    }
    if "pretrained" in config["network_def"]:
        config["network_def"]["pretrained"] = None
    manifest: dict[str, Any] = config.get("manifest_data") or config["data"]["manifest"]
    manifest["required_splits"] = []
    return ConfigParser(config)


def newest_complete_run(runs_dir: Path) -> Path:
    """Returns the directory of the newest run that has results.

    Raises:
        RunDirectoryError: when there is none.
    """
    results = RunDirectory(Path()).results.name
    complete = sorted(runs_dir.glob(f"*/{results}"), key=lambda path: path.stat().st_mtime)
    if not complete:
        raise RunDirectoryError(f"expected a complete run in {runs_dir}/, found none. Train one first: make demo")
    return complete[-1].parent


def predict_with_run(
    run: Path,
    source: Path,
    output_dir: Path,
    series: SeriesChoice | None = None,
    *,
    file_names: bool = False,
    values: ValueRule = HU,
    allow_lossy: bool = False,
) -> None:
    """Predicts `source` with a run's own configs: the same as `inference.json` on the command line.

    Args:
        run: the run's directory.
        source: a DICOM file, a folder of one series, or a volume such as NIfTI.
        output_dir: where to write.
        series: which series of the source, where it holds several.
        file_names: names of files may be written into the results.
        values: how the source's values are to be read.
        allow_lossy: take pixels that were compressed with loss at more than 15:1.

    Raises:
        RunDirectoryError: when `run` is no run's directory.
    """
    directory = RunDirectory(run)
    configs = [directory.config, directory.inference_config]
    missing = [path.name for path in configs if not path.is_file()]
    if missing:
        raise RunDirectoryError(f"expected a run's directory, but {run} has no {', '.join(missing)}.")
    with warnings.catch_warnings():
        # MONAI warns that configs are code; this one was written by the run
        warnings.filterwarnings("ignore", message="parsing config_file")
        run_bundle(
            config_file=[str(path) for path in configs],
            run_dir=str(run),  # a run of before names the folder that it was made in, and may have been moved since
            input=str(source),
            output_dir=str(output_dir),
            **_of_dataset(
                series or SeriesChoice(),
                file_names=file_names,
                offset_hu=values.offset_hu,
                any_values=not values.is_checked,
                allow_lossy=allow_lossy,
            ),
        )


def _of_dataset(series: SeriesChoice, **others: Any) -> dict[str, Any]:
    """Arguments of `StudySlices`, set where they are used: the inference.json of a run of before does not name them."""
    chosen: dict[str, Any] = {
        "series_uid": _literal(series.uid),
        "series_description": _literal(series.description),
        "acquisition": series.acquisition,
        **others,
    }
    return {f"dataset::{name}": value for name, value in chosen.items() if value}


def _literal(text: str) -> str:
    """A text that MONAI's config takes as it is, also where it holds the signs of expressions and references."""
    is_plain = "@" not in text and not text.startswith(("$", "%"))
    return text if is_plain else f"$bytes.fromhex('{text.encode().hex()}').decode()"


def example_slice() -> Path:
    """Returns the real head-CT slice that pydicom ships: JPEG 2000, gantry tilted by about 22 degrees."""
    return Path(str(get_testdata_file(EXAMPLE_SLICE)))
