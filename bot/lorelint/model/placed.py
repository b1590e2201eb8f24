"""Values that hold something which has no say in whether two are equal: the line they stand in, mostly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def placed(cls: type[T]) -> type[T]:
    """A dataclass with slots, whose fields may be `dataclasses.field(compare=False)`: structs know no such thing.

    Frozen for type checkers alone: frozen by the standard library, a class takes twice the time to make and a value
    three times, and expressions are the values of which there are most.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
