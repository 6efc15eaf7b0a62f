"""The motor contract with `erasure`, a small log of it, and everything by which its people could be recognised."""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import yaml

from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.simulator import simulate
from fraud_ml.settings import PROJECT

ERASURE = {"subject": "claimant_id", "mentions": {"witness_ids": {"joined_by": "+", "nobody": ["none"]}}}
IDENTIFIERS = ("claimant_id", "policy_id", "witness_ids", "phone_id", "address_id")


def expectations_of_sealed_motor(folder: Path, *, sealed: bool = True) -> Path:
    """Write the project's rules, motor's contract with `erasure` or without, below `folder`; return the folder."""
    shutil.copytree(PROJECT / "expectations", folder, dirs_exist_ok=True)
    path = folder / "motor" / "contract.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content.pop("erasure", None)
    for column in content["columns"] if not sealed else ():  # `nobody` and `joined_by` are gone with `erasure`
        if column["name"] == "witness_ids":
            column |= {"nothing": ERASURE["mentions"]["witness_ids"]["nobody"], "joined_by": "+"}
    path.write_text(yaml.safe_dump({**content, **({"erasure": ERASURE} if sealed else {})}), encoding="utf-8")
    return folder


def sealed_motor(folder: Path) -> Contract:
    return load_contract("motor", expectations_of_sealed_motor(folder))


def motor_rows(claims: int = 30) -> pd.DataFrame:
    """Return a log recorded from January into March 2024."""
    return simulate("motor", claims=claims, seed=5, begin=date(2024, 1, 1), end=date(2024, 3, 12))


def named_in(rows: pd.DataFrame, columns: tuple[str, ...] = IDENTIFIERS) -> set[bytes]:
    """Return every identifier in the rows, lists of people taken apart."""
    cells = {value for name in columns for value in rows[name].dropna().unique()}
    return {part.encode() for cell in cells for part in str(cell).split("+")} - {b"none"}
