"""DNA that evolves: ancestors with a GC content, Kimura substitutions, short insertions and deletions."""

import math

import numpy as np
from Bio.Seq import reverse_complement

from data_prep.synthetic.evolution import Lineage, insert_and_delete, true_identity
from data_prep.synthetic.pairs import SimulatedPair

# In this order `code ^ 2` is the transition of a base (A-G, C-T), `code ^ 1` and `code ^ 3` are its transversions.
_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)

# Insertions and deletions per substitution: human and chimpanzee differ by 5 million of the first and 35 million of the
# second (Chimpanzee Sequencing and Analysis Consortium 2005, Nature 437:69).
_INDELS_PER_SUBSTITUTION = 5 / 35
_MEAN_INDEL_LENGTH = 2.0


def to_dna(codes: np.ndarray) -> str:
    """Returns the sequence in letters.

    >>> to_dna(np.array([0, 1, 2, 3]))
    'ACGT'
    """
    return _BASES[codes].tobytes().decode()


def to_codes(sequence: str) -> np.ndarray:
    """Returns the codes of a sequence in capital letters A, C, G, T.

    >>> to_codes("ACGT").tolist()
    [0, 1, 2, 3]
    """
    return np.searchsorted(_BASES, np.frombuffer(sequence.encode(), dtype=np.uint8))


def draw_bases(rng: np.random.Generator, length: int, *, gc: float) -> np.ndarray:
    """Draws the codes of independent bases; `gc` is the expected fraction of G and C, 0 to 1."""
    strong = rng.random(length) < gc
    coin = rng.integers(2, size=length)
    return np.where(strong, 1 + coin, 3 * coin)


def kimura_probabilities(distance: float, kappa: float) -> tuple[float, float]:
    """Returns the probabilities that a site shows a transition, and one given transversion out of two.

    Args:
      distance: expected substitutions per site, those hidden by later ones included.
      kappa: rate of transitions over rate of one transversion; 1 is the model of Jukes and Cantor.
    Source: Kimura 1980, J. Mol. Evol. 16:111, solved for a given distance.
    """
    if distance < 0 or kappa <= 0:
        raise ValueError(f"expected distance >= 0 and kappa > 0, got distance={distance}, kappa={kappa}")
    transversion_time = distance / (kappa + 2)
    slow = math.exp(-4 * transversion_time)
    fast = math.exp(-2 * (kappa + 1) * transversion_time)
    return 0.25 + 0.25 * slow - 0.5 * fast, 0.25 - 0.25 * slow


def substitute_bases(codes: np.ndarray, rng: np.random.Generator, *, distance: float, kappa: float) -> np.ndarray:
    """Returns the codes after evolving for `distance` under Kimura's two-parameter model."""
    transition, transversion = kimura_probabilities(distance, kappa)
    limits = np.cumsum([transition, transversion, transversion])
    change = np.array([2, 1, 3, 0])[np.searchsorted(limits, rng.random(len(codes)), side="right")]
    return codes ^ change


def evolve_dna(ancestor: np.ndarray, rng: np.random.Generator, *, distance: float, kappa: float, gc: float) -> Lineage:
    """Returns one descendant: substitutions, then insertions (of the given GC content) and deletions."""
    substituted = substitute_bases(ancestor, rng, distance=distance, kappa=kappa)
    return insert_and_delete(
        Lineage(substituted, np.arange(len(ancestor))),
        rng,
        events_per_site=distance * _INDELS_PER_SUBSTITUTION,
        mean_length=_MEAN_INDEL_LENGTH,
        draw_letters=lambda length: draw_bases(rng, length, gc=gc),
    )


def draw_dna_pair(
    rng: np.random.Generator,
    label: int,
    *,
    lengths: tuple[int, int] = (50, 60),
    distances: tuple[float, float] = (0.02, 0.35),
    gc_contents: tuple[float, float] = (0.3, 0.65),
    kappa: float = 3.0,
    reverse_complement_fraction: float = 0.0,
) -> SimulatedPair:
    """Draws two descendants of one ancestor (label 1) or of two unrelated ancestors with the same bases (label 0).

    The unrelated ancestor is a shuffled copy of the first, so length and composition say nothing about the label.

    Args:
      lengths: least and greatest length of an ancestor, in bases.
      distances: least and greatest expected substitutions per site between the two descendants.
      gc_contents: least and greatest GC content of an ancestor, 0 to 1.
      kappa: see `kimura_probabilities`.
      reverse_complement_fraction: expected share of pairs, 0 to 1, whose second sequence is given on the other strand.

    Returns:
      A pair whose `identity` comes from the true alignment; it is 0 for unrelated sequences, which have none.
    """
    gc, distance = rng.uniform(*gc_contents), rng.uniform(*distances)
    ancestor = draw_bases(rng, int(rng.integers(lengths[0], lengths[1] + 1)), gc=gc)
    other_ancestor = ancestor if label else rng.permutation(ancestor)
    first = evolve_dna(ancestor, rng, distance=distance / 2, kappa=kappa, gc=gc)
    second = evolve_dna(other_ancestor, rng, distance=distance / 2, kappa=kappa, gc=gc)
    sentence1, sentence2 = to_dna(first.codes), to_dna(second.codes)
    if rng.random() < reverse_complement_fraction:
        sentence2 = reverse_complement(sentence2)
    identity = true_identity(first, second) if label else 0.0
    return SimulatedPair(sentence1, sentence2, label, key=to_dna(ancestor), identity=identity)
