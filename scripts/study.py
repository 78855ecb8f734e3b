"""Run the study of docs/study.md, and write its tables and plots.

python scripts/study.py FOLDER    # runs what FOLDER does not hold yet, under an hour on two cores; then writes the page
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "study.md"
PICTURES = PAGE.parent / "study"
KEPT = PICTURES / "comparison.json"
START, STOP = "<!-- tables: written by scripts/study.py -->\n", "<!-- end of tables -->\n"
LENGTHS = [128, 256, 512, 1024, 2048]
COMMON = [
    "context_length=1024",
    "trainer.steps=30",
    f"evaluation.lengths={LENGTHS}".replace(" ", ""),
    "export.format=[]",
    "evaluation.repeats=0",
]
TRAINED = ["rope_interp", "rope_ntk", "yarn", "llama3"]
UNTRAINED = [
    *("rope_dynamic_ntk", "dynamic_yarn", "self_extend", "rerope", "chunkllama"),
    *("log_n", "sliding_window", "streaming_llm"),
]
TITLES = {"nll": "NLL, nats a token (lower is better)", "passkey": "Passkey, share right of ten candidates"}
TRAINED_LENGTH = 256
SEEDS = "seed=0,1,2"
SWEEPS = {
    "trained": [f"+method={','.join(TRAINED)}", SEEDS],
    "control": ["name=trained_on", SEEDS],  # the untouched composition, trained on the same long rows
    "untrained": [f"+method={','.join(UNTRAINED)}", "trainer.steps=0"],
}


def main(folder: Path) -> None:
    """Run the sweeps that `folder` lacks, compare all their runs, and rewrite the tables of the page."""
    with ThreadPoolExecutor(2) as two_cores:
        list(two_cores.map(lambda name: sweep(folder / name, SWEEPS[name]), SWEEPS))
    compared = json.loads(ctxext("compare", *map(str, runs(folder)), "--json"))
    write(compared, folder)


def sweep(folder: Path, overrides: list[str]) -> None:
    """Run the sweep of `overrides` in `folder`, unless it was run to its end, and keep how long it took."""
    clock = folder / "seconds.json"
    if clock.exists():
        return
    started = time.monotonic()
    ctxext("train", "-m", *COMMON, *overrides, f"hydra.sweep.dir={folder}", f"cache={folder.parent / 'cache'}")
    clock.write_text(json.dumps(time.monotonic() - started))


def ctxext(*words: str) -> str:
    """Return what the program says on stdout to `words`."""
    line = [sys.executable, "-m", "ctxext", *words]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env=one_thread).stdout


def runs(folder: Path) -> list[Path]:
    """Return the folders of all runs in `folder`, sweep by sweep."""
    return [path.parent for name in SWEEPS for path in sorted((folder / name).glob("*/results.json"))]


def write(compared: dict[str, Any], folder: Path) -> None:
    """Rewrite what stands between the two marks of the page, and the two pictures beside it."""
    tables = {table["measure"]: table for table in compared["tables"] if table["measure"] in TITLES}
    names = {run["label"]: name_of(run) for run in compared["runs"]}
    minutes = {name: json.loads((folder / name / "seconds.json").read_text()) / 60 for name in SWEEPS}
    told = ", ".join(f"{name} {time:.0f}" for name, time in minutes.items())
    parts = [f"Minutes of each sweep, two at a time with one thread each: {told}."]
    for measure, title in TITLES.items():
        parts += [f"**{title}**", as_markdown(tables[measure], names), f"![{title}](study/{measure}.png)"]
        drawn = against_truncated(tables[measure], compared, names) if measure == "nll" else tables[measure]
        draw(drawn, names, title).savefig(PICTURES / f"{measure}.png")
    parts.append(f"In the words of `ctxext compare`: {compared['verdict']}")
    KEPT.write_text(json.dumps(without_paths(compared), indent=1) + "\n", encoding="utf-8")
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    after = rest.split(STOP)[1]
    tables_and_words = "\n\n".join(parts)
    PAGE.write_text(f"{before}{START}\n{tables_and_words}\n\n{STOP}{after}", encoding="utf-8")


def without_paths(compared: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison without the folders in which its runs lay, and without costs, of which none was timed."""
    runs = [{key: value for key, value in run.items() if key not in ("path", "paths")} for run in compared["runs"]]
    return {key: value for key, value in compared.items() if key != "cost"} | {"runs": runs}


