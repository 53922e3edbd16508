"""rrddata as people save it: what is unambiguous is read, anything else is named in the host's own words."""

import json
from pathlib import Path
from typing import Any

import pytest

from imports import windowed
from paths import TESTS
from virtio_study import recording
from virtio_study.errors import DataError
from virtio_study.sources.events import stops
from virtio_study.sources.files.importers import import_rrddata
from virtio_study.sources.files.rrddata import of_a_server, read_rrddata
from virtio_study.sources.normalising import rrd_frame
from virtio_study.sources.outcomes import RecordedFile

HOUR = json.loads((TESTS / "data" / "files" / "rrddata-hour.json").read_text())
PERL = "perl: warning: Setting locale failed.\nperl: warning: Please check your settings:\n\tLC_ALL = (unset),\n"
HEADERS = "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\n\r\n"
T = 1_795_441_200


def of(rows: Any) -> str:
    return json.dumps(rows)


def half(start: int, stop: int) -> str:
    return of({"data": HOUR[start:stop]})


SAVED = {
    "curl_i": HEADERS + of({"data": HOUR}),
    "curl_i through a proxy": "HTTP/1.1 200 Connection established\r\n\r\n" + HEADERS + of({"data": HOUR}),
    "perl_warning": PERL + of(HOUR),
    "200_OK before": "200 OK\n" + of(HOUR),
    "200 OK behind": of(HOUR) + "\n200 OK\n",
    "status of curl -w behind": of({"data": HOUR}) + "200",
    "python_repr": repr(HOUR),
    "python_repr of the answer": repr({"data": HOUR}),
    "python_repr of a row a line": "\n".join(map(repr, HOUR)),
    "jsonlines": "\n".join(map(of, HOUR)),
    "jsonlines with empty lines": "\n\n".join(map(of, HOUR)) + "\n",
    "two answers": half(0, 40) + "\n" + half(20, 59) + "\n",
    "two answers on one line": half(0, 40) + half(20, 59),
    "the same twice": of(HOUR) * 2,
    "indented": json.dumps({"data": HOUR}, indent=2),
}


@pytest.mark.parametrize("text", SAVED.values(), ids=SAVED)
def test_what_is_unambiguous_is_read_to_the_last_value(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text)
    assert read_rrddata([tmp_path / "a"]) == {60: HOUR}


def test_what_powershell_redirects_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(of(HOUR), encoding="utf-16")
    assert read_rrddata([tmp_path / "a"]) == {60: HOUR}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"message": "RRD error: No DS called \'AVERAGE\' in \'/db/100\'\\n", "data": null}',
            "the host answered with an error: RRD error: No DS called 'AVERAGE' in '/db/100'",
        ),
        (
            '{"errors": {"timeframe": "property is missing and it is not optional"}, "data": null}',
            "the host answered with an error: timeframe: property is missing and it is not optional",
        ),
        (
            '{"success": 0, "status": 500, "message": "no such vm (\'100\')", "data": null}',
            r"error: no such vm \('100'\)",
        ),
        (
            "HTTP/1.1 403 Permission check failed (/vms/100, VM.Audit)\r\nConnection: close\r\n\r\n",
            r"the host answered with an error: 403 Permission check failed \(/vms/100, VM.Audit\)$",
        ),
        (
            'HTTP/1.1 400 Parameter verification failed.\n\n{"errors":{"cf":"no MEDIAN"},"data":null}',
            "error: 400 cf: no MEDIAN$",
        ),
        (
            "400 Parameter verification failed.\ntimeframe: missing\n",
            "the host answered with an error: 400 Parameter verification failed. timeframe: missing$",
        ),
        ('{"data": null}', "an answer without data; the host says why in its status line: save it with curl -i"),
        (
            "no such vm ('100')\n",
            r"not JSON: \"no such vm \('100'\)\"; save it with --output-format json",
        ),
        ("<html><title>Bad gateway</title>", "not JSON: '<html><title>Bad gateway</title>'; save it with --output"),
        ("", "not JSON: empty; save it with --output-format json"),
        (
            of(HOUR)[:-900],
            r"JSON that cannot be read to its end \(.*\); is the file cut, or edited by hand\? save it again",
        ),
        (of(HOUR) + "\n" + of(HOUR)[:90], "JSON that cannot be read to its end"),
        (of(HOUR).replace('": 2,', '": ,', 1), "JSON that cannot be read to its end"),
        (repr(HOUR).replace(": 2,", ": 2and 3,", 1), "JSON that cannot be read to its end"),
        (
            of({"t": 1, "path": "/version", "status": 200, "body": {"data": {}}}),
            "a stored answer of the API with its path; take virtio-study files answers",
        ),
    ],
)
def test_what_is_no_answer_is_named_in_the_host_s_own_words(
    tmp_path: Path, text: str, message: str, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_rrddata([tmp_path / "a"])
    assert "\n" not in str(caught.value)
    assert not recwarn.list, "a line, and nothing of a parser beside it"


def row(time: int, **values: float) -> dict[str, float]:
    return {"time": time, "maxcpu": 2, "maxmem": 5e8, "disk": 0, "maxdisk": 1e9, **values}


def minutes(count: int, cpu: float = 0.1, **values: float) -> list[dict[str, float]]:
    return [
        row(T + 60 * n, cpu=cpu + n / 1000, mem=4e8, netin=1e3, diskread=1e3, **values) for n in range(1, count + 1)
    ]


def save(path: Path, body: Any) -> Path:
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize("turned", [False, True], ids=["first", "last"])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(minutes(30, cpu=0.5), id="another server"),
        pytest.param([row(T + 1800, cpu=0.13, mem=4e8), row(T + 3600, cpu=0.14)], id="MAX of the half hours"),
        pytest.param([{**item, "maxmem": 4e9} for item in minutes(30)], id="another allocation"),
        pytest.param([row(T + 1800, cpu=0.1155, mem=5e8), row(T + 3600, cpu=0.14)], id="memory of another server"),
    ],
)
def test_files_that_disagree_on_a_time_are_refused_whichever_comes_first(
    tmp_path: Path, other: list[dict[str, float]], turned: bool
) -> None:
    paths = [save(tmp_path / "1.json", minutes(30)), save(tmp_path / "2.json", other)]
    with pytest.raises(DataError, match="they are of two servers, or one is of MAX; give answers of one server"):
        read_rrddata(paths[::-1] if turned else paths)


