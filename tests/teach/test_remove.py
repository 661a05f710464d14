import shutil

import numpy as np
import pytest

from onegauge.library.errors import LibraryError
from onegauge.library.fit import Fit
from onegauge.library.library import FILE, Library, load
from onegauge.service.model.repository import served_version
from onegauge.teach.errors import TeachingError
from onegauge.teach.remove import Unwanted, remove
from onegauge.teach.target import target_of
from tests.teach.conftest import NAME


def library_of(repository) -> Library:
    return load(served_version(repository / NAME).folder / FILE)


def ids(repository, pictures: range) -> list[str]:
    return [library_of(repository).origins[picture].id for picture in pictures]


def test_references_leave_by_their_ids(repository):
    gone = ids(repository, range(3))
    remove(target_of(repository, NAME), Unwanted(gone))
    after = library_of(repository)
    assert len(after) == 57
    assert not {after.origins[p].id for p in after.pictures} & {*gone}
    told = served_version(repository / NAME).contract.parameters
    assert (told["references"], told["calibration_images"]) == ("57", "57")


def test_a_group_leaves_and_copies_of_files_do(repository, product_tree, tmp_path):
    remove(target_of(repository, NAME), Unwanted(groups=[5, 7]))
    assert not {5, 7} & {*library_of(repository).groups.tolist()}
    folder = tmp_path / "copies"
    shutil.copytree(product_tree / "cloth" / "train" / "good", folder)
    remove(target_of(repository, NAME), Unwanted(data=folder))
    left = library_of(repository)
    assert len(left) == 40
    assert not any("cloth" in left.origins[p].name for p in left.pictures)


def test_a_product_that_left_is_unknown(repository, product_tree):
    target = target_of(repository, NAME)
    before = Fit.of(target.library)
    cloth = product_tree / "cloth"
    remove(target, Unwanted(data=cloth))
    after = Fit.of(library_of(repository))
    rows = before.library.references[:20]
    from onegauge.library.fit import Seen

    seen = Seen(*(getattr(before.library, n)[rows] for n in ("deviations", "quarters", "maps")))
    new = np.repeat([[-1, -1]], 20, 0)
    assert (after.judge(seen, new)[1] >= 1).mean() >= 0.9


@pytest.mark.parametrize(
    ("unwanted", "message"),
    [
        (Unwanted(), "nothing to remove"),
        (Unwanted(["nobody"]), "no reference 'nobody'"),
        (Unwanted(groups=[999]), "no group 999"),
    ],
)
def test_what_is_not_there_is_an_error_and_nothing_changes(repository, unwanted, message):
    with pytest.raises(TeachingError, match=message):
        remove(target_of(repository, NAME), unwanted)
    assert served_version(repository / NAME).contract.version == "1"


def test_a_folder_of_others_is_an_error(repository, rings):
    with pytest.raises(TeachingError, match="no image in .* is in the library"):
        remove(target_of(repository, NAME), Unwanted(data=rings))


def test_forty_references_stay(repository):
    gone = ids(repository, range(21))
    with pytest.raises(LibraryError, match="needs 40"):
        remove(target_of(repository, NAME), Unwanted(gone))
