"""Descriptions that do not fit their files, ask for code, or ask for the network."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_library.errors import ExchangeError
from model_library.zoo.exchange import package
from model_library.zoo.exchange.package import open_package

Redescribed = Callable[[Callable[[dict[str, Any]], None]], Path]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a connection was tried")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_package_of_ours_opens(package_of: Callable[[str], Path]):
    found = open_package(package_of("denoiser"))
    assert found.description.name == "Synoptic denoiser"
    assert found.array("test_input.npy").ndim == 4


def wrong_digest(content: dict[str, Any]) -> None:
    content["weights"]["onnx"]["sha256"] = "0" * 64


def missing_file(content: dict[str, Any]) -> None:
    content["weights"]["onnx"]["source"] = "other.onnx"


def elsewhere(content: dict[str, Any]) -> None:
    content["weights"]["onnx"]["source"] = "https://weights.invalid/weights.onnx"


def on_this_disk(content: dict[str, Any]) -> None:
    content["documentation"] = {"source": "/etc/README.md"}


def code_from_file(content: dict[str, Any]) -> None:
    content["weights"]["pytorch_state_dict"] = {
        "source": "weights.onnx",
        "architecture": {"source": "network.py", "callable": "Network"},
        "pytorch_version": "2.0",
    }


def code_from_library(content: dict[str, Any]) -> None:
    content["weights"]["pytorch_state_dict"] = {
        "source": "weights.onnx",
        "architecture": {"import_from": "os", "callable": "system"},
        "pytorch_version": "2.0",
    }


def another_model(content: dict[str, Any]) -> None:
    content["inputs"][0]["output_of"] = "affable-shark"


def a_data_set(content: dict[str, Any]) -> None:
    content.clear()
    content.update(type="dataset", format_version="0.3.0", name="A data set", description="of images")


def older(content: dict[str, Any]) -> None:
    content["format_version"] = "0.4.10"


def no_outputs(content: dict[str, Any]) -> None:
    content["outputs"] = []


REFUSED = {
    wrong_digest: "(?i)sha256",
    missing_file: "not found",
    elsewhere: "not found",
    on_this_disk: "/etc/README.md",
    code_from_file: "'architecture', which names code",
    code_from_library: "'architecture', which names code",
    another_model: "'output_of', which names code or models elsewhere",
    a_data_set: "expected a model in version 0.5",
    older: "expected",
    no_outputs: "outputs",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_a_description_that_cannot_be_trusted_is_refused(
    redescribed: Redescribed, change: Callable[[dict[str, Any]], None]
):
    with pytest.raises(ExchangeError, match=REFUSED[change]):
        open_package(redescribed(change))


TEXTS = {
    b"[1, 2]": "expected fields",
    b"\xff\xfe": "expected YAML",
    b"a: [b": "expected YAML",
    b"a: &a [*a]": "at most 100000 values",
    b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
    b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e]": "values",
    b"a: !!python/object/apply:os.system ['true']": "expected YAML",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20].decode(errors="replace"))
def test_text_that_is_no_description_is_refused(repacked: Callable[..., Path], text: bytes):
    def rewrite(files: dict[str, bytes]) -> None:
        files["bioimageio.yaml"] = text

    with pytest.raises(ExchangeError, match=TEXTS[text]):
        open_package(repacked(rewrite))


def test_a_description_that_is_too_long_is_refused(
    repacked: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(package, "_MOST_DESCRIPTION_BYTES", 100)
    with pytest.raises(ExchangeError, match="at most 100 bytes"):
        open_package(repacked(lambda files: None))


def test_a_zip_without_a_description_is_refused(repacked: Callable[..., Path]):
    with pytest.raises(ExchangeError, match=r"expected bioimageio\.yaml, found README\.md"):
        open_package(repacked(lambda files: files.pop("bioimageio.yaml")))


def test_a_file_with_code_is_refused_before_anything_is_read(repacked: Callable[..., Path]):
    with pytest.raises(ExchangeError, match=r"Python code: network\.py"):
        open_package(repacked(lambda files: files.update({"network.py": b"import os"})))
