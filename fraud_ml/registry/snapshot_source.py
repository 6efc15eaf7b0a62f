"""How MLflow is told where a run's claims came from: a tag in the snapshot registry and the snapshot's whole digest."""

from typing import Any

from mlflow.data.dataset_source import DatasetSource


class SnapshotSource(DatasetSource):  # type: ignore[misc]
    """A frozen snapshot. MLflow shows it; reading claims is the data room's, which checks every byte first."""

    def __init__(self, *, tag: str, digest: str) -> None:
        self.tag = tag  # claims/<dataset>/<as-of>
        self.digest = digest  # SHA-256, 64 hex digits

    @staticmethod
    def _get_source_type() -> str:
        return "dvc_snapshot"

    def load(self) -> Any:
        raise NotImplementedError("pin the snapshot instead: `fraud-ml pin DATASET AS_OF`")

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, dict) and set(raw_source) == {"tag", "digest"}

    @classmethod
    def _resolve(cls, raw_source: Any) -> "SnapshotSource":
        return cls.from_dict(raw_source)

    def to_dict(self) -> dict[str, Any]:
        return {"tag": self.tag, "digest": self.digest}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> "SnapshotSource":
        return cls(tag=source_dict["tag"], digest=source_dict["digest"])
