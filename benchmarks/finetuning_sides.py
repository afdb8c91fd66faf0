"""One piece of fine-tuning work, and the two libraries that do it: the same weights, pairs, batches and recipe.

Both use AdamW at a constant rate without decay, gradients clipped to norm 1, dropout as the model's configuration has
it, and tokenize in the training loop. lingjax runs what `experiments.finetune` runs. The peer is what a careful user of
transformers writes: a fast tokenizer that pads each batch to its longest pair, SDPA attention, fused AdamW; its pairs
already lie in memory, where lingjax reads its records from disk.
"""

import dataclasses
import importlib.metadata
import itertools
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.side_by_side import Side
from benchmarks.work import PairWork, flag

if TYPE_CHECKING:
    from lingjax.data import PairBatch, PairEncoder, PairSource

LEARNING_RATE = 1e-5
CLIP_NORM = 1.0
_WARM_UP_STEPS = 3  # of the peer


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningWork(PairWork):
    """The pairs, the model and the recipe that every side is given; see the flags. Each round shuffles anew."""

    batch_size: int = flag("Pairs an update.", 32, least=1)
    pairs_per_row: int = flag("Most pairs in a row of lingjax, packed.", 8, least=2)
    steps: int = flag("Updates a round.", 20, least=1)

    def open(self) -> "tuple[PairSource, PairEncoder]":
        """Returns the pairs and what makes tokens of them."""
        from lingjax.data import PairEncoder, PairSource, load_tokenizer, open_split

        tokenizer = load_tokenizer(self.folder, offline=True)
        encoder = PairEncoder(tokenizer, pair_format=self.pair_format, max_length=self.max_length)
        return PairSource(open_split(self.source, default=("train",))), encoder

    def batches(
        self,
        source: "PairSource",
        encoder: "PairEncoder",
        *,
        number: int,
        pairs_per_row: int = 1,
        rows_multiple: int = 1,
    ) -> "Iterator[PairBatch]":
        """Returns the batches of one round, read, tokenized and packed as they are asked for."""
        from lingjax.data import steps_per_epoch, training_batches

        batches = training_batches(
            source,
            encoder,
            batch_size=self.batch_size,
            seed=self.seed + number,
            epochs=math.ceil(self.steps / steps_per_epoch(len(source), self.batch_size)),
            max_pairs_per_row=pairs_per_row,
            rows_multiple=rows_multiple,
        )
        return itertools.islice(batches, self.steps)

    def row_ids(self) -> list[list[list[int]]]:
        """Returns which pairs make the batches of lingjax, by round and step, so that a peer can train on the same."""
        source, encoder = self.open()
        return [
            [batch.row_ids[batch.is_real].tolist() for batch in self.batches(source, encoder, number=number)]
            for number in range(self.rounds)
        ]


