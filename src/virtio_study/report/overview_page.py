"""The page of all studies: what they say together, and each with its answers and a link to its report."""

from collections.abc import Mapping

from virtio_study.analysis.results import Results
from virtio_study.i18n.language import LANGUAGES
from virtio_study.report.answers import PUBLISHED, Answered, answers
from virtio_study.report.page import audited, dress, template_environment, words_of

__all__ = ["render_overview"]


def render_overview(
    studies: Mapping[str, Results | None], language: str, names: Mapping[str, str], made_of: str
) -> str:
    """The page as one text, self-contained like a study's.

    Parameters
    ----------
    studies : mapping
        Folder of a study's report -> its results; None where they cannot be read.
    names : mapping
        Language -> name of the page's file.
    made_of : str
        SHA-256 of what the page is made of.

    Raises
    ------
    StudyError
        If the report does not speak the language.
    """
    words = words_of(language)
    readable = {name: results for name, results in studies.items() if results is not None}
    examined = next((results for results in readable.values() if results.published), None)
    page: str = (
        template_environment(words)
        .get_template("overview.html.j2")
        .render(
            together=answers(*readable.values()) if len(readable) > 1 else [],
            studies={name: (results, _own(results, len(readable))) for name, results in readable.items()},
            published=examined.published if examined else None,
            audited=audited(examined, words) if examined else None,
            unreadable=[name for name in studies if name not in readable],
            language=language,
            languages=LANGUAGES,
            names=names,
            made_of=made_of,
            **dress(),
        )
    )
    return page


def _own(results: Results, studies: int) -> list[Answered]:
    """A study's answers; beside others without that on the paper, which is told for all of them."""
    return [answer for answer in answers(results) if studies == 1 or answer.question != PUBLISHED]
