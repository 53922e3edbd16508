"""Links of the built site: `python docs/links.py SITE` follows those within it; one that leads nowhere is an error.

With `--other`, links to other sites are asked for too. They are no errors, for other sites come and go.
"""

import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}
"""What a page loads by itself: it must come with the site, for a reader may have no network."""


class Page(HTMLParser):
    """Links of a page, the places on it that can be linked to, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        self.loaded += [values[name] for of, name in LOADED if of == tag and name in values]
        if tag == "link" and values.get("rel") in {"stylesheet", "preload", "icon"}:
            self.loaded.append(values.get("href", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


def elsewhere(link: str) -> bool:
    """Whether a link leaves the site."""
    return "://" in link or link.startswith(("mailto:", "//", "data:"))


def broken(site: Path) -> list[str]:
    """Every link within a site that leads nowhere, and everything that a page loads from elsewhere, with its page."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: loads {item} from another site" for item in page.loaded if "://" in item]
        for link in {*page.links, *page.loaded}:
            if elsewhere(link):
                continue
            target, place = urldefrag(link)
            there = (path.parent / unquote(target.split("?")[0])).resolve() if target else path
            there = there / "index.html" if there.is_dir() else there
            if not there.exists():
                found.append(f"{name}: no such page: {link}")
            elif place and there in pages and unquote(place) not in pages[there].places:
                found.append(f"{name}: no such place: {link}")
    return sorted(found)


def answers(link: str) -> str:
    """What another site says: nothing where the page is there."""
    asked = urllib.request.Request(link, headers={"User-Agent": "virtio-study documentation"})
    try:
        with urllib.request.urlopen(asked, timeout=20):
            return ""
    except (urllib.error.URLError, OSError) as error:
        return str(error)


def main(site: Path, other: bool) -> int:
    """Say what is wrong with a site's links; 1 if a link within it is."""
    wrong = broken(site)
    for line in wrong:
        print(f"error: {line}")
    pages = [Page(path) for path in site.rglob("*.html") if "_static" not in path.parts]
    leaving = sorted({urldefrag(link)[0] for page in pages for link in page.links if link.startswith("http")})
    print(f"{len(pages)} pages, {len(wrong)} wrong links within the site")
    if not other:
        print(f"{len(leaving)} links to other sites were not followed (make links follows them)")
        return bool(wrong)
    with ThreadPoolExecutor(8) as pool:
        said = dict(zip(leaving, pool.map(answers, leaving), strict=True))
    if leaving and all(said.values()):
        print(f"{len(leaving)} links to other sites were skipped: none answers, so there is no network")
    else:
        print("\n".join(f"no answer: {link}: {why}" for link, why in said.items() if why))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "--other" in sys.argv[2:]))
