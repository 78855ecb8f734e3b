"""Random words after a command: options and keys that exist, with values that fit and that don't, and some misspelt."""

import random
from collections.abc import Iterator
from functools import cache

from ctxext.config.folders import CONFIG_DIR, GROUPS, option_file, options, values_in

TOP = (
    "name",
    "seed",
    "context_length",
    "device",
    "cache",
    "run",
    "prompt",
    "temperature",
    "top_k",
    "top_p",
    "stop",
    "chat",
)
HYDRA_S = (
    *(
        "run.dir",
        "sweep.dir",
        "sweep.subdir",
        "mode",
        "verbose",
        "job.name",
        "job.chdir",
        "output_subdir",
        "job_logging",
    ),
    *("hydra_logging", "sweeper", "sweeper.max_batch_size", "launcher", "searchpath", "callbacks", "job.num", "nope"),
)
"""Keys of Hydra's own node."""
NUMBERS = ("0", "1", "-1", "2", "3", "7", "16", "64", "100", "256", "1024", "4096", "2147483648", "1000000000000")
FRACTIONS = ("0.0", "0.1", "0.5", "1.5", "-2.5", "1e-9", "1e30", "1e400", "nan", "inf", "-inf")
TEXTS = (
    *("abc", "''", "null", "true", "false", "auto", "cpu", "é", "' '", "a b", "none", "???", "'1'", "x" * 300),
    *("[", "'", "{", "a=b", "a,b", "$", "${seed}", "${nope}", "${oc.env:HOME}", "${quotient:1,0}", "os.system", "!!x"),
)
LISTS = (
    "[]",
    "[1,2]",
    "[0]",
    "[a,b]",
    "[1.5,null]",
    "[[1]]",
    "[-1]",
    "{a:1}",
    "{}",
    "[64,32]",
    "[1,1]",
    "[64,1000000000000]",
    "{_target_:os.system}",
)
PLANNED = "llama"
"""How the names of models begin that are planned with, and never built: they have billions of weights."""
POOLS = (NUMBERS, FRACTIONS, TEXTS, LISTS)


@cache
def keys(group: str, option: str) -> tuple[tuple[str, str], ...]:
    """Return the dotted keys in the file of `option` of `group`, each with its value as one types it."""
    found = values_in(option_file(group, option))
    return tuple(leaves(group, found))


def leaves(path: str, node: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the dotted key, behind `path`, and the value of each leaf of `node`."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(f"{path}.{key}", value)
        else:
            yield f"{path}.{key}", str(value)


def misspelt(word: str, draw: random.Random) -> str:
    """Return `word` with a letter gone, doubled, or two in the wrong order."""
    place = draw.randrange(len(word))
    return draw.choice(
        (
            word[:place] + word[place + 1 :],
            word[:place] + word[place] + word[place:],
            word[:place] + word[place:][1::-1],
        )
    )


def fitting(value: str, draw: random.Random) -> str:
    """Return a value of the kind of `value`, or that itself."""
    if value.lstrip("-").isdecimal():
        return draw.choice(NUMBERS)
    if value in ("true", "false", "True", "False"):
        return draw.choice(("true", "false"))
    is_number = value.replace(".", "").replace("e-", "").isdecimal()
    return draw.choice(FRACTIONS) if is_number else value


def hydra_words(seed: int) -> list[str]:
    """Return a command and words of which some set a key of Hydra's own, and some ask for a sweep."""
    draw = random.Random(seed)
    typed = [f"hydra.{draw.choice(HYDRA_S)}={draw.choice(draw.choice(POOLS))}" for _ in range(draw.choice((1, 1, 2)))]
    return [draw.choice(("train", "check", "eval")), *typed, *draw.choice(([], [], ["-m"], ["seed=1,2", "-m"]))]


def plain_words(seed: int) -> list[str]:
    """Return a command that goes past Hydra, and words after it."""
    draw = random.Random(seed)
    command = draw.choice(("ls", "compare"))
    flags = {
        "ls": ("--json", "--config-dir", "--config-dir=own", "--cfg", *GROUPS),
        "compare": ("--json", "--markdown", "--html", "--fail-on", "--fail-on=nll > base", "--markdown=own", "."),
    }[command]
    pool = [*flags, *(misspelt(flag, draw) for flag in flags), *TEXTS, "own", "own/model", "", "x" * 5000]
    return [command, *draw.choices(pool, k=draw.choice((0, 1, 1, 2, 3)))]


def words(seed: int) -> list[str]:
    """Return the words of the random configuration number `seed`."""
    draw = random.Random(seed)
    typed, chosen = [], {"model": "tiny", "base": "tiny", "trainer": "default", "evaluation": "default"}
    for group in GROUPS:
        if draw.random() < (0.4 if group == "method" else 0.15):
            option = draw.choice([name for name in options(group) if not name.startswith(PLANNED)])
            chosen[group] = option
            name = misspelt(option, draw) if draw.random() < 0.05 else option
            plus = "+" if (group == "method") != (draw.random() < 0.03) else ""
            typed.append(f"{plus}{group}={name}")
    known = [pair for group, option in chosen.items() if group != "method" for pair in keys(group, option)]
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        key, value = draw.choice([*known, *((name, "1") for name in TOP)])
        key = misspelt(key, draw) if draw.random() < 0.1 else key
        value = draw.choice(draw.choice(POOLS)) if draw.random() < 0.4 else fitting(value, draw)
        typed.append(f"{'+' if draw.random() < 0.1 else ''}{key}={value}")
    draw.shuffle(typed)
    return typed


assert CONFIG_DIR.is_dir()
