"""No file of the package or of scripts/ runs what came as data, or hides what went wrong: no pickle, no bare except."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "ctxext").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__"}
NAMES = {
    *("torch.load", "torch.save", "torch.serialization.load", "os.system", "hydra.utils.instantiate"),
    *("yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"),
}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader"}
KEYWORDS = {"trust_remote_code": True, "weights_only": False, "allow_pickle": True, "shell": True}


def dangers(source: str) -> Iterator[str]:
    """Yield each construct of `source` that could run code which came as data, or hides an error."""
    for node in ast.walk(ast.parse(source)):
        yield from (name for name in imported(node) if name.split(".")[0] in MODULES or name in NAMES | {"yaml.load"})
        match node:
            case ast.ExceptHandler(type=None):
                yield "bare except"
            case ast.Attribute() if any(name == ast.unparse(node) for name in NAMES):
                yield ast.unparse(node)
            case ast.Call(func=func) if ast.unparse(func) in CALLS:
                yield ast.unparse(func)
            case ast.Call(func=func) if ast.unparse(func) == "yaml.load" and not is_safe(node):
                yield "yaml.load"
            case ast.keyword(arg=str(name), value=value) if name in KEYWORDS:
                fixed = isinstance(value, ast.Constant) and value.value is not KEYWORDS[name]
                yield from (name for _ in range(not fixed))


def imported(node: ast.AST) -> list[str]:
    """Return the dotted names that `node` imports, if it does."""
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [f"{module}.{name.name}" for name in names]
    return []


def is_safe(call: ast.Call) -> bool:
    """Return whether the `call` of yaml.load names a loader that makes plain data alone."""
    loaders = [*call.args[1:], *(word.value for word in call.keywords if word.arg == "Loader")]
    return bool(loaders) and all(ast.unparse(one) in SAFE_LOADERS for one in loaders)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_runs_nothing_that_came_as_data(path):
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
        "numpy.load(path, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "run(command, shell=True)",
        "os.system(command)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.FullLoader)",
        "yaml.unsafe_load(text)",
        "from yaml import load",
        "from yaml import full_load",
        "from hydra.utils import instantiate",
        "hydra.utils.instantiate(config)",
        "try:\n    f()\nexcept:\n    pass",
        "import torch, pickle",
        "import dill as json",
        "from cloudpickle import dumps",
    ],
)
def test_each_such_construct_is_found(line):
    assert len(list(dangers(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "f(trust_remote_code=False)",
        "f(weights_only=True)",
        "model.eval()",
        "yaml.load(text, Loader=yaml.CSafeLoader)",
        "yaml.safe_load(text)",
        "from yaml import safe_load",
        "try:\n    f()\nexcept Exception:\n    pass",
    ],
)
def test_its_harmless_relative_is_not(line):
    assert list(dangers(line)) == []
