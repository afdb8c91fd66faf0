"""What the reports of a run found, in words: made of their verdicts, and never stronger than these."""

from collections.abc import Iterator, Mapping, Sequence

from lingjax.reporting.numbers import figure
from lingjax.reporting.report import TransferReport
from lingjax.reporting.table import model_name, source_name, strongest_control

NOT_LEARNED = "The source task was not learned"
"""How the verdict's warning begins that says so."""

_SIGNIFICANT = 0.05
_WIDE = 0.2  # an interval over seeds of which the verdict warns
# Controls that did not learn the source; all others look at the two texts and know no language.
_MODELS = ("random_init", "not_finetuned", "shuffled_labels")


def finding(reports: Sequence[TransferReport]) -> str:
    """Returns a sentence for each model and source, and one that says what was simulated; "" for no report.

    `verdict.orientation` and `above_chance` decide whether something carried over, `above_best_control` what is said of
    the controls; a permutation test that disagrees, a single seed and a source that was not learned are named.

    Args:
      reports: from any runs, in any order.
    """
    groups: dict[tuple[str, str], list[TransferReport]] = {}
    for report in reports:
        groups.setdefault((model_name(report.model), source_name(report)), []).append(report)
    several_models = len({model for model, _ in groups}) > 1
    said = [
        f"{f'{model}: ' if several_models else ''}{_sentence(group, source)}"
        for (model, source), group in groups.items()
    ]
    return " ".join([*said, *_simulated(reports)])


def pretraining_finding(evaluation: Mapping[str, float]) -> str:
    """Returns what a language model has learnt, beside models that count characters; "" where bits were not measured.

    Args:
      evaluation: figures of a pretraining on held-out rows, `DOMAIN_bits_per_character` and those beside it.
    """
    ending = "_bits_per_character"
    levels: dict[str, list[str]] = {"runs": [], "letters": [], "nothing": []}
    for name, bits in evaluation.items():
        domain = name.removesuffix(ending)
        letters, runs = (evaluation.get(f"{domain}_{what}{ending}") for what in ("composition", "markov"))
        if domain == name or letters is None or runs is None:
            continue
        level = "runs" if bits < min(letters, runs) else "letters" if bits < letters else "nothing"
        beside = {"runs": runs, "letters": letters, "nothing": letters}[level]
        levels[level].append(f"{domain} ({figure(bits)} bits a character beside {figure(beside)})")
    said = {
        "runs": "more than runs of characters tell of",
        "letters": "more than the frequencies of characters, but no more than their runs, tell of",
        "nothing": "no more than the frequencies of characters tell of",
    }
    learnt = [f"{said[level]} {_listed(domains)}" for level, domains in levels.items() if domains]
    return f"On held-out text this run has learnt {'; '.join(learnt)}." if learnt else ""


def _sentence(reports: Sequence[TransferReport], source: str) -> str:
    """Says what one model, trained on one source, showed on its targets."""
    learned = f"What was learned from {source}{_on_dev_set(reports[0])}"
    if any(text.startswith(NOT_LEARNED) for report in reports for text in report.verdict["warnings"]):
        targets = _listed(_named(report) for report in reports)
        return f"{source} was not learned{_on_dev_set(reports[0])}, so nothing can carry over from it: {targets}."
    return f"{learned} {'; it '.join(_clauses(reports))}."


def _on_dev_set(report: TransferReport) -> str:
    """Returns what was reached on the source's dev set, in brackets; "" where that is not known."""
    development = report.source and report.source["dev"]
    if not development or not development["accuracy"]:
        return ""
    accuracies = [figure(one) for one in sorted(development["accuracy"].values())]
    span = " to ".join(dict.fromkeys((accuracies[0], accuracies[-1])))
    seeds = "one seed" if len(accuracies) == 1 else f"{len(accuracies)} seeds"
    majority = figure(development["majority_fraction"])
    return f" (dev accuracy {span}, {seeds}; always the commoner label: {majority})"


