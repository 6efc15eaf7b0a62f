"""The pages that the bridge adds to Airflow: published reports, behind its login and its permissions."""

import mimetypes
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow.plugins_manager import AirflowPlugin

from fraud_airflow.reports import PAGES

if TYPE_CHECKING:
    from fastapi import FastAPI

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@=-]*")
# A report is shown, never run: no script of it may act with the reader's session.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


class FraudPlugin(AirflowPlugin):
    """Serves /fraud/reports/<dataset>/<as_of>/<run_key>/<stage>/…"""

    name = "fraud"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # built by the API server alone
        return [{"app": build_pages(), "url_prefix": PAGES, "name": "Fraud reports"}]


def object_key(path: str) -> str | None:
    """Return the object's key for a requested path, or None when it is not plain names below a dataset."""
    parts = path.split("/")
    if len(parts) < 2 or not all(_PART.fullmatch(part) for part in parts):
        return None
    return path


@cache
def build_pages() -> "FastAPI":
    """Return the pages as a FastAPI app; importing its parts is slow, so only the API server does."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.api_fastapi.core_api.security import GetUserDep
    from airflow.configuration import conf
    from fastapi import FastAPI, HTTPException, Request, Response
    from fastapi.responses import JSONResponse, RedirectResponse

    from fraud_ml.errors import FraudMLError
    from fraud_ml.objects import ObjectStore
    from fraud_ml.settings import Settings

    pages = FastAPI(title="Fraud reports", docs_url=None, redoc_url=None, openapi_url=None)

    @pages.exception_handler(401)
    def log_in_first(request: Request, refused: HTTPException) -> Response:
        """Send a person to the login, and back here after it; tell a program."""
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"detail": refused.detail}, status_code=401)
        base = conf.get("api", "base_url", fallback="/").rstrip("/")
        return RedirectResponse(f"{base}/api/v2/auth/login?{urlencode({'next': str(request.url)})}")

    @pages.get("/reports/{path:path}")
    def report(path: str, user: GetUserDep) -> Response:
        key = object_key(path)
        if key is None:
            raise HTTPException(404, "no such report")
        details = DagDetails(id=f"fraud_retraining_{key.split('/')[0]}")
        if not get_auth_manager().is_authorized_dag(method="GET", details=details, user=user):
            raise HTTPException(403, "this line of business is not open to you")
        settings = Settings.load()
        address = f"{settings.reports_url.rstrip('/')}/{key}"
        try:
            store = ObjectStore(settings)
            if not store.exists(address):
                raise HTTPException(404, "no such report")
            content = store.read(address)
        except FraudMLError as error:
            raise HTTPException(503, f"the object store does not answer ({type(error).__name__})") from None
        media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
        return Response(content, media_type=media_type, headers=_HEADERS)

    return pages
