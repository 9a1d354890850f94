"""The state of a site as Prometheus text (exposition format 0.0.4)."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from site_client.status import SiteStatus


def metrics(status: SiteStatus) -> bytes:
    """Render the figures of a status; counters count from the site's first day, not from a start."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(status))
    return generate_latest(registry)


class _Figures:
    """Makes the figures when they are asked for."""

    def __init__(self, status: SiteStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give one family of figures after the other."""
        status = self._status
        frames = GaugeMetricFamily("synoptic_frames", "Frames of this site, by state.", labels=["state"])
        for state in ("reconstructed", "waiting", "set_aside", "skipped"):
            frames.add_metric([state], getattr(status.frames, state))
        yield frames
        yield CounterMetricFamily("synoptic_frames_acquired", "Frames accepted.", status.frames.acquired)
        yield CounterMetricFamily("synoptic_images_returned", "Images returned.", status.frames.returned)
        for name, value in (
            ("throughput", status.throughput_mpix_per_s),
            ("acquisition", status.acquisition_mpix_per_s),
        ):
            if value is not None:
                yield GaugeMetricFamily(
                    f"synoptic_{name}_megapixels_per_second", f"Rate of {name}, mean.", value
                )
        sent = CounterMetricFamily("synoptic_bytes_out", "Bytes that left this site.", labels=["kind"])
        for kind, count in status.bytes_out.items():
            sent.add_metric([kind.value], count)
        yield sent
        queued = GaugeMetricFamily("synoptic_images_queued", "Images to be sent.", labels=["purpose"])
        for purpose, counts in status.outbox.items():
            queued.add_metric([purpose.value], counts.queued)
        yield queued
        alarms = GaugeMetricFamily("synoptic_alarm", "1 while an alarm is up.", labels=["subject"])
        for subject in status.alarms:
            alarms.add_metric([subject], 1)
        yield alarms
        yield GaugeMetricFamily(
            "synoptic_paused", "1 while the site is paused.", float(status.control.paused)
        )
        if status.in_service is not None:
            release = GaugeMetricFamily(
                "synoptic_in_service", "The release in service.", labels=["release", "method", "version"]
            )
            service = status.in_service
            release.add_metric([service.release_id, service.method.id, service.method.version], 1)
            yield release
