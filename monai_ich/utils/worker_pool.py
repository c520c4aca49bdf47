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
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int | None = None
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

    Raises:
        MonaiIchError: a worker died, for lack of memory for instance.
    """
    workers = min(available_cores() if workers is None else workers, len(jobs))
    if workers < 2 or sys.platform != "linux":
        for job in jobs:
            yield job, function(job)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _start_worker, (function,)) as pool:
        futures = [pool.submit(_work, job) for job in jobs]
        try:
            for job, future in zip(jobs, futures, strict=True):
                yield job, future.result()
        except BrokenProcessPool as error:
            raise MonaiIchError(
                "a worker process died, perhaps for lack of memory. Run the same command again: it goes on from what "
                "is finished. Use fewer workers if it happens again."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


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
