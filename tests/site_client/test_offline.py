"""Reconstruction without a coordinator: every file gets a result or a reason."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_library.errors import ChildRefused
from model_library.images.readers import read_provenance
from site_client.children import worker_child
from site_client.errors import SourceMissing
from site_client.offline import beside, plan, reconstruct_files


class ScriptedWorker:
    def ask(
        self, question: dict[str, Any], deadline_s: float, told: Callable[[float], None] = lambda _: None
    ) -> dict[str, Any]:
        match question["op"]:
            case "library":
                return {"method": {"id": "tiny"}, "network_folder": "/tiny", "task": {"kind": "denoise"}}
            case "reconstruct" if "bad" in question["source"]:
                raise ChildRefused("NotAnImage", "no image")
            case "reconstruct":
                assert question["progress"]
                told(0.5)
                told(0.5)
        return {"busy_s": 0.1}


def test_a_file_gets_a_name_beside_it_or_the_one_that_is_given(tmp_path: Path) -> None:
    source = tmp_path / "scan.tif"
    source.write_bytes(b"x")
    assert plan(source, None) == [(source, tmp_path / "scan-reconstructed.ome.tif")]
    assert plan(source, tmp_path / "clean.ome.tif") == [(source, tmp_path / "clean.ome.tif")]
    assert plan(source, tmp_path) == [(source, tmp_path / "scan-reconstructed.ome.tif")]


def test_a_folder_gives_its_images_in_order_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("b.tif", "a.tiff", "c.dm4", ".hidden.tif", "notes.txt", "figure.png"):
        (folder / name).write_bytes(b"x")
    pairs = plan(folder, tmp_path / "out")
    assert [(source.name, result.name) for source, result in pairs] == [
        ("a.tiff", "a-reconstructed.ome.tif"),
        ("b.tif", "b-reconstructed.ome.tif"),
        ("c.dm4", "c-reconstructed.ome.tif"),
    ]


def test_an_uncertainty_lies_beside_its_result(tmp_path: Path) -> None:
    pairs = [(tmp_path / "a.tif", tmp_path / "clean.ome.tif"), (tmp_path / "b.tif", tmp_path / "b")]
    names = [result.name for _, result in beside(pairs)]
    assert names == ["clean-uncertainty.ome.tif", "b-uncertainty.ome.tif"]


def test_files_that_differ_in_their_suffix_alone_get_results_of_their_own(tmp_path: Path) -> None:
    for name in ("a.tif", "a.mrc", "b.ome.tif"):
        (tmp_path / name).write_bytes(b"x")
    assert [result.name for _, result in plan(tmp_path, tmp_path / "out")] == [
        "a.mrc-reconstructed.ome.tif",
        "a.tif-reconstructed.ome.tif",
        "b-reconstructed.ome.tif",
    ]


def test_nothing_to_reconstruct_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="found none"):
        plan(tmp_path / "absent", None)


def test_a_file_that_is_refused_does_not_stop_the_others() -> None:
    pairs = [(Path(name), Path(f"{name}.out")) for name in ("a.tif", "bad.tif", "c.tif")]
    heard: list[tuple[str, float]] = []
    found = list(
        reconstruct_files(
            ScriptedWorker(), "tiny", pairs, told=lambda path, share: heard.append((path.stem, share))
        )
    )
    whole = [0.0, 0.5, 0.5]
    assert heard == [*(("a", share) for share in whole), ("bad", 0.0), *(("c", share) for share in whole)]
    assert [result.result for result in found] == ["a.tif.out", None, "c.tif.out"]
    assert found[1].reason == "no image"


def test_a_result_made_offline_names_the_digest_of_its_source(tmp_path: Path, frame_of) -> None:
    source, result = tmp_path / "scan.tif", tmp_path / "clean.ome.tif"
    source.write_bytes(frame_of(1))
    worker = worker_child(1, 0, tmp_path / "worker.log")
    question = {
        "op": "reconstruct",
        "method": {"kind": "classical", "id": "gaussian"},
        "network_folder": None,
        "task": {"kind": "denoise"},
        "source": str(source),
        "result": str(result),
        "pixel_size_nm": None,
        "about": {"file_name": "scan.tif", "sha256": None},
        "provenance": {},
    }
    worker.ask(question, 60.0)
    worker.stop()
    assert read_provenance(result)["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
