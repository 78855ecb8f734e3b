"""What a plan says: memory, bytes sent and time of a step on each rank."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ctxext.reporting.progress import in_time
from ctxext.reporting.proof import in_bytes, scaled
from ctxext.reporting.table import heading


def plan_table(found: Mapping[str, Any]) -> Group:
    """Return the plan `found` as lines: a number each, and what it is made of."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("")
    machine, memory, sent = found["hardware"], found["memory"], found["sent"]
    room = f" of {in_bytes(machine['memory'])}" if machine else ""
    table.add_row(
        "memory of a step", in_bytes(memory["total"]) + room, Text(summed(memory) + fits(memory["total"], machine))
    )
    if found["mesh"]["shard"] > 1:
        said = "all weights are on each rank, as training begins beside its part"
        table.add_row("before and after", in_bytes(found["around"]) + room, Text(said + fits(found["around"], machine)))
    table.add_row("sent a step", in_bytes(sent["total"]), Text(summed(sent)))
    table.add_row("operations a step", f"{scaled(found['flops'], 1000)}FLOP", Text("needed on each rank"))
    table.add_row("time of a step", *time_of(found))
    return Group(heading("PLAN", title(found)), table, Text())


def fits(size: float, machine: Mapping[str, Any] | None) -> str:
    """Return whether `size` bytes fit into `machine`, as the end of a line; nothing where that isn't known."""
    return "" if not machine else "; fits" if size <= machine["memory"] else "; DOES NOT FIT"


def title(found: Mapping[str, Any]) -> str:
    """Return what the plan `found` is of."""
    mesh = " x ".join(f"{count} {name}" for name, count in found["mesh"].items())
    machine = f" on {found['hardware']['name']}" if found["hardware"] else ""
    size = f"{scaled(found['parameters'], 1000)} parameters"
    return (
        f"each rank of {mesh}{machine}; {size}, {found['rows']} rows of {found['length']:,} tokens; computed, not run"
    )


def summed(parts: Mapping[str, float]) -> str:
    """Return the `parts` of a total in words."""
    shown = [f"{in_bytes(size)} {name.replace('_', ' ')}" for name, size in parts.items() if name != "total" and size]
    return " + ".join(shown)


def time_of(found: Mapping[str, Any]) -> tuple[str, Text]:
    """Return the time of a step in the plan `found`, and what it is made of."""
    if "seconds" not in found:
        why = "no time, since no GPU is known" if not found["hardware"] else "no time, since the peak is of bfloat16"
        return "", Text(f"{why}; hardware=NAME and trainer.precision=bf16 say one")
    seconds = found["seconds"]
    parts = ", ".join(f"{in_time(seconds[name])} {name}" for name in ("products", "sending", "update"))
    tokens = found["rows"] * found["length"] / seconds["most"]
    return (
        f"{in_time(seconds['least'])} to {in_time(seconds['most'])}",
        Text(f"{parts}; least where sending is hidden; {tokens:,.0f} tokens a second at the least"),
    )
