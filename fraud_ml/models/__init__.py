"""Models: the families, and how an exported one is proven and loaded. Importing this loads no learning library."""

from fraud_ml.models.catalogue import (
    FAMILIES,
    Predictor,
    export_model,
    family_named,
    fit_family,
    load_model,
    verify_model,
)

__all__ = ["FAMILIES", "Predictor", "export_model", "family_named", "fit_family", "load_model", "verify_model"]
