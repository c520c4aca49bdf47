# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Work on many items in parallel processes, and how many of them there may be."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import joblib
from threadpoolctl import threadpool_limits

from monai_ich.utils.errors import MonaiIchError

Job = TypeVar("Job")
Result = TypeVar("Result")

_function: Callable[[Any], Any]  # what this worker calls


def available_cores() -> int:
    """Cores that this process may use: no more than its CPU affinity and its container's quota (cgroups) allow."""
    return joblib.cpu_count()


def map_in_processes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int | None = None,
    died: Callable[[Job], Result] | None = None,
) -> Iterator[tuple[Job, Result]]:
    """Yields (job, function(job)) in the order of `jobs`; an error of `function` is raised as it is, the first one.

    Threads would not help, as DICOM decoders hold Python's lock. The processes are forked, so they start at once:
    joblib's own (loky) import torch and MONAI anew, which costs several seconds of CPU time for each, more than many an
    import takes; and a process of its `multiprocessing` backend that is killed is waited for in vain. `function` may be
    a closure. A worker computes with one thread. Ctrl-C reaches this process alone, which lets the workers finish the
    jobs that they have begun. Workers end when this process is killed.

    Args:
        function: leaves its result in files, or returns what can be pickled.
        jobs: what to call it with; can be pickled.
        workers: processes; None takes one for each available core. Below 2, and where processes cannot be forked safely
            (all but Linux), the work is done in this process.
        died: gives the result of a job whose process dies, by a fault of a decoder or for lack of memory. Jobs that
            were in hand are then done one at a time, which tells the guilty from the others. With it, only `workers=1`
            keeps the work in this process, which a job may then kill; a single job gets a process as well.

    Raises:
        MonaiIchError: a worker died, and `died` is not given.
    """
    wanted = available_cores() if workers is None else workers
    is_alone = wanted < 2 and not (workers is None and died is not None)
    if not jobs or is_alone or sys.platform != "linux" or (len(jobs) < 2 and died is None):
        for job in jobs:
            yield job, function(job)
        return
    count = min(wanted, len(jobs))
    kept: dict[int, Result] = {}  # results of jobs whose turn has not come
    place = 0
    while place < len(jobs):
        with _pool(function, count) as pool:
            futures = {
                number: pool.submit(_work, jobs[number]) for number in range(place, len(jobs)) if number not in kept
            }
            try:
                while place < len(jobs):
                    result = kept.pop(place) if place in kept else futures[place].result()
                    yield jobs[place], result
                    place += 1
            except BrokenProcessPool as error:
                if died is None:
                    raise MonaiIchError(
                        "a worker process died, perhaps for lack of memory. Run the same command again: it goes on "
                        "from what is finished. Use fewer workers if it happens again."
                    ) from error
                done = {n for n, future in futures.items() if n >= place and future.done() and not future.exception()}
                kept |= {number: futures[number].result() for number in done}
            finally:
                pool.shutdown(cancel_futures=True)
        # Jobs are handed out in their order, so what was in hand is among the first that have no result.
        suspects = [number for number in range(place, len(jobs)) if number not in kept][: 2 * count]
        for number in suspects:
            kept[number] = _alone(function, jobs[number], died)


def _pool(function: Callable[[Any], Any], workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _start_worker, (function,))


def _alone(function: Callable[[Job], Result], job: Job, died: Callable[[Job], Result] | None) -> Result:
    """The result of a job in a process of its own."""
    assert died is not None
    with _pool(function, 1) as pool:
        try:
            return pool.submit(_work, job).result()
        except BrokenProcessPool:
            return died(job)


def _start_worker(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without this, the workers of a killed process would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(job: Any) -> Any:
    return _function(job)
