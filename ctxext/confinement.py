"""Programs in a process of their own, with bounds on time and memory: for what comes with a model and could run on.

Run as a file, this is that process: it reads a request as JSON from stdin, lets a program answer, and writes that.
It imports nothing of the package, which would cost the time that the program may take.
"""

import json
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

MEMORY = 3 << 29
"""The most bytes that the process may map."""
LONGEST = 1 << 25
"""The most characters of an answer."""


def asked(program: Path, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return what the function `answer` of the file `program` makes of `request`, or {"error": why} where it fails."""
    # -P: the modules beside the file have names of common ones.
    line = [sys.executable, "-P", __file__, str(program), str(math.ceil(seconds)), str(MEMORY)]
    calm = os.environ | {"TOKENIZERS_PARALLELISM": "false"}  # each thread would map memory for itself
    try:
        done = subprocess.run(line, input=json.dumps(request).encode(), capture_output=True, timeout=seconds, env=calm)
    except subprocess.TimeoutExpired:
        return {"error": f"it takes more than {seconds:g} s"}
    if done.returncode != 0:
        return {"error": f"its process ended with status {done.returncode}, by a limit on its time or memory"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def confine(seconds: int, memory: int) -> None:
    """Let this process map no more than `memory` bytes, and compute no longer than `seconds`, where that can be."""
    with suppress(ImportError):  # on Windows
        import resource

        for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
            with suppress(ValueError, OSError):  # a system that limits it further, or that can't
                resource.setrlimit(kind, (most, most))


def answered(program: str, request: Mapping[str, Any]) -> str:
    """Return as JSON what `answer` of the file `program` makes of `request`, or what went wrong."""
    try:
        text = json.dumps(runpy.run_path(program)["answer"](request))
        return text if len(text) <= LONGEST else json.dumps({"error": f"it makes more than {LONGEST} characters"})
    except BaseException as error:  # a panic of a library in Rust is no Exception
        said = str(error).strip().partition("\n")[0]
        return json.dumps({"error": said or type(error).__name__})


if __name__ == "__main__":
    asked_for = json.load(sys.stdin)
    confine(int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(answered(sys.argv[1], asked_for))
