"""The Python examples of the documentation run, document by document, from top to bottom."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> list[tuple[int, str]]:
    """Line of the document on which each example begins, and its text."""
    text = document.read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start(1)), found.group(1)) for found in BLOCK.finditer(text)]


DOCUMENTS = [path for path in sorted((REPOSITORY / "docs").rglob("*.md")) if blocks(path)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_examples_of_a_document_run_in_turn(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # What examples write goes into a folder of their own.
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": document.stem}
    for line, text in blocks(document):
        # Empty lines in front, so that a traceback shows the line of the document.
        exec(compile("\n" * line + text, str(document), "exec"), names)


def test_the_documents_with_examples_are_found():
    assert "degradation.md" in {path.name for path in DOCUMENTS}
