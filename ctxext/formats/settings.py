"""The settings of weights that come in and go out: the schemas of `base` and `export`."""

from dataclasses import dataclass

from ctxext.refusal import nearest, require

FORMATS = ("hf", "gguf")
GGUF_TYPES = ("F32", "F16", "Q8_0")
"""How a .gguf file may store matrices; its vectors are F32 in any case."""


@dataclass
class Base:
    """The weights that one starts from: `path` of a Hugging Face folder, `pkg://NAME` of a shipped one, empty for none.

    `trained_length` is in tokens; the rest says how a base without weights is trained.
    """

    path: str
    trained_length: int
    steps: int
    learning_rate: float
    batch_tokens: int

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("trained_length", "learning_rate", "batch_tokens"):
            require(getattr(self, name) > 0, f"base.{name} must be above 0, got {getattr(self, name)}")
        if self.path:
            require(
                self.steps == 0,
                f"base.steps must be 0 where base.path names weights, got {self.steps}; trainer.steps trains them on",
            )
        else:
            require(self.steps > 0, f"base.steps must be above 0 where base.path is empty, got {self.steps}")
            trained, batch = self.trained_length, self.batch_tokens
            row = f"a row of base.trained_length={trained} tokens"
            require(batch >= trained, f"base.batch_tokens must hold {row}, got {batch}")


@dataclass
class Export:
    """The formats in which the checkpoint is written, and `gguf_type`, how a .gguf file stores its matrices."""

    format: list[str]
    gguf_type: str

    def __post_init__(self) -> None:
        """Refuse a format or a type that doesn't exist."""
        for word in self.format:
            require(
                word in FORMATS,
                f"export.format must be among {', '.join(FORMATS)}, got {word!r}{nearest(word, FORMATS)}",
            )
        require(
            self.gguf_type in GGUF_TYPES,
            f"export.gguf_type must be one of {', '.join(GGUF_TYPES)}, got {self.gguf_type!r}"
            f"{nearest(self.gguf_type, GGUF_TYPES)}",
        )
