"""The page of the architecture says what is so: its figure is drawn from the imports, every place it names exists."""

import re

import architecture
from paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_figure_is_that_of_todays_imports() -> None:
    committed = (ROOT / "docs" / "architecture.svg").read_text()
    assert committed == architecture.figure(), "run: python docs/architecture.py"


def test_every_import_is_drawn_and_every_arrow_is_an_import() -> None:
    drawn = re.findall(r"<title>(\w+) imports from (\w+)</title>", (ROOT / "docs" / "architecture.svg").read_text())
    assert len(drawn) == len(set(drawn)) > 50
    assert set(drawn) == {(room, other) for room, others in architecture.neighbours().items() for other in others}


def test_every_room_on_the_way_of_the_data_exists_and_says_what_it_is_for() -> None:
    rooms = architecture.neighbours()
    assert {room for _, _, of in architecture.WAY for room in of} <= rooms.keys()
    assert all(architecture.purpose(room) for room in rooms)


def test_every_place_that_the_page_names_exists() -> None:
    named = re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9.]*)+|[a-z_]+\.py)`", PAGE)
    assert len(named) > 40
    package = ROOT / "src" / "virtio_study"
    assert [name for name in named if not ((package / name).exists() or (ROOT / name).exists())] == []


def test_every_room_is_named_where_one_looks_for_it() -> None:
    assert [room for room in architecture.neighbours() if f"`{room}/" not in PAGE and f"`{room}.py`" not in PAGE] == []
