"""The commands `diff`, `export` and `verify`: compare results, archive a study, and repeat an archived one."""

import json
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
        "Which values differ between two results, and why.\n\n"
        "FIRST and SECOND are each a results.json, a folder that holds one, or a study. Exit code 0 if every "
        "value is the same to the last digit, 1 if one differs, 2 if there is nothing to compare."
    ),
)
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help=N_("Differences for a program."))
def diff(first: str, second: str, as_json: bool) -> None:
    from virtio_study.archive.diff import as_dict, differences, differences_text, read_results

    places = [read_results(place) for place in (first, second)]
    found = differences(places[0][1], places[1][1])
    if as_json:
        click.echo(json.dumps({"first": str(places[0][0]), "second": str(places[1][0]), **as_dict(found)}, indent=1))
    else:
        click.echo(_("first:  {first}\nsecond: {second}", first=places[0][0], second=places[1][0]))
        click.echo(differences_text(found))
    if not found.same:
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
        "Whether an archive is whole, and every number comes out the same.\n\n"
        "The recordings are analysed again in a temporary folder, by the installed program unless "
        "--archived-code. Exit code 0 if every value is the same to the last digit, 1 if one differs or a "
        "notebook fails, 2 if the archive is damaged."
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
    from virtio_study.archive.diff import as_dict, differences_text
    from virtio_study.archive.verify import repeat

    def say(line: Any) -> None:
        click.echo(told(line), err=True)

    found = repeat(zip_file, archived_code=archived_code, workers=workers, say=say)
    if as_json:
        facts = {"study": found.study, "files": found.files, "other_versions": found.other_versions}
        click.echo(json.dumps({**facts, "other_code": found.other_code, **as_dict(found.differences)}, indent=1))
    else:
        click.echo(_("first:  the archived results of {study}\nsecond: the same, made again", study=found.study))
        click.echo(differences_text(found.differences))
    if not found.differences.same:
        raise click.exceptions.Exit(DIFFERENT)
