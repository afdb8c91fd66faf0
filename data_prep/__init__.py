"""Commands that write datasets, tokenizers and packed corpora; run as `python -m data_prep.NAME`, or `lingjax NAME`."""
