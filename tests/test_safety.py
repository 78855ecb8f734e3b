"""No file of the package loads what could run code: no pickle, no eval, no code from a hub."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ctxext"
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {("torch", "load"), ("torch", "save"), ("yaml", "load"), ("yaml", "unsafe_load")}
KEYWORDS = {"trust_remote_code": True, "weights_only": False, "allow_pickle": True, "shell": True}


def dangers(source: str) -> Iterator[str]:
    """Yield each construct of `source` that could run code which came as data."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"import {name.name}" for name in names if name.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (module for _ in range(module.split(".")[0] in MODULES))
                yield from (f"{module}.{name.name}" for name in names if (module, name.name) in ATTRIBUTES)
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (
                owner.replace("np", "numpy"),
                name,
            ) in ATTRIBUTES:
                yield f"{owner}.{name}"
            case ast.keyword(arg=str(name), value=value) if name in KEYWORDS:
                fixed = isinstance(value, ast.Constant) and value.value is not KEYWORDS[name]
                yield from (name for _ in range(not fixed))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_of_the_package_runs_nothing_that_came_as_data(path):
    assert list(dangers(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "torch.save(state, path)",
        "from torch import load",
        "f(weights_only=False)",
        "f(trust_remote_code=True)",
        "f(trust_remote_code=chosen)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "run(command, shell=True)",
    ],
)
def test_each_such_construct_is_found(line):
    assert len(list(dangers(line))) == 1


@pytest.mark.parametrize("line", ["import torch", "f(trust_remote_code=False)", "f(weights_only=True)", "model.eval()"])
def test_its_harmless_relative_is_not(line):
    assert list(dangers(line)) == []
