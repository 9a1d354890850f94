"""Pages hold everything within themselves, and text stays text."""

import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
from PIL import Image

from benchmark.figures import Event, IntervalRow, Panel, interval_plot, line_plot, map_row, montage, timeline
from benchmark.report import bullets, counted, details, figures_row, note, page, picture, section, table, text


def pixels_of(png):
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def unclosed(html):
    """Tags that are opened and closed in another order than a browser expects."""
    stack, wrong = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "img"}:
                stack.append(tag)

        def handle_endtag(self, tag):
            if not stack or stack.pop() != tag:
                wrong.append(tag)

    Reader().feed(html)
    return wrong + stack


def test_a_page_is_one_file_that_asks_for_nothing_else():
    html = page(
        "Title",
        section("Scores", text("one", "two"), table(("method", "dB"), [("tv", 27.1), ("net", None)])),
        picture(interval_plot([IntervalRow("tv", 1.0, (0.5, 1.5))], "dB"), "a plot"),
        figures_row([("31.2 dB", "in service")]),
        details("more", bullets(["a", "b"]), note("a limit")),
        subtitle="what it is",
    )
    assert html.startswith("<!doctype html>")
    assert not re.search(r'(?:src|href)="(?!data:)', html)
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html
    assert unclosed(html) == []


def test_words_that_look_like_markup_stay_words():
    nasty = '<script>alert("x")</script>&'
    html = page(
        nasty,
        section(
            nasty, text(nasty), table((nasty,), [(nasty,)], caption=nasty), bullets([nasty]), note(nasty)
        ),
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 9


def test_numbers_are_marked_as_numbers():
    html = table(("a",), [(1.5,), ("12.0 dB",), ("+0.3",), ("tv",), (None,), (True,)]).markup
    assert html.count('class="num"') == 4
    assert "<td>yes</td>" in html


def test_plots_are_pictures_and_equal_input_gives_equal_bytes():
    rows = [IntervalRow("net", 1.2, (0.9, 1.5), ours=True), IntervalRow("tv", 0.0, (-0.2, 0.1))]
    assert interval_plot(rows, "dB") == interval_plot(rows, "dB")
    for png in (
        interval_plot(rows, "dB"),
        timeline([Event("site", "enrolled", 0.5), Event("coordinator", "fine-tuning", 2, 9)]),
        line_plot([("backlog", [0, 1, 2], [0, 4, 2])], x_label="s", y_label="frames"),
        interval_plot([], "dB"),
        timeline([]),
    ):
        assert png.startswith(b"\x89PNG")
        assert pixels_of(png).std() > 0


def test_a_montage_shows_panels_of_other_sampling_at_the_same_size():
    truth = np.zeros((64, 64), np.float32)
    truth[20:40, 30:50] = 100
    coarse = truth.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    shown = pixels_of(montage([Panel("input", coarse), Panel("truth", truth, "30 dB")], zoom_px=16))
    assert shown.shape[1] > shown.shape[0] * 0.8
    assert shown.std() > 10


def test_only_differences_are_drawn_in_colours_and_an_empty_mask_is_drawn_at_all():
    noisy = np.random.default_rng(0).normal(0, 1, (32, 32)).astype(np.float32)

    def colours(panel):
        shown = pixels_of(map_row([panel])).astype(int)
        return int(np.abs(shown[..., 0] - shown[..., 2]).max())

    assert colours(Panel("input", noisy)) < 40  # text and frame are of a bluish ink
    assert colours(Panel("difference", noisy, signed=True)) > 100
    assert colours(Panel("mask", np.zeros((8, 8), np.float32))) < 40


def test_one_thing_is_not_written_as_several():
    assert [counted(number, "case") for number in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
