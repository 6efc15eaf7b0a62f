"""Is a contract sound: do its sections speak of columns that it declares, of the right kind and role?"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from fraud_ml.contract.columns import SEALED, Kind, Role
from fraud_ml.contract.line import Contract
from fraud_ml.errors import BadInput


def require_sound(contract: Contract, path: Path) -> None:
    """Raise BadInput naming the first thing that is wrong. path: where it was read. No data is read."""
    twice = [name for name, count in Counter(contract.names).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: column `{twice[0]}` is declared twice", next_step="keep one of the two")
    for name, role in ((contract.key, Role.KEY), (contract.label.column, Role.LABEL)):
        if name not in contract.names:
            raise BadInput(
                f"{path}: the {role} column `{name}` is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
        if contract.column(name).role is not role:
            raise BadInput(
                f"{path}: column `{name}` is the {role}", expected=f"role: {role}", arrived=contract.column(name).role
            )
    _check_investigation(path, contract)
    _check_landing(path, contract)
    _check_erasure(path, contract)
    _check_split(path, contract)
    _check_network(path, contract)
    _check_judging(path, contract)
    _check_checks(path, contract)


# --- inside ---------------------------------------------------------------------------------------------------------


def _require_declared(path: Path, section: str, name: str, declared: Collection[str]) -> None:
    if name not in declared:
        raise BadInput(
            f"{path}: {section} speaks of column `{name}`, which is not among `columns`",
            next_step=f"declare `{name}`, or correct it",
        )


def _check_investigation(path: Path, contract: Contract) -> None:
    seen = contract.label.investigation
    if seen is None:
        return
    if seen.column not in contract.names:
        raise BadInput(
            f"{path}: the investigation column `{seen.column}` is not among `columns`",
            next_step=f"declare `{seen.column}`, or correct `label.investigation.column`",
        )
    if (role := contract.column(seen.column).role) is not Role.CONTEXT:
        raise BadInput(
            f"{path}: column `{seen.column}` says who was looked at, which is known only after the claim",
            expected=f"role: {Role.CONTEXT}",
            arrived=role,
        )
    if both := sorted(set(seen.none) & set(seen.random)):
        raise BadInput(
            f"{path}: `{both[0]}` stands under `label.investigation.none` and under `.random`",
            next_step="keep one of the two",
        )


def _check_landing(path: Path, contract: Contract) -> None:
    for name in contract.landing.columns:
        _require_declared(path, "`landing`", name, contract.names)
    for name in contract.landing.bounds:
        if contract.column(name).kind is not Kind.NUMBER:
            raise BadInput(
                f"{path}: `landing.bounds` speaks of column `{name}`",
                expected="kind: number",
                arrived=contract.column(name).kind,
            )


def _check_erasure(path: Path, contract: Contract) -> None:
    if contract.erasure is None:
        return
    for name in (contract.erasure.subject, *contract.erasure.mentions):
        _require_declared(path, "`erasure`", name, contract.names)
        column = contract.column(name)
        if not column.personal or column.kind is not Kind.CATEGORY:
            raise BadInput(
                f"{path}: `erasure` speaks of column `{name}`, which does not name people",
                expected="kind: category, personal: true",
                arrived=f"kind: {column.kind}, personal: {str(column.personal).lower()}",
            )
    if contract.erasure.subject in contract.erasure.mentions:
        raise BadInput(
            f"{path}: `{contract.erasure.subject}` is the subject and a mention", next_step="keep one of the two"
        )
    for column in contract.personal:
        if column.role not in {Role.FEATURE, Role.CONTEXT}:
            raise BadInput(
                f"{path}: column `{column.name}` is personal, and the fold needs it in plain ({column.role})",
                expected=f"role: {Role.FEATURE} or {Role.CONTEXT}",
                arrived=column.role,
                next_step="take another key, time or label, or leave `erasure` out",
            )
    if SEALED in contract.names:
        raise BadInput(
            f"{path}: column `{SEALED}` bears the name under which personal values are stored",
            next_step="rename the column at its source",
        )


def _check_split(path: Path, contract: Contract) -> None:
    for name in contract.split.groups:
        _require_declared(path, "`split.groups`", name, contract.names)
        if (role := contract.column(name).role) is not Role.CONTEXT:
            raise BadInput(
                f"{path}: column `{name}` cannot keep claims together",
                expected=f"role: {Role.CONTEXT}, as of a policy, a person or a garage",
                arrived=role,
            )


def _check_network(path: Path, contract: Contract) -> None:
    if contract.network is None:
        return
    for name in contract.network.parties:
        _require_declared(path, "`network.parties`", name, contract.names)
        column = contract.column(name)
        if column.role is not Role.CONTEXT or column.kind is not Kind.CATEGORY:
            raise BadInput(
                f"{path}: `network.parties` speaks of column `{name}`, which names no parties",
                expected=f"kind: {Kind.CATEGORY}, role: {Role.CONTEXT}",
                arrived=f"kind: {column.kind}, role: {column.role}",
            )
    made = [column.name for column in contract.network_features]
    if taken := [name for name, count in Counter((*made, *contract.names)).items() if count > 1 and name in made]:
        raise BadInput(
            f"{path}: column `{taken[0]}` is also made of `network`",
            next_step="rename the column at its source, or the kind of party under `network.parties`",
        )


def _check_judging(path: Path, contract: Contract) -> None:
    """What candidates are judged by must be columns of a kind that can tell it."""
    spoken = [("group", contract.group, Kind.CATEGORY), ("amount", contract.amount, Kind.NUMBER)]
    spoken += [("slices", one.column, Kind.NUMBER if one.edges else Kind.CATEGORY) for one in contract.slices]
    for section, name, kind in spoken:
        if name is None:
            continue
        _require_declared(path, f"`{section}`", name, contract.names)
        if (arrived := contract.column(name).kind) is not kind:
            raise BadInput(
                f"{path}: `{section}` speaks of column `{name}`",
                expected=f"kind: {kind}" + ("; a number needs `edges`" if section == "slices" else ""),
                arrived=arrived,
            )


def _check_checks(path: Path, contract: Contract) -> None:
    """Hold `checks` against the declared columns and their kinds; whether a rule's code exists is not known here."""
    known = {*contract.names, "event_time", "recorded_at"}
    kinds = {column.name: column.kind for column in contract.columns}
    spoken = [("known_changes", change.column) for change in contract.checks.known_changes]
    spoken += [(rule.code, name) for rule in contract.checks.sense for name in rule.columns]
    spoken += [("go_together", name) for pair in contract.checks.go_together for name in pair]
    for where, name in spoken:
        _require_declared(path, f"`checks` ({where})", name, known)
    for rule in contract.checks.sense:
        for name in (*(rule.at_most or ()), *(rule.equal or ())):
            if kinds.get(name) is not Kind.NUMBER:
                raise BadInput(
                    f"{path}: {rule.code} compares column `{name}`",
                    expected="kind: number",
                    arrived=kinds.get(name, Kind.TIMESTAMP),
                )
        if rule.in_order and len({kinds.get(name, Kind.TIMESTAMP) for name in rule.in_order}) > 1:
            raise BadInput(
                f"{path}: {rule.code} puts columns of different kinds in order",
                expected="all numbers, or all timestamps",
            )
    for name in (name for pair in contract.checks.go_together for name in pair):
        if kinds.get(name, Kind.TIMESTAMP) is Kind.TIMESTAMP:
            raise BadInput(
                f"{path}: `checks` (go_together) speaks of column `{name}`",
                expected=f"kind: {Kind.CATEGORY} or {Kind.NUMBER}",
                arrived=Kind.TIMESTAMP,
            )
    twice = [code for code, count in Counter(rule.code for rule in contract.checks.sense).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: {twice[0]} is declared twice", next_step="give one of them a free code")
