"""`python -m tests.support.caller`: as of any service."""

from shared.cli import Service
from shared.settings import ServiceSettings

service = Service(name="tests.support.caller", title="Jobs", settings=ServiceSettings, roles=("jobs",))

if __name__ == "__main__":
    service.main()
