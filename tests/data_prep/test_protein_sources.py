import numpy as np
import pytest

from data_prep.biology.protein_sources import collect_proteins
from data_prep.tally import Tally
from lingjax.errors import InputError
from tests.data_prep.simulated_genome import draw_protein, write_genome


def write(folder, **texts):
    paths = []
    for name, text in texts.items():
        paths.append(folder / name.replace("__", "."))
        paths[-1].write_text(text)
    return paths


def test_proteins_of_fasta_and_genbank_are_named_and_copies_left_out(tmp_path):
    protein = draw_protein(np.random.default_rng(0), 30)
    paths = write(tmp_path, a__fasta=f">x one\nmkrw*\n>y\n{protein}\n", b__fasta=">x\nMKRWC\n>z\nMKRW\n")
    paths.append(write_genome(tmp_path / "g.gb", [("p", protein), ("q", "MAAAW")], name="AA1", organism="Testus"))
    tally = Tally()
    found = collect_proteins(paths, tally)
    assert [(protein.name, protein.letters, protein.organism) for protein in found.proteins] == [
        ("a.fasta:x", "MKRW", "a"),
        ("y", protein, "a"),
        ("b.fasta:x", "MKRWC", "b"),
        ("PAA11.1", "MAAAW", "Testus"),
    ]
    assert tally.counts["dropped"]["copies of an earlier protein"] == 2
    assert found.has_genbank
    assert found.filters["genes whose translation was confirmed"] == 2


def test_problems_of_all_files_are_reported_together(tmp_path):
    paths = write(tmp_path, a__fasta=">x\nMK1\n>y\nM\n>y\nMM\n", b__fasta="")
    with pytest.raises(InputError) as caught:
        collect_proteins(paths, Tally())
    for problem in ["record 1 (x): '1' at letter 3", "two records are named 'y'", "b.fasta is empty"]:
        assert problem in str(caught.value)


def test_files_without_proteins_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no protein in .*a.fasta"):
        collect_proteins(write(tmp_path, a__fasta=">x\n*\n"), Tally())
