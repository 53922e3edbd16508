"""A study that was opened: every step from its recordings to its report, as a method."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pandas as pd

from virtio_study import study as protocol
from virtio_study.i18n.spoken import tell
from virtio_study.public.designing import DesigningStudy
from virtio_study.recording import Provenance
from virtio_study.workflow import steps

if TYPE_CHECKING:
    from virtio_study.analysis.comparison import ServerComparison
    from virtio_study.analysis.description import Description
    from virtio_study.analysis.planning import Planned
    from virtio_study.analysis.results import Results
    from virtio_study.analysis.switchback import ScheduledBlock
    from virtio_study.archive.export import Archive
    from virtio_study.workflow.check import Checked
    from virtio_study.workflow.runner import Outcome

__all__ = ["OpenStudy", "load_study"]


class OpenStudy(DesigningStudy):
    """A study that was opened: its protocol, and every step from the recordings to the report as a method.

    Steps need no order. Each makes what it needs if it is not there, or was made of another protocol, code or
    recordings. Tables are left in `data/<study>/work/`, the report in `reports/<study>/`.

    Examples
    --------
    >>> import virtio_study as vs
    >>> study = vs.load_study("lab-qemu")
    >>> study.name, list(study.servers)
    ('lab-qemu', ['versat', 'dominio', 'archivos'])
    >>> study.comparisons["devices"].before, study.comparisons["devices"].after
    ('reporting', 'virtio')
    """

    def __repr__(self) -> str:
        servers, configurations = ", ".join(self.servers), ", ".join(self.driver_configs)
        return f"{type(self).__name__}({self.name!r}; servers: {servers}; driver configurations: {configurations})"

    def collect(self, server: str, driver_config: str) -> pd.DataFrame:
        """Every recording of a server under a driver configuration, verified by its checksum.

        Returns
        -------
        DataFrame, shape (rows of all boots, columns of the schema + 1)
            One row a step, with `replicate`. Units are in the columns' names; NaN: not measured.

        Raises
        ------
        StudyError
            If the study has no such server or driver configuration.
        DataError
            If there is no recording, or one is missing, damaged or of another server.

        Examples
        --------
        >>> rows = vs.load_study("lab-qemu").collect("versat", "virtio")
        >>> rows["replicate"].nunique(), sorted(rows["mem_instrument"].unique())
        (8, ['guest_stats', 'host_cgroup'])
        """
        return steps.collect(self, server, driver_config)

    def provenance(self, server: str, driver_config: str) -> list[Provenance]:
        """Where each recording comes from: source, versions, devices, start; in order of replicate.

        Raises
        ------
        StudyError, DataError
            As `collect`.

        Examples
        --------
        >>> first = vs.load_study("lab-qemu").provenance("versat", "virtio")[0]
        >>> first.replicate, first.accelerator, first.devices["nic"]
        ('boot-01', 'tcg', 'virtio-net')
        """
        return steps.read_provenance(self, server, driver_config)

    def clean(self, server: str, driver_config: str) -> pd.DataFrame:
        """The collected rows, each with its `period` (may it be analysed?) and the `reason`; none is dropped.

        Raises
        ------
        StudyError, DataError
            As `collect`.

        Examples
        --------
        >>> sorted(vs.load_study("lab-qemu").clean("versat", "virtio")["period"].unique())
        ['steady', 'transient']
        """
        return steps.clean(self, server, driver_config)

    def describe(self, server: str, driver_config: str) -> "Description":
        """Levels of CPU and RAM of a server under a driver configuration, boot by boot and over boots.

        Raises
        ------
        StudyError, DataError
            As `collect`.

        Examples
        --------
        >>> level = vs.load_study("lab-qemu").describe("versat", "virtio").levels["mem_host"].sustained
        >>> f"{level.estimate / 2**20:.0f} MiB, {level.confidence:.0%} interval over {level.n} boots"
        '240 MiB, 95% interval over 7 boots'
        """
        return steps.describe(self, server, driver_config)

    def levels(self, server: str) -> "dict[str, Description]":
        """Levels of a server under every driver configuration that is compared, as `describe` left them.

        Raises
        ------
        StudyError, DataError
            As `compare`.

        Examples
        --------
        >>> levels = vs.load_study("lab-qemu").levels("versat")
        >>> f"{levels['emulated'].levels['mem_displayed'].sustained.estimate / 2**20:.0f} MiB"
        '407 MiB'
        """
        return steps.levels(self, server)

    @overload
    def compare(self, server: str, comparison: str) -> "ServerComparison": ...

    @overload
    def compare(self, server: str, comparison: None = None) -> "dict[str, ServerComparison]": ...

    def compare(self, server: str, comparison: str | None = None) -> "ServerComparison | dict[str, ServerComparison]":
        """What changed on a server: effects, load, validity checks and verdicts of one comparison, or of all by name.

        Raises
        ------
        StudyError
            If the study has no such server or comparison.
        DataError
            As `collect`, for each driver configuration of the comparisons.

        Examples
        --------
        >>> effects = vs.load_study("lab-qemu").compare("versat", "total").effects
        >>> effects["mem_host"].status, f"{effects['mem_host'].difference.estimate / 2**20:.0f} MiB"
        ('estimated', '-169 MiB')
        >>> effects["mem_displayed"].status, effects["mem_displayed"].difference
        ('instrument_switch', None)
        """
        if comparison is None:
            return steps.compare(self, server)
        self.comparison(comparison)
        return steps.compare(self, server)[comparison]

    def blocks(self, server: str) -> "tuple[ScheduledBlock, ...]":
        """Every block of a server's schedule beside what was recorded; none without one. Errors as of `compare`.

        Examples
        --------
        >>> vs.load_study("lab-qemu").blocks("versat")
        ()
        """
        return steps.blocks(self, server)

    def plan(
        self, server: str, driver_config: str | None = None, *, metric: str = "cpu", drop: float = 0.3
    ) -> "Planned":
        """How many boots or days a side would show a relative fall of a metric, with this study as the pilot.

        Parameters
        ----------
        driver_config : str, optional
            The pilot's; default: the first of the study.
        metric : str
            One of `metrics`.
        drop : float
            The fall that is to be shown, relative to the level: 0.3 is 30 %.

        Raises
        ------
        StudyError
            If there is no such name, or the metric was not measured or never steady.
        DataError
            As `collect`.

        Examples
        --------
        >>> vs.load_study("lab-qemu").plan("versat", metric="mem_host", drop=0.1).enough
        3
        """
        from virtio_study.analysis.planning import planned

        pilot = steps.read_arm(self, server, driver_config or next(iter(self.driver_configs)))
        return planned(pilot, metric, drop, self.confidence)

    def results(self) -> "Results":
        """Everything that the report would print, as today's protocol, code and recordings give it; nothing is written.

        Raises
        ------
        DataError
            If a recording, or an input beside them, is missing or damaged.

        Examples
        --------
        >>> results = vs.load_study("pve-rig").results()
        >>> results.servers["versat"].comparisons["total"].verdicts["mem_displayed"].status
        'not_an_effect'
        """
        return steps.results(self)

    def report(self, language: str = "en") -> "Results":
        """Write `results.json`, the figures with their data, and the page in a language; return the results.

        Raises
        ------
        StudyError
            If the report does not speak the language.
        DataError
            As `results`.

        Examples
        --------
        >>> study = vs.load_study("pve-rig")
        >>> results = study.report("es")
        >>> (study.reports / "index.es.html").is_file()
        True
        """
        return steps.write_report(self, language)

    def run(self, *, workers: int | None = None, say: Callable[[Any], None] = tell) -> "Outcome":
        """Run every notebook that is not up to date, in parallel; what becomes of each is in the outcome.

        Parameters
        ----------
        workers : int, optional
            Notebooks at the same time; default: one for each CPU.
        say : callable
            Told what became of each notebook, where no terminal shows the progress bar.

        Raises
        ------
        StudyError, DataError
            If there are no recordings to analyse, or one is missing or changed; nothing has run then.
        PipelineError
            If another run of the same study is under way.

        Examples
        --------
        >>> outcome = vs.load_study("pve-rig").run(workers=2, say=lambda line: None)
        >>> outcome.ok, outcome.error
        (True, {})
        """
        from virtio_study.workflow.runner import run

        return run(self, workers=workers, say=say)

    def check(self) -> "Checked":
        """Whether every recording and every file of the report is as it was made, and up to date.

        Returns
        -------
        Checked
            `problems` has an error for each thing that is wrong; each says what to do.

        Examples
        --------
        >>> vs.load_study("pve-rig").check().problems
        []
        """
        from virtio_study.workflow.check import check_study

        return check_study(self)

    def export(self, path: str | Path | None = None) -> "Archive":
        """Pack the study with all that its numbers were made from into one zip (an RO-Crate).

        Parameters
        ----------
        path : str or Path, optional
            The zip; default: `<study>.zip` in the working directory.

        Raises
        ------
        StudyError, DataError
            If there are no recordings to analyse, or anything is missing, changed or out of date.

        Examples
        --------
        >>> vs.load_study("pve-rig").export("pve-rig.zip").path.name
        'pve-rig.zip'
        """
        from virtio_study.archive.export import export

        return export(self, None if path is None else Path(path))


def load_study(study: str | Path) -> OpenStudy:
    """Open a study: read and validate its protocol.

    Parameters
    ----------
    study : str or Path
        A study's folder, its `study.yaml`, or its name: `data/<name>` is looked for in the working directory
        and in the directories above it.

    Raises
    ------
    StudyError
        If there is no such study, or its protocol is wrong; the message names file, line, key and what is expected.

    Examples
    --------
    >>> vs.load_study("lab-qemu").confidence
    0.95
    >>> vs.load_study("lab-qemo")
    Traceback (most recent call last):
    ...
    virtio_study.errors.StudyError: no study 'lab-qemo': looked for lab-qemo/study.yaml and for data/lab-qemo/study.yaml
    here and above; give a study's folder or the name of a folder in data/
    """
    return OpenStudy.model_validate(dict(protocol.load_study(study)))
