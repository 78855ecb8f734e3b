"""What runs share, and what they don't, so that a reader doesn't take for the method's what is not."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.results import CHOSEN, TRAINED_ON, Row

Fact = Callable[[Arm], Any]


def data_of(arm: Arm) -> Any:
    """Return the digest of the data that `arm` is measured on."""
    return arm.results.run.get("data", {}).get("digest")


def tokenizer_of(arm: Arm) -> Any:
    """Return the digest of the tokenizer of `arm`."""
    return arm.results.run.get("data", {}).get("tokenizer")


def protocol_of(arm: Arm) -> Any:
    """Return by which definitions `arm` is measured."""
    return {key: value for key, value in arm.results.protocol.items() if key not in (CHOSEN, TRAINED_ON)}


FACTS: Mapping[str, Fact] = {
    "base": lambda arm: arm.results.run.get("base"),
    "data": data_of,
    "tokenizer": tokenizer_of,
    "protocol": protocol_of,
    "seeds": lambda arm: sorted(arm.seeds),
    "trained length": lambda arm: arm.results.lengths["trained"],
    "target": lambda arm: arm.results.lengths["target"],
    "trained tokens": lambda arm: arm.results.run.get("trained_tokens"),
    "steps": lambda arm: arm.results.run.get("steps"),
    "versions": lambda arm: arm.results.run.get("versions"),
}


def same(arms: Sequence[Arm]) -> list[str]:
    """Return what all `arms` share, in words; what a run doesn't say is not shared."""
    return [name for name, fact in FACTS.items() if fact(arms[0]) is not None and len(kinds(arms, fact)) == 1]


def kinds(arms: Sequence[Arm], fact: Fact) -> list[tuple[Any, list[Arm]]]:
    """Return each value of `fact`, with those of `arms` that have it."""
    found: list[tuple[Any, list[Arm]]] = []
    for arm in arms:
        value = fact(arm)
        holders = next((holders for known, holders in found if known == value), None)
        if holders is None:
            found.append((value, [arm]))
        else:
            holders.append(arm)
    return found


def warnings(arms: Sequence[Arm]) -> list[str]:
    """Return a sentence for each inequality of `arms` that a difference may come from."""
    found = {name: kinds(arms, fact) for name, fact in FACTS.items()}
    differing = {name: values for name, values in found.items() if len(values) > 1}
    sentences = [*budgets(differing), *([told("base", differing["base"])] if "base" in differing else [])]
    sentences += [
        f"{name} differs: no difference between {grouped(differing[name])} is computed"
        for name in ("data", "tokenizer")
        if name in differing
    ]
    sentences += definitions([value for value, _ in differing.get("protocol", [])])
    seeds = kinds([arm for arm in arms if arm.results.run.get("steps", 1)], FACTS["seeds"])
    if len(seeds) > 1:
        sentences.append(f"{told('seeds', seeds)}; part of a difference may come from the seed")
    if "versions" in differing:
        sentences.append(
            f"made with other versions: {', '.join(changed([value for value, _ in differing['versions']]))}"
        )
    if "trained length" in differing:
        sentences.append(told("trained length", differing["trained length"]))
    return sentences + cautions(arms)


def budgets(differing: Mapping[str, Sequence[tuple[Any, list[Arm]]]]) -> list[str]:
    """Return that the budgets are not equal: once where tokens and steps tell the same arms apart."""
    tokens, steps = differing.get("trained tokens", []), differing.get("steps", [])
    if tokens and [arms for _, arms in tokens] == [arms for _, arms in steps]:
        both = zip(tokens, steps, strict=True)
        said = [
            f"{labels(arms)} {shown(one)} in {shown(other)} steps" if one or other else f"{labels(arms)} none"
            for (one, arms), (other, _) in both
        ]
        return [f"trained tokens: {'; '.join(said)}: the budgets are not equal"]
    return [told(name, differing[name]) for name in ("trained tokens", "steps") if name in differing]


def definitions(protocols: Sequence[Row]) -> list[str]:
    """Return by which keys `protocols` differ; what one has no word of it didn't measure."""
    keys = dict.fromkeys(key for protocol in protocols for key in protocol)
    values = {key: [one[key] for one in protocols if key in one] for key in keys}
    found = [key for key in keys if any(value != values[key][0] for value in values[key])]
    return [f"protocol differs in {', '.join(found)}: no difference in what these define is computed"] if found else []


def cautions(arms: Sequence[Arm]) -> list[str]:
    """Return each caution of the protocols of `arms`, and whose it is if not of all."""
    found = kinds([arm for arm in arms if "caution" in protocol_of(arm)], lambda arm: protocol_of(arm)["caution"])
    return [caution if len(some) == len(arms) else f"{labels(some)}: {caution}" for caution, some in found]


def told(name: str, values: Sequence[tuple[Any, Sequence[Arm]]]) -> str:
    """Return the `values` of what is called `name`, and who has which."""
    said = "; ".join(f"{labels(arms)} {shown(value)}" for value, arms in values)
    budget = ": the budgets are not equal" if name in ("trained tokens", "steps") else ""
    return f"{name}: {said}{budget}"


def shown(value: Any) -> str:
    """Return a value of a fact in words."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "unknown" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def labels(arms: Sequence[Arm]) -> str:
    """Return the labels of `arms`: `A, C`."""
    return ", ".join(arm.label for arm in arms)


def grouped(values: Sequence[tuple[Any, Sequence[Arm]]]) -> str:
    """Return which arms agree: `A, B and C`."""
    return " and ".join(labels(arms) for _, arms in values)


def changed(versions: Sequence[Row | None]) -> list[str]:
    """Return the libraries whose versions differ, with these: `torch 2.9.0 or 2.13.0`."""
    known = [version or {} for version in versions]
    found = []
    for library in dict.fromkeys(name for version in known for name in version):
        values = list(dict.fromkeys(str(version.get(library, "none")) for version in known))
        if len(values) > 1:
            found.append(f"{library} {' or '.join(values)}")
    return found
