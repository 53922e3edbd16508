"""The simulated truth behind a story: ten-second samples of every server, the same for live answers and RRD rows.

pvestatd of Proxmox VE samples every 10 s; CPU covers the ten seconds before, in ticks of 10 ms, memory is the value of
the moment. Values fluctuate as seeded AR(1) series around the story's levels; any stretch of time can be computed
alone.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from virtio_study.testing.story import Configuration, SimulatedServer, Story

__all__ = ["CHANNELS", "SAMPLE_S", "Life", "Samples", "Truth", "lives_of"]

SAMPLE_S = 10
HOUR_S = 3600
COUNTED = ("disk_read", "disk_write", "net_in", "net_out")
CHANNELS = ("cpu_cores", "mem_guest", "mem_host", *COUNTED)
STATISTICS_AFTER_S = 30.0
PHI, LAGS = 0.95, 180
# Relative standard deviations of the channels, and of the load that CPU, disk and network share.
SPREAD = {"cpu_cores": 0.15, "mem_guest": 0.02, "mem_host": 0.002} | dict.fromkeys(COUNTED, 0.3)
LOAD_SPREAD, DAILY_SWING = 0.15, 0.15

Array = npt.NDArray[np.float64]
Samples = dict[str, Array]
"""`time` (epoch s), `age` (s since QEMU started, NaN: not running), `stats` (1: balloon statistics), and channels."""


@dataclass(frozen=True)
class Life:
    """One life of a QEMU process, [start, stop), and the configuration that it runs."""

    start: float
    stop: float
    configuration: Configuration


def lives_of(server: SimulatedServer) -> list[Life]:
    """Return the lives of a server's QEMU process, oldest first."""
    stops = [following.since - server.downtime_s for following in server.configurations[1:]] + [np.inf]
    return [Life(one.since, stop, one) for one, stop in zip(server.configurations, stops, strict=False)]


