"""What changes the place: where the servers and folders are, from the environment.

A stack started by `fraud-ml stack up` writes the same names to `<home>/settings.env` (mode 600); the process
environment wins over that file, so pointing at outside servers (RDS, S3, Amazon MQ) means setting variables.
Nothing here may change a model: that is `params.yaml`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fraud_ml.errors import Unavailable

PROJECT = Path(__file__).resolve().parent.parent
SETTINGS_FILE = "settings.env"


@dataclass(frozen=True)
class Settings:
    """One place to run in. `values` holds every variable; the properties name those that the rooms read."""

    home: Path
    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment, then `<FRAUD_ML_HOME>/settings.env` for what it leaves out."""
        environ = os.environ if environ is None else environ
        home = Path(environ.get("FRAUD_ML_HOME") or PROJECT / ".stack").resolve()
        return cls(home=home, values={**read_env_file(home / SETTINGS_FILE), **environ})

    def need(self, name: str) -> str:
        """Return the variable, or raise Unavailable saying how to get it."""
        value = self.values.get(name)
        if not value:
            raise Unavailable(
                f"{name} is not set",
                next_step="start the embedded stack with `fraud-ml stack up`, or set it",
                name=name,
            )
        return value

    def path(self, name: str, default: Path) -> Path:
        return Path(self.values.get(name) or default)

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger's own database."""
        return self.need("FRAUD_ML_LEDGER_URL")

    @property
    def mlflow_tracking_uri(self) -> str:
        return self.need("MLFLOW_TRACKING_URI")

    @property
    def rabbitmq_url(self) -> str | None:
        """amqp:// or amqps:// URL, or None where no broker is to be had and events wait in the outbox."""
        return self.values.get("RABBITMQ_URL") or None

    @property
    def kafka_options(self) -> dict[str, str]:
        """librdkafka options from KAFKA_… variables: KAFKA_SASL_PASSWORD is `sasl.password`."""
        named = {name: value for name, value in self.values.items() if name.startswith("KAFKA_")}
        return {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in named.items()}

    @property
    def claims_url(self) -> str:
        """Where the raw claim log lives, for example s3://claims."""
        return self.need("FRAUD_ML_CLAIMS_URL")

    def source_of(self, dataset: str) -> str:
        """Address from which the dataset's claims arrive, as `fraud-ml land` takes it; empty where none is set."""
        return self.values.get(source_variable(dataset), "")

    @property
    def served_url(self) -> str:
        """Where scorers leave counts of what they were asked about; beside the claim log unless it is set."""
        return (self.values.get("FRAUD_ML_SERVED_URL") or f"{self.claims_url.rstrip('/')}/served").rstrip("/")

    @property
    def reports_url(self) -> str:
        """Where reports for people are published, for example s3://reports."""
        return self.need("FRAUD_ML_REPORTS_URL")

    @property
    def snapshot_remote(self) -> str:
        """DVC remote of the snapshot registry, for example s3://snapshots."""
        return self.need("FRAUD_ML_SNAPSHOT_REMOTE")

    @property
    def snapshot_registry(self) -> Path:
        """The git repository, separate from the code, that holds DVC pointers and tags claims/<dataset>/<as-of>."""
        return self.path("FRAUD_ML_SNAPSHOT_REGISTRY", self.home / "registry")

    @property
    def fold_cache(self) -> Path:
        """Folded months that later snapshots may share; it may be deleted at any time."""
        return self.path("FRAUD_ML_FOLD_CACHE", self.home / "fold-cache")

    @property
    def verdict_cache(self) -> Path:
        """What was found of folded months that were judged; it may be deleted at any time."""
        return self.path("FRAUD_ML_VERDICT_CACHE", self.home / "verdict-cache")

    @property
    def code_repo(self) -> str:
        """Git repository whose dvc.yaml a retraining run checks out."""
        return self.values.get("FRAUD_ML_CODE_REPO") or str(PROJECT)

    @property
    def code_rev(self) -> str:
        return self.values.get("FRAUD_ML_CODE_REV") or "HEAD"

    @property
    def runs(self) -> Path:
        """Folder of the runs' own checkouts."""
        return self.path("FRAUD_ML_RUNS", self.home / "runs")

    @property
    def scores(self) -> Path:
        """Folder of batch scores, by dataset, as-of date and candidate."""
        return self.path("FRAUD_ML_SCORES", self.home / "scores")

    @property
    def dvc_cache(self) -> Path:
        """DVC cache (and run cache) that all runs' checkouts share."""
        return self.path("FRAUD_ML_DVC_CACHE", self.home / "dvc-cache")

    @property
    def approvers(self) -> Path:
        """JSON file: who may approve, as {person: base64 Ed25519 public key}."""
        return self.path("FRAUD_ML_APPROVERS", self.home / "approvers.json")

    @property
    def tfdv_python(self) -> Path:
        """Interpreter of TensorFlow Data Validation's own environment."""
        return self.path("FRAUD_ML_TFDV_PYTHON", PROJECT / ".venv-tfdv" / "bin" / "python")

    @property
    def airflow_url(self) -> str:
        return self.need("FRAUD_ML_AIRFLOW_URL")

    @property
    def scorer_url(self) -> str:
        return self.need("FRAUD_ML_SCORER_URL")

    @property
    def scorer_home(self) -> Path:
        """Folder in which a scorer keeps the model it serves, across restarts."""
        return self.path("FRAUD_ML_SCORER_HOME", self.home / "scorer")


def source_variable(dataset: str) -> str:
    """Return the variable that names the dataset's source.

    >>> source_variable("motor-fleet")
    'FRAUD_ML_SOURCE_MOTOR_FLEET'
    """
    return "FRAUD_ML_SOURCE_" + "".join(sign if sign.isalnum() else "_" for sign in dataset).upper()


def read_env_file(path: Path) -> dict[str, str]:
    """Return NAME=value lines as a dictionary; empty when the file is absent."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
