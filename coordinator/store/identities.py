"""Enrolment tokens, instruments and the operator: who may speak, checked at every request."""

import hashlib
import hmac
import secrets

from pydantic import TypeAdapter
from sqlmodel import col, delete, select, update

from coordinator.errors import Conflict, Unauthenticated
from coordinator.store.database import Database
from coordinator.store.tables import AssertionRow, EnrolTokenRow, InstrumentRow, OperatorTokenRow
from coordinator.store.values import Instrument
from model_library.wire.identity import EnrolRequest
from model_library.wire.orders import Heartbeat
from model_library.wire.tasks import Task

_TASK: TypeAdapter[Task] = TypeAdapter(Task)


def digest(token: str) -> str:
    """Compute what is stored of a token; tokens are random and long, so a plain hash serves."""
    return hashlib.sha256(token.encode()).hexdigest()


def _instrument(row: InstrumentRow) -> Instrument:
    heartbeat = Heartbeat.model_validate_json(row.heartbeat) if row.heartbeat else None
    return Instrument(
        id=row.id,
        site_name=row.site_name,
        task=_TASK.validate_json(row.task),
        pixel_size_nm=row.pixel_size_nm,
        public_key_pem=row.public_key_pem,
        enrolled_at=row.enrolled_at,
        revoked_at=row.revoked_at,
        last_seen_at=row.last_seen_at,
        heartbeat=heartbeat,
    )


class Identities:
    """The only place where identities are made, looked up and revoked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def new_enrol_token(self, now: float, life_s: float) -> str:
        """Make a one-time secret; only its digest is kept."""
        # Hexadecimal: it is typed on command lines, where a leading "-" would read as an option.
        token = secrets.token_hex(24)
        with self._database.write() as session:
            session.add(EnrolTokenRow(digest=digest(token), created_at=now, expires_at=now + life_s))
        return token

    def enrol(self, request: EnrolRequest, secret: str, now: float) -> Instrument:
        """Trade a one-time secret for an identity; of racing uses exactly one succeeds.

        Raises
        ------
        Unauthenticated
            The token is unknown, expired or used.
        """
        row = InstrumentRow(
            id=f"{request.site_name[:48]}-{secrets.token_hex(4)}",
            site_name=request.site_name,
            task=_TASK.dump_json(request.task).decode(),
            pixel_size_nm=request.pixel_size_nm,
            public_key_pem=request.public_key_pem,
            enrolled_at=now,
        )
        claim = (
            update(EnrolTokenRow)
            .where(
                col(EnrolTokenRow.digest) == digest(secret),
                col(EnrolTokenRow.used_at).is_(None),
                col(EnrolTokenRow.expires_at) > now,
            )
            .values(used_at=now, instrument_id=row.id)
        )
        with self._database.write() as session:
            if session.exec(claim).rowcount != 1:
                message = (
                    "expected an unused enrolment token, found one that is unknown, expired or used; "
                    "ask the operator for a new one (`synoptic coordinator enrol-token`)"
                )
                raise Unauthenticated(message)
            session.add(row)
            return _instrument(row)

    def spend_assertion(self, instrument_id: str, jti: str, expires_at: float, now: float) -> None:
        """Note that an assertion has been used.

        Raises
        ------
        Conflict
            It was used before.
        """
        with self._database.write() as session:
            session.exec(delete(AssertionRow).where(col(AssertionRow.expires_at) < now))
            if session.get(AssertionRow, (instrument_id, jti)) is not None:
                message = "expected a fresh assertion, found one that was used before; sign a new one"
                raise Conflict(message)
            session.add(AssertionRow(instrument_id=instrument_id, jti=jti, expires_at=expires_at))

    def find(self, instrument_id: str) -> Instrument | None:
        """Look an instrument up, revoked or not."""
        with self._database.read() as session:
            row = session.get(InstrumentRow, instrument_id)
            return None if row is None else _instrument(row)

    def find_by_public_key(self, public_key_pem: str) -> Instrument | None:
        """Look up who holds a key, spelt as at the enrolment; whoever is revoked is not found."""
        query = select(InstrumentRow).where(
            col(InstrumentRow.public_key_pem) == public_key_pem, col(InstrumentRow.revoked_at).is_(None)
        )
        with self._database.read() as session:
            row = session.exec(query).first()
            return None if row is None else _instrument(row)

    def all(self) -> tuple[Instrument, ...]:
        """Every instrument, in the order of enrolment."""
        with self._database.read() as session:
            rows = session.exec(select(InstrumentRow).order_by(col(InstrumentRow.enrolled_at)))
            return tuple(_instrument(row) for row in rows)

    def revoke(self, instrument_id: str, now: float) -> None:
        """Refuse every later request of an instrument, tokens in circulation included."""
        change = update(InstrumentRow).where(col(InstrumentRow.id) == instrument_id).values(revoked_at=now)
        with self._database.write() as session:
            session.exec(change)

    def heard(self, instrument_id: str, heartbeat: Heartbeat, now: float) -> None:
        """Keep an instrument's latest heartbeat."""
        change = (
            update(InstrumentRow)
            .where(col(InstrumentRow.id) == instrument_id)
            .values(heartbeat=heartbeat.model_dump_json(), last_seen_at=now)
        )
        with self._database.write() as session:
            session.exec(change)

    def new_operator_token(self, now: float) -> str:
        """Make the operator's credential, replacing an earlier one; only its digest is kept."""
        token = f"operator.{secrets.token_urlsafe(32)}"
        with self._database.write() as session:
            session.exec(delete(OperatorTokenRow))
            session.add(OperatorTokenRow(digest=digest(token), created_at=now))
        return token

    def is_operator(self, token: str) -> bool:
        """Tell whether this is the operator's credential."""
        with self._database.read() as session:
            known = session.exec(select(OperatorTokenRow.digest)).all()
        return any(hmac.compare_digest(each, digest(token)) for each in known)
