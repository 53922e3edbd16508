"""Kinds of value that a protocol is made of: names, lines of text, numbers and sizes."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field

from virtio_study.i18n.labels import harmless
from virtio_study.study.faults import digits, with_unit

__all__ = ["Line", "Name", "Real", "Size", "Strict", "Whole"]

Line = Annotated[str, BeforeValidator(lambda value: harmless(value) if isinstance(value, str) else value)]
"""One line of free text, from a person or a host: without controls and marks of direction."""

Whole = Annotated[int, BeforeValidator(digits)]
Real = Annotated[float, BeforeValidator(digits)]
Size = Annotated[ByteSize, BeforeValidator(with_unit)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Strict(BaseModel):
    """A part of a protocol: unknown keys are refused, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
