"""Commands about claims at rest: simulate them, land them in the log, freeze and look at snapshots."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from fraud_ml.artifacts import canonical_json
from fraud_ml.commands.arguments import Day, contract_of
from fraud_ml.errors import BadInput
from fraud_ml.settings import Settings

_FILE = click.Path(path_type=Path)
_MOST_IN_ONE_FILE = 1_000_000  # simulated claims


@click.command()
@click.argument("dataset")
@click.option("--claims", type=int, help="How many claims in all.  [default: 20000]")
@click.option("--per-month", type=int, help="Instead: how many in a month. A later --to then only adds rows.")
@click.option("--seed", default=7, show_default=True, help="Equal seeds give equal claims.")
@click.option("--from", "begin", type=Day(), default="2023-01-01", show_default=True, help="No accident is earlier.")
@click.option("--to", "end", type=Day(), default="2025-12-31", show_default=True, help="The log ends with this day.")
@click.option("--out", type=_FILE, required=True, help="A file (.csv, .csv.gz, .parquet), or a folder for part files.")
@click.option("--format", "form", default="parquet", show_default=True, help="Of part files: parquet or csv.")
@click.option("--truth", type=_FILE, help="Write what is true of each claim here: .parquet or .csv.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def simulate(
    dataset: str,
    claims: int | None,
    per_month: int | None,
    seed: int,
    begin: date,
    end: date,
    out: Path,
    form: str,
    truth: Path | None,
    as_json: bool,
) -> None:
    """Write the claim log of an insurer that does not exist. Into a folder, any number of claims fits.

    \b
    Example: fraud-ml simulate motor --claims 20000 --seed 7 --out motor.csv
    Example: fraud-ml simulate motor --claims 10000000 --out motor-log --truth motor-truth.parquet
    """
    from fraud_ml.data.simulator import simulate_with_truth, write_rows
    from fraud_ml.data.simulator.parts import PartFormat, write_parts

    if form not in list(PartFormat):
        raise BadInput("no such format", expected=" or ".join(PartFormat), arrived=form[:40])
    if claims is None and per_month is None:
        claims = 20_000
    if out.suffix:
        if (claims or 0) + (per_month or 0) * 12 * (end.year - begin.year + 1) > _MOST_IN_ONE_FILE:
            raise BadInput(
                "too many claims for one file, which is made in memory",
                expected=f"at most {_MOST_IN_ONE_FILE:,}",
                next_step="name a folder instead: --out motor-log",
            )
        rows, known = simulate_with_truth(dataset, claims=claims, per_month=per_month, seed=seed, begin=begin, end=end)
        if truth:
            write_rows(known, truth)
        write_rows(rows, out)
        place: dict[str, object] = {"file": str(out)}
        done, written = len(known), len(rows)
    else:
        parts = write_parts(
            dataset,
            out,
            claims=claims,
            per_month=per_month,
            seed=seed,
            begin=begin,
            end=end,
            form=PartFormat(form),
            truth=truth,
            say=lambda line: click.echo(line, err=True),
        )
        place = {"folder": str(out), "files": parts.files}
        done, written = parts.claims, parts.rows
    if as_json:
        click.echo(canonical_json({**place, "claims": done, "rows": written}))
    else:
        click.echo(f"{out}: {written:,} recorded rows of {done:,} claims")


@click.command()
@click.argument("dataset")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print the batch (of a file) or all that was landed as JSON.")
def land(dataset: str, source: str, as_json: bool) -> None:
    """Append claims to the raw claim log; landing them twice adds nothing.

    \b
    SOURCE is one of
      claims.csv                                  a file: .csv, .jsonl, .parquet; also .gz, .zst
      deliveries/                                 a folder of them
      s3://bucket/deliveries/day=2025-*           objects below a prefix or named by a pattern
      gs://bucket/deliveries/                     the same in Google Cloud Storage
      kafka://host:9092/claims?group=fraud-ml     a topic, up to its end; one JSON object a message; also
                                                  instance=NAME, so that a killed consumer comes back at once
      pubsub://project/subscription               the same from Google Pub/Sub, until no message comes any more
      simulator:?claims=1000&seed=7               an insurer that does not exist

    A delivery that breaks the contract is refused and stops no other; the exit code is 2 then. By the contract's
    `landing: {bad_rows: quarantine}` single rows are set aside instead.

    \b
    Example: fraud-ml land carclaims carclaims.csv
    """
    from fraud_ml.data.sources import is_path

    contract = contract_of(dataset)
    if is_path(source) and not Path(source).is_dir():
        _land_file(contract, Path(source), as_json)
    else:
        _land_source(contract, source, as_json)


def _land_file(contract: Any, file: Path, as_json: bool) -> None:
    from fraud_ml.data.log import land as run

    click.echo(f"landing {file} …", err=True)
    batch = run(Settings.load(), contract, file)
    click.echo(canonical_json(batch) if as_json else f"{file.name}: {_outcome(batch)}")


def _land_source(contract: Any, address: str, as_json: bool) -> None:
    from fraud_ml.data.landing import Landed, land_source
    from fraud_ml.data.sources import open_source

    settings = Settings.load()
    source = open_source(address, contract, settings)
    landed, refused = [], []
    click.echo(f"landing {address} …", err=True)
    for what in land_source(settings, contract, source):
        if isinstance(what, Landed):
            landed.append(what)
            letters = f"; {what.dead_letters:,} dead letters" if what.dead_letters else ""
            click.echo(f"  {what.source}: {_outcome(what.batch)}{letters}", err=True)
        else:
            refused.append(what)
            click.echo(f"  {what.source}: refused, {what.code}: {what.reason}", err=True)
    rows = sum(what.batch.rows for what in landed if what.batch and what.batch.created)
    if as_json:
        click.echo(canonical_json({"landed": [*map(asdict, landed)], "refused": [*map(asdict, refused)], "rows": rows}))
    else:
        click.echo(f"{address}: {rows:,} new rows in {len(landed):,} deliveries, {len(refused):,} refused")
    if refused:
        raise BadInput(
            f"{len(refused):,} of {len(landed) + len(refused):,} deliveries of {address} were refused",
            arrived=", ".join(sorted({what.code for what in refused})),
            next_step="correct them and land the source again; what was landed stands",
        )


def _outcome(batch: Any) -> str:
    """Return what became of a delivery's rows, for people."""
    if batch is None:
        return "no claims"
    aside = sum(batch.set_aside.values())
    codes = ", ".join(f"{code} {count:,}" for code, count in batch.set_aside.items())
    told = f"; set aside {aside:,} rows ({codes})" if aside else ""
    if not batch.rows:
        return f"nothing to add: {batch.known:,} rows were landed before{told}"
    recorded = f"recorded {batch.first_recorded[:10]} to {batch.last_recorded[:10]}"
    did = "landed" if batch.created else "nothing to add: these rows were landed before,"
    return f"{did} {batch.rows:,} rows, {recorded}, batch {batch.id}{told}"


