"""The bearer token: what is believed, what is refused, and what happens while the issuer is away."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwk, jws

from shared import clock
from shared.errors import Unauthenticated, Unavailable
from shared.http import keys
from shared.http.tokens import LEEWAY_SECONDS, LONGEST_TOKEN_BYTES, Authenticator
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer, public
from tests.shared.http.sample import sample_app
from tests.support.eventually import eventually


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


async def refusal_of(issuer: LocalIssuer, authorization: bytes | None) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await Authenticator(issuer.url).authenticate(authorization)
    return refused.value.message


async def test_a_good_token_names_its_actor(issuer: LocalIssuer) -> None:
    actor = await Authenticator(issuer.url).authenticate(bearer(issuer.token()))
    assert (actor.id, actor.name, actor.roles) == ("ana", "Ana Gómez", frozenset({"agent"}))


async def test_an_elliptic_key_of_the_issuer_is_good_too(issuer: LocalIssuer) -> None:
    issuer.rotate(jwk.ECKey.generate_key("P-256", {"kid": "curve"}))
    assert (await Authenticator(issuer.url).authenticate(bearer(issuer.token()))).id == "ana"


async def test_a_token_without_key_id_is_tried_with_every_key(issuer: LocalIssuer) -> None:
    first = issuer.signing
    issuer.rotate(jwk.RSAKey.generate_key(2048, {"kid": "second"}))
    token = jws.serialize_compact({"alg": "RS256"}, json.dumps(issuer.claims()), first)
    assert (await Authenticator(issuer.url).authenticate(bearer(token))).id == "ana"


async def test_several_audiences_are_good_when_ours_is_among_them(issuer: LocalIssuer) -> None:
    token = issuer.token(aud=["other", "psa-desk"])
    assert (await Authenticator(issuer.url).authenticate(bearer(token))).id == "ana"


async def test_no_token_is_refused(issuer: LocalIssuer) -> None:
    assert "Send a bearer token" in await refusal_of(issuer, None)


async def test_a_forged_token_is_refused(issuer: LocalIssuer) -> None:
    forger = jwk.RSAKey.generate_key(2048, {"kid": "first"})
    assert "not signed by a key of the issuer" in await refusal_of(issuer, bearer(issuer.token(key=forger)))


async def test_a_token_whose_claims_were_changed_is_refused(issuer: LocalIssuer) -> None:
    head, _, signature = issuer.token().split(".")
    changed = f"{head}.{part(issuer.claims(roles=['admin']))}.{signature}"
    assert "not signed by a key of the issuer" in await refusal_of(issuer, bearer(changed))


async def test_a_key_carried_in_the_token_itself_is_not_believed(issuer: LocalIssuer) -> None:
    own = jwk.RSAKey.generate_key(2048, {"kid": "own"})
    header = {"jwk": public(own), "kid": "own"}
    assert "not signed by a key of the issuer" in await refusal_of(issuer, bearer(issuer.token(key=own, header=header)))


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE"])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_an_unsigned_token_is_refused(issuer: LocalIssuer, algorithm: str, signature: str) -> None:
    token = f"{part({'alg': algorithm, 'kid': 'first'})}.{part(issuer.claims())}.{signature}"
    assert await refusal_of(issuer, bearer(token))


def signed_with_secret(head: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """An HS256 token made by hand: the library itself refuses to take a public key for a secret."""
    content = f"{part(head)}.{part(claims)}"
    signature = base64.urlsafe_b64encode(hmac.digest(secret, content.encode(), "sha256")).rstrip(b"=")
    return f"{content}.{signature.decode()}"


@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
async def test_the_public_key_is_not_a_shared_secret(issuer: LocalIssuer, algorithm: str) -> None:
    for secret in (issuer.signing.as_pem(private=False), json.dumps(public(issuer.signing)).encode()):
        token = signed_with_secret({"alg": algorithm, "kid": "first"}, issuer.claims(), secret)
        assert await refusal_of(issuer, bearer(token))


async def test_a_symmetric_key_in_the_published_set_is_never_used(issuer: LocalIssuer) -> None:
    shared_key = jwk.OctKey.generate_key(256, {"kid": "symmetric"})
    issuer.published.append({**shared_key.as_dict(private=True), "alg": "RS256"})
    claims = json.dumps(issuer.claims())
    token = jws.serialize_compact({"alg": "HS256", "kid": "symmetric"}, claims, shared_key, algorithms=["HS256"])
    assert await refusal_of(issuer, bearer(token))


async def test_an_algorithm_outside_the_list_is_refused_though_the_signature_is_good(issuer: LocalIssuer) -> None:
    assert "must be signed with" in await refusal_of(issuer, bearer(issuer.token(header={"alg": "RS512"})))


async def test_a_short_rsa_key_of_the_issuer_is_not_used(issuer: LocalIssuer) -> None:
    with pytest.warns(match="2048"):
        issuer.rotate(jwk.RSAKey.generate_key(1024, {"kid": "short"}), keep=True)
    assert "not signed by a key" in await refusal_of(issuer, bearer(issuer.token()))


async def test_an_expired_token_is_refused_after_the_leeway_and_not_before(issuer: LocalIssuer) -> None:
    authenticator = Authenticator(issuer.url)
    now = int(clock.now().timestamp())
    good = bearer(issuer.token(exp=now - LEEWAY_SECONDS + 5))
    assert (await authenticator.authenticate(good)).id == "ana"
    assert "has expired" in await refusal_of(issuer, bearer(issuer.token(exp=now - LEEWAY_SECONDS - 1)))


async def test_a_remembered_token_expires_too(issuer: LocalIssuer) -> None:
    authenticator = Authenticator(issuer.url)
    authorization = bearer(issuer.token())
    await authenticator.authenticate(authorization)
    later = clock.now() + timedelta(seconds=300 + LEEWAY_SECONDS + 1)
    with time_machine.travel(later), pytest.raises(Unauthenticated, match="has expired"):
        await authenticator.authenticate(authorization)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "somebody-else"}, "another audience"),
        ({"aud": ["a", "b"]}, "another audience"),
        ({"aud": None}, "missing or wrong|another audience"),
        ({"iss": "http://elsewhere.example"}, "another issuer"),
        ({"iss": None}, "missing or wrong|another issuer"),
        ({"exp": None}, "missing or wrong"),
        ({"exp": "2099-01-01"}, "missing or wrong"),
        ({"exp": True}, "missing or wrong"),
        ({"nbf": 4_102_444_800}, "not valid yet"),
        ({"sub": None}, "missing or wrong"),
        ({"sub": ""}, "missing or wrong|subject"),
        ({"sub": "ana\nsystem"}, "subject"),
        ({"sub": "system:relay"}, "reserved"),
        ({"sub": "a" * 129}, "subject"),
        ({"sub": 7}, "missing or wrong"),
        ({"roles": "admin"}, "roles"),
        ({"roles": [["admin"]]}, "roles"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(issuer: LocalIssuer, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unauthenticated, match=reason):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token(**changes)))


async def test_a_token_that_never_ends_is_believed_without_an_error(issuer: LocalIssuer) -> None:
    assert (await Authenticator(issuer.url).authenticate(bearer(issuer.token(exp=10**400)))).id == "ana"


async def test_a_token_of_another_type_is_refused(issuer: LocalIssuer) -> None:
    assert "not an access token" in await refusal_of(issuer, bearer(issuer.token(header={"typ": "logout+jwt"})))


async def test_an_unknown_critical_header_is_refused_though_the_signature_is_good(issuer: LocalIssuer) -> None:
    def signed(head: dict[str, Any]) -> str:
        content = f"{part(head)}.{part(issuer.claims())}"
        key = issuer.signing.private_key
        assert isinstance(key, rsa.RSAPrivateKey)
        signature = key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    head = {"alg": "RS256", "kid": "first"}
    assert (await Authenticator(issuer.url).authenticate(bearer(signed(head)))).id == "ana"
    assert "cannot be read" in await refusal_of(issuer, bearer(signed({**head, "crit": ["later"], "later": 1})))


async def test_an_oversized_token_is_refused_before_it_is_read(issuer: LocalIssuer) -> None:
    token = issuer.token(padding="x" * LONGEST_TOKEN_BYTES)
    assert "longer than 8192 bytes" in await refusal_of(issuer, bearer(token))
    assert issuer.asked == 0


async def test_a_token_just_below_the_limit_is_believed(issuer: LocalIssuer) -> None:
    token = issuer.token(padding="x" * 5000)
    assert 6000 < len(token) < LONGEST_TOKEN_BYTES
    assert (await Authenticator(issuer.url).authenticate(bearer(token))).id == "ana"


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer a.b",
        b"Bearer a.b.c",
        b"Bearer a.b.c.d",
        b"Bearer a.b.c.d.e",
        b"Bearer ..",
        b"Bearer \xff\xfe.\x00.x",
        b"Basic YW5hOmFuYQ==",
        b"Bearer " + b"[" * 4000,
        f"Bearer {base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.AAAA".encode(),
        f"Bearer {part({'alg': ['RS256']})}.e30.AAAA".encode(),
        f"Bearer {part({'alg': 'RS256', 'kid': {'a': 1}})}.e30.AAAA".encode(),
        f"Bearer {part({'alg': 'RS256', 'typ': 7})}.e30.AAAA".encode(),
        f"Bearer {part({})}.e30.AAAA".encode(),
        b"Bearer W10.e30.AAAA",
        b"Bearer bnVsbA.e30.AAAA",
    ],
)
async def test_a_malformed_authorization_is_refused(issuer: LocalIssuer, authorization: bytes) -> None:
    assert await refusal_of(issuer, authorization)


@pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b"not json", b"\xff", b"[" * 4000, b'{"exp":' + b"9" * 5000])
async def test_a_signed_payload_that_is_no_object_is_refused(issuer: LocalIssuer, payload: bytes) -> None:
    token = jws.serialize_compact({"alg": "RS256", "kid": "first"}, payload, issuer.signing)
    assert await refusal_of(issuer, bearer(token))


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(issuer.url)
    await authenticator.authenticate(bearer(issuer.token()))
    issuer.rotate(jwk.RSAKey.generate_key(2048, {"kid": "second"}))
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(bearer(issuer.token()))
    monkeypatch.setattr(keys, "_PAUSE_SECONDS", 0.0)
    assert (await authenticator.authenticate(bearer(issuer.token()))).id == "ana"


async def test_invented_key_ids_do_not_make_this_process_ask_the_issuer_each_time(issuer: LocalIssuer) -> None:
    authenticator = Authenticator(issuer.url)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(bearer(issuer.token(header={"kid": f"invented-{number}"})))
    assert issuer.asked == 1


async def test_the_old_keys_stay_while_the_issuer_is_broken(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(issuer.url)
    await authenticator.authenticate(bearer(issuer.token()))
    monkeypatch.setattr(keys, "_PAUSE_SECONDS", 0.0)
    issuer.broken = True
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(bearer(issuer.token(header={"kid": "unknown"})))
    assert issuer.asked == 2
    assert (await authenticator.authenticate(bearer(issuer.token(sub="luis")))).id == "luis"


async def test_old_keys_are_asked_for_again_without_anybody_waiting_and_kept_when_that_fails(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(issuer.url)
    authorization = bearer(issuer.token())
    await authenticator.authenticate(authorization)
    monkeypatch.setattr(keys, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(keys, "_FRESH_SECONDS", 0.0)
    issuer.broken = True
    assert (await authenticator.authenticate(authorization)).id == "ana"
    await eventually(lambda: asked_more_than(issuer, 1))
    assert (await authenticator.authenticate(bearer(issuer.token(sub="luis")))).id == "luis"
    issuer.broken = False
    issuer.rotate(jwk.RSAKey.generate_key(2048, {"kid": "second"}), keep=False)

    async def is_refused() -> bool:
        try:
            await authenticator.authenticate(authorization)
        except Unauthenticated:
            return True
        return False

    # Nobody sent a token of the new key: the remembered one went with the old key all the same.
    await eventually(is_refused)


async def asked_more_than(issuer: LocalIssuer, times: int) -> bool:
    return issuer.asked > times


async def test_a_withdrawn_key_takes_its_remembered_tokens_with_it(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(issuer.url)
    old = bearer(issuer.token())
    await authenticator.authenticate(old)
    issuer.rotate(jwk.RSAKey.generate_key(2048, {"kid": "second"}), keep=False)
    monkeypatch.setattr(keys, "_PAUSE_SECONDS", 0.0)
    await authenticator.authenticate(bearer(issuer.token()))
    with pytest.raises(Unauthenticated, match="not signed by a key"):
        await authenticator.authenticate(old)


async def test_a_remembered_token_is_not_verified_again(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(issuer.url)
    authorization = bearer(issuer.token())
    first = await authenticator.authenticate(authorization)

    async def never(*_: object) -> None:
        raise AssertionError("the token was verified again")

    monkeypatch.setattr(authenticator, "_verify", never)
    assert await authenticator.authenticate(authorization) is first


async def test_what_is_remembered_is_bounded(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.tokens._MOST_REMEMBERED", 3)
    authenticator = Authenticator(issuer.url)
    for number in range(5):
        await authenticator.authenticate(bearer(issuer.token(sub=f"user-{number}")))
    assert len(authenticator._remembered) == 3


async def test_an_issuer_that_never_answered_is_a_503_that_names_it() -> None:
    nowhere = "http://127.0.0.1:1"
    lost = LocalIssuer()
    lost.url = nowhere
    with pytest.raises(Unavailable, match="identity provider http://127.0.0.1:1 does not answer"):
        await Authenticator(nowhere).authenticate(bearer(lost.token()))
    async with client_of(sample_app(nowhere), lost.token()) as client:
        answer = await client.get("/v1/me")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_a_configuration_of_another_issuer_is_not_believed(issuer: LocalIssuer) -> None:
    issuer.announced = "http://evil.example"
    with pytest.raises(Unavailable):
        await Authenticator(issuer.url).authenticate(bearer(issuer.token()))
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "address",
    ["http://issuer.example", "https://127.0.0.1:8490", "https://localhost", "https://[::1]/realm", "ftp://x.example"],
)
def test_production_refuses_an_issuer_without_https_or_on_this_machine(address: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        Authenticator(address, env="production")


def test_production_takes_an_issuer_by_https() -> None:
    assert isinstance(Authenticator("https://issuer.example/realm", env="production"), Authenticator)
