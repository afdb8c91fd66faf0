"""Hugging Face folders of models with random weights or a random head, which all sides of a benchmark load."""

from pathlib import Path
from typing import Any

from lingjax.errors import InputError


def random_configs() -> dict[str, Any]:
    """Returns transformers' configurations by name: the published shapes of GPT-2 small and BERT base, dropout too."""
    from transformers import BertConfig, GPT2Config

    return {"gpt2-small": GPT2Config, "bert-base": BertConfig}


def write_pair_classifier(folder: Path, *, model: str, tokenizer: str | None, seed: int) -> None:
    """Writes a tokenizer and a pair classifier, its head drawn at random.

    Args:
      folder: made if need be.
      model: a Hugging Face folder, or a name of `random_configs` for random weights.
      tokenizer: a Hugging Face folder; the model's own where it has one.
      seed: decides what is drawn.

    Raises:
      InputError: there is no such model or tokenizer.
    """
    import torch

    transformers = _quiet_transformers()
    random = random_configs().get(model)
    if random is None and not Path(model, "config.json").is_file():
        raise InputError(f"--model={model}: neither a Hugging Face folder nor one of {', '.join(random_configs())}")
    if random is not None and tokenizer is None:
        raise InputError(f"--model={model} needs --tokenizer=DIR, a Hugging Face tokenizer folder")
    fast = _load_tokenizer(tokenizer or model)
    if fast.pad_token_id is None:
        fast.pad_token = fast.eos_token  # as is usual for GPT-2
    torch.manual_seed(seed)
    if random is None:
        classifier = transformers.AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
    else:
        config = random(num_labels=2, vocab_size=_vocab_size(random, fast))
        classifier = transformers.AutoModelForSequenceClassification.from_config(config)
    classifier.config.pad_token_id = fast.pad_token_id
    fast.save_pretrained(folder)
    classifier.float().save_pretrained(folder)


def write_language_model(folder: Path, *, model: str, tokenizer: str, seed: int) -> None:
    """Writes a tokenizer and a causal language model with random weights; arguments and errors as above."""
    import torch

    transformers = _quiet_transformers()
    fast = _load_tokenizer(tokenizer)
    random = random_configs()[model]
    torch.manual_seed(seed)
    config = random(vocab_size=_vocab_size(random, fast))
    fast.save_pretrained(folder)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def _quiet_transformers() -> Any:
    import transformers

    transformers.logging.set_verbosity_error()  # that a head is new is no news here
    transformers.logging.disable_progress_bar()
    return transformers


def _load_tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    if not Path(folder).is_dir():
        raise InputError(f"--tokenizer={folder}: no such folder")
    return AutoTokenizer.from_pretrained(folder)


def _vocab_size(config: Any, tokenizer: Any) -> int:
    """Returns the published vocabulary's rows even if the tokenizer has fewer: the model keeps its size."""
    return max(config().vocab_size, len(tokenizer))
