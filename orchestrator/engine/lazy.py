"""A list whose members are made as they are read.

Of a hundred thousand exports a run has neither the memory nor the time to make all entries of its manifest or its report at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

Source = TypeVar("Source")
Member = TypeVar("Member")


class Lazy(Sequence[Member]):
    """What `make` gives of each of `sources`, which must stay as they are. Nothing is kept: what is read twice is made twice."""

    def __init__(self, sources: Sequence[Source], make: Callable[[Source], Member]) -> None:
        self._sources: Sequence[Any] = sources
        self._make: Callable[[Any], Member] = make

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> Member: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Member]: ...
    def __getitem__(self, index: int | slice) -> Member | Sequence[Member]:
        return Lazy(self._sources[index], self._make) if isinstance(index, slice) else self._make(self._sources[index])
