"""The page of `explain`: every server's three memory figures, in all languages in one file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from markupsafe import Markup

from virtio_study.analysis.unchanged import NAMED_ASSUMPTIONS, Outlook
from virtio_study.i18n.language import LANGUAGES, Words
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.explanation import SHARES, Explanation, notes_on
from virtio_study.report.page import dress, template_environment, words_of

__all__ = ["render_explanations"]


def render_explanations(
    found: Sequence[Explanation],
    place: str,
    language: str,
    now: datetime | None = None,
    ahead: Sequence[Outlook] = (),
    *,
    simulated: bool = False,
) -> str:
    """The page as one text, self-contained: a reader chooses the language in it, and the one given is shown first.

    Parameters
    ----------
    place : str
        The host that was asked, or where the answers were.
    now : datetime, optional
        When it was; default: now.
    ahead : sequence of Outlook
        Forecasts, if there are any.
    simulated : bool
        Whether nothing of it was measured.

    Raises
    ------
    StudyError
        If there is no such language.
    """
    notes = notes_on(found)
    number = {vmid: at for at, note in enumerate(notes, 1) for vmid in note.vmids}
    bodies = {
        name: Markup(
            template_environment(words_of(name))
            .get_template("explanation.j2")
            .render(
                found=found,
                notes=notes,
                number=number,
                place=place,
                simulated=simulated,
                shares=said(SHARES),
                ahead=ahead,
                assumptions=NAMED_ASSUMPTIONS,
                now_s=(now or datetime.now(UTC)).timestamp(),
                language=name,
                languages=LANGUAGES,
                list_mark=", ",
                say=partial(_say, words_of(name)),
                percent=partial(_percent, words_of(name)),
                **dress("sorting.js", "tables.js"),
            )
        )
        for name in LANGUAGES
    }
    page: str = (
        template_environment(words_of(language))
        .get_template("explanation.html.j2")
        .render(bodies=bodies, place=place, language=language, **dress("sorting.js", "tables.js"))
    )
    return page


def _say(words: Words, message: Said) -> Markup:
    return words.sentence("{why}", {"why": message})


def _percent(words: Words, share: float | None) -> Markup:
    """A share with one digit, for 100.6 % is another figure than 101 %."""
    if share is None:
        return Markup("–")
    number = words.decimal(100 * share, "#,##0.0")
    return Markup('<data value="{}">{}</data>\N{NO-BREAK SPACE}%').format(repr(share), number)
