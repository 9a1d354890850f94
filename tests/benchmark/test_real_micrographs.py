"""One case of the suite on the micrographs themselves, with a network that ships."""

from benchmark.metrics import Metric
from benchmark.real.build import named
from benchmark.real.finished import Finished
from benchmark.real.judging import Terms
from benchmark.real.seen import Seen
from benchmark.real.suite import run_suite
from benchmark.real.table import CASES
from model_library.zoo.registry import Library


def test_noise_planted_on_fib_sem_is_taken_off_by_a_network_that_never_saw_it(shared_data):
    terms = Terms(shared_data, Library(), networks=("unet-denoise-micrographs",))
    found = run_suite(named(CASES, ("fib25-noise-moderate",)), terms, Finished(None), lambda _: None)
    assert not found.skipped
    leading = {row.method: row for row in found.rows if row.metric is Metric.PSNR}
    assert set(leading) == {
        *("unet-denoise-micrographs@1.0.0", "gaussian", "median", "tv", "wavelet", "nlm", "wiener")
    }
    network = leading["unet-denoise-micrographs@1.0.0"]
    assert network.saw is Seen.NOTHING
    assert network.n == 4
    # The noise of 0.10 of the span alone would leave 20 dB.
    assert network.value > 22.5
    assert leading["wavelet"].value > leading["median"].value


def test_a_network_that_was_trained_on_the_powder_is_refused_there(shared_data):
    terms = Terms(shared_data, Library(), networks=("unet-denoise-micrographs",))
    case = named(CASES, ("powder-noise-strong",))[0].model_copy(update={"tuning_px": 64, "crop_px": 64})
    found = run_suite([case], terms, Finished(None), lambda _: None)
    (row,) = [row for row in found.rows if row.kind == "network"]
    assert row.saw is Seen.SCORED
    assert row.value is None
    assert "saw 3 of 3 images to be scored" in row.refused
