"""The figure of the architecture, drawn from the imports: `python docs/architecture.py` writes docs/architecture.svg.

A room is a folder of src/virtio_study, or a module at its root. Imports count wherever they stand: also inside
functions and for types alone.
"""

import ast
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "virtio_study"
NAME = PACKAGE.name

WAY = (
    ("study", "study.yaml: what is asked", ("study",)),
    ("recording", "rows with provenance", ("sources", "lab")),
    ("periods", "which rows count", ("cleaning",)),
    ("effects + validity", "how much, and is it so?", ("analysis", "stats")),
    ("results", "results.json, typed", ("analysis",)),
    ("report", "page, figures, tables", ("report",)),
)
"""The way of the data: what it is at each stop, and the rooms that make it."""

ORDER = (
    *("cli", "public", "archive", "compendium", "testing", "workflow", "report", "fleet", "analysis"),
    *(
        "cleaning",
        "design",
        "stats",
        "sources",
        "lab",
        "pve",
        "recording",
        "study",
        "storage",
        "limits",
        "plug_ins",
        "environment",
        "errors",
        "i18n",
    ),
)
"""The rooms, each above those that it imports from; on the way of the data, from its end to its beginning."""

ROW, CELL, LEFT, TOP, WIDTH = 26, 26, 470, 290, 960
INK, FAINT, WALK, PAPER = "#1b1b1b", "#c8ccd2", "#0b5cad", "#ffffff"


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def room_of(module: str) -> str:
    """The room of a module; `public` is also what `import virtio_study` loads."""
    name = module.removeprefix(NAME).strip(".").split(".")[0]
    return {"": "public", "__main__": "cli"}.get(name, name)


def imported(module: str, known: dict[str, Path]) -> set[str]:
    """Modules of the package that a module imports, but for the package's version, which is everybody's."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(known[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = {f"{node.module}.{alias.name}" for alias in node.names if alias.name != "__version__"}
            found |= {name if name in known else node.module for name in names}
    return found


def neighbours() -> dict[str, set[str]]:
    """Rooms that each room imports from."""
    known = modules()
    found: dict[str, set[str]] = {room_of(module): set() for module in known}
    for module in known:
        found[room_of(module)] |= {room_of(other) for other in imported(module, known)} - {room_of(module)}
    return found


def purpose(room: str) -> str:
    """What a room is for: the first sentence of its documentation."""
    path = PACKAGE / room / "__init__.py" if (PACKAGE / room).is_dir() else PACKAGE / f"{room}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0].rstrip(".")


def text(x: float, y: float, words: str, **style: str) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(words)}</text>'


def draw_way() -> list[str]:
    width, gap = 142, 14
    drawn = [text(20, 34, "The way of the data", font_size="17", font_weight="bold")]
    for number, (stop, what, rooms) in enumerate(WAY):
        x = 20 + number * (width + gap)
        drawn.append(f'<rect x="{x}" y="52" width="{width}" height="84" rx="6" fill="none" stroke="{WALK}"/>')
        drawn.append(text(x + width / 2, 76, stop, text_anchor="middle", font_weight="bold", fill=WALK))
        drawn.append(text(x + width / 2, 98, what, text_anchor="middle", font_size="11"))
        drawn.append(text(x + width / 2, 122, " + ".join(rooms), text_anchor="middle", font_family="monospace"))
        if number:
            drawn.append(f'<path d="M{x - gap} 94h{gap - 2}m-5 -4l5 4l-5 4" fill="none" stroke="{WALK}"/>')
    told = (
        "workflow walks it: a step reads what the step before it left, calls one function of a room, and writes.",
        "archive packs it and walks it again; public and cli are the doors. Nothing on the way knows who called it.",
    )
    return drawn + [text(20, 162 + 18 * number, line, font_size="12") for number, line in enumerate(told)]


def draw_rooms(rooms: dict[str, set[str]]) -> list[str]:
    place = {room: number for number, room in enumerate(ORDER)}
    right = LEFT + CELL * len(ORDER)
    drawn = [
        text(20, 222, "Who imports from whom", font_size="17", font_weight="bold"),
        text(20, 242, "A dot: the room of the row imports from the", font_size="12"),
        text(20, 258, "room of the column. All are right of the", font_size="12"),
        text(20, 274, "diagonal: whoever is used knows no user.", font_size="12"),
    ]
    for room, number in place.items():
        y, x = TOP + ROW * number, LEFT + CELL * number
        drawn.append(f'<path d="M{x} {y}H{right}M{x + CELL} {TOP}V{y + ROW}" stroke="{FAINT}" stroke-width="0.5"/>')
        drawn.append(text(20, y + 17, room, font_family="monospace", font_weight="bold"))
        drawn.append(text(102, y + 17, purpose(room), font_size="10.5"))
        drawn.append(f'<rect x="{x + 4}" y="{y + 4}" width="{CELL - 8}" height="{ROW - 8}" rx="3" fill="{FAINT}"/>')
        turned = f"rotate(-60 {x + CELL / 2 + 4:g} {TOP - 6})"
        drawn.append(text(x + CELL / 2 + 4, TOP - 6, room, font_family="monospace", transform=turned))
        drawn += [
            f'<circle cx="{LEFT + CELL * place[other] + CELL / 2:g}" cy="{y + ROW / 2:g}" r="5" fill="{WALK}">'
            f"<title>{room} imports from {other}</title></circle>"
            for other in sorted(rooms[room], key=place.__getitem__)
        ]
    return drawn


def figure() -> str:
    """The figure of today's imports, as SVG."""
    height = TOP + ROW * len(ORDER) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13" fill="{INK}" role="img" aria-label="Architecture of virtio-study">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        *draw_way(),
        *draw_rooms(neighbours()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "architecture.svg").write_text(figure(), encoding="utf-8")
