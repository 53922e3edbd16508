"""Marks for messages that are written in one place and said in another, so that `pybabel extract` finds them."""

__all__ = ["N_", "plural"]


def N_(message: str, /) -> str:  # noqa: N802 (gettext's own name for it)
    """The message itself; marked for the catalogues, and translated where a reader is known."""
    return message


def plural(count: int, one: str, many: str, /) -> str:
    """The English form for a count, marked as one message with a plural for the catalogues.

    The field `count` of both forms is the count, by which `Words` chooses the form of a reader's language.
    """
    return one if count == 1 else many
