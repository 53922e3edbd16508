"""The tables of docs/ingredients.md, from the results of the bundled studies: `python docs/ingredients.py`."""

import json
from pathlib import Path
from typing import Any

from virtio_study.i18n.language import ENGLISH
from virtio_study.i18n.terms import TERMS
from virtio_study.pve.situations import SITUATIONS

HERE = Path(__file__).parent
PAGE = HERE / "ingredients.md"
CELLS = (("emulated", "balloon", "reporting"), ("devices", "devices-balloon", "virtio"))
MIB = 2.0**20


def results(study: str) -> dict[str, Any]:
    """The committed results of a study."""
    found: dict[str, Any] = json.loads((HERE.parent / "reports" / study / "results.json").read_text(encoding="utf-8"))
    return found


def mib(estimate: dict[str, Any], sign: bool = False) -> str:
    """An estimate in MiB with its interval."""
    middle, low, high = (ENGLISH.number(estimate[key] / MIB, sign) for key in ("estimate", "low", "high"))
    return f"{middle} [{low}, {high}]"


def cells(metric: str) -> str:
    """The six cells of the laboratory study: sustained level of a metric, server by server."""
    lines = [
        "| server | devices | no balloon driver | driver, no reporting | driver, reporting |",
        "|---|---|---|---|---|",
    ]
    for name, server in results("lab-qemu")["servers"].items():
        for devices, row in zip(("IDE, e1000", "VirtIO disk and card"), CELLS, strict=True):
            levels = [mib(server["configurations"][config]["levels"][metric]["sustained"]) for config in row]
            lines.append(f"| {name} | {devices} | {' | '.join(levels)} |")
    return "\n".join(lines)


def parts(metric: str) -> str:
    """What every ingredient changed, with both bundled studies."""
    lines = ["| study, server | what changed | from → to | change |", "|---|---|---|---|"]
    for study in ("lab-qemu", "pve-rig"):
        for name, server in results(study)["servers"].items():
            for part in server["comparisons"]["total"]["decomposition"][metric]["parts"]:
                named = ", ".join(TERMS["setting"].get(one, one) for one in part["names"])
                for step in part["steps"]:
                    change = mib(step["change"], sign=True)
                    lines.append(f"| {study}, {name} | {named} | {step['before']} → {step['after']} | {change} |")
                if part["interaction"]:
                    lines.append(
                        f"| {study}, {name} | {named} | mean of these | **{mib(part['change'], sign=True)}** |"
                    )
                    lines.append(f"| {study}, {name} | {named} | interaction | {mib(part['interaction'], sign=True)} |")
    return "\n".join(lines)


def forecast() -> str:
    """Predicted and come back, boot by boot, in the laboratory study."""
    lines = [
        "| server | devices | at most | predicted | came back | worst boot is off by |",
        "|---|---|---|---|---|---|",
    ]
    for name, server in results("lab-qemu")["servers"].items():
        for made in server["forecasts"]:
            numbers = [made["numbers"].get(key) for key in ("bound", "predicted", "realised", "worst")]
            shown = " | ".join("–" if value is None else ENGLISH.number(value / MIB) for value in numbers)
            lines.append(f"| {name} | {made['before']} | {shown} |")
    return "\n".join(lines)


def situations() -> str:
    """What loading the balloon driver does, by version of Proxmox VE and kind of guest."""
    lines = [
        "| Proxmox VE | guest | displayed before | displayed after | host RAM | guest RAM |",
        "|---|---|---|---|---|---|",
    ]
    for row in SITUATIONS:
        cell = (row.versions, TERMS["os"][row.guest_os], row.displayed_before, row.displayed_after, row.host, row.guest)
        lines.append(f"| {' | '.join(cell)} |")
    return "\n".join(lines)


def page() -> str:
    """The page with today's tables between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    tables = {
        "host": cells("mem_host"),
        "displayed": cells("mem_displayed"),
        "parts": parts("mem_host"),
        "forecast": forecast(),
        "situations": situations(),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        head, _, rest = text.partition(begin)
        text = f"{head}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
