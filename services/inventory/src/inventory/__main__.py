"""python -m inventory …: names the parts, nothing else."""

from inventory.settings import Settings
from shared.cli import Service

service = Service(
    name="inventory",
    title="What each client runs, frozen on every ticket that opens",
    settings=Settings,
    roles=("api", "subscribers", "documents"),
)

if __name__ == "__main__":
    service.main()
