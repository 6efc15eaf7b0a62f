"""A small project with a dvc.yaml of its own, and the environment that its stages need."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fraud_ml.ledger import Ledger
from fraud_ml.settings import Settings
from tests.empty_ledger import empty_ledger
from tests.toy_git import git


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Places in the test's own folder; no server."""
    return Settings(home=tmp_path / "home", values={"FRAUD_ML_CODE_REPO": str(tmp_path / "project")})


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write and commit a project of these files; a DVC checkout whose cache lies in the test's folder."""

    def make(files: dict[str, str], name: str = "project") -> Path:
        folder = tmp_path / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").write_text(
            f"[core]\nanalytics = false\nsite_cache_dir = {tmp_path}/site\n[cache]\ndir = {tmp_path}/cache\n"
        )
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "A small project")
        return folder

    return make


@pytest.fixture
def ledger(postgres_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """An empty ledger in a new database, which tasks and triggers find through their environment."""
    url = empty_ledger(postgres_settings)
    monkeypatch.setenv("FRAUD_ML_LEDGER_URL", url)
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    return Ledger(url)
