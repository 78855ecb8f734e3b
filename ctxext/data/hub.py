"""Anything that `datasets.load_dataset` takes: sets of the Hugging Face hub, and local files in its many formats."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

from ctxext.data.documents import Defect, Document
from ctxext.data.fields import Table
from ctxext.refusal import Refusal, require

Rows = Iterable[Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class HuggingFace(Table):
    """A set of `datasets`: `path` as `load_dataset` takes it (`json` with `data_files` reads local files).

    `subset` is the configuration's name; `streaming` reads without a download first; `limit` takes the first so many
    rows (0: all).
    """

    path: str
    subset: str = ""
    split: str = "train"
    data_files: str | list[str] = ""
    streaming: bool = False
    limit: int = 0

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        require(bool(self.path), "dataset.path is empty; give the name of a dataset, or json, csv, parquet, text")
        require(self.limit >= 0, f"dataset.limit must be at least 0, got {self.limit}")

    def items(self) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each row."""
        rows = islice(self.rows(), self.limit or None)
        for number, row in enumerate(rows):
            where = f"{self.path} {self.split} row {number}"
            yield self.document(row, where, len(repr(row)))

    def rows(self) -> Iterator[Mapping[str, object]]:
        """Yield the rows of the set; refuse, in the library's words, what it can't find or read."""
        if importlib.util.find_spec("datasets") is None:
            raise Refusal("dataset=hf needs the package datasets: pip install datasets")
        from datasets import load_dataset  # optional, and slow to import

        try:
            rows = load_dataset(
                self.path,
                self.subset or None,
                split=self.split,
                data_files=self.data_files or None,
                streaming=self.streaming,
            )
            yield from cast(Rows, rows)
        except Exception as error:  # the library's errors have no common class
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise Refusal(
                f"dataset.path={self.path} dataset.split={self.split} can't be read by datasets: {reason} "
                "(dataset=jsonl reads JSON lines one by one and names the bad line)"
            ) from error
