"""Asking something between the layers of a network while it learns, torch loaded.

A step of training takes as long as the network is large; a layer takes a small part of that. So whoever has
to get out of the way at once is asked there as well, not only between steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def asked_between_layers(ask: Callable[[], object]) -> Iterator[None]:
    """Call `ask` after each layer of every network of this process, forward and backward.

    What it answers is not looked at; it may wait. An exception that it raises ends the step.
    """

    def asked(_: Tensor) -> None:
        ask()

    def passed(_module: nn.Module, _inputs: object, output: Any) -> None:  # noqa: ANN401
        ask()
        if isinstance(output, Tensor) and output.requires_grad:
            # Of a tensor, not of the module: hooks on modules forbid layers that work in place.
            output.register_hook(asked)  # type: ignore[no-untyped-call]

    handle = nn.modules.module.register_module_forward_hook(passed)
    try:
        yield
    finally:
        handle.remove()
