"""Score every claim of a snapshot, month by month, so that memory never holds a table and a killed run goes on.

All claims are scored as they were known on the as-of date, those that validation set aside among them: whoever wants a
score for a claim gets one, and the verdict on the snapshot stands elsewhere.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.artifacts import FoldManifest, digest_of, file_digest
from fraud_ml.contract import Contract
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.layout import code_version
from fraud_ml.data.snapshots import collect_keys, open_snapshot, pull_snapshot
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.features.network import write_network
from fraud_ml.scoring.model import BatchModel
from fraud_ml.scoring.months import ScoredMonth, ScoresFolder, ScoresManifest
from fraud_ml.scoring.rows import RowScorer
from fraud_ml.settings import Settings

Say = Callable[[str], None]
_FORMAT = 1  # raise it when the same claims and model shall give other files


@dataclass(frozen=True)
class Scored:
    """Scores that were written; `reused` of the months stood already, made of the same."""

    manifest: ScoresManifest
    scored: int
    reused: int


def score_snapshot(
    settings: Settings, contract: Contract, as_of: str, model: BatchModel, out: Path, say: Say, *, reasons: int
) -> Scored:
    """Score the snapshot frozen for `as_of` (an ISO date, or `<date>.r2`) into the folder `out`.

    reasons: how many at most are told of each claim that is to be investigated.

    Raises BadInput naming the snapshots that exist, or that `out` holds something else, Tampered naming a file whose
    bytes differ, Unavailable when a server is away. Whatever was written stands, and the next run goes on behind it.
    """
    place = ScoresFolder(out)
    with tempfile.TemporaryDirectory(prefix="fraud-ml-score-") as scratch:
        folder, claims = Path(scratch) / "snapshot", Path(scratch) / "claims"
        pull_snapshot(settings, contract.dataset, as_of, folder)
        keys = collect_keys(settings, contract, folder)  # held in memory, and nowhere else
        snapshot = open_snapshot(folder, contract, keys=keys)
        say(f"folding {contract.dataset} as of {as_of} …")
        fold = snapshot.fold_into(claims, FoldCache(settings.fold_cache)).manifest
        network = None
        if takes_network(model, contract):
            say("looking up who is connected with whom …")
            network = Path(scratch) / "network"
            network.mkdir()
            write_network(folder, snapshot.manifest, claims, fold, contract, keys, network)
        return score_fold(claims, fold, contract, keys, model, place, say, reasons=reasons, network=network)


def takes_network(model: BatchModel, contract: Contract) -> bool:
    """Say whether the model takes any of the contract's network columns."""
    return not {column.name for column in contract.network_features}.isdisjoint(model.predictor.inputs.names)


def score_fold(
    claims: Path,
    fold: FoldManifest,
    contract: Contract,
    keys: SnapshotKeys,
    model: BatchModel,
    place: ScoresFolder,
    say: Say,
    *,
    reasons: int,
    network: Path | None = None,
) -> Scored:
    """Score the fold in `claims`, whose bytes the caller has written or compared.

    network: the folder in which `write_network` left the same claims' columns; a model that takes none needs none.
    """
    scorer = RowScorer(model, contract, keys, reasons=reasons)
    made_by = digest_of(
        {
            "format": _FORMAT,
            "code": code_version(),
            "candidate": model.candidate.digest,
            "version": model.version,
            "threshold": model.threshold,
            "reasons": [reasons, scorer.reasons.said],
            "erased": sorted(name for name, person in keys.people.items() if person.key is None),
        }
    )
    months: dict[str, ScoredMonth] = {}
    reused = done = 0
    for name, sha256 in sorted(fold.files.items()):
        month = name.removesuffix(".parquet")
        beside = None if network is None else network / name
        told = {} if beside is None else {"network": file_digest(beside)}
        made_of = digest_of({"by": made_by, "claims": sha256, **told})
        record = place.find(month, made_of)
        if record is None:
            counts = scorer.score(claims / name, place.partial(month), beside)
            record = place.keep(month, made_of, claims=counts.claims, flagged=counts.flagged)
        else:
            reused += 1
        months[month] = record
        done += record.claims
        say(f"{month}: {record.claims:,} claims, {record.flagged:,} to investigate ({done:,} of {fold.claims:,})")
    manifest = ScoresManifest(
        dataset=fold.dataset,
        as_of=fold.as_of,
        snapshot_digest=fold.snapshot_digest,
        model_version=model.version,
        candidate_digest=model.candidate.digest,
        model_digest=model.candidate.model_digest,
        threshold=model.threshold,
        claims=done,
        flagged=sum(record.flagged for record in months.values()),
        months=months,
    ).sealed()
    place.finish(manifest)
    return Scored(manifest, len(months) - reused, reused)