@click.group()
def snapshot() -> None:
    """Freeze, list, show, compare, pull and verify snapshots of the claim log.

    \b
    Example: fraud-ml snapshot freeze motor 2025-12-31
    """


@snapshot.command()
@click.argument("dataset")
@click.argument("as_of", type=Day())
@click.option("--json", "as_json", is_flag=True, help="Print the version as JSON.")
def freeze(dataset: str, as_of: date, as_json: bool) -> None:
    """Version everything recorded on or before a date (UTC). The same date always gives the same bytes.

    \b
    Example: fraud-ml snapshot freeze motor 2025-12-31
    """
    from fraud_ml.data.snapshots import freeze as run

    click.echo(f"freezing {dataset} as of {as_of} …", err=True)
    frozen = run(Settings.load(), contract_of(dataset), as_of)
    if frozen.day_is_open:
        click.echo(
            f"{as_of} is not over (UTC): what is recorded later on it would make a revision, {as_of}.r2 or higher",
            err=True,
        )
    if as_json:
        click.echo(canonical_json({**asdict(frozen), "as_of": frozen.tag.rsplit("/", 1)[1]}))
        return
    did = "frozen" if frozen.created else "was frozen before, nothing changed"
    click.echo(f"{frozen.tag}: {did}; {frozen.manifest.rows:,} rows, digest {frozen.manifest.digest[:12]}")
    if frozen.restated:
        why = " and ".join(frozen.because)
        click.echo(f"made for {why}: {frozen.restated.before} stays what it was; this one tells")
        _echo_difference(frozen.restated)


