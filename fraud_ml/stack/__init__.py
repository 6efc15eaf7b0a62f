"""The embedded servers: one file each, started, checked and stopped alike. Read `stack.py` first."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fraud_ml.stack.stack import COMPONENTS, ComponentStatus, Stack

__all__ = ["COMPONENTS", "ComponentStatus", "Stack"]


def __getattr__(name: str) -> Any:
    """Load the stack when it is asked for, so that launching a component stays light."""
    if name in __all__:
        from fraud_ml.stack import stack

        return getattr(stack, name)
    raise AttributeError(name)
