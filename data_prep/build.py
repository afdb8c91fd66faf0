"""Builds a dataset of TFRecords in TFDS layout.

For example `python -m data_prep.build --dataset=pairs --name=paws_en --source=train.tsv --data_dir=DIR`;
data_prep/README.md describes the datasets, their flags and the file formats.
"""

import sys

from absl import flags

from data_prep.builders import BUILDERS, check_flags, load_builder
from lingjax import command
from lingjax.errors import InputError

_DATASET = flags.DEFINE_string("dataset", None, f"What to build: {', '.join(BUILDERS)}.")
_OPTIONS = (
    flags.DEFINE_string("data_dir", None, "Folder of all datasets; the new one becomes DATA_DIR/NAME/1.0.0."),
    flags.DEFINE_string("name", None, "Name of the dataset: letters, digits and underscores."),
    flags.DEFINE_list("source", None, "Files, glob patterns, or names such as nuccore:NC_004829.1."),
    flags.DEFINE_string("split", None, "Pairs: the split that receives every row."),
    flags.DEFINE_list("splits", None, "Splits and their shares, as in train:0.8,test:0.2."),
    flags.DEFINE_string("language", None, "paws_x: de, en, es, fr, ja, ko or zh."),
    flags.DEFINE_list("query", None, "dna_pairs, paws_like_dna: FASTA or GenBank whose sequences are searched for."),
    flags.DEFINE_list("subject", None, "dna_pairs, paws_like_dna: FASTA or GenBank to search in (the query)."),
    flags.DEFINE_string("regions", None, "dna_pairs, paws_like_dna: cds of GenBank records, or whole sequences."),
    flags.DEFINE_string("length", None, "Pairs of DNA, proteins or genes: letters of each text, or 'full'."),
    flags.DEFINE_integer("kmer", None, "paws_like_dna: letters of the words that both labels have as many of."),
    flags.DEFINE_string("match_tokens_of", None, "dna_pairs: as many tokens as the pairs of this dataset have."),
    flags.DEFINE_string("tokenizer", None, "dna_pairs: counts the tokens of --match_tokens_of."),
    flags.DEFINE_float("evalue", None, "Pairs from biology: greatest E-value of a hit between homologs."),
    flags.DEFINE_list("identity", None, "Pairs of DNA, proteins or genes: least and greatest, as in 0.3,0.6."),
    flags.DEFINE_string("identical", None, "dna_pairs, protein_pairs: drop or keep pairs of equal texts."),
    flags.DEFINE_list("negatives", None, "Kinds of negatives and their shares, as in random:0.5,shuffled:0.5."),
    flags.DEFINE_integer("num_pairs", None, "Rows of the dataset; half of them positive."),
    flags.DEFINE_string("split_by", None, "What may not be in two splits: cluster (of homologs), organism, or hash."),
    flags.DEFINE_list("compare_with", None, "Datasets with which overlap is measured, for example a source set."),
    flags.DEFINE_integer("dna_length", None, "dna_protein_pairs: nucleotides of the DNA."),
    flags.DEFINE_integer("protein_length", None, "dna_protein_pairs: residues of the protein at most."),
    flags.DEFINE_integer("upstream", None, "dna_protein_pairs: nucleotides before the start codon, as in the study."),
    flags.DEFINE_bool("frame_shifts", None, "dna_protein_pairs: begin the DNA at any offset within a codon."),
    flags.DEFINE_bool("reverse_strand", None, "dna_protein_pairs: give half of the DNA as its reverse complement."),
    flags.DEFINE_string("clusters", None, "gene_families: a table of gene and family, instead of product names."),
    flags.DEFINE_string("repo", None, "hub_pairs: dataset repository, as in dnagpt/gene_lan_transfer."),
    flags.DEFINE_string("subset", None, "hub_pairs: the configuration or folder in it."),
    flags.DEFINE_string("revision", None, "hub_pairs: branch, tag or commit (main)."),
    flags.DEFINE_bool("offline", None, "Downloads: use the cache alone."),
    flags.DEFINE_string("email", None, "Downloads from NCBI: your address, which Entrez asks for."),
    flags.DEFINE_string("domain", None, "corpus: english, dna or protein; gene_families: dna or protein."),
    flags.DEFINE_string("document", None, "corpus of english: a document of a text is a paragraph, line or file."),
    flags.DEFINE_string("field", None, "corpus of english: the field of a JSON object that holds its text (text)."),
    flags.DEFINE_integer("window", None, "corpus of dna: letters of a document (1024)."),
    flags.DEFINE_integer("stride", None, "corpus of dna: letters between the starts of two windows (the window)."),
    flags.DEFINE_bool("both_strands", None, "corpus of dna: add the reverse complement of each window."),
    flags.DEFINE_integer("min_length", None, "corpus of dna: shorter pieces are left out and counted (32)."),
    flags.DEFINE_integer("max_length", None, "corpus of protein: letters beyond are left out and counted."),
    flags.DEFINE_string("engine", None, "corpus: local, or beam for Apache Beam; both give the same bytes."),
    flags.DEFINE_list("beam_options", None, "corpus: for Beam, as in runner=FlinkRunner,flink_master=HOST:8081."),
    flags.DEFINE_integer("seed", None, "synthetic and pairs from biology: seed of what is drawn."),
    flags.DEFINE_float("scale", None, "synthetic: multiplies the number of rows and documents."),
    flags.DEFINE_bool("overwrite", False, "Replace a dataset of this name that was built from other input."),
)


def main(_: list[str]) -> None:
    """Builds what the flags say and prints a line about each dataset."""
    from data_prep import writer

    if _DATASET.value is None:
        raise InputError(f"--dataset is missing; choose one of: {', '.join(BUILDERS)}")
    build = load_builder(_DATASET.value)
    given = {option.name: option.value for option in _OPTIONS if option.present}
    check_flags(_DATASET.value, given, build)
    for folder in build(**given):
        sys.stdout.write(writer.summarize(folder) + "\n")


if __name__ == "__main__":
    command.run(main)
