"""The commands as their help tells them; no import that costs time, since help must be quick."""

from typing import NamedTuple


class Stage(NamedTuple):
    """A command that takes overrides: what it does in a line, the function that does it, and three examples.

    `method` is the one that it takes where none is typed; `notes` tell what it shows and leaves behind. What `goes_on`
    has its folder for itself, and ends with 75 where a signal asks it to; the same command line goes on from there.
    """

    line: str
    function: str
    examples: tuple[str, str, str]
    method: str = ""
    notes: tuple[str, ...] = ()
    goes_on: bool = False


class Plain(NamedTuple):
    """A command that takes plain arguments: how it is typed, what it does in a line, and three examples."""

    usage: str
    line: str
    examples: tuple[str, str, str]
    notes: tuple[str, ...] = ()


CHECK_NOTES = (
    "takes some seconds: about ten for base=tiny at 1024 tokens, more for longer contexts",
    "✓ a property holds, ✗ it fails; – it isn't promised, or no affordable length shows it; the reason follows",  # noqa: RUF001
    "leaves check.json in the run's folder: properties, masks and costs",
    "exit status: 0 all that is promised holds, 1 a property fails, 2 what was typed is refused",
)
SEARCH_NOTES = (
    "takes minutes: two to three for base=tiny at 1024 tokens on one core, and more with longer contexts",
    "leaves in the run's folder: position/longrope_found.yaml and method/longrope_found.yaml, options to take with",
    "  --config-dir; search.jsonl, a line an iteration; candidates.jsonl, from which the same search goes on",
    "exit status: 0 done, 1 failed, 2 what was typed is refused, 75 interrupted and can go on",
)
GENERATE_NOTES = (
    "goes on from prompt=TEXT, any text as it is, or from stdin with prompt=-, less a newline at its end",
    "run= is a run, a Hugging Face folder or a .gguf file; without it the base is read, through +method=... if typed",
    "keys: max_new_tokens, temperature (0 is greedy), top_k, top_p, seed, stop=[TEXT,...] where \\n is a new line,",
    "  chat=true to lay the prompt out by the base's chat template; in a sweep, commas separate prompts",
    "stdout has what is generated, without the prompt, stderr the rest; generation.json in the run's folder has both",
)

STAGES = {
    "train": Stage(
        "prepare data, get the base, train, evaluate by length, export",
        "ctxext.commands.train:train",
        (
            "ctxext train +method=rope_interp",
            "ctxext train +method=yarn context_length=2048 trainer.steps=300 dataset=text dataset.path=notes/",
            "ctxext train -m +method=rope_interp,yarn context_length=512,1024,2048",
        ),
        goes_on=True,
    ),
    "eval": Stage(
        "evaluate a run, a Hugging Face folder or a .gguf file; any method, no training",
        "ctxext.commands.evaluate:evaluate",
        (
            "ctxext eval +method=yarn dataset=stdlib",
            "ctxext eval run=outputs/rope_interp/2030-01-31_12-00-00 evaluation.documents=200",
            "ctxext eval -m +method=rope_interp,rope_ntk,yarn context_length=512,1024 dataset=stdlib",
        ),
        goes_on=True,
    ),
    "export": Stage(
        "write a run, or a base read through a method, as Hugging Face and GGUF files; compare logits",
        "ctxext.commands.export:export",
        (
            "ctxext export run=outputs/yarn/2030-01-31_12-00-00",
            "ctxext export +method=yarn export.format=[hf,gguf]",
            "ctxext export -m run=outputs/yarn/2030-01-31_12-00-00,outputs/rope_ntk/2030-01-31_13-00-00",
        ),
    ),
    "generate": Stage(
        "continue a prompt; streams tokens",
        "ctxext.commands.generate:generate",
        (
            'ctxext generate prompt="The people of"',
            "ctxext generate run=outputs/yarn/2030-01-31_12-00-00 prompt=- temperature=0.8 top_p=0.9 < letter.txt",
            'ctxext generate +method=streaming_llm prompt="The people of" max_new_tokens=5000',
        ),
        notes=GENERATE_NOTES,
    ),
    "prepare": Stage(
        "the data stage alone: clean, deduplicate, split, encode",
        "ctxext.commands.prepare:prepare",
        (
            "ctxext prepare",
            "ctxext prepare dataset=jsonl dataset.path=chats.jsonl dataset.errors=skip",
            "ctxext prepare dataset=hf dataset.path=json dataset.data_files=rows.jsonl",
        ),
    ),
    "check": Stage(
        "build the composition, prove its properties, count its costs; trains nothing",
        "ctxext.commands.check:check",
        (
            "ctxext check +method=yarn",
            "ctxext check position=rope_ntk mask=sliding_window mask.window=128 context_length=512",
            "ctxext check -m +method=self_extend,streaming_llm,shifted_sparse",
        ),
        notes=CHECK_NOTES,
    ),
    "search": Stage(
        "find LongRoPE's factors for a base and a length, on validation text and look-ups",
        "ctxext.commands.search:search",
        (
            "ctxext search",
            "ctxext search context_length=2048 search.objective=both search.iterations=20",
            "ctxext search -m search.objective=text,lookup,both",
        ),
        method="longrope",
        notes=SEARCH_NOTES,
        goes_on=True,
    ),
}

COMPARE_NOTES = (
    "PATH is the folder of a run or of a sweep; runs that differ only in their seed are one, with mean ± deviation",
    "differences are paired by document and sample, their p-values corrected for the number of lengths (Holm)",
    "RULE says what must not be: MEASURE[@LENGTH] < or > NUMBER, or SUBJECT or RUN with + or - a number; measures are",
    "  those of the tables, short_cost (nats that text up to the trained length lost) and effective_length",
    "exit status: 0 done, 1 a rule of --fail-on holds, 2 what was typed is refused",
)
PLAIN = {
    "compare": Plain(
        "PATH PATH ... [--json] [--markdown [FILE]] [--html FILE] [--fail-on RULE]...",
        "two or more runs, or those of a sweep, side by side",
        (
            "ctxext compare outputs/sweeps/2030-01-31_12-00-00",
            "ctxext compare outputs/yarn/2030-01-31_12-00-00 outputs/rope_ntk/2030-01-31_13-00-00 --html runs.html",
            'ctxext compare outputs/sweeps/2030-01-31_12-00-00 --json --fail-on "nll@1024 > base + 0.05"',
        ),
        notes=COMPARE_NOTES,
    ),
    "ls": Plain(
        "[GROUP] [--json] [--config-dir DIR]",
        "what can be composed, a line each with its paper",
        ("ctxext ls", "ctxext ls position", "ctxext ls method --json"),
    ),
}
