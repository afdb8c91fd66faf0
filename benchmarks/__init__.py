"""Measurements of lingjax beside its peers; run from the checkout, as in `python -m benchmarks.finetune_throughput`."""
