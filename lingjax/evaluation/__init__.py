"""From predictions to a judged transfer: metrics, intervals, controls, audit and verdict.

Importing it costs numpy and scipy; scikit-learn, RapidFuzz and Biopython are imported by what uses them.
"""

from lingjax.evaluation.added_value import AddedValue, added_value
from lingjax.evaluation.audit import (
    TargetAudit,
    audit_target,
    check_unknown_tokens,
    unknown_token_fraction,
)
from lingjax.evaluation.auroc_interval import auroc_difference_interval, auroc_interval
from lingjax.evaluation.bands import Band, performance_bands
from lingjax.evaluation.calibration import ReliabilityBin, reliability_bins
from lingjax.evaluation.controls import (
    CONTROL_NAMES,
    OPTIONAL_CONTROL_NAMES,
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
from lingjax.evaluation.doubts import SourceEvidence
from lingjax.evaluation.giveaways import AuditedRows, RowAudit, audit_rows
from lingjax.evaluation.metrics import (
    PairMetrics,
    PairPredictions,
    auroc,
    collect_predictions,
    pair_metrics,
)
from lingjax.evaluation.pair_sides import PairSides
from lingjax.evaluation.paired_rows import PairedTest, mcnemar_test, mean_spread
from lingjax.evaluation.permutation_tests import PermutationTest, permutation_tests
from lingjax.evaluation.power import Equivalence, Power, detectable, equivalence
from lingjax.evaluation.shortcuts import PredictedLabel, label_shortcuts
from lingjax.evaluation.statistics import (
    MetricSummary,
    crossed_interval,
    difference_interval,
    seed_interval,
    summarise,
    wilson_interval,
)
from lingjax.evaluation.tally import BinaryTally
from lingjax.evaluation.text_controls import TextControls
from lingjax.evaluation.text_groups import TextGroups, text_groups
from lingjax.evaluation.text_similarity import KMER_SIZES, choose_kmer_size, edit_similarity, kmer_overlap
from lingjax.evaluation.verdict import Verdict, assess, corrected_by

__all__ = [
    "CONTROL_NAMES",
    "KMER_SIZES",
    "OPTIONAL_CONTROL_NAMES",
    "AddedValue",
    "AuditedRows",
    "Band",
    "BinaryTally",
    "Control",
    "ControlResult",
    "Equivalence",
    "LabelledScores",
    "MetricSummary",
    "PairMetrics",
    "PairPredictions",
    "PairSides",
    "PairedTest",
    "PermutationTest",
    "Power",
    "PredictedLabel",
    "ReliabilityBin",
    "RowAudit",
    "SkippedControl",
    "SourceEvidence",
    "TargetAudit",
    "TextControls",
    "TextGroups",
    "Verdict",
    "added_value",
    "assess",
    "audit_rows",
    "audit_target",
    "auroc",
    "auroc_difference_interval",
    "auroc_interval",
    "check_unknown_tokens",
    "choose_kmer_size",
    "collect_predictions",
    "complete_controls",
    "corrected_by",
    "crossed_interval",
    "detectable",
    "difference_interval",
    "edit_similarity",
    "equivalence",
    "kmer_overlap",
    "label_shortcuts",
    "majority",
    "mcnemar_test",
    "mean_spread",
    "model_control",
    "pair_metrics",
    "performance_bands",
    "permutation_tests",
    "reliability_bins",
    "seed_interval",
    "summarise",
    "text_groups",
    "threshold_control",
    "token_jaccard",
    "token_overlap",
    "unknown_token_fraction",
    "wilson_interval",
]
