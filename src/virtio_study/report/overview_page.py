"""The page of all studies: what they say together, and each with its answers and a link to its report."""

from collections.abc import Mapping

from virtio_study.analysis.results import Results
from virtio_study.i18n.language import LANGUAGES
from virtio_study.report.answers import answers
from virtio_study.report.page import dress, template_environment, words_of

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
    page: str = (
        template_environment(words)
        .get_template("overview.html.j2")
        .render(
            together=answers(*readable.values()) if len(readable) > 1 else [],
            studies={name: (results, answers(results)) for name, results in readable.items()},
            unreadable=[name for name in studies if name not in readable],
            language=language,
            languages=LANGUAGES,
            names=names,
            made_of=made_of,
            **dress(),
        )
    )
    return page
