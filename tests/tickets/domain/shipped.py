"""What the product ships, as the rules see it."""

from __future__ import annotations

from shared.load import read_document
from tests.support.databases import CHECKOUT
from tickets.documents import Document
from tickets.repository.urgency import scheme_of

_READ = read_document(CHECKOUT / "services" / "tickets" / "src" / "tickets" / "defaults.yaml", Document)
assert isinstance(_READ, Document)
DEFAULTS: Document = _READ
(_RECORD,) = DEFAULTS.urgency_schemes
SHIPPED = scheme_of(_RECORD.id, _RECORD.valid_from, _RECORD.terms())
