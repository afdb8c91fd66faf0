"""From predictions to a judged transfer: metrics, intervals, controls, audit and verdict. numpy and scipy only."""

from lingjax.evaluation.audit import (
    TargetAudit,
    audit_target,
    check_unknown_tokens,
    unknown_token_fraction,
)
from lingjax.evaluation.bootstrap import auroc_difference_interval, auroc_interval
from lingjax.evaluation.controls import (
    CONTROL_NAMES,
    Control,
    ControlResult,
    LabelledScores,
    SkippedControl,
    complete_controls,
    majority,
    model_control,
    threshold_control,
    token_jaccard,
    token_overlap,
)
from lingjax.evaluation.pair_classification import (
    PairMetrics,
    PairPredictions,
    auroc,
    collect_predictions,
    pair_metrics,
)
from lingjax.evaluation.statistics import MetricSummary, seed_interval, summarise, wilson_interval
from lingjax.evaluation.tally import BinaryTally
from lingjax.evaluation.transfer import SourceEvidence, Verdict, assess

__all__ = [
    "CONTROL_NAMES",
    "BinaryTally",
    "Control",
    "ControlResult",
    "LabelledScores",
    "MetricSummary",
    "PairMetrics",
    "PairPredictions",
    "SkippedControl",
    "SourceEvidence",
    "TargetAudit",
    "Verdict",
    "assess",
    "audit_target",
    "auroc",
    "auroc_difference_interval",
    "auroc_interval",
    "check_unknown_tokens",
    "collect_predictions",
    "complete_controls",
    "majority",
    "model_control",
    "pair_metrics",
    "seed_interval",
    "summarise",
    "threshold_control",
    "token_jaccard",
    "token_overlap",
    "unknown_token_fraction",
    "wilson_interval",
]
