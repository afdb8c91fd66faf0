import re

import numpy as np
import pytest

from data_prep.biology.gene_sources import collect_genes
from data_prep.biology.protein_sources import collect_proteins
from data_prep.tally import Tally
from lingjax.errors import InputError
from tests.data_prep.simulated_genome import draw_protein, write_genome


def write(path, *names, seed, organism="Testus unus", version=None):
    """Writes a file with a contig of two genes for each name; `version` stands in place of all VERSION lines."""
    rng, text = np.random.default_rng(seed), ""
    for number, name in enumerate(names):
        genes = [(f"enzyme {gene}", draw_protein(rng, 30)) for gene in range(2)]
        write_genome(path, genes, name=name, organism=organism, seed=10 * seed + number)
        text += path.read_text()
    if version is not None:
        text = re.sub(r"VERSION .*", version, text)
    path.write_text(text)
    return path


def test_contigs_of_one_name_in_two_files_bear_their_file_s_name(tmp_path):
    paths = [write(tmp_path / f"strain {letter}.gb", "c1", "c2", seed=ord(letter)) for letter in "AB"]
    genes = collect_genes(paths).genes
    assert len({gene.location for gene in genes}) == 8
    assert list(dict.fromkeys(gene.record for gene in genes)) == [
        f"strain_{letter}.gb:{name}.1" for letter in "AB" for name in ("c1", "c2")
    ]


def test_names_that_no_other_file_has_stay(tmp_path):
    paths = [write(tmp_path / "a.gb", "c1", "c2", seed=1), write(tmp_path / "b.gb", "c2", "c3", seed=2)]
    assert [gene.record for gene in collect_genes(paths).genes][::2] == ["c1.1", "a.gb:c2.1", "b.gb:c2.1", "c3.1"]


def test_contigs_without_a_version_keep_all_genes(tmp_path):
    path = write(tmp_path / "a.gb", "c1", "c2", "c3", seed=1, version="VERSION")
    sources = collect_genes([path])
    assert [gene.record for gene in sources.genes] == ["c1", "c1", "c2", "c2", "c3", "c3"]
    assert not [name for name in sources.filters if "same place" in name]


def test_two_records_of_one_name_in_a_file_are_refused(tmp_path):
    path = write(tmp_path / "a.gb", "c1", "c2", seed=1, version="VERSION     twice.1")
    with pytest.raises(InputError, match=r"a.gb: record 2 has the name 'twice.1' of an earlier one"):
        collect_genes([path])


def test_a_copy_of_a_record_is_refused(tmp_path):
    first = write(tmp_path / "a.gb", "c1", seed=1)
    (tmp_path / "b.gb").write_text(first.read_text())
    with pytest.raises(InputError, match=r"b.gb holds record c1.1, as .*a.gb does; name one of them"):
        collect_genes([first, tmp_path / "b.gb"])


def test_genes_without_organism_are_of_their_file(tmp_path):
    paths = [write(tmp_path / "a.gb", "c1", seed=1, organism="."), write(tmp_path / "b.gb", "c1", seed=2)]
    assert [gene.organism for gene in collect_genes(paths).genes] == ["a", "a", "Testus unus", "Testus unus"]


def test_proteins_of_two_formats_and_two_files_have_names_of_their_own(tmp_path):
    genome = write(tmp_path / "a.gb", "c1", seed=1)  # its proteins are called Pc10.1 and Pc11.1
    (tmp_path / "s 1.faa").write_text(">Pc10.1\nMKVLAE\n>p\nMKVLAF\n")
    (tmp_path / "s 2.faa").write_text(">p\nMKVLAH\n")
    found = collect_proteins([genome, tmp_path / "s 1.faa", tmp_path / "s 2.faa"], Tally()).proteins
    names = [protein.name for protein in found]
    assert len(set(names)) == len(names) == 5
    assert names[:3] == ["Pc10.1", "s_1.faa:p", "s_2.faa:p"]
    assert names[4] == "Pc11.1"
    assert [protein.organism for protein in found] == ["s 1", "s 1", "s 2", "Testus unus", "Testus unus"]
