"""python -m sla …: names the parts, nothing else."""

from shared.cli import Service
from sla.settings import Settings

service = Service(
    name="sla",
    title="Contracts, and the clocks of every ticket",
    settings=Settings,
    roles=("api", "subscribers", "jobs", "documents"),
    filters={"simulate": "sla.queries.simulations:simulate_lines"},
)

if __name__ == "__main__":
    service.main()
