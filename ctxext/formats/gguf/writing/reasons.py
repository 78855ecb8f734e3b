"""Why llama.cpp has no home for a composition: a sentence for each option, and for what goes with a body."""

from ctxext.formats.huggingface.writing.reasons import NotExportable, chosen, option

REASONS = {
    "alibi": "its only architectures with ALiBi have other bodies",
    "t5_bias": "only T5's body has a bias by distance",
    "kerple": "no architecture has this bias by distance",
    "fire": "no architecture has this bias by distance",
    "cope": "no architecture counts positions by content",
    "sinusoidal": "its Llama adds no positions to embeddings",
    "learned": "its Llama adds no positions to embeddings",
    "learned_interp": "its Llama adds no positions to embeddings",
    "rope_dynamic_ntk": "its frequencies don't follow the text's length",
    "dynamic_yarn": "its frequencies don't follow the text's length",
    "partial_rope": "its Llama turns whole heads",
    "grid_rope": "it turns no pairs by the digits of a position",
    "gemma3_rope": "a theta by layer goes with Gemma 3's body, model=gemma3",
    "xpos": "its Llama scales no heads by their positions",
    "sliding_window": "its Llama and Qwen 2 see everything, whatever window a file states",
    "sinks": "keeping the first keys is a setting of the runtime, and no part of a file",
    "lambda_mask": "it has no ceiling on distances",
    "chunked": "only Llama 4 has chunks, and its layers are mixtures of experts",
    "layered_chunks": "only Llama 4 has chunks by layer, and its layers are mixtures of experts",
    "dilated": "it has no windows by head",
    "global_local": "it has no tokens that all others see",
    "layered": "only Gemma's bodies have windows by layer, one size of them, and in all layers but each n-th",
    "adaptive_window": "its windows don't grow with the text",
    "adaptive_span": "it has no soft mask",
    "log_n": "its logits don't follow the count of visible keys",
    "ssmax": "its logits don't follow the count of visible keys",
    "temperature_llama4": "only Llama 4 has it, and its layers are mixtures of experts",
    "temperature_ministral3": "no home is written for it in Ministral 3",
    "self_extend": "grouping is a setting of the runtime, and no part of a file",
    "rerope": "it has no ceiling on distances",
    "dual_chunk": "its Llama turns no keys by chunks",
    "linear": "its Llama has a softmax",
    "retention": "its Llama has a softmax",
    "infini": "its Llama has no memory",
    "block_topk": "its Llama chooses no blocks",
    "differential": "no architecture subtracts one softmax from another",
    "gated": "its Llama has no gate on what heads gather",
    "forgetting": "its Llama has no forget gate",
    "recurrence": "its Llama keeps no segments",
    "softcap": "only Gemma 2's body caps attention, model=gemma2",
    "vanilla": "no architecture has its body, a ReLU between two layer norms",
    "lstm": "it has no such network",
}
"""Why llama.cpp has no home for an option, by its name."""


def refused(group: str, part: object) -> NotExportable:
    """Return the refusal of the `part` chosen in the config `group`."""
    why = REASONS.get(option(part), "no architecture does the same")
    return NotExportable(f"{chosen(group, part)} has no home in llama.cpp: {why}")


def unheard(group: str, part: object, architecture: str) -> NotExportable:
    """Return the refusal of the `part` chosen in the config `group`, whose divisors an `architecture` doesn't read."""
    why = "it divides no frequencies one by one, since it doesn't read rope_freqs.weight"
    return NotExportable(f"{chosen(group, part)} has no home in llama.cpp's {architecture}: {why}")


def in_no_body(what: str, architecture: str) -> NotExportable:
    """Return the refusal of `what` a model of `architecture` cannot be told."""
    return NotExportable(f"{what} has no home in llama.cpp's {architecture}, where no key of a file says so")
