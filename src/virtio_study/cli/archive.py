"""The commands `diff`, `export` and `verify`: compare results, archive a study, and repeat an archived one."""

import json
from pathlib import Path

import click

__all__ = ["diff", "export", "verify"]

DIFFERENT = 1


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="Differences for a program.")
def diff(first: str, second: str, as_json: bool) -> None:
    """Which values differ between two results, and why.

    FIRST and SECOND are each a results.json, a folder that holds one, or a study. Exit code 0 if every value is the
    same to the last digit, 1 if one differs, 2 if there is nothing to compare.
    """
    from virtio_study.archive.diff import as_dict, differences, differences_text, read_results

    places = [read_results(place) for place in (first, second)]
    found = differences(places[0][1], places[1][1])
    if as_json:
        click.echo(json.dumps({"first": str(places[0][0]), "second": str(places[1][0]), **as_dict(found)}, indent=1))
    else:
        click.echo(f"first:  {places[0][0]}\nsecond: {places[1][0]}\n{differences_text(found)}")
    if not found.same:
        raise click.exceptions.Exit(DIFFERENT)


@click.command()
@click.argument("study")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The zip to write (default: STUDY.zip here).")
def export(study: str, output: Path | None) -> None:
    """Pack a study with all that its numbers were made from.

    The zip is an RO-Crate: protocol, recordings, results, report, figures, notebooks, program, environment and
    checksums. The same files make the same zip. Results that are out of date are refused.
    """
    from virtio_study.archive.export import export as export_study
    from virtio_study.study import load_study

    written = export_study(load_study(study), output)
    click.echo(f"{written.path}: {written.files} files, {written.size} bytes\nSHA-256 {written.sha256}")


@click.command()
@click.argument("zip_file", metavar="ZIP", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(min=1), help="Notebooks at the same time (default: one for each CPU).")
@click.option("--archived-code", is_flag=True, help="Run the program in the archive (only if you trust its authors).")
@click.option("--json", "as_json", is_flag=True, help="The outcome for a program.")
def verify(zip_file: Path, workers: int | None, archived_code: bool, as_json: bool) -> None:
    """Whether an archive is whole, and every number comes out the same.

    The recordings are analysed again in a temporary folder, by the installed program unless --archived-code. Exit code
    0 if every value is the same to the last digit, 1 if one differs or a notebook fails, 2 if the archive is damaged.
    """
    from virtio_study.archive.diff import as_dict, differences_text
    from virtio_study.archive.verify import repeat

    def say(line: str) -> None:
        click.echo(line, err=True)

    found = repeat(zip_file, archived_code=archived_code, workers=workers, say=say)
    if as_json:
        facts = {"study": found.study, "files": found.files, "other_versions": found.other_versions}
        click.echo(json.dumps({**facts, "other_code": found.other_code, **as_dict(found.differences)}, indent=1))
    else:
        click.echo(f"first:  the archived results of {found.study}\nsecond: the same, made again")
        click.echo(differences_text(found.differences))
    if not found.differences.same:
        raise click.exceptions.Exit(DIFFERENT)
