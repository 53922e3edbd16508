"""Text that came from a host or a file, made harmless: it shows itself and changes nothing around it.

Escaping of markup is the work of whoever writes the markup (Jinja's autoescape, matplotlib's SVG writer); here go the
characters that escaping leaves: controls, which XML forbids and terminals obey, and marks that turn the direction of
whatever follows. The marks are taken out rather than isolated by an element, because titles, attributes, figures and
file names have no room for an element; letters of right-to-left scripts stay as they are.
"""

import re

__all__ = ["harmless", "shortened"]

# Explicit directional formatting characters of the Unicode Bidirectional Algorithm (UAX #9, section 2).
DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What XML 1.0 has no character for (section 2.2, Char), the controls that it discourages, and line separators.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]+")


def harmless(text: str) -> str:
    """One line of text without controls (a space each) and without marks of direction.

    References
    ----------
    Unicode Standard Annex #9, Unicode Bidirectional Algorithm; N. Boucher and R. Anderson, Trojan Source: Invisible
    Vulnerabilities, 2021.
    """
    return CONTROLS.sub(" ", DIRECTIONS.sub("", text))


def shortened(text: str, longest: int) -> str:
    """Harmless text of at most `longest` characters, with an ellipsis where some are gone; for what has little room."""
    line = " ".join(harmless(text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
