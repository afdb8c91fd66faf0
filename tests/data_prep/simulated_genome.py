"""Writes small GenBank files whose genes are known, with the means of Biopython alone."""

import itertools

import numpy as np
from Bio import SeqIO
from Bio.Data.CodonTable import unambiguous_dna_by_id
from Bio.Seq import Seq
from Bio.SeqFeature import CompoundLocation, SeqFeature, SimpleLocation
from Bio.SeqRecord import SeqRecord

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def draw_protein(rng, length):
    return "M" + "".join(RESIDUES[place] for place in rng.integers(20, size=length - 1))


def evolve(protein, rng, share):
    """Exchanges a share of the residues, but for the first."""
    letters = list(protein)
    for place in rng.permutation(np.arange(1, len(letters)))[: int(share * len(letters))]:
        letters[place] = RESIDUES[rng.integers(20)]
    return "".join(letters)


def write_genome(path, genes, *, name, organism, table=4, seed=0):
    """Writes genes, as (product, protein), one after another: every second on the reverse strand, every third split."""
    rng = np.random.default_rng(seed)
    code = unambiguous_dna_by_id[table]
    codons = {residue: [c for c, r in code.forward_table.items() if r == residue] for residue in RESIDUES}
    pieces, features, place = [draw_dna(rng, 60)], [], 60
    for number, (product, protein) in enumerate(genes):
        chosen = [codons[residue][rng.integers(len(codons[residue]))] for residue in protein[1:]]
        coding = "ATG" + "".join(chosen) + sorted(code.stop_codons)[0]
        cut, intron = (len(coding) // 3, "GT" + draw_dna(rng, 20)) if number % 3 == 2 else (0, "")
        spliced = [(0, cut), (cut + len(intron), len(coding) + len(intron))] if cut else [(0, len(coding))]
        gene = coding[:cut] + intron + coding[cut:]
        strand = -1 if number % 2 else 1
        if strand == -1:
            spliced = [(len(gene) - last, len(gene) - first) for first, last in spliced]
            gene = str(Seq(gene).reverse_complement())
        parts = [SimpleLocation(place + first, place + last, strand) for first, last in spliced]
        qualifiers = {
            "product": product,
            "locus_tag": f"{name}_{number}",
            "protein_id": f"P{name}{number}.1",
            "transl_table": str(table),
            "codon_start": "1",
            "translation": protein,
        }
        location = CompoundLocation(parts) if cut else parts[0]
        features.append(SeqFeature(location, type="CDS", qualifiers=qualifiers))
        pieces += [gene, draw_dna(rng, 40)]
        place += len(gene) + 40
    annotations = {"molecule_type": "DNA", "topology": "linear", "organism": organism}
    record = SeqRecord(Seq("".join(pieces)), id=f"{name}.1", name=name, annotations=annotations, features=features)
    SeqIO.write([record], path, "genbank")
    return path


def draw_dna(rng, length):
    return "".join("ACGT"[place] for place in rng.integers(4, size=length))


def read_location(location, records):
    """Returns the DNA at a place such as "a.1:1-50,80-120(-)"."""
    record, _, places = location.partition(":")
    spans = [tuple(map(int, span.split("-"))) for span in places[:-3].split(",")]
    joined = "".join(str(records[record].seq[first - 1 : last]) for first, last in spans)
    return str(Seq(joined).reverse_complement()) if places.endswith("(-)") else joined


def shares_run(dna, protein, *, tables, size=5):
    """Tells whether any six-frame translation of the DNA has a run of residues in common with the protein."""
    runs = {protein[place : place + size] for place in range(len(protein) - size + 1)}
    for table, strand, shift in itertools.product(tables, (Seq(dna), Seq(dna).reverse_complement()), range(3)):
        whole = strand[shift : shift + (len(strand) - shift) // 3 * 3]
        frame = str(whole.translate(table=table))
        if any(frame[place : place + size] in runs for place in range(len(frame) - size + 1)):
            return True
    return False


def read_records(*paths):
    records = {}
    for path in paths:
        with path.open() as file:
            records.update({record.id: record for record in SeqIO.parse(file, "genbank")})
    return records
