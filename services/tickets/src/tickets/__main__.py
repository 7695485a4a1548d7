"""python -m tickets …: names the parts, nothing else."""

from shared.cli import Service
from tickets import api, subscribers
from tickets.settings import Settings

service = Service(
    name="tickets",
    title="PSA Desk tickets: the life of every incident, its history and the read model of the desk",
    settings=Settings,
    routers=(api.router,),
    subscribers=subscribers,
)

if __name__ == "__main__":
    service.main()
