"""If-Match and If-None-Match of a request (RFC 9110, section 13.1) as the versions that its change is meant for."""

import re
from typing import Annotated

from fastapi import Depends, Header
from starlette.requests import Request

from shared.errors import Invalid
from shared.versions import Expected, VersionNotStated

# Elements of a list may be empty (RFC 9110, section 5.6.1).
_ONE = r'(?:W/)?"[\x21\x23-\x7e]*"'
_TAGS = re.compile(rf"[ \t,]*{_ONE}(?:[ \t]*,[ \t,]*{_ONE})*[ \t,]*")
# Only a strong tag can match, character by character: what is not written as this product writes a version is the tag
# of none that it ever gave out.
_STRONG = re.compile(r'(?<!W/)"([1-9][0-9]{0,8})"')
_LONGEST = 1000
# The same for the description, which cannot say where white space would be taken too.
_TAG = r'(W/)?"[\x21\x23-\x7e]*"'
_DESCRIBED = rf"^(\*|{_TAG}(, ?{_TAG})*)$"

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"

_IfMatch = Annotated[
    str | None,
    Header(
        alias=IF_MATCH,
        max_length=_LONGEST,
        description='the ETag of what you have seen, such as `"3"`; `*` for whatever it is now',
        json_schema_extra={"pattern": _DESCRIBED},
    ),
]
_IfNoneMatch = Annotated[
    str | None,
    Header(
        alias=IF_NONE_MATCH,
        max_length=10,
        description="`*`: only if there is none yet",
        json_schema_extra={"enum": ["*"]},
    ),
]


class MalformedCondition(Invalid):
    """If-Match or If-None-Match cannot be read."""

    code = "malformed-condition"
    title = "The condition cannot be read"


async def change_condition(request: Request, if_match: _IfMatch = None) -> Expected:
    """For what changes something that exists. Raises VersionNotStated (428) without If-Match, MalformedCondition."""
    if if_match is None:
        raise VersionNotStated('Send the ETag of what you have seen in If-Match, such as If-Match: "3".')
    return _versions_in(_whole(request, IF_MATCH))


async def record_condition(request: Request, if_match: _IfMatch = None, if_none_match: _IfNoneMatch = None) -> Expected:
    """For what may also make something new, which needs no condition. Raises MalformedCondition."""
    if if_none_match is not None:
        if _whole(request, IF_NONE_MATCH) != "*" or if_match is not None:
            raise MalformedCondition("Send either If-None-Match: * for what is new, or If-Match with an ETag.")
        return Expected(frozenset())
    if if_match is None:
        return Expected(frozenset(), stated=False)
    return _versions_in(_whole(request, IF_MATCH))


# The condition of an action on something, and that of a PUT.
IfMatch = Annotated[Expected, Depends(change_condition)]
IfMatchOrNew = Annotated[Expected, Depends(record_condition)]


def _whole(request: Request, name: str) -> str:
    """The value of a header whose lines are one list (RFC 9110, section 5.3); the framework hands over the first."""
    return ", ".join(request.headers.getlist(name)).strip(" \t")


def _versions_in(tags: str) -> Expected:
    if tags == "*":
        return Expected(None, may_be_new=False)
    if len(tags) > _LONGEST or not _TAGS.fullmatch(tags):
        raise MalformedCondition('Send If-Match as the ETag was given, with its quotes: If-Match: "3".')
    return Expected(frozenset(map(int, _STRONG.findall(tags))), may_be_new=False)
