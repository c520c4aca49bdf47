# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Times every protocol on a manifest of RSNA's size: `python tests/benchmarks/bench_splits.py [rows [per patient]]`."""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_manifest import RSNA_SLICES, table

from monai_ich.data import PROTOCOLS, read_unsplit
from monai_ich.data.splits.split_command import SplitRequest, split_manifest

SETTINGS: dict[str, dict[str, Any]] = {
    "paper": {},
    "patient": {"held_out": ["5", "6", "7", "8", "9", "10", "11"]},
    "hospital": {"held_out": ["10", "11"], "separate": True},
    "kfold": {"folds": 5},
}
CARD = {"name": "big", "description": "synthetic", "licence": "CC0-1.0", "dataset_dir": "."}


def slices(rows: int, per_patient: int) -> pd.DataFrame:
    """The slices of `bench_manifest`, of eleven hospitals; an eighth are positive, each patient with an own share."""
    rng = np.random.default_rng(0)
    patient = np.arange(rows) // per_patient
    share = rng.beta(0.3, 2.1, patient[-1] + 1)[patient]
    return table(rows).assign(
        patient_id=pd.Series(patient).map("ID_{:08x}".format),
        hospital=patient % 11 + 1,
        hypodensity=(rng.random(rows) < share).astype(int),
        split="",
    )


def timed(protocol: str, path: Path, output: Path | None) -> tuple[float, float]:
    """Seconds, and peak memory in MiB of this process: of the protocol's function, or of the whole command."""
    started = time.perf_counter()
    if output is None:
        frame = read_unsplit(path).frame
        started = time.perf_counter()
        PROTOCOLS[protocol](frame, **SETTINGS[protocol])
    else:
        split_manifest(SplitRequest(path, output, protocol, SETTINGS[protocol], CARD))
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(rows: int, per_patient: int) -> None:
    """Runs each protocol in a process of its own, whose peak memory is then its own."""
    log = logging.getLogger("bench_splits")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.csv"
        slices(rows, per_patient).to_csv(path, index=False)
        log.info("%d rows, %d a patient", rows, per_patient)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
            for protocol in SETTINGS:
                for what, output in (("function", None), ("command", Path(folder) / f"{protocol}.csv")):
                    seconds, peak_mib = processes.submit(timed, protocol, path, output).result()
                    log.info("%s, the %s: %.1f s, peak %.0f MiB", protocol, what, seconds, peak_mib)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(*(int(number) for number in sys.argv[1:]), *(RSNA_SLICES, 40)[len(sys.argv) - 1 :])
