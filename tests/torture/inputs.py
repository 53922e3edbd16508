"""Bad input: whole files of every kind, changed at random, read by a process that may have one GiB and ten seconds.

A reader refuses in one short line, or what it took is what stands in the file: numbers are held against a second
reader, which is as plain as can be and knows nothing of the package.
"""

import contextlib
import csv
import gzip
import hashlib
import io
import json
import math
import os
import random
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
import zstandard

from small import PROTOCOL, make_frame, make_recording
from torture.attack import Conditions, Outcome
from torture.processes import TESTS
from virtio_study import recording
from virtio_study.archive.recorded import read_results
from virtio_study.archive.verify import unpack
from virtio_study.errors import VirtioStudyError
from virtio_study.fleet.recorded import RecordedFleet
from virtio_study.fleet.results import of_survey
from virtio_study.fleet.survey import survey
from virtio_study.fleet.writing import write_survey
from virtio_study.i18n.sentences import english
from virtio_study.report.explanation_page import render_explanations
from virtio_study.sources.api.explaining import explain_answers
from virtio_study.sources.files.csv_mapping import load_mapping
from virtio_study.sources.files.csv_tables import read_csv
from virtio_study.sources.files.influx import read_influx
from virtio_study.sources.files.prometheus import read_prometheus
from virtio_study.sources.files.rrddata import read_rrddata
from virtio_study.sources.responses import read_answers
from virtio_study.study import Server, Text, load_study

__all__ = ["every_reader", "judged", "read_for_ever"]

CASE_S, MEMORY_BYTES, LONGEST_LINE = 10.0, 1 << 30, 6000
LEAST_CASES = 200
NOW = 1_772_409_600
SERVER = Server(vmid=100, role=Text(en="a", es="a"), vcpus=2, memory_bytes=2**29)  # type: ignore[arg-type]
MAPPING = (
    'time: {column: t, format: unix}\nstep_s: 60\ndelimiter: ";"\ndecimal: ","\n'
    "columns: {cpu_cores: {column: c, unit: percent}, mem_displayed_bytes: {column: m, unit: MiB}}\n"
)


class WrongError(Exception):
    """A number that was read is not the one that stands in the file."""


# --- whole files ------------------------------------------------------------------------------------------------------


def csv_table(chance: random.Random) -> bytes:
    rows = (f"{NOW + 60 * n};{chance.uniform(0, 99):.3f};{chance.randrange(500)}" for n in range(8))
    return "\n".join(["t;c;m", *rows, ""]).replace(".", ",").encode()


def rrddata(chance: random.Random) -> bytes:
    rows = [{"time": NOW + 60 * n, "maxcpu": 2, "maxmem": 2**29, "cpu": chance.random()} for n in range(8)]
    rows = [row | {"mem": chance.randrange(2**29), "netin": chance.random() * 1e6} for row in rows]
    return json.dumps(chance.choice((rows, {"data": rows}))).encode()


def stored_answers(chance: random.Random) -> bytes:
    lines = []
    for n in range(6):
        data = {"cpu": chance.random(), "mem": chance.randrange(2**29), "uptime": 10 * n, "status": "running"}
        answer = {"t": NOW + 10.0 * n, "path": "/nodes/a/qemu/100/status/current", "status": 200}
        lines.append(json.dumps(answer | {"body": {"data": data}}))
    return ("\n".join(lines) + "\n").encode()


def influx(chance: random.Random) -> bytes:
    head = "system,object=qemu,vmid=100,nodename=a,host=web"
    values = ((chance.random(), chance.randrange(2**29), 10 * n) for n in range(6))
    lines = (f"{head} cpu={cpu:.6f},cpus=2,mem={mem}i,uptime={t} {NOW + t}000000000" for cpu, mem, t in values)
    return "\n".join([*lines, ""]).encode()


def prometheus(chance: random.Random) -> bytes:
    lines = (
        f'{metric}{{id="qemu/100",instance="a"}} {chance.random() * scale:.6f} {NOW + 10 * n}000'
        for metric, scale in (("pve_cpu_usage_ratio", 1), ("pve_memory_usage_bytes", 2**29))
        for n in range(6)
    )
    return "\n".join([*lines, ""]).encode()


def protocol(_: random.Random) -> bytes:
    return PROTOCOL.encode()


# --- the second reader ------------------------------------------------------------------------------------------------


def same(read: object, written: object) -> bool:
    try:
        one, other = float(read), float(written)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return read == written
    return one == other or math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


def held(read: object, written: object, what: str) -> None:
    if not same(read, written):
        raise WrongError(f"{what}: read {read!r}, written {written!r}"[:300])


