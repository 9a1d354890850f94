"""Every N-th accepted frame goes back, exactly, whatever restarts in between."""

from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.wire.images import ImagePurpose
from model_library.wire.orders import ImageRequest, Orders
from site_client.database import Database
from site_client.frames import Header, Stamp
from site_client.ledger import Ledger
from site_client.outbox import Outbox
from site_client.sample_back import amended, due


@settings(deadline=None)
@given(every_n=st.integers(1, 20), accepted=st.integers(0, 200))
def test_exactly_every_nth_is_due(every_n: int, accepted: int) -> None:
    schedule = amended((), every_n, accepted + 1)
    returned = [n for n in range(1, accepted + 1) if due(n, schedule)]
    assert returned == list(range(every_n, accepted + 1, every_n))


def test_a_new_order_holds_from_the_next_frame_on() -> None:
    schedule = amended(amended((), 2, 1), 3, 8)
    assert [n for n in range(1, 16) if due(n, schedule)] == [2, 4, 6, 9, 12, 15]


def test_nothing_is_due_before_the_first_order() -> None:
    assert not due(5, ())


def test_the_outbox_holds_every_nth_once_over_restarts(tmp_path) -> None:
    queued, first = 0, ImageRequest(campaign=1, from_sequence=1, count=5)
    for start in (0, 7, 8, 20):
        database = Database(tmp_path / "ledger.sqlite")
        ledger, outbox = Ledger(database), Outbox(database)
        for n in range(start, start + 7):
            if not ledger.knows(f"{n}.tif", Stamp(1, n)):
                ledger.accept(
                    f"{n}.tif", Stamp(1, n), Header(f"{n:064d}", 4, None, None), now=0, exists=lambda _: True
                )
        orders = Orders(first_images=(first,), every_n=4)
        queued += outbox.follow(orders, now=0) + outbox.follow(orders, now=0)
        accepted = ledger.counts().acquired
        assert outbox.counts()[ImagePurpose.BENCHMARK].queued == accepted // 4
        assert outbox.counts()[ImagePurpose.FIRST].queued == min(5, accepted)
        database.close()
    assert queued == accepted // 4 + 5
