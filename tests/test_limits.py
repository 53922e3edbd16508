"""Inputs that are too much: floods, bombs, depths and lines without an end, each refused in one short line."""

import hashlib
import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from small import PROTOCOL, make_recording
from virtio_study import limits, recording, storage
from virtio_study.archive.verify import unpack
from virtio_study.errors import StudyError, VirtioStudyError
from virtio_study.i18n.sentences import english
from virtio_study.pve.values import LARGEST, measured
from virtio_study.sources.files.csv_mapping import load_mapping
from virtio_study.sources.files.csv_tables import read_csv
from virtio_study.sources.files.influx import read_influx
from virtio_study.sources.files.prometheus import read_prometheus
from virtio_study.sources.files.rrddata import read_rrddata
from virtio_study.sources.responses import read_answers
from virtio_study.study import load_study

ANSWER = '{"t": 1772409600.0, "path": "/version", "status": 200, "body": {"data": {"version": "9.2"}}}'


def levels(form: str) -> str:
    """Nine aliases of nine aliases, eleven times over."""
    text = "m0: &m0 {a: 1}\n"
    return text + "".join(f"m{n}: &m{n} {form % ','.join([f'*m{n - 1}'] * 9)}\n" for n in range(1, 12))


PROTOCOLS = {
    "aliases": (levels("[%s]"), "more than 50000 values"),
    "merged aliases": (levels("{<<: [%s]}"), "more than 50000 values"),
    "values": ("a: [" + "1," * 120_000 + "]", "more than 50000 values"),
    "an alias of itself": ("&a [*a]", "an alias stands within"),
    "depth": ("[" * 100_000, "nested too deeply"),
    "depth by lines": ("- " * 100_000, "nested too deeply"),
    "bytes": ("a: " + "x" * (1 << 20), "more than 1 MiB"),
    "a number by a tag": ("a: !!int ''", "not what its tag"),
    "a truth by a tag": ("a: !!bool x", "not what its tag"),
    "a date by a tag": ("a: !!timestamp x", "not what its tag"),
    "an object": ("a: !!python/object:os.system [x]", "could not determine a constructor"),
    "an impossible date": (PROTOCOL.replace("seed: 1", "seed: 2026-13-45"), "month must be in 1..12"),
    "infinity": (PROTOCOL.replace("seed: 1", "confidence: Infinity\nseed: 1"), "should be a finite number"),
    "YAML's infinity": (PROTOCOL.replace("seed: 1", "confidence: .inf\nseed: 1"), "is not what YAML reads"),
    "400 digits": (PROTOCOL.replace("seed: 1", f"seed: {'9' * 400}"), "at most 18 digits"),
    "5,000 digits": (PROTOCOL.replace("seed: 1", f"seed: {'9' * 5000}"), "at most 18 digits"),
    "a value of 140 KB": (PROTOCOL.replace("seed: 1", f"seed: {'x' * 140_000}"), "at most 18 digits"),
    "the first year": (
        PROTOCOL.replace("seed: 1", "log: [{start: 0001-01-01T00:00:00+14:00, what: x}]\nseed: 1"),
        "of the years 2000 to 2099",
    ),
}


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_protocol_that_is_too_much_is_a_short_line(kind: str, tmp_path: Path) -> None:
    text, words = PROTOCOLS[kind]
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError) as refused:
        load_study(tmp_path)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 900 + len(str(tmp_path))


def answers(path: Path, lines: bytes) -> Path:
    path.write_bytes(zstandard.ZstdCompressor(level=3).compress(lines) if path.suffix == ".zst" else lines)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
def test_stored_answers_are_read_line_by_line_and_no_line_has_no_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOG_LINE_BYTES", 2 << 20)
    whole = f"{ANSWER}\n{ANSWER.replace('600.0', '601.0')}\n".encode()
    assert len(read_answers([answers(tmp_path / name, whole)])) == 2
    assert len(read_answers([answers(tmp_path / name, whole + b'{"t": 17724')])) == 2
    with pytest.raises(VirtioStudyError, match=r"a\.jsonl\S*: line 3 is longer than 2 MiB"):
        read_answers([answers(tmp_path / name, whole + b"x" * (3 << 20))])


def test_what_unpacks_to_far_more_than_answers_do_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACKED_FLOOR", 2 << 20)
    with pytest.raises(VirtioStudyError, match="unpacks to more than 2 MiB"):
        read_answers([answers(tmp_path / "a.jsonl.zst", b"\n" * (3 << 20))])


def test_deep_answers_and_numbers_without_an_end_are_named_by_their_line(tmp_path: Path) -> None:
    for body in ("[" * 100_000, "9" * 5000, "1e400"):
        line = f'{{"t": 1e999, "path": "/version", "status": 1e999, "body": {body}}}'
        with pytest.raises(VirtioStudyError, match="line 1 is no answer"):
            read_answers([answers(tmp_path / "a.jsonl", f"{line}\n{ANSWER}\n".encode())])


