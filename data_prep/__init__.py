"""Commands that write datasets, tokenizers and packed corpora; run from the checkout, never installed."""