def of_csv(path: Path, content: bytes) -> None:
    path.with_name("mapping.yaml").write_text(MAPPING)
    frame = read_csv(path, load_mapping(path.with_name("mapping.yaml")), SERVER)
    rows = [*csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")]
    rows = [{str(key).strip(): str(text or "").strip() for key, text in row.items()} for row in rows]
    rows = [row for row in rows if any(row.values())]
    held(len(frame), len(rows), "rows")
    for found, row in zip(frame.to_dict("records"), rows, strict=True):
        held(found["time"].timestamp(), Decimal(row["t"]), "time")
        for name, column, factor in (("cpu_cores", "c", Decimal("0.02")), ("mem_displayed_bytes", "m", 2**20)):
            missing = row[column] in {"", "NaN", "nan", "NA", "null", "-"}
            if missing != math.isnan(found[name]):
                raise WrongError(f"{name} of {row}")
            if not missing:
                held(found[name], Decimal(row[column].replace(",", ".")) * factor, name)


def of_rrddata(path: Path, content: bytes) -> None:
    found = read_rrddata([path])
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):  # more than one document, or words around one
        return
    rows = whole.get("data") if isinstance(whole, dict) else whole
    for row in (row for listed in found.values() for row in listed):
        alike = [one for one in rows if same(one.get("time"), row["time"])]
        if not any(all(key == "time" or same(value, one.get(key)) for key, value in row.items()) for one in alike):
            raise WrongError(f"{row} is not in the file"[:300])


def of_answers(path: Path, content: bytes) -> None:
    written = []
    for line in content.decode(errors="replace").split("\n"):
        try:
            written.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    for answer in read_answers([path]):
        alike = [one for one in written if isinstance(one, dict) and same(one.get("t"), answer.time_s)]
        if not alike:
            raise WrongError(f"an answer of {answer.time_s}")
        data = answer.data if isinstance(answer.data, dict) else {}
        bodies = [one.get("body", {}).get("data") for one in alike if isinstance(one.get("body"), dict)]
        bodies = [body for body in bodies if isinstance(body, dict)]
        for key in ("cpu", "mem", "uptime"):
            if key in data and not any(same(data[key], body.get(key)) for body in bodies):
                raise WrongError(f"{key} is {data[key]!r} at {answer.time_s}"[:300])


def of_lines(dump: Any, content: bytes, form: str, scale: float) -> None:
    """Every sample of server 100 stands in a line with its number, its name and its time."""
    names = {"cpu": "pve_cpu_usage_ratio", "mem": "pve_memory_usage_bytes"} if form == "prometheus" else {}
    lines = content.decode("utf-8-sig").split("\n")
    for sample in dump.servers.get(100, []):
        for key in ("cpu", "mem"):
            if key in sample and not any(
                _in_line(line, names.get(key, f"{key}="), sample, key, scale) for line in lines
            ):
                raise WrongError(f"{key} {sample[key]!r} of {sample['time']!r} is in no line")


def _in_line(line: str, name: str, sample: dict[str, Any], key: str, scale: float) -> bool:
    if name not in line:
        return False
    numbers = [float(text) for text in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", line)]
    at = (sample["time"] * factor for factor in (1.0, 1e3, scale))
    return any(same(sample[key], n) for n in numbers) and any(
        math.isclose(t, n, rel_tol=1e-9) for t in at for n in numbers
    )


def plain_yaml(content: bytes) -> dict[str, Any]:
    """What PyYAML's own reader, which is not the package's, makes of a text; nothing where it refuses more."""
    try:
        found: dict[str, Any] = yaml.load(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        return found
    except yaml.YAMLError:
        return {}


def of_protocol(path: Path, content: bytes) -> None:
    target = path.with_name("study.yaml")
    target.write_bytes(content)
    study = load_study(target)
    data = plain_yaml(content)
    held(study.seed, data.get("seed", study.seed), "seed")
    for name, server in study.servers.items() if data else ():
        held(server.vmid, data["servers"][name]["vmid"], "vmid")
        held(server.vcpus, data["servers"][name]["vcpus"], "vcpus")


def of_mapping(path: Path, content: bytes) -> None:
    step_s = load_mapping(path).step_s
    held(step_s, plain_yaml(content).get("step_s", step_s), "step_s")


def of_recording(path: Path, content: bytes) -> None:
    folder = path.parent
    digest = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "files": {path.name: digest}}))
    recording.read(path, folder)


