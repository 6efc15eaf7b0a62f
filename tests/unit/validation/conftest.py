"""Claims of the motor insurer, made in the test that needs them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_ml.contract import Contract, load_contract
from fraud_ml.params import ValidationParams
from fraud_ml.settings import PROJECT

MakeClaims = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def motor() -> Contract:
    return load_contract("motor", PROJECT / "expectations")


@pytest.fixture(scope="session")
def motor_rules() -> Path:
    return PROJECT / "expectations" / "motor"


@pytest.fixture(scope="session")
def params() -> ValidationParams:
    return ValidationParams(max_quarantined_share=0.02)


@pytest.fixture(scope="session")
def make_claims() -> MakeClaims:
    """Return a function: motor claims as of 2024-12-31 that every rule accepts, but for the columns it is given."""

    def make(rows: int = 400, **columns: object) -> pd.DataFrame:
        number = np.arange(rows)
        accident = pd.Timestamp("2024-01-01") + pd.to_timedelta(number * 211 % 366, unit="D")  # each day about as often
        last = pd.Timestamp("2024-12-31")
        outcome = np.where(number % 3 == 0, np.where(number % 30 == 0, "confirmed", "cleared"), None)
        claims = pd.DataFrame(
            {
                "claim_id": [f"M-{n:06d}" for n in number],
                "policy_id": [f"P-{n:06d}" for n in number],
                "claimant_id": [f"D-{n:06d}" for n in number],
                "garage_id": [f"G-{n % 9:06d}" for n in number],
                "witness_ids": np.where(number % 3, "D-900001", "none"),
                "phone_id": [f"T-{n:06d}" for n in number],
                "address_id": [f"A-{n:06d}" for n in number],
                "accident_date": accident,
                "reported_date": np.minimum(accident + pd.Timedelta(days=1), last),
                "recorded_at": np.minimum(accident + pd.Timedelta(days=20), last),
                "event": "closed",
                "investigation": np.where(number % 3 == 0, "rule", "none"),
                "outcome": outcome,
                "form_version": "v2",
                "currency": "EUR",
                "claim_amount": 500.0 + number,
                "reserve_eur": 0.0,
                "paid_eur": 400.0 + number,
                "region": np.where(number % 2, "north", "south"),
                "vehicle_make": "volta",
                "vehicle_age_years": (number % 20).astype(float),
                "vehicle_value_eur": 9000.0 + number,
                "driver_age_years": 20.0 + number % 50,
                "sex": np.where(number % 2, "female", "male"),
                "policy_age_days": 100.0 + number,
                "cover": "partial",
                "sales_channel": "agent",
                "accident_kind": "collision",
                "fault": "own",
                "police_report": "no",
                "witnesses": (number % 3).astype(float),
                "past_claims": (number % 2).astype(float),
                "claim_amount_eur": 500.0 + number,
                "days_to_report": 1.0,
                "address_change": "none",
            }
        )
        claims["event_time"] = claims["accident_date"]
        for name, values in columns.items():
            claims[name] = values
        return claims

    return make
