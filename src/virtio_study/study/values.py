"""Kinds of value that a protocol is made of: names, lines of text, numbers and sizes."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict

from virtio_study.i18n.labels import harmless
from virtio_study.i18n.marks import N_
from virtio_study.study.faults import FaultError, digits, with_unit

__all__ = ["Address", "Fingerprint", "KernelVersion", "Line", "Name", "Real", "Size", "Strict", "Whole"]


def _shaped(pattern: str, expected: str) -> AfterValidator:
    """A check of a text's form, whose error says what is expected in words."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise FaultError(expected)
        return text

    return AfterValidator(check)


Line = Annotated[str, BeforeValidator(lambda value: harmless(value) if isinstance(value, str) else value)]
"""One line of free text, from a person or a host: without controls and marks of direction."""

Whole = Annotated[int, BeforeValidator(digits)]
Real = Annotated[float, BeforeValidator(digits)]
Size = Annotated[ByteSize, BeforeValidator(with_unit)]
Name = Annotated[
    str,
    _shaped(
        r"[a-z0-9][a-z0-9_-]{0,62}",
        N_("a name here has small letters a to z, digits, - and _ alone, 63 at most, such as mail-1"),
    ),
]
Address = Annotated[
    str,
    _shaped(
        r"[A-Za-z0-9\[][A-Za-z0-9._:\[\]-]*",
        N_("expected the name or address of a host, such as pve1.example.org, 192.0.2.10 or https://pve1:8006"),
    ),
]
Fingerprint = Annotated[
    str,
    _shaped(
        r"([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}",
        N_(
            "expected the SHA-256 fingerprint of its certificate: 32 pairs of hexadecimal digits with colons between, "
            "as System, Certificates of the node shows it"
        ),
    ),
]
KernelVersion = Annotated[str, _shaped(r"\d+\.\d+.*", N_("expected the version of a kernel, such as 6.8"))]


class Strict(BaseModel):
    """A part of a protocol: unknown keys are refused, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
