"""The model card of an export: every number comes from the run's results, and the license from the base's own card."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ctxext.formats.json_files import read_json
from ctxext.strangers import calm_yaml, content_of

Results = Mapping[str, Any]
CARD, CONFIG = "README.md", "config.json"


def write_card(folder: Path, results: Results) -> None:
    """Write the card of `folder` from `results`, the content of results.json."""
    (folder / CARD).write_text(card(results), encoding="utf-8")


def is_license(stated: Any) -> bool:
    """Return whether what is `stated` as a license is the name of one."""
    return isinstance(stated, str) and re.fullmatch(r"[\w.+-]+", stated) is not None


def read_origin(folder: Path) -> dict[str, Any]:
    """Return where a base in `folder` comes from, as its files say: license, name on the hub, data and languages.

    The keys are those of a card's head; what is not said is left out.
    """
    told = read_head(folder)
    license = {"license": told["license"]} if is_license(told.get("license")) else {}
    origin = {key: words(told[key]) for key in ("datasets", "language") if words(told.get(key))}
    file = folder / CONFIG
    name = read_json(file).get("_name_or_path") if file.is_file() else None
    return license | ({"base_model": name} if is_of_hub(name) else {}) | origin


def read_head(folder: Path) -> dict[str, Any]:
    """Return the YAML head of the card of `folder`, empty where there is none that can be read."""
    file = folder / CARD
    text = content_of(file).decode(errors="replace") if file.is_file() else ""
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    try:
        content = yaml.safe_load(calm_yaml(head.group(1), file)) if head else {}
    except (yaml.YAMLError, ValueError):  # a refusal is one, and so is a number that can't be
        return {}
    return content if isinstance(content, dict) else {}


def words(value: Any) -> list[str]:
    """Return the words in `value` of a head, which holds one or a list."""
    listed = value if isinstance(value, list) else [value]
    return [word for word in listed if isinstance(word, str)]


def is_of_hub(name: Any) -> bool:
    """Return whether `name` looks like a model's name on the hub."""
    return isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def card(results: Results) -> str:
    """Return the card for `results`; a license that is not known is left out, never invented."""
    parts = [
        head(results),
        f"# {results['run']['name']}",
        summary(results),
        facts(results),
        by_length(results),
        tasks(results),
        effective_length(results),
        limits(results),
        export(results),
        LOADING,
        serving(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


LOADING = """## How to load it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```

Neither remote code nor a pickle is needed. `config.json` holds the keys of transformers 5 and of 4.57.
The weights are stored in float32: those of a base in bfloat16 take twice the room."""


def serving(results: Results) -> str:
    """Return the lines that serve the model, and which of these readers were run."""
    lines = []
    for label in labels(results):
        # The card goes wherever the folder goes; a .gguf lies beside the folder.
        here, there = shlex.quote(label.get("folder", ".")), "." if label["format"] == "hf" else ".."
        lines += [line.replace(here, there) for line in label.get("serve", [])]
    block = "```bash\n" + "\n".join(lines) + "\n```"
    return f"## How to serve it\n\n{block}\n\n{UNRUN}" if lines else ""


UNRUN = (
    "Of these readers transformers alone was run, and not as a server; vLLM and llama.cpp were not. Lines with BASE "
    "give an untouched base the same rope, without what was trained; ARCHITECTURE is the one that its .gguf names."
)


def head(results: Results) -> str:
    """Return the YAML head that the hub reads."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in origin(results).items()]
    lines += ["library_name: transformers", "pipeline_tag: text-generation", "tags:", "- ctxext", "- long-context"]
    if method := results["run"].get("method"):
        lines.append(f"- {json.dumps(method)}")
    return "\n".join(["---", *lines, "---"])


def origin(results: Results) -> dict[str, Any]:
    """Return license, name on the hub, data and languages of the base, as far as the run knows them."""
    run = results["run"]
    named = {"base_model": run["base"]} if is_of_hub(run.get("base")) else {}
    return named | {key: run["origin"][key] for key in HEAD_KEYS if key in run.get("origin", {})}


HEAD_KEYS = ("license", "base_model", "datasets", "language")


def summary(results: Results) -> str:
    """Return what the model is, in one paragraph."""
    lengths = results["lengths"]
    method = results["run"].get("method") or "no extension method"
    return (
        f"A causal language model trained at {lengths['trained']} tokens and read at {lengths['target']}, by {method}. "
        "Made with ctxext; every number below is from the run's `results.json`."
    )


def facts(results: Results) -> str:
    """Return how the model was made: what the run says of itself, a row each."""
    rows = [[key, value] for key, value in results["run"].items() if key != "name"]
    return "## How it was made\n\n" + table(["what", "value"], rows)


def by_length(results: Results) -> str:
    """Return the table of losses by length, with the definitions that they follow."""
    rows = [
        [
            row["subject"],
            row["length"],
            row["nll"],
            f"{row['low']:.4g} to {row['high']:.4g}",
            row["perplexity"],
            row["tokens"],
        ]
        for row in results["by_length"]
    ]
    if not rows:
        return ""
    header = ["subject", "length", "nll", "interval of the nll", "perplexity", "scored tokens"]
    protocol = "\n".join(f"- {key}: {plain(value)}" for key, value in results["protocol"].items())
    return f"## By length\n\n{table(header, rows)}\n\n{SUBJECTS}\n\n{protocol}".rstrip()


SUBJECTS = (
    "`base` is the untouched weights, `truncated` the same seeing only the last trained length of tokens (what a "
    "method must beat), `zero_shot` the method before any training and `extended` after it."
)


def tasks(results: Results) -> str:
    """Return the table of task scores over all depths."""
    rows = [
        [row[key] for key in ("task", "subject", "length", "metric", "value", "low", "high", "chance", "n")]
        for row in results["tasks"]
        if row["depth"] == "all"
    ]
    header = ["task", "subject", "length", "metric", "value", "low", "high", "chance", "samples"]
    return f"## Tasks\n\n{table(header, rows)}" if rows else ""


def effective_length(results: Results) -> str:
    """Return the longest lengths at which each rule still holds."""
    rows = [
        [row["subject"], row["rule"], f"{'at least ' if row.get('at_least') else ''}{row['length']}"]
        for row in results["effective_length"]
    ]
    return f"## Effective length\n\n{table(['subject', 'rule', 'length'], rows)}" if rows else ""


def limits(results: Results) -> str:
    """Return what is not known of the model."""
    lines = [f"- {row['what']}: {row['reason']}" for row in results["missing"]]
    evaluated = results["lengths"]["evaluated"]
    reach = f"Nothing was measured beyond {max(evaluated)} tokens, the longest evaluated length." if evaluated else ""
    return "\n\n".join(part for part in ("## Limits", reach, "\n".join(lines)) if part)


def export(results: Results) -> str:
    """Return the label of each format with its number, and what users of other readers must know."""
    told = [labelled(label) for label in labels(results)]
    return "## Export\n\n" + "\n\n".join(told) if told else ""


def labels(results: Results) -> list[Mapping[str, Any]]:
    """Return the labels of the formats that were written."""
    first = results["export"]
    return [first, *first.get("others", [])] if first else []


def labelled(label: Mapping[str, Any]) -> str:
    """Return what the `label` of one format says."""
    lines = [f"Label of the {label['format']} files: **{label['label']}**."]
    if "max_logit_difference" in label:
        lines.append(
            f"The largest logit difference to the run's own model is {label['max_logit_difference']:.3g}{scale(label)}."
        )
    if "positions" in label:
        spans = ", ".join(f"{start} to {stop}" for start, stop in label["positions"])
        lines.append(f"{label['reader']} was compared at random tokens at the positions {spans}, and token by token.")
    lines += [f"{label['reason']}."] if "reason" in label else []
    return " ".join([*lines, *label.get("notes", [])])


def scale(label: Mapping[str, Any]) -> str:
    """Return how large the logits are that differ, where the `label` says it."""
    return f", of logits up to {label['max_logit']:.3g}" if "max_logit" in label else ""


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return `rows` under `header` as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines)


def plain(value: Any) -> str:
    """Return `value` on one line of a Markdown table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.replace("|", "\\|").split())
