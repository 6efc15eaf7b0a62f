"""Find a line of business's contract under expectations/, and read it."""

from pathlib import Path

from fraud_ml.contract.line import Contract
from fraud_ml.contract.soundness import require_sound
from fraud_ml.documents import read_document
from fraud_ml.errors import BadInput

CONTRACT_FILE = "contract.yaml"


def load_contract(dataset: str, expectations: Path) -> Contract:
    """Return expectations/<dataset>/contract.yaml, checked against itself. Raises BadInput."""
    path = expectations / dataset / CONTRACT_FILE
    if not path.is_file():
        known = sorted(found.parent.name for found in expectations.glob(f"*/{CONTRACT_FILE}"))
        raise BadInput(
            f"no contract for dataset `{dataset}` ({path})",
            expected=f"one of {', '.join(known) or '(none found)'}",
            next_step=f"choose one, or write {path}",
        )
    contract = read_document(path, Contract)
    require_sound(contract, path)
    if contract.dataset != dataset:
        raise BadInput(f"{path}: `dataset` differs from its folder", expected=dataset, arrived=contract.dataset)
    return contract
