"""Proteins with natural residue frequencies, and homologs that differ by the exchanges BLOSUM62 saw."""

import functools

import numpy as np
from Bio.Align import substitution_matrices

from data_prep.synthetic.evolution import Lineage, insert_and_delete, true_identity
from data_prep.synthetic.pairs import SimulatedPair

# Percent of residues in UniProtKB/Swiss-Prot (release statistics, section "Amino acid composition":
# https://web.expasy.org/docs/relnotes/relstat.html).
RESIDUE_PERCENT = {
    "A": 8.25, "R": 5.53, "N": 4.06, "D": 5.46, "C": 1.38, "Q": 3.93, "E": 6.72, "G": 7.07, "H": 2.27, "I": 5.91,
    "L": 9.65, "K": 5.80, "M": 2.41, "F": 3.86, "P": 4.74, "S": 6.64, "T": 5.35, "W": 1.10, "Y": 2.92, "V": 6.86,
}  # fmt: skip
_RESIDUES = np.frombuffer("".join(RESIDUE_PERCENT).encode(), dtype=np.uint8)
_FREQUENCIES = np.array(list(RESIDUE_PERCENT.values())) / sum(RESIDUE_PERCENT.values())
_CUMULATIVE_FREQUENCIES = np.cumsum(_FREQUENCIES)[:-1]

_INDELS_PER_SUBSTITUTION = 0.03
_MEAN_INDEL_LENGTH = 2.0


def to_protein(codes: np.ndarray) -> str:
    """Returns the sequence in one-letter code.

    >>> to_protein(np.array([12, 0, 19]))
    'MAV'
    """
    return _RESIDUES[codes].tobytes().decode()


def draw_residues(rng: np.random.Generator, length: int) -> np.ndarray:
    """Draws the codes of independent residues with the frequencies of Swiss-Prot."""
    return np.searchsorted(_CUMULATIVE_FREQUENCIES, rng.random(length), side="right")


@functools.cache
def exchange_probabilities() -> np.ndarray:
    """Returns the probability of each new residue (column) for each substituted residue (row), `[20, 20]`.

    A BLOSUM62 score is `2 log2(q_ab / (p_a p_b))`, so `p_b 2^(score / 2)` is proportional to the chance of meeting b
    opposite a; the diagonal is removed and each row made to sum to 1.
    Source: Henikoff & Henikoff 1992, PNAS 89:10915.
    """
    matrix = substitution_matrices.load("BLOSUM62")
    letters = list(RESIDUE_PERCENT)
    scores = np.array([[matrix[a, b] for b in letters] for a in letters])
    probabilities = _FREQUENCIES * 2.0 ** (scores / 2)
    np.fill_diagonal(probabilities, 0.0)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def substitute_residues(codes: np.ndarray, rng: np.random.Generator, *, changed_fraction: float) -> np.ndarray:
    """Returns the codes after each residue, with the chance `changed_fraction`, gives way to another one."""
    cumulative = np.cumsum(exchange_probabilities(), axis=1)[:, :-1]
    substitutes = (rng.random((len(codes), 1)) >= cumulative[codes]).sum(axis=1)
    return np.where(rng.random(len(codes)) < changed_fraction, substitutes, codes)


def evolve_protein(ancestor: np.ndarray, rng: np.random.Generator, *, changed_fraction: float) -> Lineage:
    """Returns one descendant: substitutions, then short insertions and deletions."""
    substituted = substitute_residues(ancestor, rng, changed_fraction=changed_fraction)
    return insert_and_delete(
        Lineage(substituted, np.arange(len(ancestor))),
        rng,
        events_per_site=changed_fraction * _INDELS_PER_SUBSTITUTION,
        mean_length=_MEAN_INDEL_LENGTH,
        draw_letters=lambda length: draw_residues(rng, length),
    )


def draw_protein_pair(
    rng: np.random.Generator,
    label: int,
    *,
    lengths: tuple[int, int] = (36, 50),
    changed_fractions: tuple[float, float] = (0.05, 0.4),
) -> SimulatedPair:
    """Draws two homologs (label 1), or descendants of two ancestors with the same residues in another order (label 0).

    Args:
      lengths: least and greatest length of an ancestor, in residues.
      changed_fractions: least and greatest share of residues substituted on each of the two branches.

    Returns:
      A pair whose `identity` comes from the true alignment; it is 0 for unrelated sequences, which have none.
    """
    changed_fraction = rng.uniform(*changed_fractions)
    ancestor = draw_residues(rng, int(rng.integers(lengths[0], lengths[1] + 1)))
    other_ancestor = ancestor if label else rng.permutation(ancestor)
    first = evolve_protein(ancestor, rng, changed_fraction=changed_fraction)
    second = evolve_protein(other_ancestor, rng, changed_fraction=changed_fraction)
    return SimulatedPair(
        sentence1=to_protein(first.codes),
        sentence2=to_protein(second.codes),
        label=label,
        key=to_protein(ancestor),
        identity=true_identity(first, second) if label else 0.0,
    )


def draw_protein_document(rng: np.random.Generator, *, mean_domains: float = 4.0) -> str:
    """Draws one protein for a corpus: domains, some of them diverged copies of an earlier one, behind a methionine."""
    domains = [draw_residues(rng, int(rng.integers(40, 90)))]
    for _ in range(rng.poisson(mean_domains)):
        if rng.random() < 0.6:
            copied = domains[int(rng.integers(len(domains)))]
            domains.append(evolve_protein(copied, rng, changed_fraction=rng.uniform(0.02, 0.25)).codes)
        else:
            domains.append(draw_residues(rng, int(rng.integers(40, 90))))
    return "M" + to_protein(np.concatenate(domains))