@snapshot.command("list")
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="Print the versions as JSON.")
def list_snapshots(dataset: str, as_json: bool) -> None:
    """List a dataset's frozen versions.

    \b
    Example: fraud-ml snapshot list motor
    """
    from fraud_ml.data.snapshots import list_versions

    contract_of(dataset)
    versions = list_versions(Settings.load(), dataset)
    if as_json:
        click.echo(canonical_json([asdict(version) for version in versions]))
    for version in () if as_json else versions:
        click.echo(
            f"{version.name:<14} {version.rows:>12,} rows  digest {version.digest[:12]}  frozen {version.frozen_at}"
        )
    if not versions and not as_json:
        click.echo(
            f"no snapshot of {dataset} yet; freeze one: fraud-ml snapshot freeze {dataset} {datetime.now(UTC):%Y-%m-%d}"
        )


@snapshot.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option("--json", "as_json", is_flag=True, help="Print version and manifest as JSON.")
def show(dataset: str, as_of: str, as_json: bool) -> None:
    """Show what a version holds: rows, files, the batches and source files behind it.

    \b
    Example: fraud-ml snapshot show motor 2025-12-31
    """
    from fraud_ml.data.snapshots import show_version

    version, manifest = show_version(Settings.load(), dataset, as_of)
    if as_json:
        click.echo(canonical_json({"version": asdict(version), "manifest": asdict(manifest)}))
        return
    click.echo(f"{version.tag}\ngit      {version.git_rev}\nfrozen   {version.frozen_at}\ndigest   {manifest.digest}")
    click.echo(f"code     {manifest.code_version or 'not recorded'}")
    click.echo(f"rows     {manifest.rows:,}\nbatches  {', '.join(manifest.batches)}")
    click.echo("\n".join(f"source   sha256 {digest}" for digest in manifest.source_digests))
    click.echo("\n".join(f"file     {name}  sha256 {digest}" for name, digest in sorted(manifest.files.items())))


@snapshot.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option("--remote/--no-remote", default=True, show_default=True, help="Hash what lies in S3 too.")
@click.option("--json", "as_json", is_flag=True, help="Print the count as JSON.")
def verify(dataset: str, as_of: str, remote: bool, as_json: bool) -> None:
    """Hash everything a version consists of; exit 2 naming the first file that was changed.

    That is: the registry's git objects, the cache, the folded months, and with --remote the copies in S3 and the log's
    own objects and batch manifests.

    \b
    Example: fraud-ml snapshot verify motor 2025-12-31
    """
    from fraud_ml.data.snapshots import verify_version

    found = verify_version(Settings.load(), contract_of(dataset), as_of, remote=remote)
    if as_json:
        click.echo(canonical_json({"dataset": dataset, "as_of": as_of, "verified": found.total, **asdict(found)}))
        return
    where = f"{found.cached} cached, {found.remote} in the remote, {found.log} of the log, {found.folded} folded months"
    click.echo(f"{dataset} {as_of}: {found.total} stored files are what was frozen ({where})")


@snapshot.command()
@click.argument("dataset")
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def diff(dataset: str, before: str, after: str, as_json: bool) -> None:
    """Count the rows and labels that appeared, changed or vanished between two versions, by recorded day.

    \b
    Example: fraud-ml snapshot diff motor 2025-11-30 2025-12-31
    """
    from fraud_ml.data.snapshots import diff_versions

    difference = diff_versions(Settings.load(), contract_of(dataset), before, after)
    if as_json:
        click.echo(canonical_json(difference))
    else:
        _echo_difference(difference)


def _echo_difference(difference: Any) -> None:
    kinds = ("appeared", "changed", "vanished")
    click.echo(
        f"{'recorded':<12}" + "".join(f"{f'{what} {kind}':>17}" for what in ("rows", "labels") for kind in kinds)
    )
    for day, changes in (*difference.days.items(), ("all", difference.total)):
        click.echo(f"{day:<12}" + "".join(f"{count:>17,}" for count in asdict(changes).values()))


@snapshot.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option("--into", type=_FILE, required=True, help="Folder to bring it into: absent, empty or a snapshot's.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def pull(dataset: str, as_of: str, into: Path, as_json: bool) -> None:
    """Bring a version's files and manifest into a folder, every byte compared with the manifest.

    \b
    Example: fraud-ml snapshot pull motor 2025-12-31 --into motor-2025
    """
    from fraud_ml.data.snapshots import pull_snapshot

    manifest = pull_snapshot(Settings.load(), dataset, as_of, into)
    told = f"{into}: {manifest.rows:,} rows in {len(manifest.files)} files, digest {manifest.digest[:12]}"
    click.echo(canonical_json(manifest) if as_json else told)
