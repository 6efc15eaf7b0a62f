"""Where a line's claims come from, and how Airflow learns that there are new ones.

The address is a property of the place: `FRAUD_ML_SOURCE_<DATASET>`, as `fraud-ml land` takes it. A Kafka topic wakes
its DAG itself, objects in S3 are listed by a deferred task, and every other source is asked once an hour.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, Param

from fraud_airflow.lines import Line
from fraud_airflow.topics import TopicTrigger
from fraud_ml.settings import Settings, source_variable

_HOURLY = "0 * * * *"
_SOON = "*/10 * * * *"  # the next wait begins this long after a landing, or after one that failed


@dataclass(frozen=True)
class Source:
    """One line's source; `address` is empty where the place names none."""

    dataset: str
    address: str

    @property
    def variable(self) -> str:
        return source_variable(self.dataset)

    @property
    def is_listed(self) -> bool:
        """Whether a task can wait for new objects there."""
        return self.address.startswith("s3://")

    @property
    def topic(self) -> Asset | None:
        """The asset that a new message wakes, for a Kafka topic."""
        parts = urlsplit(self.address)
        if parts.scheme != "kafka":
            return None
        group = parse_qs(parts.query).get("group", ["fraud-ml"])[0]
        trigger = TopicTrigger(brokers=parts.netloc, topic=parts.path.strip("/"), group=group)
        watcher = AssetWatcher(name=f"claims_topic_{self.dataset}", trigger=trigger)
        return Asset(f"claims_topic_{self.dataset}", watchers=[watcher])

    @property
    def schedule(self) -> Any:
        """When the DAG runs: None without a source."""
        if not self.address:
            return None
        if self.is_listed:
            return CronTriggerTimetable(_SOON, timezone="UTC")
        hourly = CronTriggerTimetable(_HOURLY, timezone="UTC")
        topic = self.topic
        return AssetOrTimeSchedule(timetable=hourly, assets=[topic]) if topic else hourly

    @property
    def form(self) -> dict[str, Param]:
        """What a person may choose when starting a run by hand."""
        if not self.is_listed:
            return {}
        about = "Switched off, the run lands at once all that is there; what was landed before adds nothing."
        return {"wait": Param(True, type="boolean", title="Wait for something new", description=about)}

    @property
    def about(self) -> str:
        """One sentence for people."""
        if not self.address:
            return f"no source is set: let `{self.variable}` name one, as `fraud-ml land` takes it"
        return f"land what arrives at {self.address}"


def source_of(line: Line, settings: Settings | None = None) -> Source:
    """Return where the line's claims come from, as the environment says."""
    return Source(line.dataset, (settings or Settings.load()).source_of(line.dataset))
