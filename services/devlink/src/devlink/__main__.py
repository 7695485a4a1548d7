"""python -m devlink …: names the parts, nothing else."""

from devlink.settings import Settings
from shared.cli import Service

service = Service(
    name="devlink",
    title="An escalation becomes exactly one task of Development",
    settings=Settings,
    roles=("api", "subscribers"),
)

if __name__ == "__main__":
    service.main()
