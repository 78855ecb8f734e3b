"""What was measured, and by which definitions, in words and numbers: the key `protocol` of `results.json`."""

from __future__ import annotations

import dataclasses

from ctxext.evaluation.costs.cost import PROTOCOL
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.results import CHOSEN, Row
from ctxext.evaluation.settings import RANK
from ctxext.evaluation.text.longppl import FEWEST, GAIN, LOSS
from ctxext.evaluation.text.sliding import stride_at
from ctxext.maths.intervals import RESAMPLES

ENOUGH_DOCUMENTS = 10
"""Of fewer, a bootstrap draws too few different sets for the width of its interval to be right."""


def protocol(ground: Ground) -> Row:
    """Return in words and numbers what was measured; of two runs with the same words the numbers can be compared."""
    settings, scored = ground.settings, ground.settings.scored_tokens
    return {
        "perplexity": f"exp of the token-weighted mean nll of the last {scored} tokens of each window, the same tokens "
        f"at every length; natural logarithm, softmax in float32, {begins(ground)}",
        "truncated": f"each scored token from {seen(ground)} of its window before it, at positions from 0; in a task, "
        f"prompt and answer from its last ones{again(ground)}",
        **tasks(ground),
        **measures(ground),
        **applications(ground),
        **effective_lengths(ground),
        **cost(ground),
        "interval": f"95%: percentile bootstrap of {RESAMPLES} resamples over documents (nll, paired differences) or "
        "samples (effective length); Wilson (tasks)",
        **caution(ground),
        "scored_tokens": scored,
        "truncated_stride": settings.truncated_stride,
        "documents": len(ground.windows.names),
        **chosen(ground),
        "samples": settings.samples if settings.tasks else 0,
    }


def chosen(ground: Ground) -> Row:
    """Return of how many documents those that are scored were drawn, if any are."""
    windows = ground.windows
    if not windows.names:
        return {}
    return {CHOSEN: f"{len(windows.names)} of {windows.eligible} documents long enough, {windows.length} tokens"}


def begins(ground: Ground) -> str:
    """Return with what each window begins."""
    size = len(ground.corpus.beginning)
    if not size:
        return "no beginning-of-text token"
    which = "a beginning-of-text token" if size == 1 else f"{size} beginning-of-text tokens"
    return f"{which} at the start of every window and prompt, counted in its length, never scored"


def again(ground: Ground) -> str:
    """Return what the truncation control puts before the tokens that it sees, if anything."""
    return ", of which the first are beginning-of-text again" if ground.corpus.beginning else ""


def seen(ground: Ground) -> str:
    """Return how many tokens before a scored one the truncation control sees."""
    stride, most = ground.settings.truncated_stride, ground.trained_length
    if stride == 1:
        return f"the last {most} tokens"
    return f"the last {most - stride + 1} to {most} tokens (a pass scores {stride})"


def tasks(ground: Ground) -> Row:
    """Return for each measured task what is asked and with which parameters, and how all are scored."""
    settings = ground.settings
    words = {name: described(settings.parameters.task(name)) for name in settings.tasks}
    if not words:
        return {}
    ranked = (
        "an answer is right if it is likelier, summed over its tokens, than every wrong one; of several, their share"
    )
    written = "greedy text of as many tokens as the answer may take; whole words and numbers must match"
    scoring = ranked if settings.scoring == RANK else written
    length = "prompt and answer, of several all, are exactly the length, and 0 has no filler"
    return words | {"scoring": f"{scoring}; labelled tokens must be the likeliest given all true ones before; {length}"}


def described(task: object) -> str:
    """Return the first sentence of what `task` is, and its parameters."""
    assert dataclasses.is_dataclass(task)
    (first, *_), parameters = (type(task).__doc__ or "").splitlines(), vars(task)
    return f"{first} {', '.join(f'{name}={value}' for name, value in parameters.items())}".strip()


def measures(ground: Ground) -> Row:
    """Return the definition of each measure that evaluation.measures asks for."""
    settings, keys, half = ground.settings, ground.keys, ground.trained_length // 2
    least, longest, scored = settings.lengths[0], settings.lengths[-1], settings.scored_tokens
    strides = sorted({stride_at(length, settings.stride) for length in settings.lengths})
    text = longest - len(ground.corpus.beginning)
    windows = f"windows of the length over the last {text} tokens of each document, one every {strides} tokens (the "
    windows += "stride, at most half the length); the first scores all its tokens, each later one its new ones; "
    windows += begins(ground)
    eyes = (
        keys if isinstance(keys, str) else f"{keys.evaluator}, chose {int(keys.chosen.sum())} of {keys.chosen.numel()}"
    )
    known = {
        "longppl": f"exp of the mean nll of the key tokens among the scored ones: those of which the evaluator's nll "
        f"from the last {ground.trained_length} tokens is below {LOSS:g} nats, and more than {GAIN:g} nats below that "
        f"from the last {half}; at least {FEWEST}; evaluator: {eyes}",
        "sliding": f"exp of the token-weighted mean nll; {windows}",
        "sliding_yarn": "exp of the mean over windows of each window's mean nll, as YaRN's script averages, not "
        f"comparable with perplexity; {windows}",
        "shift": f"mean nll of the last {scored} tokens of a fixed passage, the last {least} tokens of each document, "
        "which begins at position length - passage, behind filler sentences",
    }
    gain = f"mean nll of the scored tokens from the last {half} tokens before each, minus that from the whole window"
    beside = {"long_gain": gain} if "longppl" in settings.measures else {}
    return {name: known[name] for name in settings.measures} | beside


def applications(ground: Ground) -> Row:
    """Return what the pairs of the dataset are read as."""
    name = ground.source.application
    return {"application": f"{name}, by {ground.settings.scoring}"} if name else {}


def effective_lengths(ground: Ground) -> Row:
    """Return the words of each rule of effective length."""
    rules, trained = ground.settings.effective, ground.trained_length
    longest = "the longest evaluated length such that at every evaluated length"
    on = f"{longest} from {trained} to it"
    up = f"{longest} up to it"
    text = {f"nll({m:g})": f"{on} the nll is at most {m:g} nats above the base's at {trained}" for m in rules.nll}
    text |= {
        f"own_nll({m:g})": f"{on} the nll is at most {m:g} nats above the subject's own at {trained}"
        for m in rules.own_nll
    }
    if ground.settings.tasks:
        text |= {
            f"score({s:g})": f"{up} the score of the task is at least {s:g} of the base's at {trained}"
            for s in rules.score
        }
        text |= {
            f"own_score({s:g})": f"{up} the score of the task is at least {s:g} of the subject's own at {trained}"
            for s in rules.own_score
        }
        text |= {f"score>={s:g}": f"{up} the score of the task is at least {s:g}" for s in rules.absolute}
    return {f"effective_length {rule}": words for rule, words in text.items()}


def cost(ground: Ground) -> Row:
    """Return what the costs are, and how time is taken, if it is."""
    repeats = ground.settings.repeats
    timed = {"time": f"the median of {repeats} timings after one that warms up"} if repeats else {}
    return {"cost": PROTOCOL} | timed


def caution(ground: Ground) -> Row:
    """Return a warning where the intervals rest on too few documents."""
    documents = len(ground.windows.names)
    if ground.unscored or documents >= ENOUGH_DOCUMENTS:
        return {}
    words = f"of {documents} documents, fewer than {ENOUGH_DOCUMENTS}: intervals over documents are too narrow"
    return {"caution": words}
