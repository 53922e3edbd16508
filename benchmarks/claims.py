"""What was to be shown: each claim with what was wanted of it, and where its number stands (`results.py`)."""

import math
from collections.abc import Callable, Iterable

from results import Claim, Found, column, numbers, rows, sentence

FLEET, CLUSTER, CALIBRATION = "fleet.md", "how-to/cluster.md", "calibration.md"
RUN = "decisions/005-kernels-are-forked.md"


def at_most(value: float, bound: float, form: str = "{:g}") -> Found:
    return form.format(value), value <= bound


def at_least(value: float, bound: float, form: str = "{:g}") -> Found:
    return form.format(value), value >= bound


def span(values: Iterable[float], low: float, high: float, form: str = "{:g} to {:g}") -> Found:
    """Least and greatest of values that should lie between two bounds."""
    known = [*values]
    return form.format(min(known), max(known)), low <= min(known) and max(known) <= high


def sizes() -> list[dict[str, str]]:
    return rows(FLEET, "servers", "exponent of time")


def last_cost() -> Found:
    last = sizes()[-1]
    return at_most(column([last], "CPU seconds a server")[0], 0.05, f"{{:g}} CPU s ({last['servers']} servers)")


def growth() -> Found:
    counts, each = (column(sizes(), name) for name in ("servers", "CPU seconds a server"))
    whole = 1 + math.log(each[-1] / each[0]) / math.log(counts[-1] / counts[0])
    steps = column(sizes(), "exponent of time")
    return (
        f"{whole:.2f} from {counts[0]:g} to {counts[-1]:,.0f} ({max(steps):g} at most from one to the next)",
        whole <= 1.05,
    )


def memory_ratio() -> Found:
    found = dict(zip(column(sizes(), "servers"), column(sizes(), "peak memory, MB"), strict=True))
    if 10_000 not in found:
        raise LookupError(FLEET)
    return at_most(found[10_000] / found[1000], 1.3, f"{{:.2f}} ({found[1000]:g} and {found[10_000]:g} MB)")


def loops() -> Found:
    found = {row["by"]: numbers(row["times this package's"])[0] for row in rows(FLEET, "by", "times this package's")}
    rivals = {name: ratio for name, ratio in found.items() if name != "this package"}
    return ", ".join(f"{ratio:g} ({name})" for name, ratio in rivals.items()), min(rivals.values()) >= 30


def truths() -> list[dict[str, str]]:
    return rows(FLEET, "metric", "intervals that hold the truth, %", "bias, points")


def false_among_shown() -> Found:
    parts = {row["metric"]: numbers(row["false among shown"]) for row in truths()}
    told = ", ".join(f"{metric} {false:g} of {shown:g}" for metric, (false, shown) in parts.items())
    return told, all(false <= 0.05 * shown for false, shown in parts.values())


def shock_removed() -> Found:
    left, alone = (
        max(map(abs, column(truths(), name))) for name in ("bias, points", "bias of the server alone, points")
    )
    return f"{left:g} of {alone:g} points left", left <= 0.1 * alone


def command(kind: str) -> dict[str, float]:
    found = next((row for row in rows(CLUSTER, "seconds", "times as fast") if kind in "".join(row.values())), None)
    if found is None:
        raise LookupError(CLUSTER)
    return {name: numbers(found[name])[0] for name in ("seconds", "CPU seconds", "times as fast")}


def overhead() -> Found:
    wall, cpu = sentence(CLUSTER, r"overhead: [^:]*CPU seconds of one process")
    return f"{wall:+g} % of the seconds, {cpu:+g} % of the CPU seconds", max(wall, cpu) <= 5


def run(kind: str, unit: str = "Seconds") -> float:
    for row in rows(RUN, "Seconds", "CPU seconds"):
        if kind in "".join(row.values()):
            return numbers(row[unit])[0]
    raise LookupError(RUN)


def untouched(metric: str, name: str, bound: float) -> Callable[[], Found]:
    def found() -> Found:
        answered = [
            row for row in rows(CALIBRATION, "month", "compared", "refused", "widening")
            if row["metric"] == metric and float(row["refused"]) < 100
        ]  # fmt: skip
        return at_most(max(column(answered, name)), bound, "{:g} % at most")

    return found


def received(metric: str, bound: float) -> Found:
    cells = [row for row in rows(CALIBRATION, "pairs", "of them short", "both") if row["metric"] == metric]
    return at_most(max(column(cells, "ours")), bound, "{:g} % at most")


def width(phi: Iterable[str], bound: float) -> Found:
    cells = [
        row for row in rows(CALIBRATION, "rows a side", "width, of REML's")
        if row["phi"] in phi and int(row["rows a side"]) >= 1440
    ]  # fmt: skip
    return at_most(max(column(cells, "width, of REML's")), bound, "{:g} at most")


