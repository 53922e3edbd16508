"""Texts that would run, ask or refuse, wherever a host, a file or a protocol has a say, in pages in a real browser."""

import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from synthetic import analyse, make_study
from torture.attack import Conditions, Outcome
from torture.crash import NOW, study_of, token
from torture.processes import Forks
from virtio_study import recording, storage
from virtio_study.study import Study, load_study
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.testing.story import SimulatedServer
from virtio_study.workflow.overview import write_overview

__all__ = ["hostile_host", "hostile_texts"]

PAGES_OF_A_HOST = 3
"""That of `explain`, and that of `fleet` in each language."""

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
RUNS = "window.ran=1;new Image().src='http://127.0.0.1:9/ran'"
PIECES = (
    f"<script>{RUNS}</script>",
    f"</script><script>{RUNS}</script>",
    f"<img src=x onerror={RUNS}>",
    f"<svg/onload={RUNS}>",
    f"<svg><animate onbegin={RUNS} attributeName=x dur=1s>",
    f"<details open ontoggle={RUNS}>",
    f"<input autofocus onfocus={RUNS}>",
    f'" autofocus onfocus="{RUNS}" onmouseover="{RUNS}" x="',
    f"' onmouseover='{RUNS}' style='background:url(http://127.0.0.1:9/style)",
    f"<iframe srcdoc='<script>parent.{RUNS}</script>'>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/meta'>",
    "<base href=http://127.0.0.1:9/>",
    "<link rel=stylesheet href=http://127.0.0.1:9/css>",
    "<style>@import 'http://127.0.0.1:9/import';*{background:url(http://127.0.0.1:9/all)}</style>",
    "</style><img src=http://127.0.0.1:9/img>",
    f"<a href=javascript:{RUNS}>a</a> javascript:{RUNS}//",
    "<form action=http://127.0.0.1:9/><button autofocus>",
    "<object data=http://127.0.0.1:9/o><embed src=http://127.0.0.1:9/e>",
    "</title></text></svg></desc></data></td></table></details></main>",
    "<!--", "-->", "]]>", "<![CDATA[",
    "&lt;script&gt;", "&#x3c;script&#x3e;", "{{ 7*7 }}", "{% raw %}", "%(x)s", "{0}", "$x$",
    "\\u003cscript\\u003e", "`${window.ran=1}`", "<math><mtext></p><style><img src=x onerror=" + RUNS + ">",
    f"<noscript><p title='</noscript><img src=x onerror={RUNS}>'>",
    "url(#spoof)", "\u202e", "\u2028", "🏴", "W" * 200,
)  # fmt: skip
WATCH = (
    "window.violations = []; document.addEventListener('securitypolicyviolation', (event) =>"
    " window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"
)
PROVOKE = (
    "document.querySelectorAll('details').forEach((item) => { item.open = true; });"
    "document.querySelectorAll('*').forEach((item) => ['mouseover', 'mouseenter', 'focus', 'toggle', 'error', 'load']"
    ".forEach((kind) => item.dispatchEvent(new Event(kind))));"
)


def hostile_texts(given: Conditions) -> Outcome:
    """Put such texts wherever there is free text, write the pages, and open them: nothing runs, asks or is refused."""
    done, chance = Outcome("hostile texts in the pages", given.seed), given.chance()
    pages: list[Path] = []
    with _browser() as browser:
        for number in given.tries():
            if not pages:
                pages = _pages(given.folder / f"study-{number}", chance)
            page = pages.pop(0)
            done.judge(*[f"{page.relative_to(given.folder)}: {fault}" for fault in _opened(browser, page)])
    return done


def hostile_host(given: Conditions) -> Outcome:
    """Let a host name servers, tags, notes and storages so; explain, collect and survey it, and open the pages."""
    done, chance = Outcome("hostile names of a live host, in its pages", given.seed), given.chance()
    with _browser() as browser:
        for number in given.tries():
            folder = given.folder / f"host-{number}"
            told = two_servers(now=NOW)
            told = replace(told, servers=tuple(_renamed(server, chance) for server in told.servers))
            with serve(told, clock=Clock(NOW)) as host, Forks(folder / "forks", token(host)) as forks:
                study = study_of(folder, host)
                there = ("--host", host.host, "--port", host.port, "--ca-file", host.ca_file)
                commands = [
                    ("explain", *there, "--page", folder / "explain.html"),
                    ("collect", study.folder),
                    ("fleet", study.folder, "--workers", 1, "--output", folder / "fleet"),
                ]
                faults = [
                    f"{words[0]} ended with {code}: {forks.printed()[-300:]}"
                    for words in commands
                    if (code := forks.run(*words)) or "Traceback" in forks.printed()
                ]
            pages = sorted([*folder.glob("*.html"), *folder.glob("fleet/*.html")])
            faults += [] if len(pages) == PAGES_OF_A_HOST else [f"{len(pages)} pages were written"]
            done.judge(*faults, *(f"{page.name}: {fault}" for page in pages for fault in _opened(browser, page)))
    return done


