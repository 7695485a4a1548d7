"""What day one lacks, over HTTP."""

from shared import clock
from shared.http.auth import needs
from shared.http.transaction import Reading
from tickets.api.callers import router_of
from tickets.queries import setup
from tickets.queries.setup import SetupView

router = router_of("setup")


@router.get("/setup", dependencies=[needs("team:read")])
async def tell_setup(connection: Reading) -> SetupView:
    """What is missing before tickets find people, clocks and environments, and what to do about it."""
    return await setup.tell_setup(connection, clock.now())
