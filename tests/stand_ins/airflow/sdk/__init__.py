from collections.abc import Callable
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ran: list[object] = []
"""What the tasks gave."""


def task(
    *, retries: int, retry_delay: timedelta, execution_timeout: timedelta
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            found = function(*args, **kwargs)
            ran.append(found)
            return found

        return run

    return decorate


def dag(
    *, schedule: str, start_date: datetime, catchup: bool, max_active_runs: int
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return lambda function: function
