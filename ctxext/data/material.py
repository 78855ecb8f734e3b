"""What the samples of tasks are made of: a corpus and its tokenizer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tokenizers import Tokenizer

from ctxext.data.corpus import Corpus
from ctxext.data.lettering import lettered

ENOUGH = 200_000
"""Tokens at the start of the corpus, the documents that begin within which are taken for sentences."""


@dataclass(frozen=True)
class CorpusMaterial:
    """The `ctxext.tasks.samples.Material` of `corpus` and `tokenizer`."""

    corpus: Corpus
    tokenizer: Tokenizer

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`, none of them a control token."""
        ids: list[int] = lettered(self.tokenizer).encode(text, add_special_tokens=False).ids
        return ids

    @property
    def beginning(self) -> Sequence[int]:
        """The control tokens with which every text begins."""
        return self.corpus.beginning

    @cached_property
    def ordinary(self) -> Sequence[int]:
        """The ids that are no control tokens."""
        controls = {id for id, token in self.tokenizer.get_added_tokens_decoder().items() if token.special}
        return [id for id in range(self.tokenizer.get_vocab_size()) if id not in controls]

    @cached_property
    def sentences(self) -> Sequence[str]:
        """Sentences of the corpus, in order, each with the space before it."""
        last = int(np.searchsorted(self.corpus.starts, ENOUGH))
        documents = [self.corpus.document(number).tolist() for number in range(min(last, len(self.corpus)))]
        texts = self.tokenizer.decode_batch(documents, skip_special_tokens=True)
        split = (sentence for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text))
        return [f" {' '.join(sentence.split())}" for sentence in split if sentence.strip()]