@pytest.mark.parametrize("time", ["NaN", "Infinity", "-1", "0", "1e300", "true", '"x"', "null"])
def test_an_answer_of_no_time_is_named_by_its_line(time: str, tmp_path: Path) -> None:
    line = ANSWER.replace("1772409600.0", time)
    with pytest.raises(VirtioStudyError, match=r"a\.jsonl: line 2 is no answer with t, path, status and body: t: "):
        read_answers([answers(tmp_path / "a.jsonl", f"{ANSWER}\n{line}\n".encode())])


MAPPING = "time: {column: t, format: unix}\nstep_s: 60\ncolumns: {cpu_cores: {column: c, unit: cores}}\n"
READERS = {
    "rrddata": lambda path: read_rrddata([path]),
    "prometheus": lambda path: read_prometheus([path]),
    "influx": lambda path: read_influx([path]),
    "csv": lambda path: read_csv(path, load_mapping(path.with_name("mapping.yaml")), None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"x" * (2 << 20), b"," * (2 << 20), b'{"a":' * 100_000, b"[" * 100_000, b"\0" * 9])
def test_every_reader_refuses_floods_and_depths_in_a_short_line(reader: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    path = tmp_path / "given"
    path.write_bytes(content)
    with pytest.raises(VirtioStudyError) as refused:
        READERS[reader](path)
    assert len(english(refused.value)) < 900 + len(str(tmp_path))


def test_a_file_that_has_no_end_is_read_to_the_limit_and_no_further() -> None:
    with pytest.raises(VirtioStudyError, match=r"/dev/zero: more than 1 MiB"):
        limits.content(Path("/dev/zero"), 1 << 20)
    assert json.dumps([limits.beginning(Path("/dev/zero"), 3).decode()]) == '["\\u0000\\u0000\\u0000"]'


def test_a_zip_whose_beginning_is_gone_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest-sha256.txt", f"{'0' * 64}  data/a/study.yaml\n")
        archive.writestr("data/a/study.yaml", "x")
    path.write_bytes(path.read_bytes()[40:])
    with pytest.raises(VirtioStudyError, match=r"a\.zip: damaged, or not a zip"):
        unpack(path, tmp_path / "out")


def test_numbers_without_an_end_are_refused_where_they_stand_or_are_the_largest(tmp_path: Path) -> None:
    path = tmp_path / "a.lp"
    path.write_text(f"system,object=qemu,vmid=100 cpu=0.5 {'9' * 5000}\n")
    with pytest.raises(VirtioStudyError, match=r"line 1: time '9{57}[.]{3}'; expected nanoseconds"):
        read_influx([path])
    assert (measured(10**400), measured(-(10**400))) == (LARGEST, -LARGEST)


def test_a_recording_whose_own_notes_are_damaged_is_named(tmp_path: Path) -> None:
    recording.write(make_recording(tmp_path, "alpha", "virtio", 1), tmp_path)
    path = next(tmp_path.rglob("*.parquet"))
    table = pq.read_table(path)
    for notes in (b"{", b"{}", b'{"index_columns": [], "columns": [{"name": "time", "pandas_type": "x"}]}'):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"pandas": notes}), path)
        digest = {path.relative_to(tmp_path).as_posix(): storage.sha256(path)}
        (tmp_path / "manifest.json").write_text(json.dumps({"version": 1, "files": digest}))
        with pytest.raises(VirtioStudyError, match="not a recording of this package"):
            recording.read(path, tmp_path)


def test_a_text_within_a_message_within_a_message_is_short(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(f'{PROTOCOL}"{"k" * 1000}": 1\n')
    with pytest.raises(StudyError, match="unknown key 'kkk") as refused:
        load_study(tmp_path)
    assert not re.search("k{700}", str(refused.value))


def test_what_a_program_prints_is_read_to_the_limit_and_the_program_is_ended(tmp_path: Path) -> None:
    flood = "import os, sys; print(os.getpid(), file=sys.stderr, flush=True)\nwhile True: print('x' * 65536)"
    begun = time.monotonic()
    with pytest.raises(limits.TooMuchPrintedError):
        limits.output_of([sys.executable, "-c", flood], 60.0, 1 << 20)
    with pytest.raises(subprocess.TimeoutExpired):
        limits.output_of(["sleep", "60"], 0.2)
    assert time.monotonic() - begun < 30
    echoed = limits.output_of(["sh", "-c", "cat; echo an error >&2; exit 3"], 60.0, given=b"given")
    assert echoed == limits.Printed("given", "an error\n", 3)


def test_a_zip_that_unpacks_to_far_more_than_it_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PACKED_FLOOR", 1 << 20)
    path = tmp_path / "a.zip"
    content = bytes(4 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest-sha256.txt", f"{hashlib.sha256(content).hexdigest()}  data/a/raw/x\n")
        archive.writestr("data/a/raw/x", content)
    with pytest.raises(VirtioStudyError, match=r"a\.zip: refused at 'data/a/raw/x': beyond"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
