"""Methods by the names that people give them: ids, folders, bioimage.io packages, classical algorithms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.baselines import classical_methods, tune
from benchmark.cases import Case
from benchmark.errors import BenchmarkError
from benchmark.method import Method
from benchmark.networks import as_method
from benchmark.scores import method_key
from model_library.inference.weights import CARD_FILE, LoadedNetwork, load_network
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from model_library.zoo.registry import Library

_TASKS: tuple[Task, ...] = (Denoise(), SuperResolve(scale=2), SuperResolve(scale=3), SuperResolve(scale=4))


@dataclass(frozen=True)
class Opened:
    """A network, and the folder that its card lies in."""

    network: LoadedNetwork
    folder: Path


@dataclass(frozen=True)
class Cast:
    """What was named, in the order of naming, and the task that all of it is for.

    Attributes
    ----------
    networks
        Name -> network; the other names are classical algorithms.
    """

    names: tuple[str, ...]
    networks: dict[str, Opened]
    task: Task

    @property
    def tuned(self) -> bool:
        """Whether any of it is a classical algorithm, and so wants cases to be tuned on."""
        return len(self.networks) < len(self.names)

    def methods(self, tuning: Sequence[Case]) -> dict[str, Method]:
        """Name -> method; classical algorithms are tuned on these cases.

        Raises
        ------
        BenchmarkError
            A classical algorithm was named, and there are no cases.
        """
        families = {family.id: family for family in classical_methods(self.task)}
        return {
            name: as_method(self.networks[name].network)
            if name in self.networks
            else tune(families[name], tuning, scale=self.task.scale)
            for name in self.names
        }


def cast(names: Sequence[str], *, library: Path | None, aside: Path, task: Task | None = None) -> Cast:
    """Find what was named.

    Parameters
    ----------
    names
        Each the id of a network of the library, a network's folder, the zip file of a bioimage.io package,
        or the id of a classical algorithm.
    library
        Another library than the one that ships.
    aside
        An empty folder, into which packages are taken.
    task
        Needed where all names are classical algorithms; else that of the networks.

    Raises
    ------
    BenchmarkError
        A name is unknown, or the networks do different tasks.
    SynopticError
        A network or package is refused.
    """
    networks = {
        name: _opened(name, library, aside / str(number))
        for number, name in enumerate(names)
        if not _is_classical(name, task)
    }
    tasks = {
        opened.network.card.task.model_dump_json(): opened.network.card.task for opened in networks.values()
    }
    if task is not None:
        tasks[task.model_dump_json()] = task
    if len(tasks) != 1:
        found = ", ".join(sorted(tasks)) or "classical algorithms alone, which leave it open"
        raise BenchmarkError(
            f"expected methods of one task, found {found}; name methods of one task or --task"
        )
    [agreed] = tasks.values()
    known = {family.id for family in classical_methods(agreed)}
    odd = [name for name in names if name not in networks and name not in known]
    if odd:
        raise BenchmarkError(
            f"expected classical algorithms for the task, {', '.join(sorted(known))}, found {', '.join(odd)}"
        )
    return Cast(tuple(names), networks, agreed)


def labels_of(methods: dict[str, Method]) -> dict[str, str]:
    """Name -> label for tables: `method_key`, with the name behind it where two would read the same."""
    keys = {name: method_key(method.ref) for name, method in methods.items()}
    twice = {key for key in keys.values() if list(keys.values()).count(key) > 1}
    return {name: f"{key} ({name})" if key in twice else key for name, key in keys.items()}


def _is_classical(name: str, task: Task | None) -> bool:
    tasks = (task,) if task is not None else (*_TASKS, Segment(classes=("background", "structure")))
    return any(name == family.id for each in tasks for family in classical_methods(each))


def _opened(name: str, library: Path | None, aside: Path) -> Opened:
    path = Path(name)
    if path.suffix == ".zip" and path.is_file():
        from model_library.zoo.exchange.intake import import_package

        own = Library(aside)
        aside.mkdir(parents=True, exist_ok=True)
        card = import_package(path, own)
        return Opened(own.load(card.id), own.path(card.id))
    if (path / CARD_FILE).is_file():
        return Opened(load_network(path), path)
    shelf = Library(library)
    return Opened(shelf.load(name), shelf.path(name))
