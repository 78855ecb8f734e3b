"""Why a composition has no home in Hugging Face's own classes: a sentence that names the part by its option."""

import re

from ctxext.mask.layered import Layered
from ctxext.refusal import Refusal


class NotExportable(Refusal):
    """A composition that no reader's own classes can hold: the reason names the part."""


OPTIONS = {
    "Llama4Temperature": "temperature_llama4",
    "Ministral3Temperature": "temperature_ministral3",
    "SoftCap": "softcap",
    "IntraDocument": "document",
    "PRope": "p_rope",
    "LongRope": "longrope",
}
"""Options that are not named as their class."""
BY_DISTANCE = "no reader joins a bias by distance to RMSNorm and SwiGLU"
ADDED = "a reader's Llama adds no positions to its embeddings; GPT-2 does (model=vanilla)"
REASONS = {
    "alibi": "no reader joins ALiBi to RMSNorm and SwiGLU",
    "t5_bias": BY_DISTANCE,
    "kerple": BY_DISTANCE,
    "fire": BY_DISTANCE,
    "cope": "no reader counts positions by content",
    "sinusoidal": ADDED,
    "learned": ADDED,
    "learned_interp": ADDED,
    "dynamic_yarn": "no reader's YaRN follows the text's length",
    "partial_rope": "Phi-3, which turns a part of each head, has no such body",
    "grid_rope": "no reader turns pairs by the digits of a position",
    "gemma3_rope": "Gemma 3 alone has a theta for each kind of layer, and other norms and scales (model=gemma3)",
    "xpos": "no reader's Llama scales heads by their positions",
    "sinks": "the weights are a plain Llama's, and keeping the first keys is a policy of the runtime",
    "lambda_mask": "the weights are a plain Llama's, and a ceiling on distances is a policy of the runtime",
    "chunked": "only Llama 4 has chunks, and its layers are mixtures of experts",
    "layered_chunks": "only Llama 4 has chunks by layer, and its layers are mixtures of experts",
    "dilated": "no reader has windows by head",
    "global_local": "only encoders have it, which look both ways",
    "layered": "readers know one size of window a network, and these layers have several",
    "adaptive_window": "no reader's window grows with the text",
    "adaptive_span": "no reader has a soft mask",
    "log_n": "no reader scales logits by the count of visible keys",
    "ssmax": "no reader scales logits by the count of visible keys",
    "temperature": "no reader's Llama has a temperature but YaRN's, which goes with its frequencies",
    "temperature_llama4": "only Llama 4 has it, and its layers are mixtures of experts",
    "temperature_ministral3": "Ministral 3, which alone has it, has no such body",
    "softcap": "Gemma 2 alone caps its logits (model=gemma2)",
    "self_extend": "no reader turns keys to grouped positions",
    "rerope": "no reader clips distances",
    "dual_chunk": "no reader's Llama turns keys by chunks",
    "linear": "a reader's Llama has a softmax",
    "retention": "a reader's Llama has a softmax",
    "infini": "a reader's Llama has no memory",
    "block_topk": "a reader's Llama chooses no blocks",
    "differential": "DiffLlama, which alone subtracts softmaxes, has no such body",
    "gated": "a reader's Llama has no gate on what heads gather",
    "forgetting": "a reader's Llama has no forget gate",
    "recurrence": "a reader's Llama keeps no segments",
    "lstm": "no reader has this network",
}


def unhoused(group: str, part: object) -> NotExportable:
    """Return the refusal of the `part` chosen in the config `group`, which has no home with any other."""
    return together(REASONS.get(option(part), "no class of theirs does the same"), chosen(group, part))


def together(why: str, *parts: str) -> NotExportable:
    """Return the refusal of `parts`, such as `position=nope`, that have no home together, and `why`."""
    return NotExportable(f"{' with '.join(parts)} has no Hugging Face reader: {why}")


def chosen(group: str, part: object) -> str:
    """Return the `part` as one would choose it in the config `group`: `position=alibi`."""
    return f"{group}={option(part)}"


def option(part: object) -> str:
    """Return the option that stands for the class of `part`."""
    if isinstance(part, Layered) and "C" in part.pattern:
        return "layered_chunks"
    name = type(part).__name__
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("Geometry")).lower()
    return OPTIONS.get(name, spelt)
