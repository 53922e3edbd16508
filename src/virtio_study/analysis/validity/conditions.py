"""Checks of what went on around the measurement: hours, neighbours, drift, interruptions, other changes, the guest."""

from collections.abc import Sequence

from virtio_study.analysis.evidence import FULL, Side
from virtio_study.analysis.ingredients import ABOUT, Differing, what_differs
from virtio_study.analysis.validity.check import Check, checked
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Numbers, Said, said
from virtio_study.study import Purpose

__all__ = [
    "check_co_interventions",
    "check_contention",
    "check_drift",
    "check_guest_memory",
    "check_interruptions",
    "check_plausible_floor",
    "check_same_hours",
    "check_vhost",
]

MOST_BUSY_ROWS = 0.1
MOST_NEIGHBOUR_CHANGE = 0.1
"""The rest of the host may differ between the sides by this share of the host's CPU."""

SHARED_HOURS = 0.5
"""Sides are compared over the hours of the day that both have; with less than this share in common they are not."""

VHOST_COUNTED = (6, 4)
"""Since this kernel vhost's work is done by threads of the QEMU process (Linux commit 6e890c5d5021)."""

WINDOWS_FLOOR_BYTES = 512 * 10**6
"""Least RAM of Windows Server (Microsoft, "Hardware requirements for Windows Server": 512 MB; 2 GB with a desktop)."""


def check_same_hours(before: Side, after: Side) -> Check:
    """Both sides cover the same hours of the week, or the hour cannot matter."""
    numbers: Numbers = {
        "before": len(before.around.hours) if before.around.hours is not None else None,
        "after": len(after.around.hours) if after.around.hours is not None else None,
        "shared": len(before.around.hours & after.around.hours)
        if before.around.hours is not None and after.around.hours is not None
        else None,
    }
    if before.around.scheduled and after.around.scheduled:
        message = N_("The configuration of each block was drawn at random, so no hour of the day favours a side.")
        return checked("same_hours", "pass", message, numbers)
    if before.around.randomised and after.around.randomised:
        message = N_(
            "The boots of both sides ran side by side or in random order, so no hour of the day favours a side."
        )
        return checked("same_hours", "pass", message, numbers)
    if not (before.around.follows_day and after.around.follows_day):
        message = N_(
            "The load is constant by protocol and does not follow the hour, so the sides may have other hours."
        )
        return checked("same_hours", "pass", message, numbers)
    if before.around.hours is None or after.around.hours is None:
        message = N_(
            "The hours and days that each side covers are not stated. A server's work follows the hour and the "
            "day of the week: a quiet stretch after a busy one looks like a saving."
        )
        return checked("same_hours", "not_assessable", message, numbers)
    if before.around.hours == after.around.hours:
        message = N_("Both sides cover the same hours of the week ({before} of 168).")
        return checked("same_hours", "pass", message, numbers)
    numbers = {**numbers, "lacking": _lacking(before, after) + _lacking(after, before)}
    days = [{hour % 24 for hour in side.around.hours or ()} for side in (before, after)]
    if len(days[0] & days[1]) >= SHARED_HOURS * len(days[0] | days[1]):
        message = N_(
            "The sides do not cover the same hours of the week ({shared} in common). Hours of the other side that are "
            "lacking (UTC): {lacking}."
        )
        return checked("same_hours", "warn", message, numbers)
    message = N_(
        "The sides cover different hours: {before} hours of the week before, {after} after, {shared} in common. A "
        "server's work follows the hour. Hours of the other side that are lacking (UTC): {lacking}."
    )
    return checked("same_hours", "fail", message, numbers)


