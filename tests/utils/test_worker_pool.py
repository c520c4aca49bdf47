# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Worker processes: order, errors, a worker or the parent that is killed, Ctrl-C, threads and cores."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info

from monai_ich.utils.errors import ImageReadError, MonaiIchError
from monai_ich.utils.worker_pool import available_cores, map_in_processes

FORK = multiprocessing.get_context("fork")


def in_process(function: Callable[[], Any]) -> int:
    """The exit status of a function in a process of its own, negative for a signal."""
    process = FORK.Process(target=function)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    names = ["d", "a", "c", "b"]
    found = list(map_in_processes(lambda name: (name.upper(), os.getpid()), names, workers))
    assert [(job, result) for job, (result, _) in found] == [("d", "D"), ("a", "A"), ("c", "C"), ("b", "B")]
    here = {pid == os.getpid() for _, (_, pid) in found}
    assert here == {workers < 2}


def test_one_job_or_none_needs_no_process() -> None:
    assert list(map_in_processes(lambda _: os.getpid(), [7], 2)) == [(7, os.getpid())]
    assert list(map_in_processes(lambda _: os.getpid(), [], 2)) == []


def test_what_goes_wrong_first_is_raised_as_it_is_and_later_jobs_are_left_out(tmp_path: Path) -> None:
    def work(number: int) -> None:
        (tmp_path / str(number)).touch()
        if number == 1:
            raise ImageReadError("one.dcm", "cannot be read")

    with pytest.raises(ImageReadError, match=r"^one\.dcm: cannot be read\.$"):
        list(map_in_processes(work, range(100), 2))
    assert len(list(tmp_path.iterdir())) < 50


def test_a_worker_that_is_killed_is_an_error_that_says_what_to_do() -> None:
    def work(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(MonaiIchError, match=r"a worker process died.*memory.*Run the same command again"):
        list(map_in_processes(work, [0, 1, 2, 3], 2))


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("guilty", [{0}, {3}, {19}, {2, 3, 11}, set(range(20))])
def test_the_job_that_kills_its_worker_is_told_from_the_others(workers: int, guilty: set[int]) -> None:
    def work(number: int) -> str:
        if number in guilty:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"done {number}"

    found = list(map_in_processes(work, range(20), workers, died=lambda number: f"died {number}"))
    assert found == [(n, f"{'died' if n in guilty else 'done'} {n}") for n in range(20)]


def test_what_was_finished_before_a_worker_died_is_not_done_again(tmp_path: Path) -> None:
    """The first job ends only when the last has begun: all in between are done before the worker dies."""
    last_begun = FORK.Event()

    def work(number: int) -> int:
        with (tmp_path / str(number)).open("a") as file:
            file.write("x")
        if number == 0:
            last_begun.wait(30)
        if number == 39:
            last_begun.set()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    found = list(map_in_processes(work, range(40), 2, died=lambda _: -1))
    assert [result for _, result in found] == [*range(39), -1]
    assert all((tmp_path / str(n)).read_text() == "x" for n in range(1, 35))


def test_a_single_job_gets_a_process_where_its_death_is_to_be_survived() -> None:
    def work(_: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert list(map_in_processes(work, [7], None, died=lambda job: job + 1)) == [(7, 8)]
    assert list(map_in_processes(work, [7], 2, died=lambda job: job + 1)) == [(7, 8)]


def test_an_error_of_a_suspect_is_raised_as_it_is() -> None:
    def work(number: int) -> int:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 2:
            raise ImageReadError("two.dcm", "cannot be read")
        return number

    with pytest.raises(ImageReadError, match=r"^two\.dcm"):
        list(map_in_processes(work, range(4), 2, died=lambda _: -1))


def test_a_worker_has_one_thread() -> None:
    def threads(_: int) -> set[int]:
        return {torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())}

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert [found for _, found in map_in_processes(threads, [0, 1], 2)] == [{1}, {1}]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_ctrl_c_lets_the_workers_finish_what_they_have_in_hand(tmp_path: Path) -> None:
    """The terminal sends SIGINT to all processes at one time: here each worker gets it, then the parent."""
    begun = FORK.Semaphore(0)
    interrupted = FORK.Event()

    def work(number: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        begun.release()
        assert interrupted.wait(30)
        (tmp_path / str(number)).touch()

    def interrupt() -> None:
        begun.acquire()
        begun.acquire()
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.set()

    def parent() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            list(map_in_processes(work, range(100), 2))

    assert in_process(parent) == 0
    finished = {int(path.name) for path in tmp_path.iterdir()}
    assert {0, 1} <= finished
    assert len(finished) < 50


def test_workers_end_when_their_parent_is_killed() -> None:
    """The pipe's writing ends are held by the parent and its workers alone: it is at its end when all are gone."""
    reading, writing = os.pipe()
    barrier = FORK.Barrier(3)

    def parent() -> None:
        def work(_: int) -> None:
            barrier.wait(30)
            threading.Event().wait(60)

        list(map_in_processes(work, [0, 1], 2))

    process = FORK.Process(target=parent)
    process.start()
    os.close(writing)
    barrier.wait(30)
    process.kill()
    process.join()
    at_end, _, _ = select.select([reading], [], [], 30)
    os.close(reading)
    assert at_end


def test_cores_are_those_that_the_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    code += "from monai_ich.utils.worker_pool import available_cores; print(available_cores())"
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert alone.stdout == "1\n"
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))
