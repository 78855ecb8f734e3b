"""What goes with a tokenizer through a run: its control tokens, its chat template, and how texts are generated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.data.tokenizer import end_token
from ctxext.formats.json_files import read_json, write_json
from ctxext.refusal import Refusal, require
from ctxext.strangers import text_of

TOKENIZER, SETTINGS, GENERATION, TEMPLATE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
)
LONGEST = 1 << 20
"""The bytes of a template."""


@dataclass(frozen=True)
class Companions:
    """The content of the files beside a tokenizer.json, in Hugging Face's words; `chat_template` is empty for none."""

    tokenizer_config: dict[str, Any]
    generation_config: dict[str, Any]
    chat_template: str = ""

    @property
    def ends(self) -> tuple[int, ...]:
        """The ids at which a generated text ends."""
        ids = self.generation_config.get("eos_token_id")
        return tuple(ids) if isinstance(ids, list) else () if ids is None else (int(ids),)

    def write(self, folder: Path, context_length: int) -> None:
        """Write the files into `folder`, for texts of up to `context_length` tokens."""
        write_json(folder / SETTINGS, self.tokenizer_config | {"model_max_length": context_length})
        write_json(folder / GENERATION, self.generation_config)
        if self.chat_template:
            (folder / TEMPLATE).write_text(self.chat_template, encoding="utf-8")


def plain_companions(tokenizer: Tokenizer) -> Companions:
    """Return what goes with a `tokenizer` that was trained here: one control token, none added at a text's start."""
    end = end_token(tokenizer)
    word = tokenizer.id_to_token(end)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 4 refuses 5's own name
        "bos_token": word,
        "eos_token": word,
        "pad_token": word,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
    }
    # Without the ids, readers would take 1 and 2 whatever the tokenizer.
    generation = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "do_sample": False}
    return Companions(settings, generation)


def read_companions(folder: Path) -> Companions:
    """Return what goes with the tokenizer in `folder`; files that are absent are empty."""
    settings, generation = (
        read_json(folder / name) if (folder / name).is_file() else {} for name in (SETTINGS, GENERATION)
    )
    file, inside = folder / TEMPLATE, settings.pop("chat_template", None)
    template = text_of(file, LONGEST) if file.is_file() else ""
    return Companions(settings, generation, template or default_of(inside, folder / SETTINGS))


def default_of(template: object, file: Path) -> str:
    """Return the chat `template` in the settings `file`, "" for none; of several with names, the one named default."""
    several = template if isinstance(template, list) else [{"name": "default", "template": template or ""}]
    text = next((one.get("template") for one in several if isinstance(one, dict) and one.get("name") == "default"), "")
    if not isinstance(text, str):
        raise Refusal(f"{file}: chat_template must be a text, or a list with one named default, got {template!r}")
    check_template(text, f"{file}: chat_template")
    return text


def check_template(text: str, where: str) -> None:
    """Refuse a chat template `text`, which stands at `where`, of more bytes than one may have."""
    size = len(text.encode("utf-8", "surrogatepass"))
    require(size <= LONGEST, f"{where} must have at most {LONGEST} bytes, got {size}")
