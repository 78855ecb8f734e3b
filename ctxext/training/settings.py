"""The settings of training: the schema of `trainer`."""

from dataclasses import dataclass, field

from ctxext.refusal import nearest, require

RESUME = ("auto", "never")
PRECISION = ("auto", "fp32", "bf16")
AS_LAID = "as_laid"
POSITIONS = (AS_LAID, "pose", "randomized")
WITHOUT = "none"
ADAPTERS = (WITHOUT, "lora")
EMBEDDINGS, NORMS = "embeddings", "norms"
BESIDE = (EMBEDDINGS, NORMS)
"""What may be trained in full beside an adapter."""
STOP, SKIP = "stop", "skip"
NONFINITE = (STOP, SKIP)
FEWEST_KEPT = 2
"""A checkpoint may turn out to be broken: the one before it must be there then."""
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass
class Trainer:
    """How the weights are changed; what each key means stands beside it in conf/trainer/default.yaml."""

    steps: int
    batch_tokens: int
    accumulate: int
    learning_rate: float
    final_learning_rate_share: float
    warmup_steps: int
    weight_decay: float
    beta1: float
    beta2: float
    max_grad_norm: float
    save_every: int
    keep: int
    resume: str
    precision: str
    compile: bool
    positions: str = AS_LAID
    max_position: int = 0
    adapter: str = WITHOUT
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    lora_targets: list[str] = field(default_factory=lambda: [*PROJECTIONS])
    lora_trained: list[str] = field(default_factory=lambda: [*BESIDE])
    lora_plus_ratio: float = 1.0
    gradient_checkpointing: bool = False
    resume_allow: list[str] = field(default_factory=list)
    nonfinite: str = STOP
    nonfinite_limit: int = 3

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("batch_tokens", "accumulate", "learning_rate", "max_grad_norm", "save_every", "nonfinite_limit"):
            require(getattr(self, name) > 0, f"trainer.{name} must be above 0, got {getattr(self, name)}")
        for name in ("steps", "warmup_steps", "weight_decay"):
            require(getattr(self, name) >= 0, f"trainer.{name} must be at least 0, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            require(
                0 <= getattr(self, name) < 1, f"trainer.{name} must be from 0 to below 1, got {getattr(self, name)}"
            )
        share = self.final_learning_rate_share
        require(0 <= share <= 1, f"trainer.final_learning_rate_share must be from 0 to 1, got {share}")
        require(self.resume in RESUME, f"trainer.resume must be one of {', '.join(RESUME)}, got {self.resume!r}")
        known = ", ".join(PRECISION)
        require(self.precision in PRECISION, f"trainer.precision must be one of {known}, got {self.precision!r}")
        ways = ", ".join(POSITIONS)
        require(self.positions in POSITIONS, f"trainer.positions must be one of {ways}, got {self.positions!r}")
        require(self.max_position >= 0, f"trainer.max_position must be at least 0, got {self.max_position}")
        check_keeping(self)
        check_adapter(self)


def check_keeping(settings: Trainer) -> None:
    """Refuse values of `settings` under which a fault could cost the whole run."""
    kept, known = settings.keep, ", ".join(NONFINITE)
    require(kept >= FEWEST_KEPT, f"trainer.keep must be at least {FEWEST_KEPT}, got {kept}: one may turn out broken")
    said = f"trainer.nonfinite must be one of {known}, got {settings.nonfinite!r}"
    require(settings.nonfinite in NONFINITE, said)


def check_adapter(settings: Trainer) -> None:
    """Refuse values of the adapter of `settings` that are out of range, and what can't be trained beside it."""
    known = ", ".join(ADAPTERS)
    require(settings.adapter in ADAPTERS, f"trainer.adapter must be one of {known}, got {settings.adapter!r}")
    for name in ("lora_rank", "lora_alpha"):
        require(getattr(settings, name) > 0, f"trainer.{name} must be above 0, got {getattr(settings, name)}")
    dropout, ratio = settings.lora_dropout, settings.lora_plus_ratio
    require(0 <= dropout < 1, f"trainer.lora_dropout must be from 0 to below 1, got {dropout}")
    require(ratio >= 1, f"trainer.lora_plus_ratio must be at least 1, got {ratio}")
    require(
        bool(settings.lora_targets), "trainer.lora_targets is empty; name a projection, or use trainer.adapter=none"
    )
    for name in settings.lora_trained:
        said = f"trainer.lora_trained may hold {' and '.join(BESIDE)}, got {name!r}{nearest(name, BESIDE)}"
        require(name in BESIDE, said)
