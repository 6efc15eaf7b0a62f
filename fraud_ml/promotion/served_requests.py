"""Pin what scorers were asked about before a run's date: counts of the days, merged over all scorers.

<served>/<dataset>/<day>/<scorer>-<folder>.json    a day's counts as one scorer's folder has them (serving/logbook.py)
<served>/<dataset>/pinned/<digest>.json            what runs were opened with, by the digest that the ledger tells
"""

from datetime import date, timedelta

from fraud_ml.artifacts import Workspace, canonical_json, save
from fraud_ml.errors import FraudMLError, Tampered
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from fraud_ml.validation.served import Served, merge_served, read_served, served_of

SERVED_DAYS = 90  # up to the as-of date: a quarter, in which few claims a day add up and faults of weeks still show


def keep_served(settings: Settings, dataset: str, as_of: date) -> str | None:
    """Leave the record of the SERVED_DAYS days up to `as_of` in the object store; return its digest.

    None where nothing was asked. Days after `as_of` are not looked at. Raises Tampered naming a day's record that is
    damaged or stands in another's place, Unavailable when the store does not answer.
    """
    store = ObjectStore(settings)
    served = gather_served(store, f"{settings.served_url}/{dataset}/", dataset, as_of)
    if not served.claims:
        return None
    store.write(_address(settings, dataset, served.digest), canonical_json(served), media_type="application/json")
    return served.digest


def gather_served(store: ObjectStore, below: str, dataset: str, as_of: date) -> Served:
    """Return the merged record of the days in (as_of - SERVED_DAYS, as_of]."""
    wanted = {}
    for url in store.below(below):
        day = _day_of(url.removeprefix(below))
        if day is not None and as_of - timedelta(days=SERVED_DAYS) < day <= as_of:
            wanted[url] = day
    contents = store.read_many(wanted)
    return merge_served(dataset, [_of_day(contents[url], url, dataset, day) for url, day in sorted(wanted.items())])


def pin_served(settings: Settings, workspace: Workspace, dataset: str, digest: str | None) -> Served:
    """Leave the record of that digest as served.json in the workspace, for None that nothing was asked.

    Doing it twice changes nothing.
    Raises Tampered when the object store holds another record under the digest, Unavailable when it does not answer.
    """
    if digest is None:
        return none_served(workspace, dataset)
    if (pinned := _pinned(workspace)) is not None and pinned.digest == digest:
        return pinned
    url = _address(settings, dataset, digest)
    served = served_of(ObjectStore(settings).read(url), url)
    if served.digest != digest:
        raise Tampered(
            f"{url} is another record of requests than the one that the run was opened with",
            expected=digest[:12],
            arrived=served.digest[:12],
            next_step="restore it from a backup of the object store",
            path=url,
        )
    save(served, workspace.served)
    return served


def none_served(workspace: Workspace, dataset: str) -> Served:
    """Leave the record that nothing was asked."""
    nothing = merge_served(dataset, [])
    if _pinned(workspace) != nothing:
        save(nothing, workspace.served)
    return nothing


# --- inside ---------------------------------------------------------------------------------------------------------


def _address(settings: Settings, dataset: str, digest: str) -> str:
    return f"{settings.served_url}/{dataset}/pinned/{digest}.json"


def _day_of(path: str) -> date | None:
    try:
        return date.fromisoformat(path.partition("/")[0])
    except ValueError:
        return None


def _of_day(content: bytes, url: str, dataset: str, day: date) -> Served:
    served = served_of(content, url)
    if (served.dataset, served.days) != (dataset, (day.isoformat(),)):
        raise Tampered(
            f"{url} is the record of another day or data set",
            expected=f"{dataset}, {day}",
            next_step="restore it from a backup of the object store, or remove it",
            path=url,
        )
    return served


def _pinned(workspace: Workspace) -> Served | None:
    """Return the record that stands in the workspace already, if it is whole."""
    try:
        return read_served(workspace.served)
    except FraudMLError:
        return None
