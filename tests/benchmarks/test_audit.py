from tests.without_flags import import_without_flags

audit = import_without_flags("benchmarks.audit")


def test_every_size_meets_every_kind_and_both_balances():
    drawn = {audit.design(number, [200, 500, 1000]) for number in range(200)}
    assert len(drawn) == 8 * 3 * 2
