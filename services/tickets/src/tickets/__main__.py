"""python -m tickets …: names the parts, nothing else."""

from shared.cli import Service
from tickets.settings import Settings

service = Service(
    name="tickets",
    title="The life of every incident, its history, and the read model of the desk",
    settings=Settings,
    roles=("api", "subscribers", "jobs", "documents"),
)

if __name__ == "__main__":
    service.main()
