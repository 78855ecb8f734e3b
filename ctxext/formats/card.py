"""The model card of an export: every number comes from the run's results, and the license from the base's own card."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Results = Mapping[str, Any]
CARD = "README.md"


def write_card(folder: Path, results: Results, license: str) -> None:
    """Write the card of `folder` from `results`, the content of results.json, and the base's `license`, if known."""
    (folder / CARD).write_text(card(results, license), encoding="utf-8")


def read_license(folder: Path) -> str:
    """Return the license in the head of the card of `folder`, or nothing where it states none."""
    file = folder / CARD
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    stated = re.search(r"^license: *[\"']?([\w.+-]+)", head.group(1), re.MULTILINE) if head else None
    return stated.group(1) if stated else ""


def card(results: Results, license: str) -> str:
    """Return the card for `results`; a `license` that is not known is left out, never invented."""
    parts = [
        head(results, license),
        f"# {results['run']['name']}",
        summary(results),
        facts(results),
        by_length(results),
        tasks(results),
        effective_length(results),
        limits(results),
        export(results),
        LOADING,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


LOADING = """## How to load it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```

Neither remote code nor a pickle is needed. `config.json` holds the keys of transformers 5 and of 4.57; vLLM and other
readers of these files were not run."""


def head(results: Results, license: str) -> str:
    """Return the YAML head that the hub reads."""
    lines = [f"license: {license}"] if license else []
    lines += ["library_name: transformers", "pipeline_tag: text-generation", "tags:", "- ctxext", "- long-context"]
    if method := results["run"].get("method"):
        lines.append(f"- {json.dumps(method)}")
    return "\n".join(["---", *lines, "---"])


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
    """Return the label of the export with its number, and what users of other readers must know."""
    label = results["export"]
    if not label:
        return ""
    lines = [f"Label: **{label['label']}**."]
    if "max_logit_difference" in label:
        lines.append(f"The largest logit difference to the run's own model is {label['max_logit_difference']:.3g}.")
    lines += [f"{label['reason']}."] if "reason" in label else []
    return "## Export\n\n" + " ".join([*lines, *label.get("notes", [])])


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
