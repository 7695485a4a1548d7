"""How many whole tickets are shown: by the api alone beside two floors."""

from __future__ import annotations

from tests.load.figures import Table
from tests.load.generator import Closed, call
from tests.load.loops import PLAIN, compare
from tests.load.scene import Options, Scene


def measure_views(scene: Scene, options: Options) -> list[Table]:
    """Whole tickets answered per second, beside the same statement by hand and an empty route."""
    product, plain = scene.views(), scene.views("/plain/tickets/{id}")
    subjects = [scene.floor(PLAIN, plain, 200), scene.floor("empty route", scene.views("/empty"), 200)]
    scene.run_api_alone()
    subjects.insert(0, scene.product(product, 200))
    table = compare(scene, options, "views: whole tickets shown, two processes", subjects)
    one = call(Closed(subjects[0].targets, product, 1, 0.5))
    table.notes.append(
        f"a view is {one.bytes // max(1, one.count):,} bytes; plain asyncpg runs the same statement, and says of "
        "no clock what it shows at the instant"
    )
    return [table]
