"""Great Expectations' own pages about the claims, built from findings and counts instead of its results.

Equal judgements give equal bytes: no clock, no random id, and no logo that is fetched with the time.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Finding, Outcome
from fraud_ml.validation.suite import Suite

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_REMOTE_LOGO = re.compile(r"https://great-expectations-web-assets\.[^\"']+")


def data_docs_site(folder: Path) -> dict[str, Any]:
    """Return the configuration of a site in `folder`."""
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    return {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}


def write_data_docs(
    context: Any, suite: Suite, found: Sequence[tuple[Finding, Mapping[str, Any]]], as_of: date, folder: Path
) -> Path | None:
    """Build the site from each rule's finding and what may be told of its result; return the validation's page.

    found: one entry a rule, in the suite's order. `context` has a site in `folder`.
    """
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    name = str(suite.content["name"])
    for stored in context.suites.all():
        context.suites.delete(stored.name)
    whole = context.suites.add(gx.ExpectationSuite(name=name, expectations=list(suite.content["expectations"])))
    configs = {expectation.meta["code"]: expectation.configuration for expectation in whole.expectations}
    shown = [
        ExpectationValidationResult(
            success=finding.outcome is Outcome.PASSED,
            expectation_config=configs[finding.code],
            result={} if finding.outcome is Outcome.UNDECIDED else dict(told),
            exception_info={
                "raised_exception": finding.outcome is Outcome.UNDECIDED,
                "exception_message": finding.arrived if finding.outcome is Outcome.UNDECIDED else None,
                "exception_traceback": None,
            },
        )
        for finding, told in found
    ]
    passed = sum(bool(result.success) for result in shown)
    at = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)  # no clock: the same snapshot gives the same page
    identifier = ValidationResultIdentifier(
        ExpectationSuiteIdentifier(name), RunIdentifier(as_of.isoformat(), at), "claims"
    )
    outcome = ExpectationSuiteValidationResult(
        success=passed == len(shown),
        results=shown,
        suite_name=name,
        statistics={
            "evaluated_expectations": len(shown),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(shown) - passed,
            "success_percent": 100 * passed / len(shown),
        },
        meta={"great_expectations_version": gx.__version__, "run_id": identifier.run_id},
    )
    shutil.rmtree(folder, ignore_errors=True)
    context.validation_results_store.set(identifier, outcome)
    context.build_data_docs()
    for animation in folder.rglob("*.gif"):  # 3 MB that advertise, in every run's cache
        animation.unlink()
    for page in folder.rglob("*.html"):
        _settle(page, logo=Path(os.path.relpath(folder / "static/images/logo-long.png", page.parent)))
    return next((folder / "validations").rglob("*.html"), None)


def _settle(page: Path, *, logo: Path) -> None:
    """Make equal results give equal bytes: random ids are numbered, and the remote logo is the local one."""
    order: dict[str, str] = {}

    def settled(found: re.Match[str]) -> str:
        return order.setdefault(found.group(), f"{len(order):08x}-0000-4000-8000-000000000000")

    text = _UUID.sub(settled, page.read_text(encoding="utf-8"))
    page.write_text(_REMOTE_LOGO.sub(logo.as_posix(), text), encoding="utf-8")
