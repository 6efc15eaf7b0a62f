"""What tuning proposes: params.yaml with single values changed, everything else of it, comments too, as it was."""

from collections.abc import Mapping
from decimal import Decimal

import yaml

from fraud_ml.errors import BadInput
from fraud_ml.params import Params
from fraud_ml.tuning.search import Setting


def proposed(text: str, params: Params, changes: Mapping[str, Mapping[str, Setting]]) -> str:
    """Return `text`, whose content is `params`, with the settings of each family in `changes` in their places.

    Raises BadInput when a value cannot be changed in its place: it stands on several lines, or is shared by an anchor.
    """
    places: dict[tuple[str, ...], Setting] = {
        ("training", family, name): value for family, new in changes.items() for name, value in new.items()
    }
    edited = _edited(text, places)
    sections = {name: getattr(params.training, name).model_copy(update=dict(new)) for name, new in changes.items()}
    wanted = params.model_copy(update={"training": params.training.model_copy(update=sections)})
    try:
        arrived = Params.model_validate(yaml.safe_load(edited), strict=False)
    except (yaml.YAMLError, ValueError):
        arrived = None
    if arrived != wanted:
        raise BadInput(
            "params.yaml cannot be changed value by value",
            expected="each setting once, as plain text on a line of its own",
            next_step="write it without anchors and doubled keys, and tune again",
        )
    return edited


def _edited(text: str, changes: Mapping[tuple[str, ...], Setting]) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)  # its marks count characters
    places = []
    for location, value in changes.items():
        node = _node_at(root, location)
        places.append((node.start_mark.index, node.end_mark.index, _spelled(value)))
    for begin, end, new in sorted(places, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def _node_at(root: yaml.Node | None, location: tuple[str, ...]) -> yaml.Node:
    node, name = root, ".".join(location)
    for part in location:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == part), None)
    is_plain = isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.SequenceNode) and node.flow_style)
    if node is None or not is_plain or node.start_mark.line != node.end_mark.line:
        raise BadInput(
            f"`{name}` cannot be changed in its place in params.yaml",
            expected="a value on the line of its name, for example `[64, 32]`",
            next_step="write it so, and tune again",
        )
    return node


def _spelled(value: Setting) -> str:
    """Return the value as YAML reads it back.

    >>> _spelled(0.00005), _spelled((64, 32))
    ('0.00005', '[64, 32]')
    """
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return format(Decimal(repr(value)), "f")
