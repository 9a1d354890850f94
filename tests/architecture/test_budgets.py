"""Small modules, small functions, few parameters, no rooms without a name."""

import ast
from pathlib import Path
from statistics import median, quantiles

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ["benchmark", "coordinator", "model_library", "simulations", "site_client"]
SOURCES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
FUNCTIONS = [
    (path, node)
    for path in SOURCES
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_utils", "models"}


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_the_median_module_has_at_most_150_lines():
    assert median(_lines(path) for path in SOURCES if path.name != "__init__.py") <= 150


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_module_is_longer_than_500_lines(path: Path):
    assert _lines(path) <= 500


def test_ninety_five_in_a_hundred_functions_have_at_most_45_lines():
    lengths = [node.end_lineno - node.lineno + 1 for _, node in FUNCTIONS]
    assert quantiles(lengths, n=20)[-1] <= 45


def test_no_function_takes_more_than_six_parameters():
    def is_command(node: ast.AST) -> bool:
        return any("command" in ast.unparse(decorator) for decorator in node.decorator_list)

    crowded = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"
        for path, node in FUNCTIONS
        if not (is_command(node) or path.name.endswith("cli.py"))
        and len([a for a in node.args.args + node.args.kwonlyargs if a.arg not in {"self", "cls"}]) > 6
    ]
    assert crowded == []


def test_every_module_has_a_name_from_the_field():
    assert [path for path in SOURCES if path.stem in VAGUE] == []


def test_no_pickle_and_no_unsafe_load():
    forbidden = ("import pickle", "torch.load(", "allow_pickle=True", "yaml.load(")
    assert [path for path in SOURCES if any(word in path.read_text() for word in forbidden)] == []
