"""Whether everything of a study is as it was made: its recordings, and the report made from them."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from virtio_study.errors import DataError, StudyError, VirtioStudyError
from virtio_study.i18n.marks import N_
from virtio_study.storage import as_summed, files_summed, manifest, verify_file, written_otherwise
from virtio_study.study import SAME_ALLOCATION, Study
from virtio_study.workflow.reports import check_reports, listed

if TYPE_CHECKING:
    from virtio_study.recording import Recording

DAY = re.compile(r"raw/api-\d{8}\.jsonl")
PACKED = re.compile(r"(raw/api-\d{8})(?:-\d+)?\.jsonl\.zst")
"""The name of a file of answers whose day is not packed yet."""

__all__ = ["Checked", "check_study", "unfinished"]

LEFT_TO_SAY = ("say what it does", "diga qué hace", "say which it is")
"""What a protocol made by `virtio-study new` or `init` leaves to its researcher."""


@dataclass(frozen=True)
class Checked:
    """Number of files that a study lists, recorded and made, and one line for each thing that is wrong."""

    recorded: int
    made: int
    problems: list[VirtioStudyError]


def check_study(study: Study) -> Checked:
    """Compare every listed file with its checksum, read every recording, and see whether the report is up to date."""
    problems = [*unfinished(study), *_recording_problems(study), *check_reports(study)]
    return Checked(len(manifest(study.folder)), 0 if problems else len(listed(study)), problems)


def unfinished(study: Study) -> list[StudyError]:
    """What a protocol made by `virtio-study new` or `init` still leaves to be said; recording may begin without it."""
    path, found = study.folder / "study.yaml", []
    for key in ("name", "cpu_model", "hypervisor"):
        text = getattr(study.host, key)
        if any(words in text for words in LEFT_TO_SAY):
            found.append(
                StudyError(N_("{path}: host.{key} is {text!r}: write the host's own"), path=path, key=key, text=text)
            )
    for name, server in study.servers.items():
        texts = (text for text in (server.role.en, server.role.es) if any(words in text for words in LEFT_TO_SAY))
        if text := next(texts, ""):
            unsaid = N_("{path}: servers.{name}.role is {text!r}: write what the server does")
            found.append(StudyError(unsaid, path=path, name=name, text=text))
        if server.guest_os is None and "guest_os" in server.model_fields_set:
            unset = N_("{path}: servers.{name}.guest_os is null: write linux, windows or other, or leave the key out")
            found.append(StudyError(unset, path=path, name=name))
    return found


def _other_allocation(study: Study, made: "Recording") -> list[DataError]:
    """What a recording's rows say against the allocation of the protocol."""
    server = study.servers.get(made.provenance.server)
    if server is None:
        return []
    found = []
    for column, key, protocol in (
        ("cpu_allocated_cores", "vcpus", server.vcpus),
        ("mem_allocated_bytes", "memory_bytes", int(server.memory_bytes)),
    ):
        recorded = float(made.frame[column].median())
        if abs(recorded - protocol) > SAME_ALLOCATION * protocol:
            other = N_("{path}: its rows have {key} {recorded:.0f}, study.yaml says {protocol}: correct study.yaml")
            found.append(DataError(other, path=made.path, key=key, recorded=recorded, protocol=str(protocol)))
    return found


def _recording_problems(study: Study) -> list[DataError]:
    from virtio_study import recording

    names = manifest(study.folder)
    problems: list[DataError] = []
    whole = {*recording.names_of_recordings(names)}
    for name in sorted(names):
        path = study.folder / name
        try:
            if name in whole:
                problems += _other_allocation(study, recording.read(path, study.folder))
            else:
                verify_file(path, study.folder, names)
        except DataError as error:
            problems.append(error)
    # a month that is not as it was is found by itself, and by its recording
    problems = [*{str(problem): problem for problem in problems}.values()]
    return [*problems, *_unlisted(study, names), *_written_otherwise(study)]


def _unlisted(study: Study, names: dict[str, str]) -> list[DataError]:
    """Recordings and kept files that no manifest lists, and answers of today that are not as they were stored."""
    found = [*study.folder.glob("recordings/**/*"), *study.folder.glob("raw/*")]
    files = {path.relative_to(study.folder).as_posix(): path for path in found if path.is_file()}
    problems = []
    for name in sorted(files.keys() - names.keys()):
        path = files[name]
        packed = PACKED.fullmatch(name)
        if path.name.startswith(".") or (packed and f"{packed[1]}.jsonl" in files):
            continue  # the day itself is still there: its packing was ended by a kill, and the next start does it again
        if not DAY.fullmatch(name):
            form = N_("{path}: not in the manifest; remove it or restore the manifest")
            problems.append(DataError(form, path=path))
        elif not as_summed(path):
            form = N_("{path}: changed since its answers were stored (SHA-256 differs); restore it from a copy")
            problems.append(DataError(form, path=path))
    gone = [path for path in files_summed(study.folder / "raw") if not path.exists()]
    form = N_("{path}: missing, and its answers are nowhere else; restore it from a copy")
    return problems + [DataError(form, path=path) for path in gone]


def _written_otherwise(study: Study) -> list[DataError]:
    """The manifest, if its bytes are not those that it is written with, though it says the same."""
    path = study.folder / "manifest.json"
    if not written_otherwise(study.folder):
        return []
    return [DataError(N_("{path}: changed since it was written; restore it from version control"), path=path)]
