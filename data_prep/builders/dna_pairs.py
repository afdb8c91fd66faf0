"""Dataset `dna_pairs`: are two pieces of DNA homologous? data_prep/README.md states the rules."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.biology.aligned_pairs import (
    SEARCH_OPTIONS,
    cluster_positives,
    collect_positives,
)
from data_prep.biology.alignment import LetterRuler, TokenRuler, WindowPlan
from data_prep.biology.dna_sources import read_dna
from data_prep.biology.homology import assign_splits
from data_prep.biology.negatives import KINDS, make_negatives
from data_prep.biology.pair_records import Positive
from data_prep.biology.pair_requests import (
    FULL,
    LEAST_LETTERS,
    check_choice,
    choose_length,
    choose_most,
    describe_dropped,
    describe_read,
    find_share,
    measure_tokens_of,
    parse_identity,
    parse_shares,
    shorten_references,
)
from data_prep.builders.dataset import as_function, flag
from data_prep.builders.pair_task import IDENTICAL, IDENTITY, InputFiles, MadePairs, SearchedTask
from data_prep.tally import Tally

LETTERS = 50  # of the study, whose English pairs have about as many tokens
_TASK = (
    "Each text is {length} of DNA. Label 1: the two were cut at aligned positions of a BLAST hit between {regions}, "
    "and align with E <= {evalue:g} when they are compared with nothing but each other; `identity` and `cigar` are of "
    "the columns that they share. Label 0: the first text of a positive with another second text of the same organism "
    "and length, of the kinds {kinds}: `random` texts have no hit of E < 10; `composition` ones have the same share of "
    "G and C; `shuffled` ones are the true partner in another order with the same dinucleotides; `hard` ones are what "
    "BLAST aligns best above the limit."
)


@dataclasses.dataclass(frozen=True)
class DnaPairs(SearchedTask):
    """Windows of BLAST hits, against texts that are not homologous."""

    dataset = "dna_pairs"
    title = "homologous DNA"
    description = "Pairs of DNA; label 1 if they are homologous."
    programs = ("blastn",)
    search_options = SEARCH_OPTIONS

    match_tokens_of: str | None = flag("instead of --length: texts have as many tokens as those of this dataset", None)
    tokenizer: str | None = flag("counts the tokens of --match_tokens_of", None)
    identity: Sequence[str] = flag(IDENTITY, ("0", "1"))
    identical: str = flag(IDENTICAL, "drop")
    negatives: Sequence[str] = flag(
        f"kinds and their shares, as in random:0.5,hard:0.5; {', '.join(KINDS)}", ("random:1",)
    )

    def check(self) -> None:
        """Checks the flags; as `PairTask.check`."""
        super().check()
        check_choice("identical", self.identical, ("drop", "keep"))
        parse_identity(self.identity)
        parse_shares(self.negatives, KINDS)
        choose_length(self.length, self.match_tokens_of, self.tokenizer, default=LETTERS)

    @property
    def letters(self) -> int | None:
        """Letters of each text, None if each has its own."""
        return choose_length(self.length, self.match_tokens_of, self.tokenizer, default=LETTERS)

    @functools.cached_property
    def tokens(self) -> tuple[TokenRuler, dict[str, str]]:
        """What measures the tokens of `match_tokens_of`, and what a request holds of it."""
        return measure_tokens_of(self.match_tokens_of, self.tokenizer, offline=self.offline)

    def told(self) -> dict[str, object]:
        """Tells the flags; as `PairTask.told`."""
        return {
            **super().told(),
            "length": None if self.match_tokens_of else str(self.letters or FULL),
            "match_tokens_of": self.match_tokens_of and shorten_references([self.match_tokens_of])[0],
            "tokenizer": self.tokenizer and shorten_references([self.tokenizer])[0],
        }

    def request(self, files: InputFiles) -> dict[str, object]:
        """Returns all that decides the content; as `PairTask.request`."""
        return {**super().request(files), **({"tokens": self.tokens[1]} if self.match_tokens_of else {})}

    def make(self, files: InputFiles) -> MadePairs:
        """Makes the pairs; as `PairTask.make`."""
        tally, letters = Tally(), self.letters
        queries, subjects, sources = read_dna(
            files.by_flag, tally, regions=self.regions, least_letters=letters or LEAST_LETTERS
        )
        plan = WindowPlan(
            evalue=self.evalue,
            ruler=self.tokens[0] if self.match_tokens_of else LetterRuler(letters) if letters else None,
            identity=parse_identity(self.identity),
            keep_identical=self.identical == "keep",
            most=choose_most(self.num_pairs, self.split_by),
            seed=self.seed,
        )
        positives = collect_positives(queries, subjects, plan, tally)
        records, assigned = make_pairs(
            positives,
            parse_shares(self.negatives, KINDS),
            evalue=self.evalue,
            share=find_share(self.fractions, self.num_pairs, len(positives)),
            by_region=self.regions == "cds",
            split_by=self.split_by,
            fractions=self.fractions,
            rng=np.random.default_rng(self.seed),
            tally=tally,
        )
        return MadePairs(records, sources, {**describe_read(tally), **describe_dropped(tally)}, assigned)

    def explain(self, files: InputFiles) -> str:
        """Explains the task; as `PairTask.explain`."""
        length = f"{self.letters} letters" if self.letters else "the whole of an aligned region"
        return _TASK.format(
            length="as many tokens as a text of another dataset" if self.match_tokens_of else length,
            regions="coding sequences" if self.regions == "cds" else "sequences",
            evalue=self.evalue,
            kinds=", ".join(parse_shares(self.negatives, KINDS)),
        )


build = as_function(DnaPairs)


def make_pairs(
    positives: Sequence[Positive],
    shares: Mapping[str, float],
    *,
    evalue: float,
    share: float,
    by_region: bool,
    split_by: str,
    fractions: Mapping[str, float],
    rng: np.random.Generator,
    tally: Tally,
) -> tuple[list[dict[str, object]], dict[str, str] | None]:
    """Returns the records of positives and of as many negatives, each within one split, and the split of each key.

    Args:
      positives: in the order that is drawn; those whose negative is not found are left out.
      shares: the share of each kind of negatives.
      evalue: the limit of hits.
      share: the part of all positives that the smallest split is going to have.
      by_region: as `cluster_positives`.
      split_by: "cluster", "organism" or "hash".
      fractions: share of rows of each split.
      rng: decides kinds and partners.
      tally: receives what is left out.

    Raises:
      InputError: there are fewer clusters or organisms than splits.
    """
    clustered = cluster_positives(positives, evalue=evalue / share, by_region=by_region)
    assigned = None
    if split_by != "hash" and len(fractions) > 1:
        assigned = assign_splits([key for positive in clustered for key in positive.split_keys(split_by)], fractions)
    pools = defaultdict(list)
    for positive in clustered:
        splits = {assigned[key] for key in positive.split_keys(split_by)} if assigned else {""}
        if len(splits) > 1:
            tally.add("dropped", "positives between organisms of two splits")
        else:
            pools[splits.pop()].append(positive)
    records = []
    for split in sorted(pools):
        negatives = make_negatives(pools[split], shares, evalue=evalue, rng=rng, tally=tally)
        for positive, negative in zip(pools[split], negatives, strict=True):
            if negative is not None:
                records += [positive.record(), negative]
    return _drop_repeated(records, tally), assigned


def _drop_repeated(records: Sequence[dict[str, object]], tally: Tally) -> list[dict[str, object]]:
    """Returns the records without negatives that say the same as an earlier one, which is rare."""
    seen, kept = set(), []
    for record in records:
        if record["pair_id"] not in seen:
            seen.add(record["pair_id"])
            kept.append(record)
    tally.add("dropped", "pairs equal to another one", len(records) - len(kept))
    return kept