def _lacking(side: Side, other: Side) -> list[Said]:
    """Hours of the week that the other side has and this one lacks, by day."""
    hours = sorted((other.around.hours or frozenset()) - (side.around.hours or frozenset()))
    by_day: dict[int, list[int]] = {}
    for hour in hours:
        by_day.setdefault(hour // 24, []).append(hour % 24)
    message = N_("{config:configuration}: {day:weekday}, {hours} h")
    return [
        said(message, config=side.driver_config, day=str(day), hours=_ranges(of_day)) for day, of_day in by_day.items()
    ]


def _ranges(hours: Sequence[int]) -> str:
    """Hours as ranges from the first's beginning to the last's end, such as 0-3, 9-24."""
    found: list[list[int]] = []
    for hour in hours:
        if found and found[-1][1] == hour:
            found[-1][1] = hour + 1
        else:
            found.append([hour, hour + 1])
    return ", ".join(f"{first}-{end}" for first, end in found)


def check_contention(before: Side, after: Side) -> Check:
    """The rest of the host left both sides alone, and alike."""
    numbers: Numbers = {
        "before": before.around.host_busy,
        "after": after.around.host_busy,
        "before_rows": before.around.host_full,
        "after_rows": after.around.host_full,
        "busy": FULL,
        "margin": MOST_NEIGHBOUR_CHANGE,
    }
    if (
        before.around.host_busy is None
        or after.around.host_busy is None
        or before.around.host_full is None
        or after.around.host_full is None
    ):
        message = N_("The host's own CPU was not recorded, so its other guests may have had more to do on one side.")
        return checked("contention", "not_assessable", message, numbers)
    if max(before.around.host_full, after.around.host_full) > MOST_BUSY_ROWS:
        message = N_(
            "The host was short of CPU: more than {busy:percent} of it was in use in {before_rows:percent} of the "
            "readings before and {after_rows:percent} after. Guests then wait, and their figures are not their own."
        )
        return checked("contention", "warn", message, numbers)
    if abs(after.around.host_busy - before.around.host_busy) > MOST_NEIGHBOUR_CHANGE:
        message = N_(
            "The host as a whole used {before:percent} of its CPU before and {after:percent} after, more of a "
            "change than {margin:percent}. Something beside this server may have disturbed one side."
        )
        return checked("contention", "warn", message, numbers)
    message = N_(
        "The host as a whole used {before:percent} of its CPU before and {after:percent} after, and was never full."
    )
    return checked("contention", "pass", message, numbers)


def check_drift(before: Side, after: Side, margin: float = 0.05) -> Check:
    """No side climbs or falls inside itself by much of what the sides differ by."""
    effect = abs(after.value - before.value)
    worst = max(
        (side for side in (before, after) if side.drift is not None),
        key=lambda side: abs(side.drift.estimate) if side.drift is not None else 0.0,
        default=None,
    )
    numbers: dict[str, float | int | str | None] = {"effect": effect, "margin": margin}
    numbers |= {"unit": before.shown_unit, "scale": before.shown_scale}
    if worst is None or worst.drift is None or before.drift is None or after.drift is None:
        message = N_("No values over time are given, so a side may still have been climbing or falling.")
        return checked("drift", "not_assessable", message, numbers)
    drift = worst.drift
    numbers |= {"drift": drift.estimate, "low": drift.low, "high": drift.high, "driver_config": worst.driver_config}
    real = drift.excludes(0.0)
    if real and abs(drift.estimate) > max(effect / 2, margin * worst.value):
        message = N_(
            "Under {driver_config:configuration} the level moves by {drift:quantity} from the first half to the second "
            "({low:quantity} to {high:quantity}). That is more than half of the difference between the sides "
            "({effect:quantity})."
        )
        return checked("drift", "warn", message, numbers)
    if real:
        message = N_(
            "Under {driver_config:configuration} the level moves by {drift:quantity} from the first half to the second "
            "({low:quantity} to {high:quantity}). That is little beside the difference between the sides, or within "
            "{margin:percent}."
        )
        return checked("drift", "pass", message, numbers)
    message = N_("No drift inside the sides is shown: second half less first half {drift:quantity} at most.")
    return checked("drift", "pass", message, numbers)


def check_interruptions(before: Side, after: Side) -> Check:
    """No restart, backup or gap inside a side; what was found is excluded, and said."""
    if before.around.interruptions is None or after.around.interruptions is None:
        message = N_("A restart, a backup or a gap may lie inside a side: the data do not tell.")
        return checked("interruptions", "not_assessable", message, {"count": None, "reasons": None})
    reasons = {
        (side.driver_config, reason): rows
        for side in (before, after)
        for reason, rows in (side.around.interruptions or {}).items()
    }
    left_out = sum(reasons.values())
    numbers: Numbers = {
        "count": left_out,
        "reasons": [
            said("{config:configuration}: {reason:reason}", config=config, reason=reason) for config, reason in reasons
        ],
    }
    if not reasons:
        message = N_("No restart, contamination or gap lies inside either side.")
        return checked("interruptions", "pass", message, numbers)
    message = plural(
        left_out,
        "{count} reading was left out because the sides were interrupted ({reasons}).",
        "{count} readings were left out because the sides were interrupted ({reasons}).",
    )
    return checked("interruptions", "warn", message, numbers)


def check_co_interventions(
    before: Side, after: Side, purpose: Purpose = "total", with_change: Sequence[str] = ()
) -> Check:
    """Nothing differs between the sides but what the comparison is about, and what goes `with_change` by protocol."""
    first, second = before.around.settings, after.around.settings
    if not first or not second:
        message = N_(
            "It is not said whether anything else changed. That could be the balloon driver, free page reporting, "
            "type of machine or CPU, tablet, cache mode, or the kind of operating system. It could be the version "
            "of Proxmox VE, QEMU or the kernel. Each can change idle CPU or memory as much as a driver."
        )
        return checked("co_interventions", "not_assessable", message, {"changed": None, "known": 0})
    differing = [item for item in what_differs(first, second) if item.before != item.after]
    if back := _backwards([item for item in differing if item.name in ABOUT[purpose]]):
        message = N_("Before and after are swapped: VirtIO was taken away ({changed}); swap them in study.yaml.")
        return checked("co_interventions", "fail", message, {"changed": [_told(item) for item in back], "known": 0})
    apart = [item for item in differing if item.name not in ABOUT[purpose]]
    changed = [item for item in apart if item.name not in with_change]
    mixed = [f"{name}: {value}" for side in (first, second) for name, value in side.items() if ", " in value]
    numbers: Numbers = {
        "changed": [_told(item) for item in changed],
        "by_protocol": [_told(item) for item in apart if item.name in with_change],
        "mixed": "; ".join(dict.fromkeys(mixed)),
        "known": len({*first, *second}),
    }
    devices = purpose in ("total", "devices")
    if changed:
        message = _NOT_ALONE if devices else N_("Something else changed between the sides: {changed}.")
        return checked("co_interventions", "fail", message, numbers)
    if apart:
        message = (
            _NOT_ALONE_BY_PROTOCOL
            if devices
            else N_("By protocol this changed too, and the effect is that of all together: {by_protocol}.")
        )
        return checked("co_interventions", "warn", message, numbers)
    if mixed:
        message = N_("Something else changed inside a side: {mixed}.")
        return checked("co_interventions", "warn", message, numbers)
    message = N_(
        "Of {known} ingredients, settings and versions that are known, nothing else changed between the sides."
    )
    return checked("co_interventions", "pass", message, numbers)


def _backwards(differing: Sequence[Differing]) -> list[Differing]:
    """What a comparison is about, where all that has or had VirtIO lost it."""
    lost = [item for item in differing if _has_virtio(item.before) and not _has_virtio(item.after)]
    gained = [item for item in differing if _has_virtio(item.after) and not _has_virtio(item.before)]
    return lost if lost and not gained else []


def _has_virtio(value: str) -> bool:
    return value.startswith("virtio") or value in ("loaded", "on")


_NOT_ALONE = N_("Not VirtIO's disk or card alone changed, but also: {changed}.")
_NOT_ALONE_BY_PROTOCOL = N_(
    "The effect is not that of VirtIO's disk and card alone: by protocol this changed with them: {by_protocol}."
)


def _told(item: Differing) -> Said:
    return said("{name:setting}: {before:setting} → {after:setting}", **dict(item))


def check_vhost(before: Side, after: Side) -> Check:
    """The CPU figure holds the network's work on both sides: vhost-net is outside it before Linux 6.4.

    Source: Linux commit 6e890c5d5021 (merged for 6.4), "required for correct CPU usage accounting"; qemu-server adds
    `vhost=on` for the model virtio alone (`print_netdev_full`).
    """
    kernel = after.around.host_kernel
    numbers: Numbers = {"kernel": ".".join(map(str, kernel)) if kernel else None, "wanted": "6.4"}
    if kernel is None:
        message = N_(
            "The host's kernel is not known; before Linux {wanted} the work of vhost-net is outside the CPU figure, "
            "which favours VirtIO."
        )
        return checked("vhost", "not_assessable", message, numbers)
    if kernel >= VHOST_COUNTED:
        message = N_("On the host's kernel ({kernel}) the CPU figure holds the work of vhost-net too.")
        return checked("vhost", "pass", message, numbers)
    message = N_(
        "On the host's kernel ({kernel}, before {wanted}) a thread outside the QEMU process does the work of "
        "vhost-net. The work of a VirtIO network card is missing from the CPU figure; that of an emulated card is "
        "in it. Part of a fall is work that moved out of sight."
    )
    return checked("vhost", "warn", message, numbers)


def check_guest_memory(before: Side, after: Side) -> Check:
    """What "free memory" means in this guest is known, and the same on both sides."""
    numbers: Numbers = {"before": before.around.guest_os, "after": after.around.guest_os}
    if before.around.guest_os is None or after.around.guest_os is None:
        message = N_(
            "The guest's operating system is not stated. Used memory is total less free. Linux counts its page "
            "cache as used, Windows counts its standby cache as free: the same figure means different things."
        )
        return checked("guest_memory", "not_assessable", message, numbers)
    if before.around.guest_os != after.around.guest_os:
        message = N_(
            "The guest's operating system changed from {before:os} to {after:os}; their free memory is not the "
            "same thing."
        )
        return checked("guest_memory", "fail", message, numbers)
    if before.around.guest_os == "linux":
        message = N_(
            "A Linux guest counts its page cache as used: a figure of the guest that grows may be a cache filling."
        )
        return checked("guest_memory", "pass", message, numbers)
    message = N_(
        "This guest ({before:os}) does not count memory as Linux does: Windows counts its standby cache as free. The "
        "figure may not be set against that of a Linux guest."
    )
    return checked("guest_memory", "pass", message, numbers)


def check_plausible_floor(before: Side, after: Side) -> Check:
    """No value below what the operating system can do with."""
    least = min((before, after), key=lambda side: side.value)
    numbers: Numbers = {
        "value": least.value,
        "floor": float(WINDOWS_FLOOR_BYTES),
        "driver_config": least.driver_config,
        "unit": least.shown_unit,
        "scale": least.shown_scale,
    }
    if least.value >= WINDOWS_FLOOR_BYTES:
        message = N_("The least value, {value:quantity}, is enough for an operating system.")
        return checked("plausible_floor", "pass", message, numbers)
    if least.around.guest_os == "linux":
        message = N_("The least value, {value:quantity}, is little, but a Linux guest can do with it.")
        return checked("plausible_floor", "pass", message, numbers)
    message = N_(
        "The least value, {value:quantity}, is below the {floor:quantity} that Microsoft states as the least for "
        "Windows Server. Balloon statistics that are old, or of another guest, look like this. Another operating "
        "system could do with it."
    )
    return checked("plausible_floor", "fail" if least.around.guest_os == "windows" else "warn", message, numbers)
