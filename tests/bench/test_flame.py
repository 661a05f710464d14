from PIL import Image

from bench.flame import Part, draw, stacks

BOOT = "<module> (onegauge/__main__.py:1);run (asyncio/runners.py:86)"
TOLD = f"""\
{BOOT};run_asgi (uvicorn/httptools_impl.py:402);inspect (onegauge/service/http/routes.py:100) 3
{BOOT};run_asgi (uvicorn/httptools_impl.py:402) 1
_worker (concurrent/futures/thread.py:69);_inspect (onegauge/service/inspection/x.py:9) 6
main_loop (somewhere/else.py:1) 5
"""


def test_stacks_begin_where_a_thread_begins_its_work(tmp_path):
    whole = Part()
    for frames, seen in stacks(TOLD):
        whole.add(frames, seen)
    assert whole.seen == 10
    loop, workers = whole.within["event loop", ""], whole.within["workers", ""]
    assert (loop.seen, workers.seen) == (4, 6)
    (called,) = loop.within.values()
    assert (called.seen, sum(inner.seen for inner in called.within.values())) == (4, 3)
    draw(whole, tmp_path / "flame.png")
    with Image.open(tmp_path / "flame.png") as drawn:
        assert drawn.width > 1000
