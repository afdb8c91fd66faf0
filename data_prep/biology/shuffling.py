"""Sequences in another order with exactly the same counts of all k-mers."""

import itertools
from collections import defaultdict

import numpy as np


def shuffle_kmers(letters: str, k: int, rng: np.random.Generator) -> str:
    """Returns one of all the texts with the same k-mers, each as often, and the same ends; all are equally likely.

    A text is a walk through its (k-1)-mers in which each k-mer is a step, so that another Eulerian walk of the same
    steps is a text with the same k-mers. The counts of all shorter k-mers are the same too. k=2 keeps dinucleotides.

    Args:
      letters: a text of any alphabet; one without another order comes back as it is.
      k: 2 or more.

    Source: Altschul and Erickson 1985, https://doi.org/10.1093/oxfordjournals.molbev.a040370, for dinucleotides;
      Kandel, Matias, Unger and Winkler 1996, https://doi.org/10.1016/S0166-218X(97)81456-4, for any k.
    """
    if k < 2:
        raise ValueError(f"k={k}: expected 2 or more; shuffle single letters otherwise")
    if len(letters) <= k:
        return letters
    nodes = [letters[place : place + k - 1] for place in range(len(letters) - k + 2)]
    steps = defaultdict(list)
    for node, following in itertools.pairwise(nodes):
        steps[node].append(following)
    last_steps = _draw_last_steps(steps, nodes[-1], rng)
    order = {}
    for node, following in steps.items():
        if len(following) == 1:
            order[node] = following
            continue
        rest = list(following)
        if node in last_steps:
            rest.remove(last_steps[node])
        shuffled = [rest[place] for place in rng.permutation(len(rest))]
        order[node] = shuffled + ([last_steps[node]] if node in last_steps else [])
    taken = dict.fromkeys(order, 0)
    node, text = nodes[0], [nodes[0]]
    for _ in range(len(nodes) - 1):
        following = order[node][taken[node]]
        taken[node] += 1
        node = following
        text.append(node[-1])
    return "".join(text)


def _draw_last_steps(steps: dict[str, list[str]], end: str, rng: np.random.Generator) -> dict[str, str]:
    """Draws for every node but the end the step that leaves it for good; following them leads to the end.

    Then, and only then, is every step taken before the walk ends. All such choices are equally likely.

    Source: Wilson 1996, "Generating random spanning trees more quickly than the cover time", STOC.
    """
    leads_to_end = {end}
    last_steps = {}
    for start in steps:
        node = start
        while node not in leads_to_end:
            following = steps[node]
            # Coming back to a node overwrites its step, which erases the loop.
            last_steps[node] = following[0] if len(following) == 1 else following[rng.integers(len(following))]
            node = last_steps[node]
        node = start
        while node not in leads_to_end:
            leads_to_end.add(node)
            node = last_steps[node]
    return {node: step for node, step in last_steps.items() if node != end}
