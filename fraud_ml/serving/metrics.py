"""What a scorer counts, in Prometheus' text format (version 0.0.4). Labels are routes, statuses and datasets only."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fraud_ml.serving.scorer import LiveModel

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number that only grows, one for each set of labels."""

    def __init__(self, name: str, about: str) -> None:
        self._name, self._about = name, about
        self._values: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def add(self, amount: float = 1, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount

    def lines(self) -> Iterator[str]:
        yield from _header(self._name, "counter", self._about)
        with self._lock:
            values = dict(self._values)
        for labels, value in sorted(values.items()):
            yield _line(self._name, labels, value)


class Histogram:
    """How long things took, in seconds, one for each set of labels."""

    def __init__(self, name: str, about: str) -> None:
        self._name, self._about = name, about
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, seconds: float, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        place = next((i for i, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))
        with self._lock:
            self._buckets.setdefault(key, [0] * (len(_BOUNDS_S) + 1))[place] += 1
            self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        yield from _header(self._name, "histogram", self._about)
        with self._lock:
            taken = {key: (list(counts), self._sums[key]) for key, counts in self._buckets.items()}
        for labels, (counts, total_s) in sorted(taken.items()):
            below = 0
            for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), counts, strict=True):
                below += count
                yield _line(f"{self._name}_bucket", (*labels, ("le", bound)), below)
            yield _line(f"{self._name}_sum", labels, total_s)
            yield _line(f"{self._name}_count", labels, below)


@dataclass(frozen=True)
class Metrics:
    """Everything that one scorer counts."""

    requests: Counter = field(default_factory=lambda: Counter("fraud_scorer_requests_total", "Answered requests."))
    latency: Histogram = field(
        default_factory=lambda: Histogram("fraud_scorer_request_seconds", "Time from request to answer.")
    )
    claims: Counter = field(default_factory=lambda: Counter("fraud_scorer_claims_scored_total", "Scored claims."))
    uncounted: Counter = field(
        default_factory=lambda: Counter(
            "fraud_scorer_claims_uncounted_total", "Scored claims that the record of requests lacks."
        )
    )
    deployments: Counter = field(
        default_factory=lambda: Counter("fraud_scorer_deployments_total", "Promotions that went live here.")
    )
    refusals: Counter = field(default_factory=lambda: Counter("fraud_scorer_refusals_total", "Promotions refused."))

    def text(self, live: Mapping[str, LiveModel]) -> str:
        """Return the page that Prometheus reads."""
        lines = [line for each in vars(self).values() for line in each.lines()]
        lines += _header("fraud_scorer_live_info", "gauge", "The live model of each dataset.")
        for dataset, model in sorted(live.items()):
            candidate = model.deployment.candidate
            labels = (
                ("dataset", dataset),
                ("version", model.deployment.version),
                ("candidate", candidate.digest),
                ("artifact", candidate.artifact_digest),
                ("as_of", candidate.as_of),
            )
            lines.append(_line("fraud_scorer_live_info", labels, 1))
        lines += _header("fraud_scorer_live_since_seconds", "gauge", "When the live model went live, Unix time.")
        for dataset, model in sorted(live.items()):
            since = datetime.fromisoformat(model.deployment.since).timestamp()
            lines.append(_line("fraud_scorer_live_since_seconds", (("dataset", dataset),), since))
        return "\n".join(lines) + "\n"


def _header(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: Labels, value: float) -> str:
    spelled = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{spelled}}} {value:.10g}" if labels else f"{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
