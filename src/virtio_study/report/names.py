"""Names of the pages' files."""

from virtio_study.i18n.language import LANGUAGES

__all__ = ["overview_name"]


def overview_name(language: str) -> str:
    """The file of all studies in a language: the first one is what a browser opens by itself."""
    return "index.html" if language == next(iter(LANGUAGES)) else f"index.{language}.html"
