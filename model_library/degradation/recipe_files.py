"""Recipes as files: TOML for people, JSON for programs."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from model_library.degradation.recipe import Recipe
from model_library.errors import RecipeError


def as_toml(recipe: Recipe, remarks: tuple[str, ...] = ()) -> str:
    """Write a recipe as TOML, an array of tables `operators`, with remarks as comments above."""
    lines = [f"# {remark}" for remark in remarks]
    for operator in recipe.model_dump(mode="json", exclude_none=True)["operators"]:
        lines += ["", "[[operators]]", *(f"{key} = {_value(value)}" for key, value in operator.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def write_recipe_file(path: Path, recipe: Recipe, remarks: tuple[str, ...] = ()) -> None:
    """Write a recipe: JSON where the name ends in `.json`, else TOML, which alone holds the remarks."""
    is_json = path.suffix.lower() == ".json"
    text = recipe.model_dump_json(indent=2, exclude_none=True) + "\n" if is_json else as_toml(recipe, remarks)
    path.write_text(text, encoding="utf-8")


def read_recipe_file(path: Path) -> Recipe:
    """Read a recipe: JSON where the name ends in `.json`, else TOML.

    Raises
    ------
    RecipeError
        The file is missing or holds no recipe.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        return Recipe.model_validate(content)
    except (OSError, UnicodeDecodeError, ValueError, ValidationError, RecursionError) as failure:
        raise RecipeError(f"{path}: expected a degradation recipe, found {failure}; correct it") from failure


def _value(value: Any) -> str:  # noqa: ANN401
    """Write a JSON value as TOML; the two differ in tables alone."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return json.dumps(value)
