"""Clean ground: for each data set an accepted history of claims, and the delivery that arrives next, as text.

A scene is drawn by its seed: another quarter and another sample of carclaims, other customers and another week of
handbook, another simulated insurer of motor. Equal seeds give equal scenes.
"""

from calendar import month_abbr
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.contract import Contract, load_contract
from fraud_ml.settings import PROJECT
from fraud_ml.validation.served import Served

if TYPE_CHECKING:
    import pandas as pd


LOG_KEY = "key of a log"  # an attribute of rows that are states of claims: the column that names the claim


@dataclass(frozen=True)
class File:
    """A delivery as bytes; the name says how it is written."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Line:
    """What the faults must know of a line of business: which columns are what."""

    dataset: str
    key: str
    label: str
    positive: str
    negative: str
    categories: tuple[str, ...]  # few values, all of them listed by the suite
    texts: tuple[str, ...]  # text of any kind
    numbers: tuple[str, ...]
    amounts: tuple[str, ...]  # numbers in a unit of money
    times: tuple[str, ...]  # timestamps
    codes: tuple[str, ...]  # whole numbers that are names
    foreign: tuple[str, ...]  # keys of something else
    names: tuple[str, ...]  # long keys, its own or others', that a spreadsheet may take for numbers
    fanned: tuple[str, ...]  # columns of what a claim is joined with
    tied: tuple[str, ...]  # columns that go with another column
    flags: tuple[str, ...]  # columns of two answers
    leaky: tuple[str, ...]  # features that somebody may fill in afterwards
    measured: tuple[str, ...]  # numbers of which none is held by most claims
    alike: tuple[tuple[str, str], ...]  # pairs of columns that a careless export exchanges
    asked_words: tuple[str, ...]  # features of few words, of which none is held by most claims
    asked_numbers: tuple[str, ...]  # measured numbers that are features

    @property
    def asked(self) -> tuple[str, ...]:
        """Features that callers send."""
        return (*self.asked_words, *self.asked_numbers)


CARCLAIMS = Line(
    dataset="carclaims",
    key="PolicyNumber",
    label="FraudFound_P",
    positive="1",
    negative="0",
    categories=("Make", "MaritalStatus", "VehiclePrice", "Fault", "BasePolicy", "AgeOfPolicyHolder"),
    texts=("Make", "PolicyType", "RepNumber", "AgeOfVehicle"),
    numbers=("Age", "Deductible"),
    amounts=("Deductible",),
    times=(),
    codes=("WeekOfMonth", "RepNumber", "DriverRating", "Year"),
    foreign=(),
    names=("PolicyNumber",),
    fanned=("Make", "RepNumber"),
    tied=("PolicyType", "BasePolicy", "AgeOfPolicyHolder"),
    flags=("AccidentArea", "Sex", "Fault"),
    leaky=("PoliceReportFiled", "WitnessPresent", "AddressChange_Claim"),
    measured=("Age",),
    alike=(("Sex", "MaritalStatus"), ("AccidentArea", "AgentType"), ("PoliceReportFiled", "WitnessPresent")),
    asked_words=("Make", "MaritalStatus", "VehiclePrice", "BasePolicy"),
    asked_numbers=("Age",),
)
HANDBOOK = Line(
    dataset="handbook",
    key="TRANSACTION_ID",
    label="TX_FRAUD",
    positive="1",
    negative="0",
    categories=(),
    texts=("CUSTOMER_ID", "TERMINAL_ID"),
    numbers=("TX_AMOUNT",),
    amounts=("TX_AMOUNT",),
    times=("TX_DATETIME",),
    codes=("CUSTOMER_ID", "TERMINAL_ID", "TX_FRAUD"),
    foreign=("CUSTOMER_ID", "TERMINAL_ID"),
    names=("TRANSACTION_ID",),
    fanned=("TERMINAL_ID",),
    tied=(),
    flags=(),
    leaky=(),
    measured=("TX_AMOUNT",),
    alike=(("CUSTOMER_ID", "TERMINAL_ID"),),
    asked_words=(),
    asked_numbers=("TX_AMOUNT",),
)
MOTOR = Line(
    dataset="motor",
    key="claim_id",
    label="outcome",
    positive="confirmed",
    negative="cleared",
    categories=("region", "vehicle_make", "cover", "sales_channel", "accident_kind"),
    texts=("policy_id", "garage_id", "phone_id", "region", "vehicle_make"),
    numbers=("claim_amount_eur", "vehicle_value_eur", "driver_age_years", "policy_age_days"),
    amounts=("claim_amount_eur", "vehicle_value_eur"),
    times=("accident_date", "reported_date", "recorded_at"),
    codes=(),
    foreign=("garage_id", "policy_id"),
    names=("policy_id", "garage_id"),
    fanned=("garage_id", "phone_id"),
    tied=("claim_amount_eur", "vehicle_value_eur", "accident_kind"),
    flags=("police_report",),  # as many women as men: turned round, they look as before
    leaky=("police_report", "address_change"),
    measured=("claim_amount_eur", "vehicle_value_eur", "driver_age_years", "policy_age_days"),
    alike=(("cover", "sales_channel"), ("accident_date", "reported_date"), ("phone_id", "address_id")),
    asked_words=("region", "vehicle_make", "cover", "sales_channel", "accident_kind"),
    asked_numbers=("claim_amount_eur", "vehicle_value_eur", "driver_age_years", "policy_age_days"),
)


@dataclass(frozen=True)
class Scene:
    """Claims that were accepted, and what arrives next: rows of the source, each cell as text."""

    line: Line
    seed: int
    contract: Contract
    rules: Path
    history: "pd.DataFrame"
    arriving: "pd.DataFrame"
    before: date  # the as-of date of the history
    as_of: date
    served: Served | None = None  # what callers asked about, where somebody counted it

    @property
    def now(self) -> datetime:
        """When the delivery arrives: the morning after the as-of date."""
        return datetime.combine(self.as_of, datetime.min.time(), UTC) + timedelta(days=1, hours=6)

    @property
    def rows(self) -> "pd.DataFrame":
        return self.arriving.copy()


def shared_data() -> Path:
    """Return the folder of the public data."""
    import os

    return Path(os.environ.get("FRAUD_ML_SHARED", PROJECT.parent / "shared")) / "data"


def as_csv(rows: "pd.DataFrame", name: str = "delivery.csv") -> File:
    return File(name, rows.to_csv(index=False, lineterminator="\n").encode())


def scene(dataset: str, seed: int) -> Scene:
    """Return the data set's scene of that seed."""
    return _SCENES[dataset](seed)


