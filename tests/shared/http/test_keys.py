"""The issuer's published keys: the odd ones among them, a key without a name, and answers that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jwk, jws

from shared.errors import Unauthenticated, Unavailable
from shared.http import keys
from shared.http.tokens import Authenticator
from tests.shared.http.issuer import LocalIssuer, public
from tests.shared.http.test_tokens import bearer, refusal_of
from tests.shared.output import Output

ODD_KEYS: list[Any] = [
    None,
    [],
    "key",
    7,
    True,
    {},
    {"kty": None},
    {"kty": ["RSA"]},
    {"kty": {"a": 1}},
    {"kty": "RSA"},
    {"kty": "RSA", "n": None, "e": "AQAB"},
    {"kty": "RSA", "n": 5, "e": 7},
    {"kty": "RSA", "n": "ñ", "e": "AQAB"},
    {"kty": "RSA", "n": "", "e": ""},
    {"kty": "RSA", "n": "AQAB" * 100, "e": "AA"},
    {"kty": "RSA", "n": ["AQAB"], "e": {"a": "b"}},
    {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
    {"kty": "EC", "crv": None, "x": "AA", "y": "AA"},
    {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    {"kty": "oct", "k": "AA"},
    {"kty": "RSA", "use": ["sig"]},
]


@pytest.mark.parametrize("odd", ODD_KEYS, ids=lambda odd: json.dumps(odd)[:40])
async def test_an_odd_entry_among_the_keys_takes_nothing_from_the_good_ones(issuer: LocalIssuer, odd: Any) -> None:
    good = issuer.published[0]
    issuer.published = [odd, good, odd]
    assert (await Authenticator(issuer.url).authenticate(bearer(issuer.token()))).id == "ana"
    issuer.published = [odd] * 40 + [good]
    assert (await Authenticator(issuer.url).authenticate(bearer(issuer.token()))).id == "ana"


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": None},
        {"kid": 7},
        {"kid": ["first"]},
        {"alg": ["RS256"]},
        {"alg": 7},
        {"use": None},
        {"use": {"sig": 1}},
        {"key_ops": "verify"},
        {"key_ops": [None]},
        {"key_ops": None},
        {"x5c": 7},
        {"d": None},
        {"unknown": {"a": [1]}},
    ],
    ids=str,
)
async def test_an_odd_member_of_a_key_is_no_error_of_ours(issuer: LocalIssuer, changes: dict[str, Any]) -> None:
    """Such a key is used or skipped; the key beside it is good in any case."""
    second = jwk.RSAKey.generate_key(2048, {"kid": "second"})
    issuer.published = [issuer.published[0] | changes, public(second)]
    authenticator = Authenticator(issuer.url)
    for key, kid in ((issuer.signing, "first"), (second, "second")):
        try:
            actor = await authenticator.authenticate(bearer(issuer.token(key=key, header={"kid": kid})))
        except Unauthenticated:
            assert kid == "first"
        else:
            assert actor.id == "ana"


@pytest.mark.parametrize("algorithm", [None, "RS256", "ES256"])
async def test_a_key_without_an_algorithm_or_with_one_that_is_allowed_fits(
    issuer: LocalIssuer, algorithm: str | None, output: Output
) -> None:
    if algorithm == "ES256":
        issuer.signing = jwk.ECKey.generate_key("P-256", {"kid": "curve"})
    issuer.published = [public(issuer.signing) | ({"alg": algorithm} if algorithm else {})]
    assert (await Authenticator(issuer.url).authenticate(bearer(issuer.token()))).id == "ana"
    assert output.lines == []


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "none", "rs256"])
async def test_a_key_for_an_algorithm_that_is_not_allowed_is_passed_over_and_told(
    issuer: LocalIssuer, algorithm: str, output: Output
) -> None:
    """As many of them as are ever kept take no place from the good one, which is still the only key without a name."""
    nameless = without_kid(issuer.signing)
    other = nameless | {"alg": algorithm, "kid": "other"}
    issuer.published = [*[other] * 40, nameless]
    assert (await Authenticator(issuer.url).authenticate(bearer(issuer.token(header={"kid": "any"})))).id == "ana"
    (line,) = output.lines
    assert (line["event"], line["level"]) == (
        "keys of the issuer are passed over: their algorithm is not allowed",
        "info",
    )
    assert (line["count"], line["first"]) == (40, {"kid": "other", "alg": algorithm})


async def test_a_set_of_keys_for_other_algorithms_only_is_the_issuer_s_failure(issuer: LocalIssuer) -> None:
    issuer.published = [issuer.published[0] | {"alg": "RS512"}]
    with pytest.raises(Unavailable, match="identity provider"):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token()))


@pytest.mark.parametrize("keys", [None, {}, 7, "keys", {"a": 1}, [None], [[]], [{}]], ids=json.dumps)
async def test_a_set_without_any_good_key_is_the_issuer_s_failure(issuer: LocalIssuer, keys: Any) -> None:
    issuer.published = keys
    with pytest.raises(Unavailable, match="identity provider"):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token()))


@pytest.mark.parametrize(
    "configuration",
    [
        None,
        [],
        "x",
        {},
        {"issuer": None},
        {"issuer": 7, "jwks_uri": 7},
        {"jwks_uri": 7},
        {"jwks_uri": None},
        {"jwks_uri": ["x"]},
        {"jwks_uri": "http://[::1"},
        {"jwks_uri": "http://127.0.0.1:99999/"},
        {"jwks_uri": "ftp://127.0.0.1/"},
    ],
    ids=json.dumps,
)
async def test_an_odd_configuration_is_the_issuer_s_failure_too(issuer: LocalIssuer, configuration: Any) -> None:
    told = {"issuer": issuer.url} | configuration if isinstance(configuration, dict) else configuration
    issuer.configuration = json.dumps(told).encode()
    with pytest.raises(Unavailable, match="identity provider"):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token()))


@pytest.mark.parametrize(
    "configuration", [b"", b"{", b"\xff", b"[" * 200_000, b"null"], ids=["", "{", "ff", "deep", "null"]
)
async def test_what_is_no_configuration_at_all_is_the_issuer_s_failure_too(
    issuer: LocalIssuer, configuration: bytes
) -> None:
    issuer.configuration = configuration
    with pytest.raises(Unavailable, match="identity provider"):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token()))


async def test_an_issuer_that_never_ends_its_answer_is_a_failure_like_any_other(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, the last one never."""
    monkeypatch.setattr(keys, "_FETCH_SECONDS", 0.2)
    issuer.dripping = True
    with pytest.raises(Unavailable, match="identity provider"):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token()))


