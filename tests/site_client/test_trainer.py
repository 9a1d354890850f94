"""The child process that trains: frames and weights from files, an update into a file."""

import threading
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from model_library.errors import WeightsError
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig
from model_library.signing.digests import sha256_bytes
from model_library.wire.delta_coding import most_bytes, unpack
from site_client.between_layers import asked_between_layers
from site_client.errors import AdaptationRefused
from site_client.federation.desk import UPDATE_FILE
from site_client.federation.kept import KeptArrays
from site_client.trainer import Trainer, read_frames

MOST = most_bytes(10, 10_000)
CONFIG = ResidualDenoiserConfig(depth=3, width=4)


@pytest.fixture
def files(tmp_path, frame_of) -> list[dict[str, str]]:
    told = []
    for number in range(4):
        path = tmp_path / f"frame-{number}.tif"
        content = frame_of(number, (64, 64))
        path.write_bytes(content)
        told.append({"path": str(path), "sha256": sha256_bytes(content), "field": f"stage:{number}"})
    return told


@pytest.fixture
def question(tmp_path, files) -> dict:
    weights = {key: tensor.numpy().copy() for key, tensor in build(CONFIG).state_dict().items()}
    save_file(weights, tmp_path / "weights.safetensors")
    plan = {
        "federation_id": "fed-1",
        "number": 1,
        "rounds": 1,
        "task": {"kind": "denoise"},
        "config": CONFIG.model_dump(),
        "steps": 2,
        "batch": 2,
        "patch_px": 32,
        "learning_rate": 1e-3,
        "deadline_s": 60,
    }
    return {
        "op": "adapt",
        "plan": plan,
        "exchange": str(tmp_path),
        "hold": str(tmp_path / "hold"),
        "kept": str(tmp_path / "kept"),
        "frames": files,
        "until": float("inf"),
    }


def test_an_update_is_written_and_its_size_told(question, tmp_path) -> None:
    answer = Trainer().answer(question)
    update = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    assert update.keys() == load_file(tmp_path / "weights.safetensors").keys()
    assert answer["update_bytes"] == (tmp_path / UPDATE_FILE).stat().st_size
    assert answer["report"]["fields"] == [f"stage:{n}" for n in range(4)]


def test_frames_stay_in_memory_from_round_to_round(question, tmp_path) -> None:
    trainer = Trainer()
    assert trainer.answer(question | {"op": "prepare"}) == {"frames": 4}
    for file in tmp_path.glob("*.tif"):
        file.unlink()
    assert trainer.answer(question)["report"]["examples"] == 4
    with pytest.raises(AdaptationRefused, match="none of 3 is readable"):
        trainer.answer(question | {"frames": question["frames"][:3]})


def test_frames_that_changed_vanished_or_broke_are_left_out(files, tmp_path) -> None:
    (tmp_path / "frame-0.tif").unlink()
    (tmp_path / "frame-1.tif").write_bytes(b"another")
    (tmp_path / "frame-2.tif").write_bytes(b"broken")
    files[2]["sha256"] = sha256_bytes(b"broken")
    assert [frame.field for frame in read_frames(files)] == ["stage:3"]
    (tmp_path / "frame-3.tif").unlink()
    with pytest.raises(AdaptationRefused, match="none of 4 is readable"):
        read_frames(files)


def test_no_more_frames_are_read_than_memory_allows(files) -> None:
    assert len(read_frames(files, 2 * 64 * 64)) == 2
    assert len(read_frames(files, 1)) == 1


