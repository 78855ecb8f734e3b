"""Memory of freed tensors: kept in training, given back where memory is spared, and after training in any case."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.training.allocator import arranged
from ctxext.training.settings import Trainer

SETTINGS = Trainer(6, 256, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)

PROCESS = """
import dataclasses, json, resource, sys
import torch
from test_allocator import SETTINGS
from ctxext.model.resident import held
from ctxext.training.allocator import arranged

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(48 << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

cpu = torch.device("cpu")
faults()
before = held(cpu)
with arranged(dataclasses.replace(SETTINGS, gradient_checkpointing=sys.argv[1] == "spared"), cpu):
    faults()
    within, kept = faults(), held(cpu) - before
print(json.dumps({"within": within, "after": faults(), "kept": kept, "left": held(cpu) - before}))
"""


def seen(way: str) -> Any:
    """What a fresh process sees of tensors of 48 MB: pages asked for again, and bytes held without one."""
    folders = os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parent)))
    environment = os.environ | {"PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", PROCESS, way]
    return json.loads(subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the settings are glibc's")
def test_pages_of_freed_tensors_are_kept_until_training_ends_and_given_back_then() -> None:
    # Whether pages go back at once is the system's to say, too: of a few processes, the best counts.
    kept = min((seen("kept") for _ in range(5)), key=lambda found: found["left"])

    assert 10 * kept["within"] < kept["after"]
    assert kept["kept"] > 40 << 20
    assert kept["left"] < 10 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="the settings are glibc's")
def test_they_are_given_back_at_once_where_memory_is_spared() -> None:
    spared = seen("spared")

    assert spared["within"] >= 4 * 24, "a page has 2 MB at most"
    assert spared["kept"] < 10 << 20


def test_it_says_what_it_does_and_on_a_device_with_its_own_memory_nothing() -> None:
    spared = dataclasses.replace(SETTINGS, gradient_checkpointing=True)
    with arranged(SETTINGS, torch.device("cuda")) as words:
        assert words == ""
    if sys.platform == "linux":
        with arranged(SETTINGS, torch.device("cpu")) as kept, arranged(spared, torch.device("cpu")) as given:
            assert (kept.split()[0], given.split()[0]) == ("kept", "given")
