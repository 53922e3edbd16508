"""Studies made of saved answers, for tests: the bundled rig's servers, and sides that need no balloon statistics."""

from pathlib import Path

import pandas as pd

from paths import ROOT, TESTS
from virtio_study import recording
from virtio_study.cleaning.transients import label_periods
from virtio_study.sources.api.importers import import_answers
from virtio_study.study import Study, load_study

RIG = ROOT / "data" / "pve-rig"
WITHOUT_STATISTICS = """driver_configs:
  emulated: {label: {en: e, es: e}, disk: ide, nic: e1000}
  virtio: {label: {en: v, es: v}, disk: virtio-scsi, nic: virtio-net}
comparisons:
  total: {before: emulated, after: virtio, purpose: total, question: {en: q, es: q}}
metrics: [cpu, mem_displayed]
seed: 1
"""


def study_in(folder: Path, more: str = "") -> Study:
    home = folder / "data" / "pve-rig"
    home.mkdir(parents=True)
    servers = (RIG / "study.yaml").read_text().split("# Before to after.", maxsplit=1)[0]
    (home / "study.yaml").write_text(servers + WITHOUT_STATISTICS + more)
    return load_study(home)


def imported(folder: Path, case: str) -> dict[str, pd.DataFrame]:
    """Labelled rows of every recording of a case of answers."""
    study = study_in(folder)
    import_answers(study, [TESTS / "data" / "answers" / f"{case}.jsonl.zst"])
    return {path.parent.name: labelled(study, path) for path in study.folder.glob("recordings/versat/**/*.parquet")}


def labelled(study: Study, path: Path) -> pd.DataFrame:
    found = recording.read(path, study.folder)
    rows = found.frame.assign(replicate="boot")
    return label_periods(rows, contaminated={"boot": found.provenance.contaminated})


def level(rows: pd.DataFrame, column: str = "cpu_cores") -> float:
    return float(rows.loc[rows["period"] == "steady", column].mean())
