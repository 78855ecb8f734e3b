"""The machine that a plan is made for: the schema of `hardware`."""

from dataclasses import dataclass

from ctxext.refusal import require

UNKNOWN = ""
"""The name of no machine."""
NUMBERS = ("memory", "flops", "memory_bandwidth", "link_bandwidth", "network_bandwidth", "node")


@dataclass
class Hardware:
    """One GPU and its links, in bytes and operations a second; what each key means is in conf/hardware/none.yaml."""

    name: str
    memory: float
    flops: float
    memory_bandwidth: float
    link_bandwidth: float
    network_bandwidth: float
    node: int
    utilisation: float

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not self.is_known:
            typed = next((name for name in NUMBERS if getattr(self, name) > (name == "node")), "")
            require(
                not typed, f"hardware.{typed} is of a GPU without a name; choose hardware=h100, or set hardware.name"
            )
            return
        for name in NUMBERS:
            require(getattr(self, name) > 0, f"hardware.{name} must be above 0, got {getattr(self, name)}")
        share = self.utilisation
        require(0 < share <= 1, f"hardware.utilisation must be above 0 and at most 1, got {share}")

    @property
    def is_known(self) -> bool:
        """Whether there is a machine."""
        return self.name != UNKNOWN
