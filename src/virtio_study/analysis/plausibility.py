"""Is a CPU change possible at all? Device accesses times a price for each, forwards and backwards.

Under KVM every access of the guest to a register of an emulated device leaves the guest and is served by QEMU; a VirtIO
device is notified once. The lab counts accesses per operation; the price of one is not measured here but taken from
published ranges, so the answer is an order of magnitude, with its assumptions stated.
"""

from collections.abc import Mapping, Sequence

from virtio_study.analysis.records import Line, Number, Recorded, Statement
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import mean

__all__ = [
    "ASSUMPTIONS",
    "EXIT",
    "NOTIFICATION",
    "Counted",
    "Counts",
    "Plausibility",
    "Price",
    "Range",
    "implied_rate",
    "mean_accesses",
    "plausibility",
    "predicted_change",
]


class Price(Recorded):
    """CPU seconds that one event costs the host: a published low, a typical and a published high value."""

    low_s: Number
    typical_s: Number
    high_s: Number
    source: str


class Range(Recorded):
    """A quantity at the three prices."""

    low: Number
    typical: Number
    high: Number


class Counted(Recorded):
    """Accesses per operation of one device and operation, boot by boot, as the lab counted them."""

    device: str
    operation: str
    boots: tuple[Number, ...]
    operations_per_boot: tuple[int, ...]
    internal_per_operation: tuple[Number, ...]
    by_region: dict[str, Number]


class CountedGuest(Recorded):
    """The guest in which the lab counted: its kernel's release, and digests of kernel and initramfs."""

    release: str
    kernel: str
    initramfs: str


class Counts(Recorded):
    """The lab's `counts.json`: device-register accesses per operation, by device."""

    method: Line
    qemu: Line
    guest: CountedGuest
    rows: tuple[Counted, ...]


class Accesses(Recorded):
    """Accesses per operation of the emulated device before, and notifications of the VirtIO device after."""

    before: Number
    after: Number


class Predicted(Statement, Range):
    """The change in cores that a recorded rate of operations predicts."""

    kind: str
    rate: Number


class Implied(Statement, Range):
    """Operations a second that a claimed fall of the CPU needs."""

    drop: Number


class ImpliedRates(Recorded):
    """What a claimed fall of the CPU implies, by disk requests alone and by network traffic alone."""

    drop_cores: Number
    disk: Implied
    network: Implied


class Prices(Recorded):
    """The prices of both events."""

    exit: Price
    notification: Price


class Plausibility(Recorded):
    """The bridge from counted accesses to CPU: forwards from recorded rates, backwards from claimed falls."""

    prices: Prices
    assumptions: tuple[str, ...]
    accesses: dict[str, Accesses]
    predicted: dict[str, dict[str, Predicted]]
    implied: dict[str, ImpliedRates]


EXIT = Price(
    low_s=1e-6,
    typical_s=5e-6,
    high_s=21e-6,
    source=N_(
        "low: entry to and exit from KVM alone, 2,528 cycles at 2.5 GHz (linux-kernel list, AMD SVM, December 2020)"
        "; typical: middle of 3 to 10 µs a round trip (QNX Hypervisor 7.0, User's Guide, Guest exits); high: "
        "inl_from_qemu, 44,826 cycles at 2.1 GHz, nested (kvm-unit-tests vmexit, P. Bonzini, VMX optimizations)"
    ),
)
"""One access to a register of an emulated device: exit to QEMU and back."""

NOTIFICATION = Price(
    low_s=0.5e-6,
    typical_s=2e-6,
    high_s=6.4e-6,
    source=N_(
        "low and typical: an exit that the kernel serves itself, taken as half of the exit's price; high: "
        "inl_from_kernel, 13,518 cycles at 2.1 GHz, nested (kvm-unit-tests vmexit, P. Bonzini, VMX optimizations)"
    ),
)
"""One notification of a VirtIO device: served in the kernel (ioeventfd)."""

ASSUMPTIONS = (
    N_("Only the exits differ between the drivers; the work of serving a request is the same."),
    N_("Interrupts are not counted: both kinds of device raise about one for each operation."),
    N_("The guest's drivers are those of the lab's Linux guest; a Windows driver may touch more registers or fewer."),
    N_("Every operation stands alone; batching lowers the number of exits of both kinds of device."),
)

