"""The limits of the values in events.

A line that exceeds them is not ours, and within them no reader's arithmetic overflows.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Epoch = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Item = TypeVar("_Item")
Classes = Annotated[tuple[_Item, ...], msgspec.Meta(max_length=100)]
