"""What the first row of a query says, as a number. Pure.

No row, NULL, NaN and words are no numbers: upstream's scalers fail on them, and so do ours; none of them is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from core.errors import TemporaryError


def number_of(row: Sequence[Any] | None) -> float:
    """Of its first column. TemporaryError: it is none."""
    if not row:
        raise TemporaryError("the query returned no row; one row with a number is wanted, such as SELECT COUNT(*) …")
    value = row[0]
    if value is None:
        raise TemporaryError("the query returned NULL, which is no number: say what it means, as COALESCE(…, 0) does")
    try:
        number = math.nan if isinstance(value, bool) else float(_readable(value))
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise TemporaryError(f"the query returned a {type(value).__name__} that is no number")
    return number


def _readable(value: Any) -> int | float | Decimal | str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("ascii")
    if isinstance(value, int | float | Decimal | str):
        return value
    raise TypeError