def of_archive(path: Path, content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name, digest in unpack(path, Path(folder) / "out").items():
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                held(hashlib.sha256(packed.read(name)).hexdigest(), digest, name)


def recorded(chance: random.Random) -> bytes:
    folder = Path(os.environ["TORTURE_FOLDER"]) / "like"
    return next(folder.rglob("*.parquet")).read_bytes()


def archive(_: random.Random) -> bytes:
    texts = {"data/a/study.yaml": PROTOCOL.encode(), "reports/a/results.json": b"{}"}
    lines = "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in texts.items())
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in {"manifest-sha256.txt": lines.encode(), **texts}.items():
            packed.writestr(name, text)
    return made.getvalue()


def explained(chance: random.Random) -> bytes:
    """Answers of the API about two servers, as they are stored."""
    lines: list[tuple[str, Any]] = [("/version", {"version": "9.2.1"})]
    listed = [
        {"type": "qemu", "vmid": vmid, "node": "a", "name": f"s{vmid}", "status": "running"} for vmid in (100, 101)
    ]
    lines += [("/cluster/resources", listed)]
    for vmid in (100, 101):
        data: dict[str, Any] = {"vmid": vmid, "status": "running", "mem": chance.randrange(2**29), "maxmem": 2**29}
        if chance.random() < 0.5:
            free = chance.randrange(2**28)
            data["ballooninfo"] = {"actual": 2**29, "max_mem": 2**29, "total_mem": 2**29, "free_mem": free}
        lines += [(f"/nodes/a/qemu/{vmid}/status/current", data)]
        lines += [(f"/nodes/a/qemu/{vmid}/config", {"memory": "512", "scsi0": "l:vm-1-disk-0", "net0": "e1000=AA"})]
    told = ({"t": NOW, "path": path, "status": 200, "body": {"data": data}} for path, data in lines)
    return "".join(json.dumps(line) + "\n" for line in told).encode()


def of_explained(path: Path, content: bytes) -> None:
    """Every figure that is explained stands in the answers, and the page is written and whole."""
    found = explain_answers(path)
    written: list[float] = []
    for line in content.decode(errors="replace").split("\n"):
        with contextlib.suppress(ValueError, RecursionError):
            written += [float(text) for text in re.findall(r'"mem": *"?([-+.\w]+)', json.dumps(json.loads(line)))]
    for item in found:
        if item.displayed_bytes is not None and not any(same(item.displayed_bytes, one) for one in written):
            raise WrongError(f"{item.vmid} displays {item.displayed_bytes!r}, which is in no answer")
    if not render_explanations(found, "a", "en").rstrip().endswith("</html>"):
        raise WrongError("the page is a half")


FLEET_METRICS = {"cpu": "cpu_cores", "mem_displayed": "mem_displayed_bytes"}


def odd_fleet(chance: random.Random) -> bytes:
    """Recordings of four servers over sixteen days, two of which changed, with one or two columns harmed."""
    made = {}
    for server, changes in (("alpha", True), ("beta", True), ("gamma", False), ("delta", False)):
        for part in (0, 1):
            frame = make_frame(16 * 24, chance.uniform(0.1, 0.9))
            hours = pd.to_timedelta(range(part * len(frame), (part + 1) * len(frame)), unit="h")
            frame["time"], frame["step_s"] = pd.Timestamp("2026-01-01", tz="UTC") + hours, 3600.0
            frame["cpu_cores"] *= [1 + chance.uniform(-0.1, 0.1) for _ in range(len(frame))]
            made[f"{server} {'virtio' if part and changes else 'ide'} {part}"] = frame
    for name in chance.sample([*made], chance.randrange(1, 3)):
        made[name] = _odd(made[name], chance)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, frame in made.items():
            sink = io.BytesIO()
            frame.to_parquet(sink)
            file.writestr(name, sink.getvalue())
    return packed.getvalue()


def _odd(frame: pd.DataFrame, chance: random.Random) -> pd.DataFrame:
    """A frame with other rows, another column, or values that nothing can have."""
    way, first, column = chance.randrange(7), chance.randrange(len(frame)), chance.choice(["cpu_cores", *list(frame)])
    last = min(len(frame), first + chance.choice((1, 30, 400)))
    if way == 0:
        return frame.drop(index=range(first, last)).reset_index(drop=True)
    if way == 1:
        return pd.concat([frame, frame[first:last]], ignore_index=True)
    if way == 2:
        return frame.sample(frac=1.0, random_state=chance.randrange(2**31)).reset_index(drop=True)
    if way == 3:
        return frame.drop(columns=column)
    if way == 4:
        return frame.assign(**{column: frame[column].astype(str)})
    values = frame.select_dtypes("number").columns
    name = chance.choice([*values])
    odd = chance.choice((math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-300, 1e300, 5e-324))
    return frame.assign(**{name: frame[name].mask((frame.index >= first) & (frame.index < last), odd)})


def of_fleet(path: Path, content: bytes) -> None:
    """Every level that is found lies within what was recorded of its server, and all can be written down."""
    folder = path.parent / "fleet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    head, servers = PROTOCOL.split("servers:\n")
    more = "".join(servers.splitlines(keepends=True)[0].replace("alpha", name).replace("100", vmid)
                   for name, vmid in (("gamma", "102"), ("delta", "103")))  # fmt: skip
    (folder / "study.yaml").write_text(f"{head}servers:\n{more}{servers}")
    within: dict[str, list[pd.DataFrame]] = {}
    packed = zipfile.ZipFile(io.BytesIO(content))
    for number, name in enumerate(packed.namelist()):
        server, device, part = name.split()
        frame = pd.read_parquet(io.BytesIO(packed.read(name)))
        like = make_recording(folder, server, "virtio" if part == "1" else "emulated", number + 1)
        provenance = like.provenance.model_copy(update={"devices": {"disk": device, "network": "e1000"}})
        recording.write(recording.Recording(frame, provenance, like.path), folder)
        within.setdefault(server, []).append(frame)
    results = survey(RecordedFleet(load_study(folder)), 0.95)
    for item in results.findings:
        column = FLEET_METRICS.get(item.metric)
        for level in (item.before, item.after):
            if column is None or level is None:
                continue
            values = [float(value) for frame in within[item.server] for value in frame[column].dropna()]
            if not min(values) * (1 - 1e-9) - 1e-9 <= level <= max(values) * (1 + 1e-9) + 1e-9:
                raise WrongError(f"{item.metric} of {item.server} is {level!r}, outside of what was recorded")
    write_survey(folder / "out", of_survey(results, "a", True, 0.95), results.findings)


KINDS: dict[str, tuple[Callable[[random.Random], bytes], Callable[[Path, bytes], None]]] = {
    "a.csv": (csv_table, of_csv),
    "rrddata.json": (rrddata, of_rrddata),
    "api-20260302.jsonl": (stored_answers, of_answers),
    "a.lp": (influx, lambda path, content: of_lines(read_influx([path]), content, "influx", 1e9)),
    "a.prom": (prometheus, lambda path, content: of_lines(read_prometheus([path]), content, "prometheus", 1e3)),
    "given.yaml": (protocol, of_protocol),
    "mapping.yaml": (lambda _: MAPPING.encode(), of_mapping),
    "a.parquet": (recorded, of_recording),
    "a.zip": (archive, of_archive),
    "explained.jsonl": (explained, of_explained),
    "results.json": (lambda _: b'{"provenance": {}, "servers": {"a": 1}}', lambda path, _: read_results(path) and None),
}
FLEET = "fleet.zip"
"""Recordings of a fleet, which are harmed by what stands in them, not by a byte that is not a file any more."""

KINDS[FLEET] = odd_fleet, of_fleet
OFTEN = [kind for kind in KINDS if kind != FLEET]
FLEET_EVERY = 40
"""A fleet takes a hundred times as long as a file."""

PACKED = {"api-20260302.jsonl"}
"""Kinds that are read packed by zstd too."""


# --- changes ----------------------------------------------------------------------------------------------------------

NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", ".inf", "-0", "-1", "0x10", "1_000", "1:30", "010", "1e-400", "1,5"]
NUMBERS += ["1.5.5", "true", "null", "2026-13-45", "''", "٣"]
NUMBERS += ["9" * 400, "9" * 5000, "1e18", "-1e-300", "4294967296", "1772409600000", "١٢"]
PIECES = [
    "[" * 3000,
    '{"a":' * 3000,
    "- " * 2000,
    "\x00",
    "\ufeff",
    "\r\n",
    "\x1b[2J",
    "&a [*a]",
    "!!python/object:os.system",
]
PIECES += [
    "!!int x",
    "*a",
    '"',
    "'",
    "\\",
    "\ud7ff\u202e",
    "x" * 140_000,
    ",",
    ";",
    "\n\n",
    "%",
    "{0}",
    "{{",
    "=",
    " ",
    "]}",
]


def changed(content: bytes, chance: random.Random) -> bytes:
    """The same with one to three things in it changed."""
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(content) + 1)
        end = min(len(content), place + chance.randrange(1, 40))
        way = chance.randrange(9)
        if way == 0:
            content = content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :]
        elif way == 1:
            content = content[:place] + content[end:]
        elif way == 2:
            content = content[:place] + chance.choice(PIECES).encode() + content[place:]
        elif way == 3:
            content = content[:end] + content[place:end] * chance.choice((1, 2, 500)) + content[end:]
        elif way == 4:
            content = content[:place]
        elif way == 5:
            lines = content.split(b"\n")
            chance.shuffle(lines)
            content = b"\n".join(lines)
        elif way == 6 and chance.random() < 0.2:
            content = gzip.compress(content)
        else:
            found = [*re.finditer(rb"\d+(\.\d+)?", content)]
            if found:
                where = chance.choice(found)
                content = content[: where.start()] + chance.choice(NUMBERS).encode() + content[where.end() :]
    return content


