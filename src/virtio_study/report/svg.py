"""Figures as SVG for a page with a strict policy: real text, names of their own, no style attributes."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape
from zlib import crc32

from virtio_study.i18n.labels import harmless

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["on_white", "raw_svg", "says", "show", "style", "svg"]

_SAYS = "says: "

GRID = "#e4e4e4"
POINTS_PER_INCH = 72
"""What an SVG file is written in."""

TEXT_PX, DRAWN_PT = 14, 9.5
"""Size of a notebook's text, and of the text in a figure as it is drawn."""


@contextmanager
def style() -> Iterator[None]:
    """Settings under which every figure is drawn and written: text stays text, the same data gives the same bytes."""
    import matplotlib as mpl

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "virtio-study",
        "font.family": "sans-serif",
        "font.size": DRAWN_PT,
        "lines.solid_capstyle": "butt",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": GRID,
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


def svg(figure: "Figure | str", name: str, title: str, description: str) -> str:
    """A figure as an SVG element for a page: names unique to it, real text, a title and a description for readers.

    Parameters
    ----------
    figure : Figure or str
        A figure, or what `raw_svg` made of it.
    name : str
        Prefix for every name inside, unique on the page.
    """
    text = figure if isinstance(figure, str) else raw_svg(figure)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*", "", text, flags=re.DOTALL)
    text = text.replace(f'<g id="{_SAYS}', '<g data-says="')
    text = _without_structure(text)
    own = f"f{crc32(name.encode()):08x}"
    numbered = _numbered(text)
    text = re.sub("<[^>]*>", lambda tag: _plain(tag[0], own, numbered), text)  # a label may look like an attribute
    text = _said_once(text)
    text = re.sub(r'<g data-says="([^"]*)">', r'<g data-says=""><title>\1</title>', text)  # read on hover too
    text = _SIDE.sub("", text, count=2)
    title, description = escape(harmless(title)), escape(harmless(description))
    labels = f'<title id="{own}-title">{title}</title><desc id="{own}-desc">{description}</desc>'
    head, _, body = text.partition(">")
    head += f' font-family="system-ui, sans-serif" font-size="{DRAWN_PT}px" stroke-linejoin="round"'
    return f'{head} role="img" aria-labelledby="{own}-title {own}-desc">{labels}{body}'


def raw_svg(figure: "Figure") -> str:
    """A figure as matplotlib writes it to SVG, its layout found by measuring alone.

    `savefig` would find it by drawing everything once more, into nothing, a quarter of what a figure costs.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    sink = io.StringIO()
    canvas, dpi, layout = figure.canvas, figure.get_dpi(), figure.get_layout_engine()
    with style():
        try:
            drawing = FigureCanvasSVG(figure)
            figure.set_dpi(POINTS_PER_INCH)
            if layout is not None:
                layout.execute(figure)
            figure.set_layout_engine("none")
            drawing.print_svg(sink, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
        finally:
            figure.set_layout_engine(layout or "none")
            figure.set_dpi(dpi)
            figure.set_canvas(canvas)
    return sink.getvalue()


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


def _said_once(text: str) -> str:
    """The same picture where a mark that is used does not repeat what its definition says of its line."""
    lines = {tag[1]: re.findall(r' stroke[a-z-]*="[^"]*"', tag[0]) for tag in _DEFINED.finditer(text)}

    def without(use: re.Match[str]) -> str:
        shorter = use[0]
        for attribute in lines.get(use[1], ()):
            shorter = shorter.replace(attribute, "", 1)
        return shorter

    return _USED.sub(without, text)


_SIDE = re.compile(r' (?:width|height)="([0-9.]+)pt"')
_DEFINED = re.compile('<path id="([^"]*)"[^>]*>')
_USED = re.compile('<use xlink:href="#([^"]*)"[^>]*>')
_TAG = re.compile("<[^>]*>")
_TURNED_BY_NOTHING = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_PLACES = re.compile(r' (?:d|points|transform|x|y|x1|y1|x2|y2|width|height)="[^"]*"')
_NEEDLESS = re.compile(r" ?([MLQCz]) ?| (?=[-\"])")
MANY_POINTS = 100
_STRAIGHT = re.compile('<path d="M[^LQC"]*L[^LQC"]*"')
_IDLE = re.compile(' (?:fill="none"|stroke-linejoin="[a-z]*"|stroke-dashoffset="0")')
"""What changes nothing about a line of two points."""
_IDLE_ON_GRID = re.compile(_IDLE.pattern + r'| clip-path="[^"]*"')
_FINE = re.compile(r"-?\d+\.\d{3,}")


def _coarse(number: re.Match[str]) -> str:
    """A coordinate to a hundredth of a point, far finer than anyone sees and far coarser than any rounding error."""
    return f"{round(float(number[0]), 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _shortened(path: str) -> str:
    """A path without spaces that nothing needs; a line of many points is written to a tenth of a point."""
    many = path.count("L") > MANY_POINTS
    return _NEEDLESS.sub(r"\1", re.sub(r"(\.\d)\d\b", r"\1", path) if many else path)


def _plain(tag: str, name: str, numbered: dict[str, str]) -> str:
    """A tag with names of its own, and without style attributes, which a strict page would not apply."""
    tag = re.sub(_PLACES, lambda places: _FINE.sub(_coarse, places[0]), tag)
    tag = re.sub(r' d="[^"]*"', lambda path: _shortened(path[0]), tag)
    tag = re.sub(r'\bid="([^"]+)"', lambda own: f'id="{name}-{numbered.get(own[1], own[1])}"', tag)
    tag = re.sub(r'((?:url\(|xlink:href=")#)([^")]+)', lambda to: f"{to[1]}{name}-{numbered.get(to[2], to[2])}", tag)
    tag = re.sub(r' style="([^"]*)"', lambda style: _attributes(style[1]), tag)
    return re.sub(_IDLE_ON_GRID if f'stroke="{GRID}"' in tag else _IDLE, "", tag) if _STRAIGHT.match(tag) else tag


def _attributes(style: str) -> str:
    pairs = (item.split(":", 1) for item in style.split(";") if ":" in item)
    kept = [(key.strip(), value.strip()) for key, value in pairs if key.strip() != "font-family"]
    kept = [pair for pair in kept if pair != ("font-size", f"{DRAWN_PT}px")]  # the whole picture has them
    return "".join(f' {key}="{value}"' for key, value in kept)


def show(figure: "Figure | str", description: str) -> Any:
    """A figure, or what `raw_svg` made of it, for a notebook's output: SVG at the size of the text around it.

    The description is its alternative text.
    A front end that shows no pictures, or not those of others, shows the description.
    """
    from IPython.display import SVG

    class Picture(SVG):
        def __repr__(self) -> str:
            return description

    drawn = figure if isinstance(figure, str) else raw_svg(figure)
    head, _, body = svg(drawn, "figure", description, description).partition(" ")
    width, height = (round(float(points) * TEXT_PX / DRAWN_PT) for points in _SIDE.findall(drawn)[:2])
    return Picture(data=f'{head} width="{width}" height="{height}" {body}')  # type: ignore[no-untyped-call]


def on_white(drawn: str) -> bytes:
    """A figure as a file of its own: where it is shown alone, its dark text is read on a dark ground too."""
    return str(drawn).replace("<svg ", '<svg style="background:#fff" ', 1).encode()
