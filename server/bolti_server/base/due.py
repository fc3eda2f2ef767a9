"""The claimer loop: rows whose time has come are taken in batches, as long as there are any.

Rule: a batch claims its rows itself (SKIP LOCKED, one transaction), so any number of processes run the same job side by
side. A job that fails is logged once per failure with its name and tried again, later each time; it never ends the loop.
Cancelling stops in order: the batch that runs may finish within FINISH_SECONDS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import attrs

from bolti_server.base.clock import Clock
from bolti_server.base.db import spawn
from bolti_server.base.logging import get_logger
from bolti_server.base.wakeups import Wakeups

FINISH_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 30.0

log = get_logger("due")


@attrs.frozen
class DueJob:
    """`run_batch` does what is due now, at most a batch of it, and returns how much that was (0: nothing is due).

    It is run when `topic` is woken and every `interval_seconds`.
    """

    name: str
    topic: str
    run_batch: Callable[[], Awaitable[int]]
    interval_seconds: float = 0.5


async def run_due_jobs(jobs: Sequence[DueJob], clock: Clock, wakeups: Wakeups) -> None:
    """Runs all `jobs` side by side until it is cancelled; then waits for the batches that run."""
    tasks = [spawn(_run_one(job, clock, wakeups), name=f"due {job.name}") for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run_one(job: DueJob, clock: Clock, wakeups: Wakeups) -> None:
    failures = 0
    with wakeups.listen(job.topic) as listener:
        while not wakeups.is_stopping:
            try:
                done = await _uncut(job)
                failures = 0
            except Exception as error:
                failures += 1
                done = 0
                log.error("job_failed", job=job.name, failures=failures, exc_info=error)
            if failures:
                await clock.sleep(_backoff_seconds(job, failures))
            elif done == 0:
                await listener.wait(job.interval_seconds)
            else:
                await asyncio.sleep(0)  # a full queue must not starve the requests


async def _uncut(job: DueJob) -> int:
    """One batch that a cancellation lets finish."""
    batch = spawn(_as_coroutine(job), name=f"batch {job.name}")
    try:
        return await asyncio.shield(batch)
    except asyncio.CancelledError:
        await asyncio.wait({batch}, timeout=FINISH_SECONDS)
        if not batch.done():
            batch.cancel()
            await asyncio.wait({batch}, timeout=1.0)
            log.error("job_cut_short", job=job.name)
        elif not batch.cancelled() and (error := batch.exception()) is not None:
            log.error("job_failed", job=job.name, failures=1, exc_info=error)
        raise


async def _as_coroutine(job: DueJob) -> int:
    return await job.run_batch()


def _backoff_seconds(job: DueJob, failures: int) -> float:
    doublings = min(failures - 1, 10)
    return min(LONGEST_BACKOFF_SECONDS, max(job.interval_seconds, 0.5) * 2.0**doublings)
