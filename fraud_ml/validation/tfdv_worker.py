"""Hold figures about claims against a schema. Runs alone, under TensorFlow Data Validation's own interpreter.

    <tfdv python> tfdv_worker.py schema.pbtxt  < figures.json  > answer.json

The figures (`describing.as_told`) become the statistics that TFDV's validator looks at, as TFDV takes them itself.

The answer is one JSON object: either `rows`, `columns`, `anomalies` and `statistics` (a DatasetFeatureStatisticsList as
text), or `bad_schema` (line and reason), or `failed` (what was raised, and where). Nothing in it is a claim's value:
examples, extremes, quantiles, rank lists and the messages of exceptions stay behind.

It imports nothing of the platform's package, whose environment differs.
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ENOUGH_VALUES_FOR_A_MOMENT = 100  # below, a mean may tell one claim's value
_COUNTS = ("num_non_missing", "num_missing", "min_num_values", "max_num_values", "tot_num_values")
_FIGURES = ("unique", "avg_length", "avg_num_bytes", "num_zeros", "invalid_utf8_count")
_MOMENTS = ("mean", "std_dev")
_PR_SET_PDEATHSIG = 1
_TOP_VALUES = 20  # as TFDV keeps


def main() -> int:
    _die_with_parent()
    answer_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries that print do not spoil the answer
    try:
        validator = _validator()
        answer = validate(validator, json.load(sys.stdin), Path(sys.argv[1]))
    except Exception as error:
        answer = {"failed": {"kind": type(error).__name__, "at": _where(error)}}
    json.dump(answer, answer_to, allow_nan=False)
    answer_to.close()
    return 0


def _validator() -> Any:
    """Return TFDV's compiled validator without the rest of TFDV, which loads TensorFlow and Beam for seconds.

    So the package's own `__init__` is left out: an empty package stands in its place.
    """
    name = "tensorflow_data_validation"
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name=name)
    package = ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules.setdefault(name, package)
    from tensorflow_data_validation.pywrap.tensorflow_data_validation_extension import validation

    return validation


def validate(validator: Any, figures: dict[str, Any], schema_path: Path) -> dict[str, Any]:
    """Return the answer for figures and a schema."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema()
    try:
        text_format.Parse(schema_path.read_text(encoding="utf-8"), schema)
    except text_format.ParseError as broken:
        return {"bad_schema": {"line": broken.GetLine() or 1, "reason": str(broken)}}
    rows = figures["rows"]
    statistics = statistics_of(figures)
    anomalies = anomalies_of(validator, statistics, schema)
    (described,) = statistics.datasets
    features = {feature.path.step[0]: feature for feature in described.features}
    columns = figures["columns"]
    return {
        "rows": rows,
        "anomalies": list(_anomalies(anomalies, schema, features)),
        "columns": [_column(name, feature, rows, columns[name]) for name, feature in features.items()],
        "statistics": text_format.MessageToString(_without_values(statistics)),
    }


def anomalies_of(validator: Any, statistics: Any, schema: Any) -> Any:
    """Return what `tfdv.validate_statistics` does of statistics and schema alone."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    (described,) = statistics.datasets
    other_statistics = environment = options = b""
    anomalies = anomalies_pb2.Anomalies()
    anomalies.ParseFromString(
        validator.ValidateFeatureStatistics(
            described.SerializeToString(),
            schema.SerializeToString(),
            environment,
            *[other_statistics] * 3,  # of an earlier span, of serving, of an earlier version
            *[options] * 2,  # features that are needed, and severities
            False,
        )
    )
    return anomalies


def statistics_of(figures: dict[str, Any]) -> Any:
    """Return TFDV's statistics of these figures: all of its validator's input, without quantiles and top values."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    kinds = statistics_pb2.FeatureNameStatistics
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=figures["rows"])
    for name, told in figures["columns"].items():
        feature = dataset.features.add(type=kinds.STRING if told["text"] else kinds.FLOAT)
        feature.path.step.append(name)
        known = told["known"]
        stats = feature.string_stats if told["text"] else feature.num_stats
        stats.common_stats.num_missing = figures["rows"] - known
        if not known:
            continue
        common = stats.common_stats
        common.num_non_missing = common.tot_num_values = known
        common.min_num_values = common.max_num_values = 1
        common.avg_num_values = 1.0
        if told["text"]:
            _tell_text(stats, told)
        else:
            stats.mean, stats.std_dev, stats.num_zeros = told["mean"], told["deviation"], told["zeros"]
            stats.min, stats.max = told["least"], told["most"]
    return statistics