class Truth:
    """Samples of a story, an hour at a time, remembered while they are in use."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self._first_hour = int(story.created // HOUR_S)
        self.hour = lru_cache(maxsize=max(512, 2 * len(story.servers)))(self._hour)
        self._whole_hour = lru_cache(maxsize=2**16)(self._counted_in)

    def between(self, vmid: int, start: float, end: float) -> Samples:
        """Return the samples of the hours that contain the times in (start, end]."""
        hours = [self.hour(vmid, hour) for hour in range(int(start // HOUR_S), int(np.ceil(end / HOUR_S)))]
        joined = {name: np.concatenate([hour[name] for hour in hours]) for name in hours[0]}
        kept = (joined["time"] > start) & (joined["time"] <= end)
        return {name: values[kept] for name, values in joined.items()}

    def at(self, vmid: int, moment: float) -> dict[str, float]:
        """Return the newest sample at or before a moment; zeros before a start's first."""
        newest = self.between(vmid, moment - SAMPLE_S, moment)
        return {name: float(np.nan_to_num(values[-1])) for name, values in newest.items()}

    def counted(self, vmid: int, start: float, end: float) -> dict[str, int]:
        """Return the bytes counted by disk and network in (start, end], as QEMU and the tap device count them."""
        total = np.zeros(len(COUNTED))
        for hour in range(int(start // HOUR_S), int(np.ceil(end / HOUR_S))):
            whole = start <= hour * HOUR_S and (hour + 1) * HOUR_S <= end
            total += self._whole_hour(vmid, hour) if whole else self._counted_in(vmid, hour, start, end)
        return {name: round(value) for name, value in zip(COUNTED, total.tolist(), strict=True)}

    def _counted_in(self, vmid: int, hour: int, start: float = 0.0, end: float = np.inf) -> Array:
        samples = self.hour(vmid, hour)
        inside = (samples["time"] > start) & (samples["time"] <= end) & np.isfinite(samples["age"])
        return np.array([samples[name][inside].sum() for name in COUNTED]) * SAMPLE_S

    def _hour(self, vmid: int, hour: int) -> Samples:
        server = self.story.server(vmid)
        assert server is not None
        stamps = hour * HOUR_S + SAMPLE_S * np.arange(1, HOUR_S // SAMPLE_S + 1, dtype=np.float64)
        samples = {name: np.full(stamps.size, np.nan) for name in ("age", "stats", *CHANNELS)} | {"time": stamps}
        noise = None
        for boot in lives_of(server):
            inside = (stamps >= boot.start) & (stamps < boot.stop)
            if not inside.any():
                continue
            if noise is None:
                noise = _fluctuations(self.story.seed, vmid, hour - self._first_hour)
            lived = _lived(server, boot, stamps, noise)
            for name, values in lived.items():
                samples[name][inside] = values[inside]
        return samples


def _fluctuations(seed: int, vmid: int, hour: int) -> Array:
    """Return unit-variance AR(1) series, one row a channel and a last one for the shared load."""
    rows = len(CHANNELS) + 1
    shocks = [np.random.default_rng([seed, vmid, 10 + one]).standard_normal((rows, 360)) for one in (hour - 1, hour)]
    return np.asarray(np.hstack(shocks)[:, 360 - LAGS :] @ _memory())


@lru_cache(maxsize=1)
def _memory() -> Array:
    lag = (np.arange(360) + LAGS)[None, :] - np.arange(360 + LAGS)[:, None]
    kernel: Array = np.where((lag >= 0) & (lag <= LAGS), PHI ** np.clip(lag, 0, None), 0.0) * np.sqrt(1 - PHI**2)
    return kernel


def _lived(server: SimulatedServer, boot: Life, stamps: Array, noise: Array) -> Samples:
    level, age = boot.configuration.level, stamps - boot.start
    wave = dict(zip(CHANNELS, noise, strict=False))
    load = np.exp(LOAD_SPREAD * noise[-1] + DAILY_SWING * np.sin(2 * np.pi * stamps / 86400))
    values = {"cpu_cores": level.cpu_cores * load * np.exp(SPREAD["cpu_cores"] * wave["cpu_cores"])}
    for name in COUNTED:
        rate = getattr(level, f"{name}_bytes_per_s")
        values[name] = rate * load * np.exp(SPREAD[name] * wave[name])
    for name in ("mem_guest", "mem_host"):
        values[name] = getattr(level, f"{name}_bytes") * (1 + SPREAD[name] * wave[name])
    starts = [boot.start, *(moment for moment in server.guest_reboots if boot.start <= moment < boot.stop)]
    since_start = np.min([np.where(stamps >= start, stamps - start, np.inf) for start in starts], axis=0)
    values["cpu_cores"] = values["cpu_cores"] + 0.6 * np.exp(-since_start / 90)
    values["disk_read"] = values["disk_read"] + 20e6 * np.exp(-since_start / 60)
    values["mem_guest"] = values["mem_guest"] * (1 - 0.5 * np.exp(-since_start / 120))
    values["mem_host"] = values["mem_host"] * (1 - 0.6 * np.exp(-age.clip(0) / 60))
    for start, end in server.backups:
        values["cpu_cores"] = values["cpu_cores"] + 0.4 * ((stamps > start) & (stamps <= end))
    # The first sample that sees a process has no earlier one to compare with: Proxmox writes 0.
    ticks = np.where(age < SAMPLE_S, 0, np.round(values["cpu_cores"] * 100 * SAMPLE_S))
    values["cpu_cores"] = ticks / (100 * SAMPLE_S)
    for name in ("mem_guest", "mem_host"):
        values[name] = np.round(values[name] / 4096) * 4096
    for name in COUNTED:
        values[name] = np.round(values[name] * SAMPLE_S) / SAMPLE_S
    answers = boot.configuration.balloon_driver and boot.configuration.config.get("balloon", 1) != 0
    values["stats"] = ((age >= STATISTICS_AFTER_S) & answers).astype(np.float64)
    return values | {"age": age}
