"""The commands `diff`, `export` and `verify`: compare results, archive a study, and repeat an archived one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, told

__all__ = ["diff", "export", "verify"]

DIFFERENT = 1


@click.command(
    cls=Command,
    help=N_(
        "Which values differ between two results, and what is known about it.\n\n"
        "FIRST and SECOND are each a results.json, a folder that holds one, or a study. Exit code 0 if every value is "
        "the same, or differs by one unit in its last written digit at most; 1 if one differs by more; 2 if there is "
        "nothing to compare."
    ),
)
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help=N_("Differences for a program."))
def diff(first: str, second: str, as_json: bool) -> None:
    from virtio_study.archive.diff import as_dict, differences
    from virtio_study.archive.recorded import read_results
    from virtio_study.cli.differences import differences_lines

    before, after = read_results(first), read_results(second)
    found = differences(before.values, after.values)
    if as_json:
        click.echo(json.dumps({"first": str(before.path), "second": str(after.path), **as_dict(found)}, indent=1))
    else:
        click.echo(_("first:  {first}\nsecond: {second}", first=before.path, second=after.path))
        for side in (before, after):
            if side.as_listed is False:
                click.echo(_("{path} is not as the manifest.json beside it lists it.", path=side.path))
        click.echo("\n".join(differences_lines(found)))
    if found.agreement == "different":
        raise click.exceptions.Exit(DIFFERENT)


@click.command(
    cls=Command,
    help=N_(
        "Pack a study with all that its numbers were made from.\n\n"
        "The zip is an RO-Crate: protocol, recordings, results, report, figures, notebooks, program, "
        "environment and checksums. The same files make the same zip. Results that are out of date are "
        "refused."
    ),
)
@click.argument("study")
@click.option("-o", "--output", type=click.Path(path_type=Path), help=N_("The zip to write (default: STUDY.zip here)."))
def export(study: str, output: Path | None) -> None:
    from virtio_study.archive.export import export as export_study
    from virtio_study.study import load_study

    written = export_study(load_study(study), output)
    size = _("{path}: {files} files, {size} bytes", path=written.path, files=written.files, size=written.size)
    click.echo(f"{size}\nSHA-256 {written.sha256}")


@click.command(
    cls=Command,
    help=N_(
        "Whether an archive is whole, and all of it comes out the same.\n\n"
        "The recordings are analysed again in a temporary folder, by the installed program unless --archived-code. "
        "Pages, figures and executed notebooks are compared byte by byte. Exit code 0 if all is the same (numbers: to "
        "one unit in the last written digit), 1 if something differs or a notebook fails, 2 if the archive is damaged."
    ),
)
@click.argument("zip_file", metavar="ZIP", type=click.Path(path_type=Path))
@click.option(
    "--workers", type=click.IntRange(min=1), help=N_("Notebooks at the same time (default: one for each CPU).")
)
@click.option(
    "--archived-code", is_flag=True, help=N_("Run the program in the archive (only if you trust its authors).")
)
@click.option("--json", "as_json", is_flag=True, help=N_("The outcome for a program."))
def verify(zip_file: Path, workers: int | None, archived_code: bool, as_json: bool) -> None:
    from virtio_study.archive.diff import as_dict
    from virtio_study.archive.verify import repeat
    from virtio_study.cli.differences import differences_lines, file_lines

    def say(line: Any) -> None:
        click.echo(told(line), err=True)

    found = repeat(zip_file, archived_code=archived_code, workers=workers, say=say)
    if as_json:
        facts = {"study": found.study, "files": found.files, "other_code": found.other_code}
        reports = {"compared": found.compared, "reports": [asdict(item) for item in found.differing]}
        outcome = as_dict(found.differences) | {"agreement": found.agreement}
        click.echo(json.dumps({**facts, **reports, **outcome}, indent=1))
    else:
        click.echo(_("first:  the archived results of {study}\nsecond: the same, made again", study=found.study))
        lines = differences_lines(found.differences) + file_lines(found.differing, found.compared)
        click.echo("\n".join(lines))
    if found.agreement == "different":
        raise click.exceptions.Exit(DIFFERENT)
