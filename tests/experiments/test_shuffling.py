from experiments.shuffling import ShuffledLabels
from lingjax.data import PairRecord

ROWS = [PairRecord(f"p{row}", f"first {row}", f"second {row}", int(row % 3 == 0)) for row in range(31)]


def test_texts_stay_and_labels_are_those_of_other_rows():
    shuffled = list(ShuffledLabels(ROWS, seed=1))
    assert [row.pair_id for row in shuffled] == [row.pair_id for row in ROWS]
    assert [row.sentence2 for row in shuffled] == [row.sentence2 for row in ROWS]
    assert [row.label for row in shuffled] != [row.label for row in ROWS]
    assert ShuffledLabels(ROWS, seed=1).label_counts == {"0": 20, "1": 11}


def test_the_seed_decides_the_labels():
    labels = [[row.label for row in ShuffledLabels(ROWS, seed=seed)] for seed in (1, 1, 2)]
    assert labels[0] == labels[1] != labels[2]
