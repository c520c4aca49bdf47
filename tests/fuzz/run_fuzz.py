# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Fuzzes for as long as asked: `python tests/fuzz/run_fuzz.py manifest|images|folders|imports --seconds 300`.

Case k is made from the seed + k alone, which is printed with each failure: `--seed <that> --cases 1` shows it again. A
case that hangs, or brings the process down, ends the run with its seed as well.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import importlib
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from monai_ich.utils.console import console

sys.path.append(str(Path(__file__).resolve().parents[1] / "importers"))  # the miniatures of their tests

# CharLS takes seconds of CPU time to give up on some damaged streams, whatever their size; a case is read five times.
HANG_S = 120
# What one case may take beyond the libraries: far above the largest of its true files.
MEMORY_BYTES = 2 << 30


def main() -> int:
    """Runs cases until the time is over; returns 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["manifest", "images", "folders", "imports"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--cases", type=int, default=10**9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    console.print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        case = importlib.import_module(f"{arguments.what}_mutations").prepare(Path(folder))
        _limit_memory()
        outcomes, failures = _run(case, arguments.seed, arguments.cases, arguments.seconds)
    for (kind, place), (count, seed, text) in failures.items():
        console.print(f"FAILED {count} times: {kind} at {place}; seed {seed}: {text}", markup=False, soft_wrap=True)
    console.print(f"{sum(outcomes.values())} cases: {dict(outcomes)}", markup=False)
    return int(bool(failures))


def _limit_memory() -> None:
    used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + MEMORY_BYTES,) * 2)


def _run(
    case: Callable[[random.Random], str], seed: int, cases: int, seconds: float
) -> tuple[collections.Counter[str], dict[tuple[str, str], tuple[int, int, str]]]:
    outcomes: collections.Counter[str] = collections.Counter()
    failures: dict[tuple[str, str], tuple[int, int, str]] = {}
    end, last = time.monotonic() + seconds, Path(tempfile.gettempdir()) / f"monai_ich_fuzz_{os.getpid()}.txt"
    faulthandler.enable()
    for number in range(seed, seed + cases):
        if time.monotonic() > end:
            break
        last.write_text(f"{number}\n")  # tells which case it was when a decoder brings the process down
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            outcomes[case(random.Random(number))] += 1
        except Exception as error:  # whatever it is, it is what this program looks for
            outcomes["failed"] += 1
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if "site-packages" not in frame.filename][-1]
            key = (type(error).__name__, f"{Path(own.filename).name}:{own.lineno}")
            count, first, text = failures.get(key, (0, number, str(error)[:300]))
            failures[key] = (count + 1, first, text)
    faulthandler.cancel_dump_traceback_later()
    return outcomes, failures


if __name__ == "__main__":
    sys.exit(main())
