"""A study with windows, for the tests of what is imported from files."""

from pathlib import Path

from small import PROTOCOL
from virtio_study.study import Study, load_study

GIVEN = "vcpus: 1, memory_bytes: 512 MiB"


def windowed(tmp_path: Path, *windows: tuple[str, str, str, str], given: str = GIVEN) -> Study:
    """A study without recordings, whose windows are (server, driver configuration, start, end).

    `given` is the allocation of the servers.
    """
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    lines = [f"  - {{server: {s}, driver_config: {c}, start: {a}, end: {b}}}\n" for s, c, a, b in windows]
    (folder / "study.yaml").write_text(
        PROTOCOL.replace(GIVEN, given) + ("windows:\n" + "".join(lines) if lines else "")
    )
    return load_study(folder)
