from bench.whole_line import BANK, FEW, MORE, extrapolated


def test_each_patch_of_a_coreset_takes_the_same():
    def seconds(patches: int) -> float:
        return 3 + patches / 2

    found = extrapolated(seconds(FEW), seconds(MORE))
    assert found == seconds(BANK)
