"""The mesh of a run's processes: the schema of `parallel`."""

from dataclasses import asdict, dataclass

from ctxext.refusal import require


@dataclass
class Parallel:
    """How many processes share what; what each key means stands beside it in conf/config.yaml."""

    data: int = 1
    shard: int = 1
    context: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, value in asdict(self).items():
            require(value >= 1, f"parallel.{name} must be at least 1 process, got {value}")

    @property
    def size(self) -> int:
        """How many processes there must be."""
        return self.data * self.shard * self.context

    @property
    def replicas(self) -> int:
        """Among how many processes, or groups that share each row, the rows of a step are divided."""
        return self.data * self.shard

    def __str__(self) -> str:
        """Return the mesh as it is typed."""
        return f"parallel.data={self.data} parallel.shard={self.shard} parallel.context={self.context}"

    def check(self, started: int) -> None:
        """Refuse the mesh unless as many processes as it has were `started`."""
        advice = (
            f"the {started} that torchrun started need parallel.data={started}, or another mesh of {started}"
            if started > 1
            else f"start them by torchrun --nproc-per-node {self.size} -m ctxext ..."
        )
        require(self.size == started, f"{self} make {self.size} processes, got {started}; {advice}")

    def check_shares(self, rows: int, length: int, batch: str) -> None:
        """Refuse `rows` of `length` tokens, those of a step by the key `batch`, that don't part evenly."""
        require(
            rows % self.replicas == 0,
            f"{batch} holds {rows} rows of {length} tokens, which parallel.data={self.data} x "
            f"parallel.shard={self.shard} can't divide evenly; a multiple of {self.replicas * length} tokens can be",
        )
        require(
            self.context == 1 or length % (2 * self.context) == 0,
            f"rows of {length} tokens don't part into the {2 * self.context} pieces of "
            f"parallel.context={self.context}; a length that is a multiple of {2 * self.context} does",
        )
