"""JSON with one thing in it changed, as no host would have said it."""

import copy
import random
from typing import Any

__all__ = ["spoil"]

GONE = object()
VALUES: list[Any] = [
    GONE,
    None,
    True,
    "",
    "x",
    "NaN",
    "1.5 GiB",
    "12%",
    -1,
    0,
    1e300,
    10**400,
    -(2**70),
    [],
    {},
    [None],
]
VALUES += [{"x": []}, "1e5", 1.5, float("nan"), float("inf"), "9" * 400, "9" * 5000, "\ud800", "a\nb"]


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a JSON value, itself first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(found for key, one in inner for found in places(one, (*way, key)))]


def spoil(data: Any, choice: random.Random) -> Any:
    """The data with one thing in it changed."""
    if isinstance(data, list) and choice.random() < 0.1:
        return choice.sample(data, len(data))  # another order
    way, value = choice.choice(places(data)), choice.choice(VALUES)
    if not way:
        return None if value is GONE else value
    data = copy.deepcopy(data)
    holder = data
    for key in way[:-1]:
        holder = holder[key]
    if value is GONE:
        del holder[way[-1]]
    else:
        holder[way[-1]] = copy.deepcopy(value)
    return data
