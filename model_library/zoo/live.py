"""A training as it goes, on standard error: a bar on a terminal, else a line now and then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model_library.training.progress import FitProgress

LINE_EVERY = 50


@contextmanager
def live(console: Console) -> Iterator[Callable[[FitProgress], None]]:
    """Show progress for as long as the block lasts; yields what is to be told every step."""
    if not console.is_terminal:
        yield lambda now: _print_line(console, now)
        return
    columns = (TextColumn("step"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as bar:
        shown = bar.add_task("", total=None)
        judged = ""

        def tell(now: FitProgress) -> None:
            nonlocal judged
            if now.validation is not None:
                judged = f", held out {now.validation:.5f}"
            bar.update(shown, completed=now.step, total=now.steps, description=f"loss {now.loss:.5f}{judged}")

        yield tell


def _print_line(console: Console, now: FitProgress) -> None:
    if now.step % LINE_EVERY and now.step != now.steps and now.validation is None:
        return
    judged = "" if now.validation is None else f", held out {now.validation:.5f}"
    text = f"step {now.step} of {now.steps}, loss {now.loss:.5f}{judged}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
