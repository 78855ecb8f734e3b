"""How large the benchmark is: the sizes of the goals, or small ones that show that it works."""

from __future__ import annotations

from dataclasses import dataclass

from ctxext.model.geometry import DecoderGeometry


@dataclass(frozen=True)
class Shape:
    """A network of `geometry` that trains on `rows` of `length` tokens, `repetitions` steps on each side."""

    name: str
    geometry: DecoderGeometry
    rows: int
    length: int
    repetitions: int


@dataclass(frozen=True)
class Scale:
    """The sizes of every part; `repetitions` count where a part has no number of its own."""

    shapes: tuple[Shape, ...]
    repetitions: int
    heads: int
    window: int
    lengths: tuple[int, ...]
    against_dense: int
    biased: int
    extended: tuple[int, ...]
    vocabulary: int
    rows_of_loss: int
    read: int
    long: int
    long_vocabulary: int
    prompt: int
    new_tokens: int
    characters: int
    run: tuple[str, ...]


def decoder(vocabulary: int, width: int, intermediate: int, layers: int) -> DecoderGeometry:
    """Return a decoder with heads of 64 and tied embeddings."""
    heads = width // 64
    return DecoderGeometry(vocabulary, width, intermediate, layers, heads, heads, 64, True, 1e-5)


FULL = Scale(
    shapes=(
        Shape("27M", decoder(8192, 512, 1216, 8), 4, 512, 5),
        Shape("3M", decoder(4096, 192, 448, 6), 1, 4096, 7),
    ),
    repetitions=5,
    heads=8,
    window=512,
    lengths=(2048, 4096, 8192, 16384, 32768),
    against_dense=8192,
    biased=4096,
    extended=(4096, 8192, 16384),
    vocabulary=8192,
    rows_of_loss=8192,
    read=16384,
    long=32768,
    long_vocabulary=49152,
    prompt=1024,
    new_tokens=128,
    characters=4_000_000,
    run=("+method=yarn", "trainer.steps=1"),
)
QUICK = Scale(
    shapes=(Shape("27M", decoder(256, 128, 192, 1), 2, 64, 2), Shape("3M", decoder(128, 64, 96, 1), 1, 128, 2)),
    repetitions=2,
    heads=2,
    window=64,
    lengths=(256, 512, 1024),
    against_dense=512,
    biased=256,
    extended=(512, 1024, 2048),
    vocabulary=512,
    rows_of_loss=2048,
    read=1024,
    long=2048,
    long_vocabulary=512,
    prompt=64,
    new_tokens=8,
    characters=100_000,
    run=(
        "trainer.steps=1",
        "evaluation.lengths=[64]",
        "evaluation.documents=1",
        "evaluation.samples=1",
        "evaluation.tasks=[passkey]",
    ),
)
SCALES = {"full": FULL, "quick": QUICK}


def name_of(scale: Scale) -> str:
    """Return the name under which another process finds `scale`."""
    return next(name for name, known in SCALES.items() if known is scale)
