"""Figures as SVG for a page with a strict policy: real text, names of their own, no style attributes."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from virtio_study.i18n.labels import harmless

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["on_white", "says", "show", "style", "svg"]

_SAYS = "says: "


@contextmanager
def style() -> Iterator[None]:
    """Settings under which every figure is drawn and written: text stays text, the same data gives the same bytes."""
    import matplotlib as mpl

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "virtio-study",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "axes.axisbelow": True,
        "legend.frameon": False,
        "figure.dpi": 100,
        "text.parse_math": False,  # a label with dollar signs is a label, not a formula
    }
    # A matplotlibrc of the user would change them, even the hours of an axis.
    usual = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    with mpl.rc_context(usual | settings), warnings.catch_warnings():
        # The page's own font has what matplotlib's lacks: in these SVG files text is text.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        yield


def svg(figure: "Figure", name: str, title: str, description: str) -> str:
    """A figure as an SVG element for a page: names unique to it, real text, a title and a description for readers.

    Parameters
    ----------
    name : str
        Prefix for every name inside, unique on the page.
    """
    sink = io.StringIO()
    with style():
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    text = sink.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*", "", text, flags=re.DOTALL)
    text = text.replace(f'<g id="{_SAYS}', '<g data-says="')
    text = _without_structure(text)
    numbered = _numbered(text)
    text = re.sub("<[^>]*>", lambda tag: _plain(tag[0], name, numbered), text)  # a label may look like an attribute
    text = re.sub(r'<g data-says="([^"]*)">', r"\g<0><title>\1</title>", text)  # read on hover, without scripts too
    text = re.sub(r' (?:width|height)="[0-9.]+pt"', "", text, count=2)
    title, description = escape(harmless(title)), escape(harmless(description))
    labels = f'<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>'
    head, _, body = text.partition(">")
    head += ' font-family="system-ui, sans-serif" stroke-linejoin="round"'
    return f'{head} role="img" aria-labelledby="{name}-title {name}-desc">{labels}{body}'


def says(artist: "Artist", text: str) -> None:
    """Let what is drawn carry a sentence, which the page shows when it is touched."""
    artist.set_gid(_SAYS + " ".join(harmless(text).split()))


def _without_structure(text: str) -> str:
    """The same picture without matplotlib's nested groups, names that nothing refers to, and line breaks in paths."""
    used = set(re.findall(r'(?:url\(|xlink:href=")#([^")]+)', "".join(_TAG.findall(text))))
    kept: list[str] = []
    opened: list[bool] = []
    for part in re.split("(<[^>]*>)", text):
        tag = part if part.startswith("<") else ""
        name = re.search(r' id="([^"]*)"', tag)
        if name and name[1] not in used:
            tag = tag.replace(name[0], "", 1)
        tag = _TURNED_BY_NOTHING.sub("", tag)
        if tag == "<g>":
            opened.append(False)
        elif tag == "</g>":
            kept += [tag] * opened.pop()
        elif tag:
            opened += [True] * (tag.startswith("<g ") and not tag.endswith("/>"))
            kept.append(" ".join(tag.split()))
        elif part.strip():
            kept.append(part)
    return "".join(kept)


def _numbered(text: str) -> dict[str, str]:
    """Names of definitions, numbered in order: matplotlib makes them of a hash of coordinates to their last bit."""
    tags = "".join(re.findall("<[^>]*>", text))
    names = dict.fromkeys(re.findall(r'\bid="([a-zA-Z][0-9a-f]{10})"', tags))
    return {name: f"{name[0]}{number}" for number, name in enumerate(names, 1)}


_TAG = re.compile("<[^>]*>")
_TURNED_BY_NOTHING = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_PLACES = re.compile(r' (?:d|points|transform|x|y|x1|y1|x2|y2|width|height)="[^"]*"')
_FINE = re.compile(r"-?\d+\.\d{3,}")


def _coarse(number: re.Match[str]) -> str:
    """A coordinate to a hundredth of a point, far finer than anyone sees and far coarser than any rounding error."""
    return f"{round(float(number[0]), 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _plain(tag: str, name: str, numbered: dict[str, str]) -> str:
    """A tag with names of its own, and without style attributes, which a strict page would not apply."""
    tag = re.sub(_PLACES, lambda places: _FINE.sub(_coarse, places[0]), tag)
    tag = re.sub(r'\bid="([^"]+)"', lambda own: f'id="{name}-{numbered.get(own[1], own[1])}"', tag)
    tag = re.sub(r'((?:url\(|xlink:href=")#)([^")]+)', lambda to: f"{to[1]}{name}-{numbered.get(to[2], to[2])}", tag)
    return re.sub(r' style="([^"]*)"', lambda style: _attributes(style[1]), tag)


def _attributes(style: str) -> str:
    pairs = (item.split(":", 1) for item in style.split(";") if ":" in item)
    kept = [(key.strip(), value.strip()) for key, value in pairs if key.strip() != "font-family"]
    return "".join(f' {key}="{value}"' for key, value in kept)


TEXT_PX, DRAWN_PT = 14, 9.5
"""Size of a notebook's text, and of the text in a figure as it is drawn."""


def show(figure: "Figure", description: str) -> Any:
    """A figure for a notebook's output: SVG at the size of the text around it, the description its alternative text.

    A front end that shows no pictures, or not those of others, shows the description.
    """
    from IPython.display import SVG

    class Picture(SVG):
        def __repr__(self) -> str:
            return description

    head, _, body = svg(figure, "figure", description, description).partition(" ")
    width, height = (round(side * 72 * TEXT_PX / DRAWN_PT) for side in figure.get_size_inches())
    return Picture(data=f'{head} width="{width}" height="{height}" {body}')  # type: ignore[no-untyped-call]


def on_white(drawn: str) -> bytes:
    """A figure as a file of its own: where it is shown alone, its dark text is read on a dark ground too."""
    return str(drawn).replace("<svg ", '<svg style="background:#fff" ', 1).encode()