def name_of(run: dict[str, Any]) -> str:
    """Return what a run is called in the study: its method, and whether it was trained."""
    how = f"{len(run['seeds'])} seeds" if run["steps"] else "untrained"
    return f"{run['name']}, {how}"


def against_truncated(table: dict[str, Any], compared: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return the nll `table` as differences from `truncated`, which are paired: documents differ more than methods."""
    control = chosen(table, names)["truncated"]
    paired = {
        (row["first"], row["first_subject"], str(row["length"])): row
        for row in compared["differences"]
        if row["measure"] == "nll" and row["second_subject"] == "truncated"
    }
    rows = []
    for row in table["rows"]:
        values = {}
        for length, value in row["values"].items():
            found = paired.get((row["run"], row["subject"], length), {})
            bounds = {key: found[key] for key in ("low", "high") if key in found}
            values[length] = {"value": value["value"] - control[length]["value"]} | bounds
        rows.append(row | {"values": values})
    return table | {"rows": rows}


def chosen(table: dict[str, Any], names: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the values by length of each control and of each run's method, by name, best first at the longest."""
    longest = str(LENGTHS[-1])
    found: dict[str, dict[str, Any]] = {}
    for row in table["rows"]:
        is_control = row["subject"] in ("base", "truncated")
        trained = "untrained" not in names.get(row["run"], "")
        if is_control or row["subject"] == ("extended" if trained else "zero_shot"):
            found[row["subject"] if is_control else names[row["run"]]] = row["values"]
    sign = 1 if table["lower_is_better"] else -1
    return dict(sorted(found.items(), key=lambda item: sign * item[1][longest]["value"]))


def as_markdown(table: dict[str, Any], names: dict[str, str]) -> str:
    """Return `table` in Markdown: a line for each control and method, its standard deviation over seeds in brackets."""
    lines = [f"| | {' | '.join(map(str, LENGTHS))} |", f"|---|{'---:|' * len(LENGTHS)}"]
    digits = 3 if table["measure"] == "nll" else 2
    for name, values in chosen(table, names).items():
        cells = [cell(values.get(str(length)), digits) for length in LENGTHS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value: dict[str, Any] | None, digits: int) -> str:
    """Return a value and its spread over seeds, or else its 95% interval."""
    if value is None:
        return ""
    text = f"{value['value']:.{digits}f}"
    return text + (f" (sd {value['sd']:.{digits}f})" if "sd" in value else "")


def draw(table: dict[str, Any], names: dict[str, str], title: str) -> Any:
    """Return a picture of `table`: a panel for each length from the trained one, a line with its interval for each."""
    import matplotlib.pyplot as plt

    found = chosen(table, names)
    lengths = [length for length in LENGTHS if length >= TRAINED_LENGTH]
    figure, axes = plt.subplots(1, len(lengths), sharey=True, sharex=True, figsize=(11, 0.32 * len(found) + 1.2))
    for axis, length in zip(axes, lengths, strict=True):
        for place, (name, values) in enumerate(found.items()):
            if (value := values.get(str(length))) is not None:
                colour = "black" if name in ("base", "truncated") else "#0072B2" if "seeds" in name else "#E69F00"
                axis.plot(value["value"], -place, "o", color=colour, markersize=5)
                if "low" in value:
                    axis.plot([value["low"], value["high"]], [-place, -place], color=colour, linewidth=1.4)
        axis.set_title(f"{length} tokens" + (", trained" if length == TRAINED_LENGTH else ""))
        axis.set_yticks([-place for place in range(len(found))], list(found))
        axis.grid(axis="x", color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    what = "NLL above that of truncated, paired over documents" if table["measure"] == "nll" else title
    figure.suptitle(f"{what}. Black: controls; blue: trained; orange: untrained", fontsize=10)
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]))
