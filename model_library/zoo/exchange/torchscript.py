"""A TorchScript archive of strangers: read as text first, then turned into an ONNX graph.

Loading TorchScript runs no Python, but its own language can read and write files. So the archive
is loaded only if every function that its code calls is one of arithmetic.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pickletools import genops
from zipfile import ZipFile

import torch

from model_library.errors import ExchangeError

OPSET = 17
# fmt: off
_ARITHMETIC = frozenset({
    "add", "add_", "avg_pool2d", "batch_norm", "cat", "contiguous", "conv2d", "conv_transpose2d",
    "_convolution", "detach", "div", "dropout", "dropout_", "elu", "elu_", "feature_dropout", "instance_norm",
    "leaky_relu", "leaky_relu_", "max_pool2d", "mul", "mul_", "neg", "pixel_shuffle", "relu", "relu_",
    "sigmoid", "sigmoid_", "softmax", "sub", "sub_", "tanh", "tanh_",
    "upsample_bilinear2d", "upsample_nearest2d", "format", "warn",
    "__getitem__", "__is__", "__isnot__", "__not__", "append", "dim", "eq", "floor", "floordiv", "ge", "gt",
    "le", "len", "list", "lt", "ne", "size",
})
# fmt: on
_LANGUAGE = frozenset(
    {"annotate", "bool", "float", "getattr", "int", "range", "unchecked_cast", "uninitialized"}
)
_PRIMITIVES = ("ops.prim", "ops.prim.NumToTensor", "ops.prim.RaiseException", "ops.prim.min", "ops.prim.max")
_ALLOWED = frozenset({*(f"torch.{name}" for name in _ARITHMETIC), *_PRIMITIVES})
_ROOTS = frozenset({"torch", "ops"})
_BUILDERS = ("__torch__.", "collections OrderedDict", "torch.jit._pickle ", "torch._utils _rebuild_tensor_v2")
_ON_LOADING = frozenset({"__setstate__", "__getstate__"})


def torchscript_as_onnx(content: bytes, shape: tuple[int, ...]) -> bytes:
    """Turn an archive into an ONNX graph.

    Parameters
    ----------
    content
        Of the file.
    shape
        [N, C, Y, X] of an image that the network takes.

    Raises
    ------
    ExchangeError
        It calls what is no arithmetic, or cannot be read or expressed.
    """
    refuse_unsafe(content)
    buffer = BytesIO()
    names = ("input", "output")
    with warnings.catch_warnings():
        # torch deprecates TorchScript as a whole; what others have made of it stays.
        warnings.simplefilter("ignore")
        try:
            module = torch.jit.load(BytesIO(content), map_location="cpu").eval()  # type: ignore[no-untyped-call]
            torch.onnx.export(
                module,
                (torch.zeros(shape),),
                buffer,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=OPSET,
                input_names=names[:1],
                output_names=names[1:],
                dynamic_axes={name: {0: "n", 2: f"{name} y", 3: f"{name} x"} for name in names},
            )
        except (RuntimeError, ValueError, TypeError, IndexError) as failure:
            raise ExchangeError(
                f"expected TorchScript that ONNX can express, found {failure}; "
                "ask its makers for ONNX weights"
            ) from failure
    return buffer.getvalue()


def refuse_unsafe(content: bytes) -> None:
    """Refuse an archive that names anything but arithmetic; raises `ExchangeError` and loads nothing."""
    files = _files(content)
    trees = [_parsed(name, text) for name, text in files.items() if name.lower().endswith(".py")]
    functions = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    strange = functions & _ON_LOADING
    for tree in trees:
        strange |= set(_strange(tree, functions))
    for name, pickled in files.items():
        if name.lower().endswith(".pkl"):
            strange |= set(_strange_globals(pickled))
    if strange:
        raise ExchangeError(
            f"expected TorchScript that does arithmetic, found {', '.join(sorted(strange)[:5])}; "
            "ask its makers for ONNX weights"
        )


def _files(content: bytes) -> Mapping[str, bytes]:
    with ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
        # torch finds files whatever their case, and may find another one of two.
        if len({name.lower() for name in names}) != len(names):
            raise ExchangeError("expected TorchScript with one file of each name, found two; do not use it")
        return {name: archive.read(name) for name in names if name.lower().endswith((".py", ".pkl"))}


def _parsed(name: str, text: bytes) -> ast.Module:
    try:
        return ast.parse(text.decode())
    except (SyntaxError, ValueError) as failure:
        raise ExchangeError(
            f"expected the text of TorchScript in {name}, found {failure}; ask its makers for ONNX weights"
        ) from failure


def _strange(tree: ast.Module, functions: set[str]) -> Iterator[str]:
    """Yield what a piece of code names or calls besides arithmetic and its own functions."""
    bound = _bound(tree, functions)
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.While():
                yield f"a statement '{type(node).__name__.lower()}'"
            case ast.Call(func=ast.Name(id=name), args=args):
                # No function may be reached by a detour.
                roots = [each for each in args if isinstance(each, ast.Name) and each.id in _ROOTS]
                if roots or not (name in _LANGUAGE or name in bound):
                    yield name
            case ast.Call(func=ast.Attribute(attr=name)):
                whole = ast.unparse(node.func)
                if whole.partition(".")[0] not in _ROOTS and name not in functions:
                    yield whole
            case ast.Attribute():
                whole = ast.unparse(node)
                if whole.partition(".")[0] in _ROOTS and whole not in _ALLOWED:
                    yield whole
            case _:
                pass


def _bound(tree: ast.Module, functions: set[str]) -> set[str]:
    """Give the names that stand for functions of the archive, and never for anything else that is called."""
    own: set[str] = set()
    other: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Name):
            whole = ast.unparse(node.value)
            good = whole.startswith("__torch__.") and whole.rpartition(".")[2] in functions
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            (own if good else other).update(names)
    return own - other


def _strange_globals(pickled: bytes) -> Iterator[str]:
    for operation, argument, _ in genops(pickled):
        if operation.name in ("GLOBAL", "STACK_GLOBAL", "INST"):
            name = str(argument)
            storage = name.startswith("torch ") and name.endswith("Storage")
            if not storage and not name.startswith(_BUILDERS):
                yield f"the name {name}"
