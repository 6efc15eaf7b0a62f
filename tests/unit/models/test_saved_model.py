"""An exported model takes its columns by name, as words that TensorFlow accepts."""

from fraud_ml.contract import Kind
from fraud_ml.models.inputs import Input, Inputs
from fraud_ml.models.saved_model import signature_names


def test_each_column_has_its_own_argument_even_where_its_name_is_no_word() -> None:
    names = ("Age", "claim amount", "claim_amount", "claim-amount", "3rd party", "ärger")
    named = signature_names(Inputs(tuple(Input(name, Kind.NUMBER) for name in names)))
    assert named["Age"] == "Age"
    assert named["claim amount"] == "claim_amount"
    assert len(set(named.values())) == len(names)
    assert all(argument.isidentifier() and argument.isascii() for argument in named.values())
