"""Texts as arrays of small numbers, and what is read from them at once for all rows."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8

PAD, OTHER = 0, 255


@dataclasses.dataclass(frozen=True)
class LetterTable:
    """The beginnings of texts as a table.

    Attributes:
      codes: [rows letters]; 0 behind the end of a text, 255 for letters beyond the 254 commonest.
      lengths: how long the whole texts are, in letters.
      alphabet: the letter of code 1, of code 2 and so on, from the commonest on.
    """

    codes: UInt8[np.ndarray, "rows letters"]
    lengths: Int[np.ndarray, " rows"]
    alphabet: str

    @staticmethod
    def of(texts: Sequence[str], *, most: int) -> "LetterTable":
        """Reads the first `most` letters of every text."""
        lengths = np.array([len(text) for text in texts], np.int64)
        held = np.minimum(lengths, most)
        joined = "".join(text[:most] for text in texts)
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
        distinct, place, counts = np.unique(points, return_inverse=True, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        code_of = np.full(distinct.size, OTHER, np.uint8)
        code_of[order[:254]] = np.arange(1, min(distinct.size, 254) + 1)
        codes = np.zeros((len(texts), int(held.max(initial=0))), np.uint8)
        codes[np.arange(codes.shape[1]) < held[:, None]] = code_of[place]
        return LetterTable(codes, lengths, "".join(chr(point) for point in distinct[order[:254]]))

    @property
    def held(self) -> Int[np.ndarray, " rows"]:
        """How many letters of every text are in the table."""
        return np.minimum(self.lengths, self.codes.shape[1])

    def letter(self, code: int) -> str:
        """Returns the letter of a code."""
        return "another letter" if code in (PAD, OTHER) else self.alphabet[code - 1]

    def counts(self, letters: int) -> Int[np.ndarray, "rows letters"]:
        """Returns how often every row has each of the commonest `letters`."""
        rows = self.codes.shape[0]
        flat = np.arange(rows)[:, None] * 256 + self.codes
        return np.bincount(flat.ravel(), minlength=rows * 256).reshape(rows, 256)[:, 1 : letters + 1]

    def kmers(
        self, size: int
    ) -> tuple[Int[np.ndarray, " kmers"], Int[np.ndarray, " kmers"], Int[np.ndarray, " kmers"]]:
        """Returns row, start and code of every run of `size` (1 to 6) letters; `spell` reads a code."""
        windows = self.codes.shape[1] - size + 1
        if windows < 1:
            return (np.zeros(0, np.int64),) * 3
        codes = np.zeros((self.codes.shape[0], windows), np.int64)
        for offset in range(size):
            codes = codes << 8 | self.codes[:, offset : offset + windows]
        row, start = np.nonzero(np.arange(windows) < (self.held - size + 1)[:, None])
        return row, start, codes[row, start]

    def spell(self, code: int) -> str:
        """Returns the letters of a code of `kmers`."""
        letters = []
        while code:
            letters.append(self.letter(code & 255) if code & 255 != OTHER else "?")
            code >>= 8
        return "".join(reversed(letters))
