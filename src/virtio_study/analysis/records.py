"""What every part of the results is made of: numbers and texts that passed one gate, estimates, and statements."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from virtio_study.i18n.sentences import Numbers, Said, render, said, sayable
from virtio_study.stats.interval import Interval
from virtio_study.stats.rounding import significant
from virtio_study.study import Line

__all__ = ["Bilingual", "Estimate", "Line", "Moment", "Number", "Phrase", "Recorded", "Statement"]

Number = Annotated[float, AfterValidator(significant)]
"""A number of the results: rounded to the declared digits when it enters, so that whatever follows reads the same."""

Moment = Annotated[float, AfterValidator(lambda time_s: round(time_s, 3))]
"""Unix seconds to the millisecond; a time has more digits than a measurement."""


class Recorded(BaseModel):
    """A part of the results: immutable, with no key beyond its own; made of stats' results by their attributes."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True, validate_default=True)


class Bilingual(Recorded):
    """A text of the study in both languages."""

    en: Line
    es: Line


class Estimate(Recorded):
    """An estimate with its interval and unit; see `stats.interval.Interval`."""

    estimate: Number
    low: Number
    high: Number
    confidence: Number
    n: int
    df: Number | None
    method: str
    n_before: int | None = None
    n_after: int | None = None
    unit: str = ""

    @classmethod
    def of(cls, interval: Interval, unit: str) -> Self:
        """The interval of a statistic, in a unit of the results."""
        return cls(
            estimate=interval.estimate,
            low=interval.low,
            high=interval.high,
            confidence=interval.confidence,
            n=interval.n,
            df=interval.df,
            method=interval.method,
            n_before=interval.n_before,
            n_after=interval.n_after,
            unit=unit,
        )

    @classmethod
    def of_any(cls, interval: Interval | None, unit: str) -> Self | None:
        """As `of`; None where there is no interval."""
        return None if interval is None else cls.of(interval, unit)

    @property
    def interval(self) -> Interval:
        """The interval, for the statistics that take one."""
        return Interval(
            self.estimate,
            self.low,
            self.high,
            self.confidence,
            self.n,
            self.df,
            self.method,
            self.n_before,
            self.n_after,
        )

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of zero."""
        return self.low > 0 or self.high < 0


class Phrase(Recorded):
    """A message inside a statement's field: its template and what fills it; see `i18n.sentences.Said`."""

    message: str
    numbers: "dict[str, Value]"

    @classmethod
    def of(cls, message: Any) -> Self:
        """A message, or what an error of this package says."""
        return cls.model_validate(sayable(message))

    @property
    def said(self) -> Said:
        """The message as plain values, for rendering."""
        return said(self.message, **self.model_dump(include={"numbers"})["numbers"])


Value = bool | int | Number | Line | Phrase | tuple[bool | int | Number | Line | Phrase | None, ...] | None
"""What fills a field of a statement."""


class Statement(Recorded):
    """Sentences as templates and the numbers that fill them, so that a report says them in its language.

    `sentence` is the English text, for whoever reads the results themselves.
    """

    messages: tuple[str, ...]
    numbers: dict[str, Value]
    sentence: str

    @staticmethod
    def said(messages: str | Sequence[str], numbers: Numbers) -> dict[str, Any]:
        """Fields of a statement; its sentence is made of the numbers as they are in the results."""
        texts = (messages,) if isinstance(messages, str) else tuple(messages)
        filled = _Filled.model_validate({"numbers": numbers}).model_dump()["numbers"]
        return {"messages": texts, "numbers": filled, "sentence": " ".join(render(text, filled) for text in texts)}

    @property
    def fields(self) -> Numbers:
        """`numbers` as plain values, for rendering."""
        plain: Numbers = self.model_dump(include={"numbers"})["numbers"]
        return plain

    @property
    def phrase(self) -> Said:
        """The first message with its fields, for a field of another message."""
        return said(self.messages[0], **self.fields)


class _Filled(BaseModel):
    numbers: dict[str, Value]
