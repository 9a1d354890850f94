"""Programs and pickles, however they are called."""

import pickle
from io import BytesIO

import numpy as np
import pytest
import torch

from model_library.errors import ExchangeError
from model_library.zoo.exchange.archive import archive_bytes
from model_library.zoo.exchange.inspection import is_torchscript, refuse_code


def saved(**options: bool) -> bytes:
    buffer = BytesIO()
    torch.save({"weight": torch.zeros(2)}, buffer, **options)
    return buffer.getvalue()


def objects() -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


DANGERS = {
    "architecture.py": (b"import os", "Python code"),
    "deep/inside/Network.PYC": (b"", "Python code"),
    "notebook.ipynb": (b"{}", "Python code"),
    "plugin.so": (b"\x7fELF", "a program"),
    "weights.pt": (saved(), "a pickle"),
    "weights.pth": (saved(_use_new_zipfile_serialization=False), "a pickle"),
    "weights.torchscript": (saved(), "a pickle"),
    "weights.bin": (saved(), "an archive with archive/data.pkl"),
    "anything": (pickle.dumps({"a": 1}), "a pickle"),
    "old.pkl": (pickle.dumps({"a": 1}, protocol=0), "a pickle"),
    "test.npy": (objects(), "array of Python objects"),
    "more.zip": (archive_bytes({"run.py": b"import os"}), "an archive with run.py"),
}


@pytest.mark.parametrize("name", DANGERS)
def test_what_could_run_is_refused_with_its_name(name: str):
    content, reason = DANGERS[name]
    with pytest.raises(ExchangeError, match=f"found {reason}|{reason}") as refusal:
        refuse_code({"README.md": b"harmless", name: content})
    assert name in str(refusal.value)
    assert "ONNX or TorchScript" in str(refusal.value)


def test_data_are_not_refused():
    buffer = BytesIO()
    np.save(buffer, np.zeros((3, 3), np.float32))
    refuse_code({"a.npy": buffer.getvalue(), "README.md": b"import os", "x.zip": b"PK\x03\x04broken"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive_is_told_from_a_pickled_state():
    buffer = BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), buffer)
    assert is_torchscript(buffer.getvalue())
    assert not is_torchscript(saved())
    refuse_code({"weights.pt": buffer.getvalue()})
