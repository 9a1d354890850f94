"""`site status --watch` follows the site until Ctrl-C."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from site_client.frames import Stamp
from site_client.status import read_status
from site_client.status_cli import described, follow, rows_of, table_of


def shown(table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()


def test_the_table_follows_the_site_until_ctrl_c(enrolled):
    texts = []
    screen = io.StringIO()

    def sleep(seconds: float) -> None:
        texts.append(screen.getvalue())
        if len(texts) == 3:
            raise KeyboardInterrupt
        enrolled.ledger.set_file_aside(f"{len(texts)}.tif", Stamp(1, 1), "not an image", now=0)

    follow(enrolled.folder, Console(file=screen, force_terminal=True, width=120), sleep)
    for number, text in enumerate(texts):
        latest = text.rpartition("acquired = ")[2]
        assert f"+ {number} set aside" in latest


def test_table_and_text_tell_the_same(enrolled):
    enrolled.journal.raise_alarm("disk", "nearly full")
    status = read_status(enrolled.folder)
    table, text = shown(table_of(status)), described(status)
    for name, told in rows_of(status):
        assert f"{name}: {told}" in text
        assert name in table
    assert "ALARM disk: nearly full" in text
    assert "not running" in table


def test_of_many_alike_the_table_shows_the_newest(enrolled):
    for number in range(40):
        enrolled.ledger.set_file_aside(f"bad-{number}.tif", Stamp(1, 1), "[not] an image", now=0)
    table = shown(table_of(read_status(enrolled.folder)))
    assert "bad-39.tif: [not] an image" in table
    assert "bad-34.tif" not in table
    assert "and 35 before" in table


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--json",), 0), (("--json", "--watch"), 2)])
def test_the_command_takes_one_form(enrolled, options, code):
    command = [sys.executable, "-m", "model_library", "site", "status", "--folder", str(enrolled.folder)]
    assert subprocess.run([*command, *options], capture_output=True, timeout=60).returncode == code
