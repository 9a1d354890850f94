"""Assertions and access tokens: accepted whole, in time, for their audience; otherwise refused."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.errors import SignatureError
from model_library.signing import compact, keys
from model_library.signing.keys import (
    AccessTokens,
    assertion_issuer,
    generate_instrument_key,
    generate_secret,
    normal_public_key,
    public_pem,
    sign_assertion,
    verify_assertion,
)

NOW = 1_800_000_000
AUDIENCE = "https://coordinator.example:8443/v1/token"
PRIVATE = generate_instrument_key()
PUBLIC = public_pem(PRIVATE)
ASSERTION = sign_assertion(PRIVATE, issuer="sem-1", audience=AUDIENCE, now=NOW, lifetime_s=60)
TOKENS = AccessTokens(b"s" * 32)
TOKEN = TOKENS.issue("sem-1", "instrument", NOW)
ANY_TEXT = st.characters(min_codepoint=33, max_codepoint=126)


def test_a_fresh_assertion_is_accepted():
    claims = verify_assertion(PUBLIC, ASSERTION, audience=AUDIENCE, now=NOW + 59)
    assert (claims.issuer, claims.audience, claims.expires_at) == ("sem-1", AUDIENCE, NOW + 60)
    assert assertion_issuer(ASSERTION) == "sem-1"


def test_no_two_assertions_share_their_jti():
    jtis = {
        verify_assertion(
            PUBLIC,
            sign_assertion(PRIVATE, issuer="a", audience=AUDIENCE, now=NOW),
            audience=AUDIENCE,
            now=NOW,
        ).jti
        for _ in range(20)
    }
    assert len(jtis) == 20


def test_a_fresh_token_is_accepted():
    claims = TOKENS.verify(TOKEN, NOW + 599)
    assert (claims.subject, claims.role, claims.expires_at) == ("sem-1", "instrument", NOW + 600)


def test_every_flipped_bit_of_every_byte_is_refused():
    for where in range(len(ASSERTION)):
        changed = ASSERTION[:where] + chr(ord(ASSERTION[where]) ^ 1) + ASSERTION[where + 1 :]
        with pytest.raises(SignatureError):
            verify_assertion(PUBLIC, changed, audience=AUDIENCE, now=NOW)
    for where in range(len(TOKEN)):
        for bit in range(7):
            changed = TOKEN[:where] + chr(ord(TOKEN[where]) ^ (1 << bit)) + TOKEN[where + 1 :]
            with pytest.raises(SignatureError):
                TOKENS.verify(changed, NOW)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.integers(0, len(TOKEN)), st.text(ANY_TEXT, max_size=3), st.integers(0, 3))
def test_a_token_with_anything_inserted_or_cut_is_refused(where, inserted, cut):
    changed = TOKEN[:where] + inserted + TOKEN[where + cut :]
    if changed != TOKEN:
        with pytest.raises(SignatureError):
            TOKENS.verify(changed, NOW)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "null", "e30.e30.", "e30.W10.e30"])
def test_what_is_no_token_is_refused(text):
    with pytest.raises(SignatureError):
        TOKENS.verify(text, NOW)
    with pytest.raises(SignatureError):
        verify_assertion(PUBLIC, text, audience=AUDIENCE, now=NOW)
    with pytest.raises(SignatureError):
        assertion_issuer(text)


@pytest.mark.parametrize(("now", "reason"), [(NOW + 60, "expired 0 s ago"), (NOW - 31, "31 s ahead")])
def test_an_assertion_out_of_its_time_is_refused(now, reason):
    with pytest.raises(SignatureError, match=reason):
        verify_assertion(PUBLIC, ASSERTION, audience=AUDIENCE, now=now)


def test_an_expired_token_is_refused():
    with pytest.raises(SignatureError, match="expired"):
        TOKENS.verify(TOKEN, NOW + keys.ACCESS_TOKEN_S)


def test_an_assertion_for_another_audience_or_of_another_key_is_refused():
    with pytest.raises(SignatureError, match="audience"):
        verify_assertion(PUBLIC, ASSERTION, audience="https://elsewhere/v1/token", now=NOW)
    with pytest.raises(SignatureError):
        verify_assertion(public_pem(generate_instrument_key()), ASSERTION, audience=AUDIENCE, now=NOW)


def test_an_assertion_that_lives_too_long_is_refused():
    long = sign_assertion(PRIVATE, issuer="sem-1", audience=AUDIENCE, now=NOW, lifetime_s=121)
    with pytest.raises(SignatureError, match="at most 120 s"):
        verify_assertion(PUBLIC, long, audience=AUDIENCE, now=NOW)


@pytest.mark.parametrize("missing", ["iss", "sub", "aud", "iat", "exp", "jti"])
def test_an_assertion_without_a_claim_is_refused(missing):
    claims = {"iss": "a", "sub": "a", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60, "jti": "1"}
    del claims[missing]
    signed = compact.sign(claims, keys.ECKey.import_key(PRIVATE), "ES384")
    with pytest.raises(SignatureError):
        verify_assertion(PUBLIC, signed, audience=AUDIENCE, now=NOW)


def test_the_header_does_not_choose_the_algorithm():
    _, payload, _ = TOKEN.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for forged in (f"{none}.{payload}.", ASSERTION):
        with pytest.raises(SignatureError):
            TOKENS.verify(forged, NOW)
    with pytest.raises(SignatureError):
        verify_assertion(PUBLIC, TOKEN, audience=AUDIENCE, now=NOW)


def test_a_token_of_another_coordinator_is_refused():
    with pytest.raises(SignatureError):
        AccessTokens(generate_secret()).verify(TOKEN, NOW)
    with pytest.raises(SignatureError, match="at least 32"):
        AccessTokens(b"short")


def test_only_public_keys_on_p384_are_put_on_record():
    normal_public_key(PUBLIC)
    p256 = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = p256.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    for refused in (other, PRIVATE.decode(), "", "text", PUBLIC[:-40]):
        with pytest.raises(SignatureError):
            normal_public_key(refused)