def read_for_ever() -> None:
    """Read case after case from the number that is given on, and print a line before and after each."""
    # Resident memory is what is judged: Arrow alone reserves a GiB of addresses without using it.
    resource.setrlimit(resource.RLIMIT_AS, (8 * MEMORY_BYTES,) * 2)
    folder, seed, number = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    while True:
        kind = OFTEN[number % len(OFTEN)] if number % FLEET_EVERY else FLEET
        print(json.dumps({"begun": number, "kind": kind}), flush=True)
        fault = _case(folder, kind, random.Random(f"{seed} {number}"))
        most = _peak_bytes()
        if most > MEMORY_BYTES:
            fault = fault or f"{most} bytes of memory"
        print(json.dumps({"ended": number, "fault": fault}), flush=True)
        number += 1


def _peak_bytes() -> int:
    """The most memory that this program had; what the system counts of a process begins with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def _case(folder: Path, kind: str, chance: random.Random) -> str:
    """What is wrong with how a case went; empty: nothing."""
    whole = KINDS[kind][0](chance)
    content = whole if kind == FLEET else changed(whole, chance)
    packed = kind in PACKED and chance.random() < 0.3
    return judged(folder / (f"{kind}.zst" if packed else kind), kind, content)


def judged(path: Path, kind: str, content: bytes) -> str:
    """What is wrong with how a file of this content is read; empty: nothing."""
    path.write_bytes(zstandard.ZstdCompressor().compress(content) if path.suffix == ".zst" else content)
    begun = time.monotonic()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            KINDS[kind][1](path, content)
    except VirtioStudyError as refused:
        line = english(refused)
        if len(line) > LONGEST_LINE:
            return f"a line of {len(line)} characters"
        if re.search(r"Traceback| at 0x[0-9a-f]{8,}|<class", line):
            return line[:300]
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[:300]
    if warned:
        return f"a warning at {Path(warned[0].filename).name}:{warned[0].lineno}: {warned[0].message}"[:300]
    seconds = time.monotonic() - begun
    return f"{seconds:.1f} s" if seconds > CASE_S else ""


def every_reader(given: Conditions) -> Outcome:
    """Read changed files of every kind: refused in a short line, or read as a second reader reads them."""
    done = Outcome("changed input of every reader", given.seed)
    like = given.folder / "like"
    (like / "recordings").mkdir(parents=True)
    recording.write(make_recording(like, "alpha", "virtio", 1), like)
    number, until = 0, time.monotonic() + given.seconds
    while number < LEAST_CASES or time.monotonic() < until:
        with contextlib.closing(_cases(given, number)) as cases:
            for case, kind, fault in cases:
                done.judge(*([f"{kind}, case {case}: {fault}"] if fault else []))
                number = case + 1
                if number >= LEAST_CASES and time.monotonic() > until:
                    break
    return done


def _cases(given: Conditions, first: int) -> Generator[tuple[int, str, str], None, None]:
    """Cases of one process with their faults, until it ends over one of them."""
    code = "from torture.inputs import read_for_ever; read_for_ever()"
    reading = subprocess.Popen(
        [sys.executable, "-c", code, str(given.folder), str(given.seed), str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "TORTURE_FOLDER": str(given.folder)},
    )
    assert reading.stdout is not None
    begun: dict[str, Any] = {"begun": first, "kind": ""}
    try:
        while True:
            started = not begun["kind"]
            if not select.select([reading.stdout], [], [], 60 if started else 2 * CASE_S)[0]:
                yield begun["begun"], begun["kind"], f"no end in {2 * CASE_S:g} s"
                return
            line = reading.stdout.readline()
            if not line:
                yield begun["begun"], begun["kind"], f"the process ended with {reading.wait()}"
                return
            told = json.loads(line)
            if "begun" in told:
                begun = told
                continue
            yield told["ended"], begun["kind"], told["fault"]
            if told["fault"]:
                return
    finally:
        reading.kill()
        reading.wait()
        reading.stdout.close()
