"""python -m sla …: names the parts, nothing else."""

from shared.cli import Service
from sla import api, commands, jobs, subscribers
from sla.documents import Document
from sla.settings import Settings

service = Service(
    name="sla",
    title="Contracts, and the clocks of every ticket",
    settings=Settings,
    routers=(api.router,),
    subscribers=subscribers,
    jobs=jobs.JOBS,
    document=Document,
    load=commands.load,
)

if __name__ == "__main__":
    service.main()
