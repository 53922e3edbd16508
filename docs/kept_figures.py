"""Pictures of the gallery: what an example leaves as `figure`, with the example's question as its alternative text."""

from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst


def keep_figure(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Keep the picture that a part of an example left."""
    figure = variables["example_globals"].pop("figure", None)
    if figure is None:
        return ""
    path = next(variables["image_path_iterator"])
    figure.savefig(path, dpi=110)
    question = Path(variables["src_file"]).read_text(encoding="utf-8").split("\n")[1]
    return str(figure_rst([path], conf["src_dir"], question))


def _get_sg_image_scraper() -> Any:
    return keep_figure
