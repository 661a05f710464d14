import gc
import subprocess
import sys

import pytest

from onegauge.service.errors import ContractError
from onegauge.service.settings import Settings
from onegauge.service.start import serve


def test_model_that_cannot_be_loaded_stops_it_before_it_listens(tmp_path):
    try:
        with pytest.raises(ContractError, match=str(tmp_path)):
            serve(Settings(repository=tmp_path))
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_loading_imports_nothing_since_another_thread_imports_beside_it(gauge_repository):
    script = (
        "import sys; from onegauge.service.model.backends import backend_for;"
        "from onegauge.service.settings import Settings;"
        f"load = backend_for(Settings(repository={str(gauge_repository)!r}));"
        "before = set(sys.modules); load(); print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    shared = {"onegauge", "numpy", "onnxruntime"}
    assert not shared & {name.partition(".")[0] for name in done.stdout.split()}, done.stdout
