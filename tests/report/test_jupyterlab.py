"""The explorer in a real JupyterLab, in Debian's Chromium: a cell is run, a slider moved, the number read."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from paths import ROOT
from small import needs
from synthetic import make_study

pytestmark = pytest.mark.slow
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
CELLS = ("import virtio_study as vs", 'vs.explore("made-up", language="es")')


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a notebook in a JupyterLab of its own, whose cells show the explorer of a study of SIMULATED boots."""
    make_study(tmp_path, boots=3)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "play.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None"]
    with (tmp_path / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT / "src")},
        )
        try:
            answering(f"http://127.0.0.1:{port}/api")
            yield f"http://127.0.0.1:{port}/lab/tree/play.ipynb"
        finally:
            server.terminate()
            server.wait()


def answering(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(address)


def test_a_moved_slider_changes_the_number(lab: str, tmp_path: Path):
    from playwright.sync_api import Error, expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=OPTIONS)
        view = browser.new_page(viewport={"width": 1100, "height": 1300})
        view.goto(lab)
        effect = view.locator(".virtio-study-effect")
        deadline = time.monotonic() + 180
        # JupyterLab drops what is run while it is still connecting to the kernel, without a word.
        while not effect.is_visible() and time.monotonic() < deadline:
            view.locator(".jp-Notebook .jp-Cell .cm-content").first.click(timeout=60_000)
            for _ in CELLS:
                view.keyboard.press("Shift+Enter")
            with contextlib.suppress(Error):
                effect.wait_for(timeout=25_000)
        view.get_by_label("métrica").select_option("CPU")
        expect(effect).to_contain_text("núcleos", timeout=30_000)
        before = effect.inner_text()
        assert re.search(r"Con estas opciones la diferencia es de [−\d]", before)
        handle = view.locator(".noUi-handle-lower").first
        handle.focus()
        for _ in range(90):
            handle.press("ArrowRight")
        expect(effect).not_to_have_text(before, timeout=30_000)
        assert "La respuesta del propio estudio" in effect.inner_text()
        expect(view.locator(".jp-OutputArea svg").last).to_be_visible()
        shown(view)
        browser.close()


def shown(view: Any) -> None:
    """Keep a picture of the page where `VIRTIO_STUDY_SCREENSHOTS` names a folder."""
    if folder := os.environ.get("VIRTIO_STUDY_SCREENSHOTS"):
        view.screenshot(path=Path(folder) / "explorer.png")