def switchback(design: str, cell: str) -> float:
    return next(
        numbers(row[cell])[0] for row in rows(CALIBRATION, "design", "fall of 50 %", "refused")
        if row["metric"] == "CPU" and row["design"].startswith(design)
    )  # fmt: skip


def switchback_power() -> Found:
    one, other = (switchback(design, "fall of 50 %") for design in ("switchback", "before/after"))
    return f"{one:g} % against {other:g} %", one > other


def collected() -> Found:
    _, _, _, ours, flight, memory, theirs = sentence("proxmox.md", r"1,000 servers \(13,010.*?proxmoxer loop")[:7]
    return f"{theirs / ours:.1f} times as fast, {flight:g} requests in flight, {memory:g} MiB more", None


def pages(unit: str) -> tuple[list[float], list[float]]:
    found = rows("page.md", "bytes", "interactive")
    return column(found[::2], unit), column(found[1::2], unit)


def lighter() -> Found:
    ratios = [other / one for unit in ("bytes", "drawn") for one, other in zip(*pages(unit), strict=True)]
    return "bytes {:.1f} and {:.1f}, drawn {:.1f} and {:.1f}".format(*ratios), None


def attacks() -> Found:
    found = rows("reliability.md", "attack", "lost", "leaked")
    harmed = [sum(column(found, name)) for name in ("lost", "leaked")]
    survived = column(found, "tried") == column(found, "survived")
    return (
        f"{sum(column(found, 'tried')):,.0f} tried by {len(found)} attacks, {harmed[0]:g} lost, {harmed[1]:g} leaked",
        survived and not any(harmed),
    )


def imported() -> Found:
    ours, memory, alone = sentence("proxmox.md", r"took [\d.]+ s and [\d.]+ GiB[^;]*;.*?alone took [\d.]+ s")
    return f"{ours / alone:.1f} ({ours:g} s, {memory:g} GiB)", None


def same_bytes() -> Found:
    found = rows("reproducibility.md", "Environment", "Bytes different")
    different = sum(column(found, "Bytes different"))
    return f"{different:g} of {found[0]['Files compared']} files in {len(found)} environments", not different


def never_contradicted() -> Found:
    (studies,) = sentence(CALIBRATION, r"never contradicted each other in [\d,]+ random")
    return f"none in {studies:,.0f}", True


def papermill() -> Found:
    return at_least(run("papermill") / run("from scratch"), 7, "{:.1f}")


def floor() -> Found:
    return f"{run('from scratch', 'CPU seconds') / run('all cells', 'CPU seconds'):.2f}", None


def day_more() -> Found:
    found = {row["Days recorded"]: row for row in rows("artefacts.md", "Days recorded", "written")}
    (few,), (many,) = (numbers(found[days]["written"]) for days in ("30", "365"))
    whole, seconds, before = (
        numbers(found["365"][name])[0] for name in ("written as one file", "time", "time as one file")
    )
    told = f"{few:g} and {many:g} MB ({whole:g} as one file), {before / seconds:.1f} times as fast"
    return told, many <= 1.3 * few


def one_server() -> Found:
    _, _, many, few, *_ = sentence("artefacts.md", r"one server takes the same among 1,000 as among 10 \([^)]*\)")
    return f"{few:g} and {many:g} s", many <= 1.3 * few


def listed() -> Found:
    found = rows("artefacts.md", "Listed files", "one more file")
    both = [row for row in found if row["Listed files"] in {"1,000", "100,000"}]
    new, old = (column(both, name) for name in ("one more file", "one more, whole list anew"))
    return f"{new[0]:g} and {new[1]:g} ms (whole list anew: {old[0]:g} and {old[1]:,.0f} ms)", new[1] <= 1.3 * new[0]


