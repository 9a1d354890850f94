"""Self-contained HTML pages: every style and picture is inside the file, readable in light and dark."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

Cell = str | float | int | bool | None
"""A table's value; floats are printed as they come, so round or format them first."""


@dataclass(frozen=True)
class Html:
    """Markup that is safe to place into a page as it is; only this module's functions make it."""

    markup: str


def text(*paragraphs: str) -> Html:
    """Paragraphs of plain text."""
    return Html("".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs))


def counted(number: int, noun: str) -> str:
    """Write a number of things, such as "1 case" and "2 cases"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def note(words: str) -> Html:
    """Something to be read before the figures: a limit, a simulation, a warning."""
    return Html(f'<p class="note">{escape(words)}</p>')


def bullets(items: Sequence[str]) -> Html:
    """Unordered list of plain text."""
    return Html("<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>")


def figures_row(tiles: Sequence[tuple[str, str]]) -> Html:
    """Row of headline figures: (value, what it is)."""
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in tiles)
    return Html(f'<div class="tiles">{cells}</div>')


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str = "") -> Html:
    """Table; numbers are set to the right, and a row's first cell names the row."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Html(
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def picture(png: bytes, caption: str, *, alt: str = "") -> Html:
    """Picture with its caption, stored in the page."""
    data = base64.b64encode(png).decode("ascii")
    return Html(
        f'<figure><img alt="{escape(alt or caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def section(title: str, *blocks: Html) -> Html:
    """Titled part of a page."""
    return Html(f"<section><h2>{escape(title)}</h2>{_joined(blocks)}</section>")


def details(summary: str, *blocks: Html) -> Html:
    """Blocks that are folded away until asked for."""
    return Html(f"<details><summary>{escape(summary)}</summary>{_joined(blocks)}</details>")


def page(title: str, *blocks: Html, subtitle: str = "") -> str:
    """Whole HTML document."""
    lead = f'<p class="lead">{escape(subtitle)}</p>' if subtitle else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><header><h1>{escape(title)}</h1>{lead}</header>{_joined(blocks)}</main></body></html>\n"
    )


def write_page(path: Path, html: str) -> None:
    """Write a page, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")


def _joined(blocks: Sequence[Html]) -> str:
    return "\n".join(block.markup for block in blocks)


def _cell(value: Cell) -> str:
    if value is None:
        return '<td class="num">-</td>'
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    number = isinstance(value, int | float) or _reads_as_number(value)
    opening = '<td class="num">' if number else "<td>"
    return f"{opening}{escape(str(value))}</td>"


def _reads_as_number(value: str) -> bool:
    return value[:1] in "+-0123456789" and any(character.isdigit() for character in value)


STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5b6775; --line: #d9dfe6; --paper: #ffffff;
  --panel: #f5f7f9; --accent: #0b6e8f; --warn: #b3541e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #313b47;
  --paper: #12171d; --panel: #1a212a; --accent: #57b8d8; --warn: #e79a6a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
header { border-bottom: 2px solid var(--accent); margin-bottom: 2rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .8rem; }
p, ul { max-width: 48rem; }
.lead { color: var(--soft); font-size: 1.1rem; margin: 0 0 1.2rem; }
.note { border-left: 3px solid var(--warn); padding: .2rem 0 .2rem .9rem; color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tiles div { background: var(--panel); border-radius: .5rem; padding: .7rem 1.1rem; min-width: 9rem; }
.tiles b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .92rem; min-width: 30rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
.num { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.4rem 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: .4rem; display: block; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .4rem; max-width: 48rem; }
details { margin: 1rem 0; } summary { cursor: pointer; color: var(--accent); }
@media print { main { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""
