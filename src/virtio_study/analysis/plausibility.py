"""Is a CPU change possible at all? Device accesses times a price for each, forwards and backwards.

Under KVM every access of the guest to a register of an emulated device leaves the guest and is served by QEMU; a VirtIO
device is notified once. The lab counts accesses per operation; the price of one is not measured here but taken from
published ranges, so the answer is an order of magnitude, with its assumptions stated.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from virtio_study.errors import DataError
from virtio_study.i18n.sentences import Numbers, render
from virtio_study.stats.elementary import mean

__all__ = [
    "ASSUMPTIONS",
    "EXIT",
    "NOTIFICATION",
    "Price",
    "Range",
    "accesses",
    "implied_rate",
    "plausibility",
    "predicted_change",
]


@dataclass(frozen=True)
class Price:
    """CPU seconds that one event costs the host: a published low, a typical and a published high value."""

    low_s: float
    typical_s: float
    high_s: float
    source: str


@dataclass(frozen=True)
class Range:
    """A quantity at the three prices."""

    low: float
    typical: float
    high: float


EXIT = Price(
    1e-6,
    5e-6,
    21e-6,
    "low: entry to and exit from KVM alone, 2,528 cycles at 2.5 GHz (linux-kernel list, AMD SVM, December 2020); "
    "typical: middle of 3 to 10 µs a round trip (QNX Hypervisor 7.0, User's Guide, Guest exits); high: inl_from_qemu, "
    "44,826 cycles at 2.1 GHz, nested (kvm-unit-tests vmexit, P. Bonzini, VMX optimizations)",
)
"""One access to a register of an emulated device: exit to QEMU and back."""

NOTIFICATION = Price(
    0.5e-6,
    2e-6,
    6.4e-6,
    "low and typical: an exit that the kernel serves itself, taken as half of the exit's price; high: inl_from_kernel, "
    "13,518 cycles at 2.1 GHz, nested (kvm-unit-tests vmexit, P. Bonzini, VMX optimizations)",
)
"""One notification of a VirtIO device: served in the kernel (ioeventfd)."""

ASSUMPTIONS = (
    "Only the exits differ between the drivers; the work of serving a request is the same.",
    "Interrupts are not counted: both kinds of device raise about one for each operation.",
    "The guest's drivers are those of the lab's Linux guest; a Windows driver may touch more registers or fewer.",
    "Every operation stands alone; batching lowers the number of exits of both kinds of device.",
)

EMULATED = {"disk": "ide", "network": "e1000"}
PARAVIRTUAL = {"disk": "virtio-blk", "network": "virtio-net"}


def accesses(counts: Mapping[str, Any]) -> dict[str, float]:
    """Device accesses per operation, by device: the mean over the lab's operations and boots.

    Raises
    ------
    DataError
        If a device of `EMULATED` or `PARAVIRTUAL` was not counted.
    """
    found: dict[str, list[float]] = {}
    for row in counts["rows"]:
        found.setdefault(row["device"], []).extend(row["boots"])
    missing = {*EMULATED.values(), *PARAVIRTUAL.values()} - set(found)
    if missing:
        raise DataError(f"counts.json: {', '.join(sorted(missing))} not counted; run: virtio-study lab count STUDY")
    return {device: mean(values) for device, values in found.items()}


def predicted_change(operations_per_s: float, before: float, after: float) -> Range:
    """CPU cores by which the host's CPU changes, after minus before, at the three prices.

    Parameters
    ----------
    operations_per_s : float
        Disk requests or network round trips a second.
    before, after : float
        Accesses per operation: of the emulated device before, notifications of the VirtIO device after.
    """
    changes = [
        operations_per_s * (after * getattr(NOTIFICATION, price) - before * getattr(EXIT, price))
        for price in ("low_s", "typical_s", "high_s")
    ]
    return Range(*changes)


def implied_rate(drop_cores: float, before: float, after: float) -> Range:
    """Operations a second that would explain a fall of the CPU, at the three prices (the low price needs the most).

    Raises
    ------
    DataError
        If the fall is not positive: a rise is not explained by fewer exits.
    """
    if drop_cores <= 0:
        raise DataError(f"the claimed fall is {drop_cores:g} cores; expected more than 0")
    one = predicted_change(1.0, before, after)
    return Range(*(drop_cores / -change for change in (one.low, one.typical, one.high)))


def plausibility(
    counts: Mapping[str, Any], claimed_cores: Mapping[str, float], rates: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Forwards for servers whose rates are known, backwards for claimed falls.

    Parameters
    ----------
    counts : mapping
        The lab's `counts.json`.
    claimed_cores : mapping of server to float
        A fall of the CPU, in cores, that somebody published.
    rates : mapping of server to {"disk": requests/s, "network": round trips/s}
        Rates that were recorded.

    Returns
    -------
    dict
        `prices`, `assumptions`, `accesses`, `predicted` (server -> kind -> rate and change in cores) and `implied`
        (server -> fall, and for each kind the rate that it needs), each with a sentence.
    """
    counted = accesses(counts)
    per = {kind: (counted[EMULATED[kind]], counted[PARAVIRTUAL[kind]]) for kind in EMULATED}
    predicted = {
        server: {
            kind: _with(_PREDICTED, {"rate": rate, "kind": kind, **asdict(predicted_change(rate, *per[kind]))})
            for kind, rate in of_server.items()
        }
        for server, of_server in rates.items()
    }
    implied = {
        server: {
            "drop_cores": drop,
            **{
                kind: _with(_IMPLIED[kind], {"drop": drop, **asdict(implied_rate(drop, *per[kind]))})
                for kind in EMULATED
            },
        }
        for server, drop in claimed_cores.items()
        if drop > 0
    }
    return {
        "prices": {"exit": asdict(EXIT), "notification": asdict(NOTIFICATION)},
        "assumptions": list(ASSUMPTIONS),
        "accesses": {kind: {"before": before, "after": after} for kind, (before, after) in per.items()},
        "predicted": predicted,
        "implied": implied,
    }


def _with(message: str, numbers: Numbers) -> dict[str, Any]:
    return {**numbers, "message": message, "sentence": render(message, numbers)}


_PREDICTED = (
    "At {rate} operations a second VirtIO would change the host's CPU by about {typical} cores ({low} to {high} with "
    "the cheapest and the dearest exit)."
)
_IMPLIED = {
    "disk": (
        "A fall of {drop} cores by disk requests alone needs about {typical} requests a second, all day ({high} with "
        "the dearest exit, {low} with the cheapest)."
    ),
    "network": (
        "A fall of {drop} cores by network traffic alone needs about {typical} round trips a second, all day ({high} "
        "with the dearest exit, {low} with the cheapest)."
    ),
}