def test_the_half_hours_of_the_same_minutes_agree(tmp_path: Path) -> None:
    fine = minutes(30)
    half_hours = [row(T + 1800, cpu=sum(item["cpu"] for item in fine) / 30, mem=4e8), row(T + 3600, cpu=0.5)]
    read = read_rrddata([save(tmp_path / "1.json", fine), save(tmp_path / "2.json", half_hours)])
    assert {step: len(rows) for step, rows in read.items()} == {60: 30, 1800: 2}


NODE = {"cpu": 0.05, "maxcpu": 16, "memtotal": 6e10, "memused": 3e10, "loadavg": 1.2, "iowait": 0.001, "netin": 1e3}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [NODE],
            r"alpha: rows of a node \(iowait, loadavg, memtotal, memused\), not of a server; ask /nodes/NODE/qemu/",
        ),
        ([{"cpu": 0.05, "maxcpu": 16, "rootused": 1.0}], "rows of a node"),
        ([{"time": T, "total": 1e11, "used": 1e10}], r"rows of a storage \(total, used\), not of a server"),
        ([row(T, cpu=0.1, mem=1e8) | {"disk": 1.2e9}], "rows of a container"),
        ([row(T), row(T, mem=1e8) | {"disk": "734003200"}], "rows of a container"),
        ([row(T), row(T + 60)], r"the server was off all the time \(2 rows with its allocation and nothing measured\)"),
        ([{"time": T, "maxcpu": "8", "maxmem": 2e9, "cpu": None}], r"the server was off all the time \(1 rows"),
    ],
)
def test_rows_of_what_is_no_running_server_are_refused(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        of_a_server(rows, "alpha")


def test_an_answer_of_a_node_given_for_a_server_is_not_recorded(tmp_path: Path) -> None:
    study = windowed(tmp_path, ("alpha", "virtio", "2026-11-23T13:40:00Z", "2026-11-23T14:40:00Z"))
    rows = [{"time": T + 60 * n, **NODE} for n in range(60)]
    with pytest.raises(DataError, match="rrddata of alpha: rows of a node"):
        import_rrddata(study, "alpha", [save(tmp_path / "a.json", {"data": rows})])
    assert not (study.folder / "recordings").exists()


def test_rows_without_a_value_cover_nothing(tmp_path: Path) -> None:
    window = ("2026-11-23T13:40:00Z", "2026-11-23T14:40:00Z")
    study = windowed(tmp_path, ("alpha", "emulated", *window))
    off = [{"time": T + 60 * n, "maxcpu": 1, "maxmem": 512 * 2**20} for n in range(1, 61)]
    on = [item | {"cpu": 0.1, "mem": 4e8, "netin": 1} for item in off[:30]]
    (done,) = import_rrddata(study, "alpha", [save(tmp_path / "a.json", on + off[30:])])
    assert isinstance(done, RecordedFile)
    assert "60 rows of 60 s cover 0.5 of the 1 hours" in str(
        recording.read(study.folder / done.place, study.folder).provenance.notes
    )


def test_a_window_in_which_the_server_was_off_says_so(tmp_path: Path) -> None:
    study = windowed(tmp_path, ("alpha", "emulated", "2026-11-23T14:10:00Z", "2026-11-23T14:40:00Z"))
    off = [{"time": T + 60 * n, "maxcpu": 1, "maxmem": 512 * 2**20} for n in range(1, 61)]
    rows = [item | {"cpu": 0.1, "mem": 4e8, "netin": 1} for item in off[:30]] + off[30:]
    with pytest.raises(
        DataError, match=r"no row from .* has CPU or memory: the server was off, or nothing was measured"
    ):
        import_rrddata(study, "alpha", [save(tmp_path / "a.json", rows)])


def test_the_first_row_of_a_new_file_is_no_restart() -> None:
    rows = minutes(20)
    rows[0] = row(T + 60, cpu=0.1, mem=4e8)  # two updates make a rate, and there was one
    assert stops({60.0: rrd_frame(rows, 60, "AVERAGE", "a")}) == []
    rows[10] = row(T + 660, cpu=0.1, mem=4e8)
    (found,) = stops({60.0: rrd_frame(rows, 60, "AVERAGE", "a")})
    assert (found.start_s, found.end_s, found.reason) == (T + 600, T + 660, "restart")


def test_a_server_that_was_off_first_began_with_its_first_values() -> None:
    rows = [row(T + 60), row(T + 120, cpu=0.1, mem=4e8), *minutes(20)[2:]]
    (found,) = stops({60.0: rrd_frame(rows, 60, "AVERAGE", "a")})
    assert (found.start_s, found.end_s) == (T, T + 120)


@pytest.mark.parametrize("lines", [False, True], ids=["an array", "lines"])
def test_rows_of_two_servers_in_one_answer_are_refused(tmp_path: Path, lines: bool) -> None:
    both = [*minutes(20), *minutes(20, cpu=0.6)]
    (tmp_path / "a").write_text("\n".join(map(of, both)) if lines else of(both))
    with pytest.raises(DataError, match="20 of 20 rows are there twice with other values: they are of two servers"):
        read_rrddata([tmp_path / "a"])


def test_files_of_two_servers_on_two_days_are_refused(tmp_path: Path) -> None:
    later = [{**item, "time": item["time"] + 86400, "maxmem": 4e9} for item in minutes(30)]
    paths = [save(tmp_path / "1.json", minutes(30)), save(tmp_path / "2.json", later)]
    with pytest.raises(
        DataError, match=r"2\.json: maxmem is 4000000000, but in .*1\.json 500000000: they are of two serv"
    ):
        read_rrddata(paths)


def test_one_figure_beyond_every_counter_costs_its_row_alone(tmp_path: Path) -> None:
    study = windowed(tmp_path, ("alpha", "emulated", "2026-11-23T13:40:00Z", "2026-11-23T14:40:00Z"))
    rows = [{**item, "maxcpu": 1, "maxmem": 512 * 2**20} for item in minutes(30)]
    rows[4] |= {"cpu": 1e308}
    rows[9] |= {"mem": 97 * 2**30}
    rows[14] |= {"diskread": 1e300}
    (done,) = import_rrddata(study, "alpha", [save(tmp_path / "a.json", rows)])
    assert isinstance(done, RecordedFile)
    made = recording.read(study.folder / done.place, study.folder)
    assert made.frame["cpu_cores"].isna().tolist() == [n == 4 for n in range(30)]
    assert made.frame["mem_displayed_bytes"].isna().tolist() == [n == 9 for n in range(30)]
    assert sorted((start - T) / 60 for start, _, reason in made.provenance.contaminated if "imp" in reason) == [
        4,
        9,
        14,
    ]