# --- inside ---------------------------------------------------------------------------------------------------------

# First months of quarters of carclaims in all of which fraud was recorded. The source's recording stopped in the months
# between them: a real label outage, so no clean ground to arrive; the histories hold those months as they are.
_QUARTERS = (
    (1994, 6),
    (1995, 1),
    (1995, 9),
    (1995, 10),
    (1996, 4),
    (1996, 5),
    (1996, 6),
    (1996, 7),
    (1996, 8),
    (1996, 9),
)
_MONTHS = {name: number for number, name in enumerate(month_abbr)}


@cache
def _carclaims_rows() -> "pd.DataFrame":
    import pandas as pd

    rows = pd.read_csv(shared_data() / "carclaims.csv", dtype=str, keep_default_na=False)
    return rows.assign(_at=rows["Year"].astype(int) * 12 + rows["Month"].map(_MONTHS) - 1)


@cache
def _carclaims(seed: int) -> Scene:
    import numpy as np

    dice = np.random.default_rng(seed)
    year, month = _QUARTERS[seed % len(_QUARTERS)]
    first = year * 12 + month - 1
    rows = _carclaims_rows()
    rows = rows[dice.random(len(rows)) < 0.95]
    history, arriving = (
        rows[(rows["_at"] < first) & (rows["_at"] >= first - 12)],
        rows[rows["_at"].between(first, first + 2)],
    )
    return _of(
        CARCLAIMS,
        seed,
        history.drop(columns="_at"),
        arriving.drop(columns="_at"),
        _month_end(first - 1),
        _month_end(first + 2),
    )


def _month_end(month: int) -> date:
    after = month + 1
    return date(after // 12, after % 12 + 1, 1) - timedelta(days=1)


@cache
def _handbook(seed: int) -> Scene:
    """Some sixty customers' transactions of three to five months; the next month arrives."""
    import pandas as pd

    from fraud_ml.data.duck import connect, scan

    file = shared_data() / "handbook_transactions.parquet"
    first = 2018 * 12 + 6 + seed % 3  # July, August or September
    with connect(files=True) as duck:
        found: pd.DataFrame = duck.sql(
            f"SELECT * REPLACE (strftime(TX_DATETIME, '%Y-%m-%dT%H:%M:%S') AS TX_DATETIME) FROM ({scan([file])})"  # noqa: S608
            f" WHERE CUSTOMER_ID % 80 = {seed % 80} AND TX_DATETIME <= '{_month_end(first)} 23:59:59'"
            " ORDER BY TRANSACTION_ID"
        ).df()
    rows = found.astype(str)
    known = pd.to_datetime(rows["TX_DATETIME"]) < pd.Timestamp(_month_end(first - 1)) + pd.Timedelta(days=1)
    return _of(HANDBOOK, seed, rows[known], rows[~known], _month_end(first - 1), _month_end(first))


@cache
def _motor(seed: int) -> Scene:
    """A year or more of some 300 claims a month; the next month's log rows arrive."""
    from fraud_ml.data.simulator import simulate

    day, month = timedelta(days=1), seed % 12
    before = _month_end(2023 * 12 + 11 + month) + day
    as_of = _month_end(2024 * 12 + month) + day
    rows = simulate("motor", claims=300 * 13, seed=1000 + seed, begin=before.replace(year=2023), end=as_of - day)
    known = rows["recorded_at"] < str(before)
    text = rows.copy()
    for name in rows.columns:
        if str(rows[name].dtype).startswith("datetime"):
            text[name] = rows[name].dt.strftime("%Y-%m-%dT%H:%M:%S")
    text = text.astype(object).where(rows.notna(), "").astype(str)
    text.attrs[LOG_KEY] = MOTOR.key
    return _of(MOTOR, seed, text[known], text[~known], before - day, as_of - day)


_SCENES: dict[str, Callable[[int], Scene]] = {"carclaims": _carclaims, "handbook": _handbook, "motor": _motor}


def _of(line: Line, seed: int, history: "pd.DataFrame", arriving: "pd.DataFrame", before: date, as_of: date) -> Scene:
    expectations = PROJECT / "expectations"
    return Scene(
        line,
        seed,
        load_contract(line.dataset, expectations),
        expectations / line.dataset,
        history.reset_index(drop=True),
        arriving.reset_index(drop=True),
        before,
        as_of,
    )
