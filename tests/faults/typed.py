"""A command line in a process of its own: what it says, how it ends, and what it costs, as a file.

`runpy` runs it in a fork of a process that has imported the package, with `WORDS` and `FOLDER` among its globals.
"""

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

words, folder = globals()["WORDS"], globals()["FOLDER"]
os.chdir(folder)
for stream, name in ((1, "stdout"), (2, "stderr")):
    os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
sys.argv = ["ctxext", *words]
os.environ.pop("HYDRA_FULL_ERROR", None)
start = time.perf_counter()
try:
    from ctxext import cli

    status = cli.main()
except BaseException as error:  # what passes by the program's own words is what is looked for
    traceback.print_exc()
    status = f"{type(error).__name__} passed by"
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cost = {
    "status": status,
    "wall": time.perf_counter() - start,
    "seconds": sum(one.ru_utime + one.ru_stime for one in used),
    "peak": 1024 * max(one.ru_maxrss for one in used),
}
sys.stdout.flush()
sys.stderr.flush()
Path("cost.json").write_text(json.dumps(cost))
os._exit(0)