def _renamed(server: SimulatedServer, chance: random.Random) -> SimulatedServer:
    """A server of which every free text of its host is such a text."""

    def config(known: Mapping[str, Any]) -> dict[str, Any]:
        disks = {key: value for key, value in known.items() if isinstance(value, str) and ":vm-" in value}
        stored = {key: _text(chance).replace(",", "") + value[value.index(":vm-") :] for key, value in disks.items()}
        return {**known, **stored, "name": name, "tags": _text(chance), "description": _text(chance)}

    name = _text(chance)
    configurations = tuple(replace(item, config=config(item.config)) for item in server.configurations)
    return replace(server, name=name, configurations=configurations)


def _pages(folder: Path, chance: random.Random) -> list[Path]:
    """Pages and figures of a new study with such texts, pages first."""
    study = _hostile(make_study(folder, boots=2), chance)
    analyse(study)
    write_overview(study.reports.parent)
    found = [path for path in study.reports.parent.rglob("*") if path.suffix in {".html", ".svg"}]
    return sorted(found, key=lambda path: (path.suffix, path))


@contextmanager
def _browser() -> Iterator[Any]:
    """Debian's Chromium; `PermissionError`, which skips the attack, where it is not installed."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise PermissionError("needs chromium, which is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


def _text(chance: random.Random) -> str:
    return "x" + "".join(chance.choices(PIECES, k=chance.randint(1, 4)))


def _hostile(study: Study, chance: random.Random) -> Study:
    """The study with a text wherever its protocol and its recordings' provenance have free text."""
    path = study.folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text())

    def both() -> dict[str, str]:
        return {"en": _text(chance), "es": _text(chance)}

    protocol["title"] = both()
    protocol["host"] |= {name: _text(chance) for name in ("name", "cpu_model", "hypervisor")}
    protocol["log"] = [
        {"start": "2026-01-01T00:00:10+00:00", "end": "2026-01-01T00:00:20+00:00", "what": _text(chance)[:120]}
    ]
    for server in protocol["servers"].values():
        server["role"] = both()
    for config in protocol["driver_configs"].values():
        config |= {"label": both(), "disk": _text(chance), "nic": _text(chance)}
    for comparison in protocol["comparisons"].values():
        comparison["question"] = both()
    path.write_text(yaml.safe_dump(protocol), encoding="utf-8")
    for name in storage.manifest(study.folder):
        one = recording.read(study.folder / name, study.folder)
        said = {
            "source": _text(chance),
            "collector_version": _text(chance),
            "accelerator": _text(chance),
            "versions": {"qemu": _text(chance), "host_kernel": _text(chance), "debian:x": _text(chance)},
            "devices": {"disk": _text(chance), "nic": _text(chance)},
            "vm_config": [_text(chance)],
            "notes": [_text(chance)],
            "contaminated": [(1.0, 2.0, _text(chance))],
        }
        other = recording.Recording(one.frame, one.provenance.model_copy(update=said), one.path)
        recording.write_all([other], study.folder, [name])
    return load_study(study.folder)


def _opened(browser: Any, page: Path) -> list[str]:
    """What a page does that it should not: run, ask, talk, or have something refused by its policy."""
    context = browser.new_context()
    context.set_offline(True)
    view = context.new_page()
    asked, told = [], []
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: told.append(message.text))
    view.on("pageerror", lambda error: told.append(str(error)))
    view.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    view.add_init_script(WATCH)
    view.goto(page.as_uri())
    view.evaluate(PROVOKE)
    view.wait_for_timeout(50)
    ran, violations = view.evaluate("[window.ran || 0, window.violations || []]")
    address = view.url
    context.close()
    faults = ["a text was run"] if ran else []
    faults += [f"asked for {other}" for other in asked if other != page.as_uri()]
    faults += [f"said: {text[:200]}" for text in told] + [f"refused by the policy: {text[:200]}" for text in violations]
    return faults + ([f"is at {address}"] if address.partition("#")[0] != page.as_uri() else [])