def lingjax_side(work: FinetuningWork, *, pairs_per_row: int) -> Side:
    """Returns lingjax, its step compiled for every shape of batch that will come.

    Args:
      work: what to do.
      pairs_per_row: most pairs packed into one row; 1 is dynamic padding.
    """
    from experiments.runtime import start_jax

    start_jax()
    import jax

    from lingjax.models import axes_by_path
    from lingjax.study.models import scan_by_default
    from lingjax.training.finetune import rows_multiple
    from lingjax.training.loss import LossTally
    from lingjax.training.mesh import make_mesh, place_batch, place_new_state
    from lingjax.training.optimizer import OptimizerConfig, make_optimizer
    from lingjax.training.start import start_pretrained
    from lingjax.training.steps import make_evaluation_step, make_train_step, pair_loss_function

    mesh = make_mesh("")
    changes = {"compute_dtype": work.dtype, "scan_layers": scan_by_default()}
    start = start_pretrained(work.folder, head="pairs", mesh=mesh, seed=None, changes=changes, offline=True)
    source, encoder = work.open()
    recipe = OptimizerConfig(learning_rate=LEARNING_RATE, warmup_fraction=0.0, clip_norm=CLIP_NORM)
    optimizer = make_optimizer(recipe, total_steps=work.rounds * work.steps)
    loss = pair_loss_function(start.graph)
    step = make_train_step(loss, optimizer)

    def batches(number: int) -> Iterator["PairBatch"]:
        rows = rows_multiple(mesh)
        return work.batches(source, encoder, number=number, pairs_per_row=pairs_per_row, rows_multiple=rows)

    first = place_batch(next(batches(0)), mesh)
    first_loss = make_evaluation_step(loss)(start.parameters, first, LossTally.empty()).means()["loss"]

    every_batch = itertools.chain.from_iterable(batches(number) for number in range(work.rounds))
    by_shape = {batch.token_ids.shape: batch for batch in every_batch}
    axes = axes_by_path(start.config.family, start.head)
    state = place_new_state(start.parameters, optimizer, axes, mesh, seed=work.seed)
    warm_up_started = time.perf_counter()
    tally = LossTally.empty()
    for batch in by_shape.values():
        state, step_tally, _ = step(state, place_batch(batch, mesh))
        tally = tally + step_tally
        jax.block_until_ready((state, tally))
    warm_up_seconds = time.perf_counter() - warm_up_started

    def run(number: int) -> tuple[int, dict[str, float]]:
        nonlocal state
        tally, computed = LossTally.empty(), 0
        for batch in batches(number):
            state, step_tally, _ = step(state, place_batch(batch, mesh))
            tally, computed = tally + step_tally, computed + batch.token_ids.size
        jax.block_until_ready(state)
        return int(tally.count), {"loss": tally.means()["loss"], "positions": computed}

    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        "device": mesh.devices.flat[0].device_kind,
        "parameters": start.num_parameters,
        "pairs_per_row": pairs_per_row,
        "shapes": sorted(by_shape),
        "warm_up_seconds": warm_up_seconds,
        "loss_before": first_loss,
    }
    return Side(facts, run)


def transformers_side(work: FinetuningWork, *, row_ids: list[list[list[int]]]) -> Side:
    """Returns transformers on PyTorch, after a few steps.

    Args:
      work: what to do.
      row_ids: what `Work.row_ids` returned.
    """
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    torch.set_num_threads(work.threads)
    torch.manual_seed(work.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = transformers.AutoTokenizer.from_pretrained(work.folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(work.folder, dtype=torch.float32).to(device)
    run_model = torch.compile(model, dynamic=True) if device == "cuda" else model
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    records = list(work.open()[0])

    def encode(batch: list[int]) -> transformers.BatchEncoding:
        firsts, seconds = ([getattr(records[row], name) for row in batch] for name in ("sentence1", "sentence2"))
        if work.pair_format == "concat":
            texts = ([first + second for first, second in zip(firsts, seconds, strict=True)],)
        else:
            texts = (firsts, seconds)
        inputs = tokenizer(*texts, truncation=True, max_length=work.max_length, padding=True, return_tensors="pt")
        inputs["labels"] = torch.tensor([records[row].label for row in batch])
        return inputs.to(device)

    def loss_of(inputs: transformers.BatchEncoding, run_model: torch.nn.Module = run_model) -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=work.dtype == "bfloat16"):
            return run_model(**inputs).loss

    def step(inputs: transformers.BatchEncoding) -> torch.Tensor:
        loss = loss_of(inputs)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        return loss.detach()

    model.eval()
    with torch.no_grad():
        first_loss = float(loss_of(encode(row_ids[0][0]), model))  # not compiled, as it runs once
    model.train()
    warm_up_started = time.perf_counter()
    for batch in row_ids[-1][:_WARM_UP_STEPS]:
        float(step(encode(batch)))
    warm_up_seconds = time.perf_counter() - warm_up_started

    def run(number: int) -> tuple[int, dict[str, float]]:
        pairs, loss_sum, computed = 0, torch.zeros((), device=device), 0
        for batch in row_ids[number]:
            inputs = encode(batch)
            loss_sum += step(inputs) * len(batch)
            pairs, computed = pairs + len(batch), computed + inputs["input_ids"].numel()
        loss = float(loss_sum) / pairs
        if device == "cuda":
            torch.cuda.synchronize()
        return pairs, {"loss": loss, "positions": computed}

    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers")},
        "parameters": sum(parameter.numel() for parameter in parameters),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "attention": model.config._attn_implementation,
        "compiled": device == "cuda",
        "threads": torch.get_num_threads(),
        "warm_up_seconds": warm_up_seconds,
        "loss_before": first_loss,
    }
    return Side(facts, run)
