"""Quantities (`500m`, `128Mi`) and numbers-or-percentages, read as Kubernetes reads them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_SUFFIX = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")


def parse_quantity(value: str | int | float) -> Decimal:
    """The number that a resource.Quantity stands for: `500m` → 0.5, `1Ki` → 1024. ValueError."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(
            f"{value!r} is no quantity: write a number with an optional suffix, such as 500m, 2, 128Mi or 1G"
        )
    number, exponent, suffix = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIX[suffix or ""]


def whole_units(value: str | int | float) -> int:
    """A quantity rounded up to a whole number, as Quantity.Value() does: bytes, mostly. ValueError."""
    return math.ceil(parse_quantity(value))


def milli_units(value: str | int | float) -> int:
    """A quantity in thousandths, rounded up, as Quantity.MilliValue() does: CPU, mostly. ValueError."""
    return math.ceil(parse_quantity(value) * 1000)


def spell_milli(thousandths: int) -> str:
    """A quantity of so many thousandths, as Kubernetes spells it (DecimalSI): `500m`, `12`, `1500`, `2k`."""
    places = 0
    while thousandths and thousandths % 1000 == 0 and places < len(_DECIMAL) - 1:
        thousandths, places = thousandths // 1000, places + 1
    return f"{thousandths}{_DECIMAL[places]}" if thousandths else "0"


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """A count, or a percentage of `total`, as maxSurge and maxUnavailable are written. ValueError."""
    if isinstance(value, int):
        return value
    if re.fullmatch(r"\d+%", value) is None:
        raise ValueError(f"{value!r} is neither a number nor a percentage such as 25%")
    share = int(value[:-1]) * total
    return -(-share // 100) if round_up else share // 100