def without_kid(key: jwk.RSAKey | jwk.ECKey) -> dict[str, Any]:
    """What an issuer publishes of its only key, which needs no name."""
    return {name: value for name, value in public(key).items() if name != "kid"}


@pytest.mark.parametrize("kid", [None, "first", "another"])
async def test_the_only_key_without_a_name_fits_a_token_with_a_name_and_without(
    issuer: LocalIssuer, kid: str | None
) -> None:
    issuer.published = [without_kid(issuer.signing), None]
    token = jws.serialize_compact(
        {"alg": "RS256"} | ({"kid": kid} if kid else {}), json.dumps(issuer.claims()), issuer.signing
    )
    assert (await Authenticator(issuer.url).authenticate(bearer(token))).id == "ana"
    forger = jwk.RSAKey.generate_key(2048, {"kid": "first"})
    assert "not signed by a key" in await refusal_of(issuer, bearer(issuer.token(key=forger)))


async def test_of_several_keys_one_without_a_name_does_not_fit_a_token_that_names_another(issuer: LocalIssuer) -> None:
    """With several keys a token must name its own (OpenID Connect Core, 10.1), so the name is believed."""
    other = jwk.RSAKey.generate_key(2048, {"kid": "second"})
    issuer.published = [without_kid(issuer.signing), public(other)]
    assert "not signed by a key" in await refusal_of(issuer, bearer(issuer.token(header={"kid": "third"})))
    nameless = jws.serialize_compact({"alg": "RS256"}, json.dumps(issuer.claims()), issuer.signing)
    assert (await Authenticator(issuer.url).authenticate(bearer(nameless))).id == "ana"


@pytest.mark.parametrize("kid", [None, "first"])
async def test_the_only_key_without_a_name_is_followed_when_it_changes(
    issuer: LocalIssuer, kid: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name does not tell that it is another one; that nothing it signed fits does."""
    monkeypatch.setattr(keys, "_PAUSE_SECONDS", 3600.0)
    issuer.published = [without_kid(issuer.signing)]
    authenticator = Authenticator(issuer.url)
    await authenticator.authenticate(bearer(issuer.token()))
    second = jwk.RSAKey.generate_key(2048)
    issuer.published = [without_kid(second)]
    head = {"alg": "RS256"} | ({"kid": kid} if kid else {})
    token = bearer(jws.serialize_compact(head, json.dumps(issuer.claims()), second))
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(token)
    assert issuer.asked == 1, "the issuer is left in peace for a while"
    monkeypatch.setattr(keys, "_PAUSE_SECONDS", 0.0)
    assert (await authenticator.authenticate(token)).id == "ana"
    assert issuer.asked == 2
