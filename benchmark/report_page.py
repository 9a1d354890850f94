"""`synoptic benchmark report`: one page from the JSON files that the other commands wrote."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.report import Html, counted, page, write_page
from benchmark.report_pictures import Sought, pictures
from benchmark.report_sections import (
    Content,
    compare_section,
    gate_section,
    run_section,
    select_section,
    trust_section,
)


@dataclass(frozen=True)
class ReportRun:
    """JSON files, in the order of the page, and what pictures are drawn from."""

    files: tuple[Path, ...]
    sought: Sought


def run_report(run: ReportRun, out: Path, json_file: Path | None) -> None:
    """Write the page, and all rows together as JSON.

    Raises
    ------
    BenchmarkError
        A file is none that a command of `synoptic benchmark` wrote.
    """
    contents = {path: _read(path) for path in run.files}
    sections = []
    for path, content in contents.items():
        make = _SECTIONS[kind_of(path, content)]
        sections.append(make(content, pictures(content, run.sought)))
    write_page(out, whole_page(sections))
    if json_file is not None:
        told = [{"file": path.name, **content} for path, content in contents.items()]
        json_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def whole_page(sections: Sequence[Html]) -> str:
    """HTML document of several sections."""
    return page("Benchmark report", *sections, subtitle=counted(len(sections), "result"))


def kind_of(path: Path, content: Content) -> str:
    """Tell which command wrote a file, by its keys."""
    for kind, keys in _KEYS.items():
        if content.get("kind") == kind or keys <= content.keys():
            return kind
    raise BenchmarkError(
        f"{path}: expected JSON of `synoptic benchmark run`, compare, gate, select or trust, found the keys"
        f" {', '.join(sorted(content)[:8])}; give a file that one of them wrote with --json"
    )


_KEYS: Mapping[str, frozenset[str]] = {
    "compare": frozenset({"a", "b", "rows"}),
    "gate": frozenset({"verdict"}),
    "trust": frozenset({"findings"}),
    "select": frozenset({"selection"}),
    "run": frozenset({"rows"}),
}
_SECTIONS: Mapping[str, Callable[[Content, Sequence[bytes]], Html]] = {
    "compare": compare_section,
    "gate": gate_section,
    "trust": trust_section,
    "select": select_section,
    "run": run_section,
}


def _read(path: Path) -> Content:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as failure:
        raise BenchmarkError(f"{path}: expected a JSON file, found {failure}; name one") from failure
    if not isinstance(content, dict):
        raise BenchmarkError(
            f"{path}: expected a JSON object, found {type(content).__name__}; name another file"
        )
    return content