def _tell_text(stats: Any, told: dict[str, Any]) -> None:
    counts = told["counts"]
    stats.avg_length = told["characters"] / told["known"]
    stats.unique = len(counts) if told["counts_all"] else 0
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    others = told["known"] - sum(counts.values())
    if others:  # values of a column of many: no domain holds this one
        ranked.append(("\x00 others", others))
    for rank, (value, rows) in enumerate(ranked):
        stats.rank_histogram.buckets.add(label=value, sample_count=rows, low_rank=rank, high_rank=rank)
        if rank < _TOP_VALUES:
            stats.top_values.add(value=value, frequency=rows)


def _anomalies(anomalies: Any, schema: Any, features: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield column, kind, severity and the count of rows; descriptions quote values, so they stay here."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    found = [(name, info) for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        found.append((None, anomalies.dataset_anomaly_info))
    for name, info in found:
        column = info.path.step[0] if name is not None and info.path.step else name
        for reason in info.reason:
            kind = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
            yield {
                "column": column,
                "kind": kind,
                "severity": anomalies_pb2.AnomalyInfo.Severity.Name(info.severity),
                "count": _count(kind, column, schema, features.get(column) if column else None),
            }


def _count(kind: str, column: str | None, schema: Any, feature: Any) -> int | None:
    if feature is None:
        return None
    if "PRESENT" in kind:
        return int(_common(feature).num_missing)
    if kind == "ENUM_TYPE_UNEXPECTED_STRING_VALUES":
        declared = next((known for known in schema.feature if known.name == column), None)
        if declared is None:
            return None
        shared = {domain.name: domain for domain in schema.string_domain}
        domain = shared.get(declared.domain, declared.string_domain)
        buckets = feature.string_stats.rank_histogram.buckets
        return int(sum(bucket.sample_count for bucket in buckets if bucket.label not in set(domain.value)))
    return None


def _common(feature: Any) -> Any:
    return getattr(feature, feature.WhichOneof("stats")).common_stats


def _column(name: str, feature: Any, rows: int, figures: dict[str, Any]) -> dict[str, Any]:
    common = _common(feature)
    known = int(common.num_non_missing)
    told: dict[str, Any] = {"column": name, "known": known, "missing": rows - known}
    if feature.WhichOneof("stats") == "string_stats":
        distinct = int(feature.string_stats.unique) if figures["counts_all"] else None
        told |= {"distinct": distinct, "average_length": float(feature.string_stats.avg_length)}
    elif feature.WhichOneof("stats") == "num_stats":
        told["zeros"] = int(feature.num_stats.num_zeros)
        if known >= ENOUGH_VALUES_FOR_A_MOMENT:
            told |= {"mean": _finite(feature.num_stats.mean), "standard_deviation": _finite(feature.num_stats.std_dev)}
    return told


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None


def _without_values(statistics: Any) -> Any:
    """Return statistics with only counts, lengths and moments of many values: what no single claim determines."""
    kept = type(statistics)()
    for dataset in statistics.datasets:
        of = kept.datasets.add(name=dataset.name, num_examples=dataset.num_examples)
        for feature in dataset.features:
            kind = feature.WhichOneof("stats")
            target = of.features.add(path=feature.path, type=feature.type)
            told, source = getattr(target, kind), getattr(feature, kind)
            for name in _COUNTS:
                setattr(told.common_stats, name, getattr(source.common_stats, name))
            many = source.common_stats.num_non_missing >= ENOUGH_VALUES_FOR_A_MOMENT
            for name in (*_FIGURES, *(_MOMENTS if many else ())):
                if name in source.DESCRIPTOR.fields_by_name:
                    setattr(told, name, getattr(source, name))
    return kept


def _where(error: Exception) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (frames[:2] + frames[-1:])]


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the one that started it is gone; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