def _clauses(reports: Sequence[TransferReport]) -> Iterator[str]:
    """Yields what is said of the targets, the strongest claims first."""
    by_verdict: dict[str, list[TransferReport]] = {"direct": [], "flipped": [], "undetermined": [], "unknown": []}
    for report in reports:
        verdict = report.verdict
        by_verdict["unknown" if verdict["above_chance"] is None else verdict["orientation"]].append(report)
    yield from map(_carried_over, sorted(by_verdict["direct"], key=_auroc, reverse=True))
    for report in by_verdict["flipped"]:
        yield f"ranks {_named(report)} the wrong way round{_doubt(report)}"
    if by_verdict["undetermined"]:
        yield f"is not shown to carry over to {_listed(map(_named, by_verdict['undetermined']))}"
    if by_verdict["unknown"]:
        yield f"cannot be judged on {_listed(map(_named, by_verdict['unknown']))}"


def _auroc(report: TransferReport) -> float:
    return report.summary["auroc"]["mean"]


def _carried_over(report: TransferReport) -> str:
    own = report.source is not None and report.source["dataset"] == report.target["dataset"]
    said = (
        f"holds on other pairs of its own, {_named(report)}"
        if own
        else f"carries over, as a ranking, to {_named(report)}"
    )
    return f"{said}{_doubt(report)}, {_beside_controls(report)}"


def _beside_controls(report: TransferReport) -> str:
    """Says how a model that ranks better than chance stands to its controls."""
    above, best = report.verdict["above_best_control"], strongest_control(report.controls)
    if above:
        return "better than every control"
    if above is None or best is None:
        return "while it is not known whether it beats every control"
    name, auroc = best
    if auroc < report.summary["auroc"]["mean"]:
        return f"though not clearly better than its controls ({name} {figure(auroc)})"
    needless = "learning the source" if name in _MODELS else "reading"
    return f"where {name} reaches {figure(auroc)}, so {needless} was not needed"


def _doubt(report: TransferReport) -> str:
    """Returns what weakens a ranking that the intervals show."""
    doubts = ["in one trained model"] if len(report.seeds) == 1 else []
    over_seeds = report.summary["auroc"]["ci95_over_seeds"]
    if over_seeds is not None and over_seeds[1] - over_seeds[0] > _WIDE:
        doubts.append(f"though its seeds disagree ({figure(over_seeds[0])} to {figure(over_seeds[1])} over seeds)")
    chance = (report.verdict.get("sign_tests") or {}).get("chance")
    if chance and chance["p_corrected"] > _SIGNIFICANT:
        doubts.append(f"by its intervals but not by a permutation test (p = {chance['p_corrected']:.2g})")
    return "".join(f", {doubt}" for doubt in doubts)


def _named(report: TransferReport) -> str:
    """Returns a target with its AUROC, and those of models that did not learn the source."""
    auroc = report.summary["auroc"]["mean"]
    if auroc is None:
        return report.target["dataset"]
    figures = [f"AUROC {figure(auroc)}"]
    if report.verdict["orientation"] == "direct":
        controls = ((name, report.controls[name].get("auroc")) for name in _MODELS if name in report.controls)
        figures += [f"{name} {figure(one)}" for name, one in controls if one is not None]
    return f"{report.target['dataset']} ({', '.join(figures)})"


def _simulated(reports: Sequence[TransferReport]) -> Iterator[str]:
    """Yields which datasets a simulator made."""
    made = {report.target["dataset"]: report.target["synthetic"] for report in reports}
    made |= {report.source["dataset"]: report.source["synthetic"] for report in reports if report.source}
    simulated = [name for name, is_simulated in made.items() if is_simulated]
    if len(simulated) == len(made) > 0:
        yield "All pairs are simulated, so this says nothing about real language or biology."
    elif simulated:
        yield f"Simulated are the pairs of {_listed(simulated)}."


def _listed(names: Iterator[str] | Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
