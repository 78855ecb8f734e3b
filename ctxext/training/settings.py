"""The settings of training: the schema of `trainer`."""

from dataclasses import dataclass

from ctxext.refusal import require

RESUME = ("auto", "never")
PRECISION = ("auto", "fp32", "bf16")
AS_LAID = "as_laid"
POSITIONS = (AS_LAID, "pose", "randomized")


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

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("batch_tokens", "accumulate", "learning_rate", "max_grad_norm", "save_every", "keep"):
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