CLAIMS: dict[str, list[Claim]] = {
    "A whole fleet": [
        Claim(
            "exponent of time, 10 to 10,000 servers x 30 days",
            "<= 1.05",
            growth,
            "python benchmarks/fleet.py --largest 10000",
            FLEET,
        ),
        Claim(
            "peak memory of 10,000 servers over that of 1,000",
            "<= 1.3",
            memory_ratio,
            "python benchmarks/fleet.py --largest 10000",
            FLEET,
        ),
        Claim("seconds a server", "<= 0.05", last_cost, "python benchmarks/fleet.py --largest 10000", FLEET),
        Claim(
            "CPU time of a plain loop of pandas and statsmodels, times ours, at equal work",
            ">= 30",
            loops,
            "python benchmarks/fleet.py",
            FLEET,
        ),
        Claim(
            "intervals of 95 % that hold the truth",
            "93 to 97 %",
            lambda: span(column(truths(), "intervals that hold the truth, %"), 93, 97, "{:g} to {:g} %"),
            "python benchmarks/fleet.py",
            FLEET,
        ),
        Claim(
            "false among what is shown of single servers",
            "<= 5 %",
            false_among_shown,
            "python benchmarks/fleet.py",
            FLEET,
        ),
        Claim(
            "a change that hits all servers at once is removed",
            "a tenth left at most",
            shock_removed,
            "python benchmarks/fleet.py",
            FLEET,
        ),
        Claim(
            "forecast ranges that hold what comes, RAM and CPU, use unchanged meanwhile",
            ">= 95 %",
            lambda: span(column(rows(FLEET, "forecast", "servers", "0 %"), "0 %"), 95, 100, "{:g} and {:g} %"),
            "python benchmarks/fleet.py",
            FLEET,
        ),
        Claim(
            "survey on two workers against one",
            ">= 1.7 times as fast",
            lambda: at_least(sentence(CLUSTER, r"Two workers against one: [\d.]+ times")[0], 1.7),
            "python benchmarks/cluster.py",
            CLUSTER,
        ),
        Claim(
            "the whole command, 1,000 servers, on two processes against one",
            ">= 1.7 times as fast",
            lambda: at_least(command("--workers 2")["times as fast"], 1.7),
            "python benchmarks/cluster.py",
            CLUSTER,
        ),
        Claim("the scheduler's overhead, 1,000 servers", "<= 5 %", overhead, "python benchmarks/cluster.py", CLUSTER),
    ],
    "Asking a host": [
        Claim(
            "`explain` of 1,000 servers at 20 ms",
            "< 10 s",
            lambda: at_most(sentence("proxmox.md", r"latency of 20 ms[^.]* [\d.]+ s")[-1], 10, "{:g} s"),
            "python benchmarks/explain.py",
            "proxmox.md",
        ),
        Claim(
            "its requests for 1,000 servers",
            "<= 1 a server",
            lambda: at_most(sentence("proxmox.md", r"[\d,]+ configurations")[0], 1000, "{:,.0f}"),
            "python benchmarks/explain.py",
            "proxmox.md",
        ),
        Claim(
            "`collect` of 1,000 servers at 20 ms against a plain proxmoxer loop",
            "a ratio",
            collected,
            "python benchmarks/collect.py",
            "proxmox.md",
        ),
        Claim(
            "`files answers` of four weeks of `watch` over reading the lines as JSON",
            "a ratio",
            imported,
            "python benchmarks/weeks.py",
            "proxmox.md",
        ),
    ],
    "A run": [
        Claim(
            "`virtio-study run lab-qemu` from nothing",
            "<= 15 s",
            lambda: at_most(run("from scratch"), 15, "{:g} s"),
            "python benchmarks/pipeline.py",
            RUN,
        ),
        Claim(
            "papermill, one notebook after another, over the run",
            ">= 7",
            papermill,
            "python benchmarks/pipeline.py",
            RUN,
        ),
        Claim(
            "the run's CPU time over that of all cells in one warm process",
            "a ratio",
            floor,
            "python benchmarks/pipeline.py",
            RUN,
        ),
        Claim(
            "`run`, nothing changed",
            "<= 0.8 s",
            lambda: at_most(run("nothing changed"), 0.8, "{:g} s"),
            "python benchmarks/pipeline.py",
            RUN,
        ),
        Claim(
            "`--help`", "<= 0.1 s", lambda: at_most(run("--help"), 0.1, "{:g} s"), "python benchmarks/pipeline.py", RUN
        ),
        Claim(
            "one more file in a study of 1,000 and of 100,000",
            "the same",
            listed,
            "python benchmarks/manifests.py",
            "artefacts.md",
        ),
        Claim(
            "bytes that a day more writes, of 30 and of 365 days of polls",
            "the same",
            day_more,
            "python benchmarks/appending.py",
            "artefacts.md",
        ),
        Claim(
            "reading one server of 10 and of 1,000",
            "the same",
            one_server,
            "python benchmarks/appending.py",
            "artefacts.md",
        ),
        Claim(
            "bytes of both bundled reports that differ",
            "0",
            same_bytes,
            "python benchmarks/reproducibility.py",
            "reproducibility.md",
        ),
    ],
    "The page": [
        Claim(
            "interactive",
            "< 0.5 s",
            lambda: at_most(max(pages("interactive")[0]), 499, "{:g} ms at most"),
            "python benchmarks/report.py",
            "page.md",
        ),
        Claim(
            "nbconvert's HTML of the same notebooks, times ours (lab-qemu, pve-rig)",
            "a ratio",
            lighter,
            "python benchmarks/report.py",
            "page.md",
        ),
    ],
    "Intervals": [
        Claim(
            "coverage of 95 % intervals, each cell of the grid",
            ">= 93 %",
            lambda: at_least(sentence(CALIBRATION, r"answered: least [\d.]+, mean")[0], 93, "{:g} % at least"),
            "python benchmarks/coverage.py",
            CALIBRATION,
        ),
        Claim(
            "coverage, mean over the grid",
            "<= 98.5 %",
            lambda: at_most(sentence(CALIBRATION, r"mean [\d.]+, most")[0], 98.5, "{:g} %"),
            "python benchmarks/coverage.py",
            CALIBRATION,
        ),
        Claim(
            "coverage, stress set",
            ">= 93 %",
            lambda: at_least(
                min(column(rows(CALIBRATION, "process", "rows a side", "HAC"), "ours")), 93, "{:g} % at least"
            ),
            "python benchmarks/coverage.py",
            CALIBRATION,
        ),
        Claim(
            "width over REML's, phi up to 0.5, 1,440 rows or more",
            "<= 1.35",
            lambda: width(("0", "0.5"), 1.35),
            "python benchmarks/coverage.py",
            CALIBRATION,
        ),
        Claim(
            "width over REML's, phi 0.9, 1,440 rows or more",
            "<= 1.5",
            lambda: width(("0.9",), 1.5),
            "python benchmarks/coverage.py",
            CALIBRATION,
        ),
        Claim(
            "false alarms on real servers, CPU",
            "<= 7 %",
            untouched("CPU", "ours", 7),
            "python benchmarks/coverage.py --traces ...",
            CALIBRATION,
        ),
        Claim(
            "false alarms on real servers, RAM",
            "<= 10 %",
            untouched("RAM", "ours", 10),
            "python benchmarks/coverage.py --traces ...",
            CALIBRATION,
        ),
        Claim(
            "false alarms of the robust bound, CPU",
            "<= 6 %",
            untouched("CPU", "robust bound", 6),
            "python benchmarks/coverage.py --traces ...",
            CALIBRATION,
        ),
        Claim(
            "false alarms of the robust bound, RAM",
            "<= 6 %",
            untouched("RAM", "robust bound", 6),
            "python benchmarks/coverage.py --traces ...",
            CALIBRATION,
        ),
        Claim(
            "false alarms as a user receives them, CPU",
            "<= 7 %",
            lambda: received("CPU", 7),
            "python benchmarks/coverage.py --traces ...",
            CALIBRATION,
        ),
        Claim(
            "false alarms as a user receives them, RAM",
            "<= 10 %",
            lambda: received("RAM", 10),
            "python benchmarks/coverage.py --traces ...",
            CALIBRATION,
        ),
        Claim(
            "answers about an effect that contradict one another, 10,000 random studies",
            "0",
            never_contradicted,
            "python benchmarks/contradictions.py",
            CALIBRATION,
        ),
        Claim(
            "one effect with interval and bound, 10,080 rows a side",
            "< 5 ms of CPU",
            lambda: at_most(sentence(CALIBRATION, r"bound, 10080 rows a side: [\d.]+ ms")[1], 4.99, "{:g} ms"),
            "python benchmarks/coverage.py",
            CALIBRATION,
        ),
    ],
    "Designs": [
        Claim(
            "false alarms of the randomisation test, each process",
            "5 %, standard error 0.7",
            lambda: at_most(
                max(column(rows(CALIBRATION, "alarms, pairs", "covered, added"), "alarms, pairs")),
                6.4,
                "{:g} % at most",
            ),
            "python benchmarks/switching.py",
            CALIBRATION,
        ),
        Claim(
            "its false alarms on real servers",
            "5 %, standard error 0.7",
            lambda: at_most(
                max(column(rows(CALIBRATION, "month", "design", "alarms"), "alarms")), 6.4, "{:g} % at most"
            ),
            "python benchmarks/switching.py",
            CALIBRATION,
        ),
        Claim(
            "falls of 50 % of CPU that a switchback of 7 days shows, against before/after",
            "more",
            switchback_power,
            "python benchmarks/switching.py",
            CALIBRATION,
        ),
        Claim(
            "power kept less power promised, mean over servers",
            "within 5 points",
            lambda: span(
                column(rows("designs.md", "design", "kept less promised, points"), "kept less promised, points"),
                -5,
                5,
                "{:+g} to {:+g} points",
            ),
            "python benchmarks/designs.py --traces ...",
            "designs.md",
        ),
        Claim(
            "realised over planned half-width, median",
            "about 1",
            lambda: span(column(rows("planning.md", "metric", "median ratio"), "median ratio"), 0.5, 1.5),
            "python benchmarks/planning.py --traces ...",
            "planning.md",
        ),
    ],
    "Nothing lost": [
        Claim("attacks by `make torture`", "none lost, none leaked", attacks, "make torture WRITE=1", "reliability.md"),
    ],
}
