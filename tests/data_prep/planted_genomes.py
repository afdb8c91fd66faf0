"""Small genomes of relatives: pieces that all of them have, each a little changed, between letters of their own."""

import numpy as np

PIECE, BETWEEN, SHARE = 190, 83, 0.06


def random_letters(letters: int, rng: np.random.Generator) -> str:
    """Returns letters without any order."""
    return "".join(rng.choice(list("ACGT"), letters))


def plant(*, pieces: int, genomes: int, seed: int) -> list[str]:
    """Returns genomes of which piece k lies at the same place in all."""
    rng = np.random.default_rng(seed)
    originals = [random_letters(PIECE, rng) for _ in range(pieces)]
    planted = []
    for _ in range(genomes):
        letters = []
        for piece in originals:
            changed = [random_letters(1, rng) if rng.random() < SHARE else letter for letter in piece]
            letters.append(random_letters(BETWEEN, rng) + "".join(changed))
        planted.append("".join(letters))
    return planted


def write_genbank(path, letters: str, *, name: str, organism: str, pieces: int) -> None:
    """Writes a record whose pieces are coding sequences."""
    lines = [f"LOCUS       {name} {len(letters):>10} bp    DNA     linear   BCT 01-JAN-2000"]
    lines += [f"VERSION     {name}.1", f"SOURCE      {organism}", f"  ORGANISM  {organism}", "            Bacteria."]
    lines.append("FEATURES             Location/Qualifiers")
    for number in range(pieces):
        first = number * (PIECE + BETWEEN) + BETWEEN + 1
        lines.append(f"     CDS             {first}..{first + PIECE - 1}")
    lines.append("ORIGIN")
    for start in range(0, len(letters), 60):
        lines.append(f"{start + 1:>9} {letters[start : start + 60].lower()}")
    path.write_text("\n".join([*lines, "//", ""]))
