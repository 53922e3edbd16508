"""The page against nbconvert's default HTML of the same notebooks: size, and time until it answers.

    python benchmarks/report.py [--study lab-qemu] [--chromium /usr/bin/chromium]

Both are opened in the same Chromium without a network, in turns; times are medians over turns, from the browser's own
navigation timing (`domInteractive`) and until an animation frame after `load`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
TURNS = 7
TIMING = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const entry = performance.getEntriesByType("navigation")[0];
  return [entry.domInteractive, performance.now()];
}"""


def convert(notebooks: list[Path], folder: Path) -> list[Path]:
    """Make nbconvert's default HTML of notebooks."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", str(folder)]
    subprocess.run([*command, *map(str, notebooks)], check=True, capture_output=True)
    return [folder / f"{path.stem}.html" for path in notebooks]


def opened(browser: Any, path: Path) -> tuple[float, float, int]:
    """Milliseconds until interactive and until drawn, and the number of requests beyond the page itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_offline(True)
    view, asked = context.new_page(), []
    view.on("request", lambda request: asked.append(request.url))
    view.goto(path.as_uri(), wait_until="load")
    interactive, drawn = view.evaluate(TIMING)
    context.close()
    return interactive, drawn, len([url for url in asked if not url.startswith(("data:", "blob:"))]) - 1


def main() -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="lab-qemu")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    reports = ROOT / "reports" / options.study
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        executed = [*sorted((reports / "notebooks").glob("[34]_*.ipynb")), reports / "notebooks" / "5_report-en.ipynb"]
        pages = {"this page": [reports / "index.en.html"]}
        pages |= {"nbconvert, 5_report": convert(executed[-1:], Path(scratch))}
        pages |= {"nbconvert, notebooks 3 to 5": convert(executed, Path(scratch))}
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"])
        found: dict[str, list[list[tuple[float, float, int]]]] = {name: [] for name in pages}
        for _ in range(TURNS):
            for name, paths in pages.items():
                found[name].append([opened(browser, path) for path in paths])
        browser.close()
        ours = None
        print(f"{'':30}{'bytes':>12}{'interactive ms':>16}{'drawn ms':>10}{'requests':>10}  ratio to this page")
        for name, turns in found.items():
            size = sum(path.stat().st_size for path in pages[name])
            interactive, drawn = (median(sum(item[i] for item in turn) for turn in turns) for i in (0, 1))
            requests = sum(item[2] for item in turns[0])
            ours = ours or (size, interactive, drawn)
            ratios = ", ".join(
                f"{value / one:.2f}" for value, one in zip((size, interactive, drawn), ours, strict=True)
            )
            print(f"{name:30}{size:12,}{interactive:16.0f}{drawn:10.0f}{requests:10}  {ratios}")


if __name__ == "__main__":
    main()
