"""The page on ingredients shows the committed results, and its one sentence is what they say."""

import ingredients


def test_the_tables_are_those_of_the_committed_results() -> None:
    assert ingredients.page() == ingredients.PAGE.read_text(encoding="utf-8"), "run: python docs/ingredients.py"


def test_the_one_sentence_is_what_the_laboratory_study_shows() -> None:
    """Reporting gives back what is free; disk and card nothing; the driver alone nothing; a page cache stays."""
    servers = ingredients.results("lab-qemu")["servers"]
    for name, server in servers.items():
        parts = {
            tuple(part["names"]): part["change"]
            for part in server["comparisons"]["total"]["decomposition"]["mem_host"]["parts"]
        }
        assert set(parts) == {("balloon driver",), ("free page reporting",), ("disk", "card")}
        given_back = -parts["free page reporting",]["high"] / ingredients.MIB
        assert given_back > (0 if name == "archivos" else 100)
        for other in (("balloon driver",), ("disk", "card")):
            assert abs(parts[other]["estimate"]) / ingredients.MIB < 10
    cache = servers["archivos"]["comparisons"]["total"]["decomposition"]["mem_host"]["parts"][1]["change"]
    assert abs(cache["estimate"]) < 0.2 * abs(
        servers["versat"]["comparisons"]["total"]["decomposition"]["mem_host"]["parts"][1]["change"]["estimate"]
    )