EMULATED = {"disk": "ide", "network": "e1000"}
PARAVIRTUAL = {"disk": "virtio-blk", "network": "virtio-net"}


def mean_accesses(counts: Sequence[Counted]) -> dict[str, float]:
    """Device accesses per operation, by device: the mean over the lab's operations and boots.

    Raises
    ------
    DataError
        If a device of `EMULATED` or `PARAVIRTUAL` was not counted.
    """
    found: dict[str, list[float]] = {}
    for row in counts:
        found.setdefault(row.device, []).extend(row.boots)
    missing = {*EMULATED.values(), *PARAVIRTUAL.values()} - set(found)
    if missing:
        raise DataError(
            N_("counts.json: {missing} not counted; run: virtio-study lab count STUDY"),
            missing=", ".join(sorted(missing)),
        )
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
    return Range(low=changes[0], typical=changes[1], high=changes[2])


def implied_rate(drop_cores: float, before: float, after: float) -> Range:
    """Operations a second that would explain a fall of the CPU, at the three prices (the low price needs the most).

    Raises
    ------
    DataError
        If the fall is not positive: a rise is not explained by fewer exits.
    """
    if drop_cores <= 0:
        raise DataError(N_("the claimed fall is {drop:g} cores; expected more than 0"), drop=drop_cores)
    one = predicted_change(1.0, before, after)
    return Range(low=drop_cores / -one.low, typical=drop_cores / -one.typical, high=drop_cores / -one.high)


def plausibility(
    counts: Counts, claimed_cores: Mapping[str, float], rates: Mapping[str, Mapping[str, float]]
) -> Plausibility:
    """Forwards for servers whose rates are known, backwards for claimed falls.

    Parameters
    ----------
    claimed_cores : mapping of server to float
        A fall of the CPU, in cores, that somebody published.
    rates : mapping of server to {"disk": requests/s, "network": round trips/s}
        Rates that were recorded.

    Raises
    ------
    DataError
        As `accesses`.
    """
    counted = mean_accesses(counts.rows)
    per = {kind: (counted[EMULATED[kind]], counted[PARAVIRTUAL[kind]]) for kind in EMULATED}
    return Plausibility(
        prices=Prices(exit=EXIT, notification=NOTIFICATION),
        assumptions=ASSUMPTIONS,
        accesses={kind: Accesses(before=before, after=after) for kind, (before, after) in per.items()},
        predicted={
            server: {kind: _predicted(kind, rate, *per[kind]) for kind, rate in of_server.items()}
            for server, of_server in rates.items()
        },
        implied={
            server: ImpliedRates(
                drop_cores=drop,
                disk=_implied("disk", drop, *per["disk"]),
                network=_implied("network", drop, *per["network"]),
            )
            for server, drop in claimed_cores.items()
            if drop > 0
        },
    )


def _predicted(kind: str, rate: float, before: float, after: float) -> Predicted:
    change = dict(predicted_change(rate, before, after))
    return Predicted(kind=kind, rate=rate, **change, **Predicted.said(_PREDICTED, {"rate": rate, **change}))


def _implied(kind: str, drop: float, before: float, after: float) -> Implied:
    rates = dict(implied_rate(drop, before, after))
    return Implied(drop=drop, **rates, **Implied.said(_IMPLIED[kind], {"drop": drop, **rates}))


_PREDICTED = N_(
    "At {rate} operations a second VirtIO would change the host's CPU by about {typical} cores ({low} to {high} with "
    "the cheapest and the dearest exit)."
)
_IMPLIED = {
    "disk": N_(
        "A fall of {drop} cores by disk requests alone needs about {typical} requests a second, all day. With the "
        "dearest exit it needs {high}, with the cheapest {low}."
    ),
    "network": N_(
        "A fall of {drop} cores by network traffic alone needs about {typical} round trips a second, all day. "
        "With the dearest exit it needs {high}, with the cheapest {low}."
    ),
}
