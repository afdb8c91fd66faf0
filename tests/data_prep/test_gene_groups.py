import types

import pytest

from data_prep.biology.gene_groups import name_family


def family(product, name=""):
    return name_family(types.SimpleNamespace(product=product, name=name))


@pytest.mark.parametrize(
    "product",
    ["DNA ligase", "putative DNA ligase", "Probable  DNA Ligase", "dna ligase, partial", "DNA ligase (fragment)"],
)
def test_case_space_and_doubt_make_no_other_family(product):
    assert family(product) == "dna ligase"


def test_ribosomal_proteins_of_all_ribosomes_are_one_family():
    assert family("50S ribosomal protein L2") == family("ribosomal protein L2") != family("ribosomal protein L22")


@pytest.mark.parametrize(
    "product",
    [
        "hypothetical protein", "Hypothetical protein Z1", "conserved hypothetical protein", "putative protein",
        "unknown", "uncharacterized protein YciI", "phage protein", "putative membrane protein", "lipoprotein",
        "gp47", "ORF 12", "protein of unknown function DUF12", "",
    ],
)  # fmt: skip
def test_a_product_that_tells_nothing_leaves_the_name_of_the_gene(product):
    assert family(product) == ""
    assert family(product, "dnaA") == "dnaa"
    assert family(product, "orf7") == ""


@pytest.mark.parametrize(
    "product", ["DUF31 family protein", "minor tail protein", "membrane protein insertase YidC", "hemolysin"]
)
def test_a_product_that_tells_something_is_a_family(product):
    assert family(product, "x") == product.lower()
