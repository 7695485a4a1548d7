"""python -m inventory …: names the parts, nothing else."""

from inventory import api, commands, subscribers
from inventory.documents import Document
from inventory.settings import Settings
from shared.cli import Service

service = Service(
    name="inventory",
    title="What each client runs, frozen on every ticket that opens",
    settings=Settings,
    routers=(api.router,),
    subscribers=subscribers,
    document=Document,
    load=commands.load_document,
)

if __name__ == "__main__":
    service.main()
