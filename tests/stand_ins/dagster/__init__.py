"""Stands in for Dagster: as much of it as examples/dagster_assets.py uses, in types and in deeds."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class AssetExecutionContext:
    def __init__(self, partition_key: str) -> None:
        self.partition_key = partition_key
        self.log = logging.getLogger("dagster")


class MonthlyPartitionsDefinition:
    def __init__(self, *, start_date: str, fmt: str) -> None: ...


class MaterializeResult(Generic[R]):
    def __init__(self, *, metadata: Mapping[str, int]) -> None:
        self.metadata = metadata


class RetryRequested(Exception):
    def __init__(self, *, max_retries: int, seconds_to_wait: int) -> None:
        super().__init__(seconds_to_wait)


class Failure(Exception):
    def __init__(self, description: str, *, allow_retries: bool) -> None:
        super().__init__(description)


class Definitions:
    def __init__(self, *, assets: Sequence[Callable[..., Any]]) -> None:
        self.assets = assets


def asset(
    *, partitions_def: MonthlyPartitionsDefinition, group_name: str
) -> Callable[[Callable[[AssetExecutionContext], R]], Callable[[AssetExecutionContext], R]]:
    return lambda function: function