def test_weights_that_are_none_are_refused(question, tmp_path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(WeightsError, match="safetensors"):
        Trainer().answer(question)


def test_time_that_is_over_is_over(question) -> None:
    with pytest.raises(AdaptationRefused, match="at least one step"):
        Trainer().answer(question | {"until": 0.0})


def test_encoded_frames_keep_their_counts(files) -> None:
    frame = read_frames(files)[0]
    assert frame.pixels.dtype == np.float32
    assert frame.pixels.mean() == pytest.approx(200, rel=0.05)


def test_training_waits_while_the_microscope_acquires(question, tmp_path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    release = threading.Timer(0.5, hold.unlink)
    done = threading.Thread(target=Trainer().answer, args=(question,))
    done.start()
    time.sleep(0.3)
    assert not (tmp_path / UPDATE_FILE).exists()
    release.start()
    done.join(timeout=60)
    assert (tmp_path / UPDATE_FILE).exists()


def test_reading_frames_waits_as_well(question, tmp_path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    (tmp_path / "frame-0.tif").unlink()
    found = []
    done = threading.Thread(target=lambda: found.append(Trainer().answer(question | {"op": "prepare"})))
    done.start()
    time.sleep(0.3)
    # Whatever was read by now was read while the microscope acquired.
    (tmp_path / "frame-1.tif").unlink()
    hold.unlink()
    done.join(timeout=60)
    assert found == [{"frames": 2}]


def test_who_has_to_get_out_of_the_way_is_asked_after_each_layer_there_and_back() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(4, 1, 3)
    )
    image, asked = torch.zeros(1, 1, 16, 16), []
    with asked_between_layers(lambda: asked.append(None)):
        loss = module(image).sum()
        there = len(asked)
        loss.backward()
    assert there >= 3
    assert len(asked) - there >= 3
    both = len(asked)
    module(image).sum().backward()
    assert len(asked) == both


def test_a_round_whose_whole_time_the_microscope_acquires_is_refused(question, tmp_path) -> None:
    (tmp_path / "hold").touch()
    with pytest.raises(AdaptationRefused, match="at least one step"):
        Trainer().answer(question | {"until": time.monotonic() + 0.3})


def asked(question: dict, **changes: object) -> dict:
    return question | {"plan": question["plan"] | changes}


def test_what_rounding_took_is_added_to_the_next_update(question, tmp_path) -> None:
    trainer = Trainer()
    weights = load_file(tmp_path / "weights.safetensors")
    trainer.answer(asked(question, number=1))
    residual = KeptArrays(tmp_path / "kept", "fed-1").before(2, weights).residual
    assert any(np.abs(array).sum() > 0 for array in residual.values())
    trainer.answer(asked(question, number=2))
    with_it = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    trainer.answer(asked(question, number=2, federation_id="fed-2"))
    without = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    assert any(not np.array_equal(with_it[key], without[key]) for key in residual)


def test_a_round_that_is_asked_for_again_is_answered_as_before(question, tmp_path) -> None:
    answers = []
    for number in (1, 2, 2):
        # A new process each time, as after a crash.
        Trainer().answer(asked(question, number=number))
        answers.append((tmp_path / UPDATE_FILE).read_bytes())
    assert answers[1] == answers[2] != answers[0]


def test_arrays_that_stay_do_not_travel_and_go_on_from_round_to_round(question, tmp_path) -> None:
    weights = load_file(tmp_path / "weights.safetensors")
    head = tuple(key for key in weights if key == max(weights, key=lambda key: key.split(".")[1]))
    kept = KeptArrays(tmp_path / "kept", "fed-1")
    reached = []
    for number in (1, 2):
        Trainer().answer(asked(question, number=number, keeps=head))
        assert unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST).keys() == weights.keys() - set(head)
        reached.append(kept.before(number + 1, weights).own[head[0]])
    assert not np.array_equal(reached[0], weights[head[0]])
    assert not np.array_equal(reached[0], reached[1])


def test_only_what_is_to_travel_is_trained(question, tmp_path) -> None:
    weights = load_file(tmp_path / "weights.safetensors")
    chosen = sorted(weights)[:2]
    Trainer().answer(asked(question, travels=chosen))
    assert sorted(unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)) == chosen


def test_a_private_update_is_noise_of_the_deviation_asked_for_and_tells_no_loss(question, tmp_path) -> None:
    question["plan"]["encoding"] = "float32"
    Trainer().answer(question)
    plain = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    question["plan"]["privacy"] = {"clip_norm": 10.0, "noise_multiplier": 2.0}
    report = Trainer().answer(question)["report"]
    private = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    noise = np.concatenate([(private[key] - plain[key]).ravel() for key in plain])
    assert noise.std() == pytest.approx(20.0, rel=5 / (2 * noise.size) ** 0.5)
    assert (report["loss_first"], report["loss_last"], report["judged_frames"]) == (None, None, 0)
    # Nothing of what rounding took, which would have no noise, waits for the next update.
    assert not KeptArrays(tmp_path / "kept", "fed-1").before(2, plain).residual


def test_noise_is_another_one_every_time_and_no_seed_of_the_plan_tells_it(question, tmp_path) -> None:
    question["plan"] |= {"encoding": "float32", "privacy": {"clip_norm": 1.0, "noise_multiplier": 1.0}}
    found = []
    for _ in range(2):
        Trainer().answer(question)
        update = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
        found.append(np.concatenate([each.ravel() for each in update.values()]))
    assert abs(np.corrcoef(*found)[0, 1]) < 5 / found[0].size ** 0.5


def test_a_sites_own_version_holds_what_it_kept(question, tmp_path) -> None:
    head = sorted(load_file(tmp_path / "weights.safetensors"))[-1]
    question["plan"] |= {"keeps": [head], "encoding": "float32", "rounds": 1}
    Trainer().answer(question)
    assert head not in unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    came = load_file(tmp_path / "weights.safetensors")
    kept = KeptArrays(tmp_path / "kept", "fed-1").before(2, came).own[head]
    question["plan"] |= {"number": 2, "kind": "personal", "learning_rate": 1e-12}
    Trainer().answer(question)
    version = unpack((tmp_path / UPDATE_FILE).read_bytes(), MOST)
    assert version.keys() == came.keys()
    assert np.allclose(came[head] + version[head], kept, atol=1e-6)
    assert not np.array_equal(kept, came[head])
