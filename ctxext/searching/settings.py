"""The settings of the search for LongRoPE's factors: the schema of `search`."""

from dataclasses import dataclass

from ctxext.refusal import nearest, require

OBJECTIVES = ("text", "lookup", "both")


@dataclass
class SearchSettings:
    """How long is searched, and for what; what each key means stands beside it in conf/search/default.yaml."""

    objective: str
    documents: int
    scored_tokens: int
    prompts: int
    population: int
    iterations: int
    parents: int
    mutations: int
    crossovers: int
    probability: float
    step: float

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        known = ", ".join(OBJECTIVES)
        require(
            self.objective in OBJECTIVES,
            f"search.objective must be one of {known}, got {self.objective!r}{nearest(self.objective, OBJECTIVES)}",
        )
        for name in ("documents", "scored_tokens", "prompts", "population", "iterations", "parents"):
            require(getattr(self, name) > 0, f"search.{name} must be above 0, got {getattr(self, name)}")
        for name in ("mutations", "crossovers"):
            require(getattr(self, name) >= 0, f"search.{name} must be at least 0, got {getattr(self, name)}")
        require(
            self.mutations + self.crossovers > 0,
            "search.mutations and search.crossovers are both 0, so that nothing would be tried; raise one",
        )
        require(
            self.parents <= self.population,
            f"search.parents must be at most search.population={self.population}, got {self.parents}",
        )
        require(0 < self.probability <= 1, f"search.probability must be above 0 and at most 1, got {self.probability}")
        require(0 < self.step <= 1, f"search.step must be above 0 and at most 1, got {self.step}")
