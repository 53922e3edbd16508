"""What differs between two sides, by name: an effect has the name of what differed, and of nothing else."""

from collections.abc import Mapping, Sequence

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.records import Line, Recorded
from virtio_study.pve.ingredients import (
    BALLOON_DRIVER,
    CARD,
    DISK,
    REPORTING,
    UNKNOWN,
    free_page_reporting,
    models_of,
    reporting_offered,
)
from virtio_study.pve.vm_config import conditions
from virtio_study.study import DriverConfiguration, Purpose, Study

__all__ = ["ABOUT", "Differing", "ingredients_of", "settings_of", "what_differs"]

ABOUT: Mapping[Purpose, frozenset[str]] = {
    "total": frozenset({DISK, CARD}),
    "devices": frozenset({DISK, CARD}),
    "instrument": frozenset({BALLOON_DRIVER}),
    "reporting": frozenset({REPORTING}),
    "restart": frozenset(),
    "setting": frozenset(),
}
"""Purpose of a comparison -> the ingredients that it is about; anything else that differs has to be declared."""

LONG = 60
"""Characters of a setting's value from which on only the words that changed are shown."""


class Differing(Recorded):
    """A setting, version or ingredient that differs between two sides or that neither can know.

    A side that does not say is "-".
    """

    name: Line
    before: Line
    after: Line


def ingredients_of(arm: Arm, study: Study) -> dict[str, str]:
    """Ingredient -> what an arm has of it, as observed, else as declared; what neither says is left out."""
    declared, server = study.driver_config(arm.driver_config), study.server(arm.server)
    loaded = _loaded(arm, declared)
    found = {
        DISK: models_of(arm.provenances, DISK, declared.disk),
        CARD: models_of(arm.provenances, CARD, declared.nic),
        BALLOON_DRIVER: None if loaded is None else "loaded" if loaded else "not loaded",
        REPORTING: _reporting(arm, declared, loaded, server.guest_os, server.guest_kernel),
    }
    return {name: value for name, value in found.items() if value is not None}


def _loaded(arm: Arm, declared: DriverConfiguration) -> bool | None:
    """Whether the balloon driver is loaded: its statistics arrive, or the recordings or the protocol say so."""
    said = {item.devices.get("balloon_driver") for item in arm.provenances} - {None}
    if said == {"not loaded"}:
        return False
    instruments = set(arm.steady["mem_instrument"]) if "mem_instrument" in arm.steady.columns else set()
    if said == {"loaded"} or "guest_stats" in instruments:
        return True
    return declared.balloon_driver


def _reporting(
    arm: Arm, declared: DriverConfiguration, loaded: bool | None, guest_os: str | None, guest_kernel: str | None
) -> str | None:
    offered = {reporting_offered(item) for item in arm.provenances} or {None}
    observed = {free_page_reporting(item, loaded, guest_os, guest_kernel) for item in offered}
    if observed != {UNKNOWN}:
        return ", ".join(sorted(observed))
    if declared.free_page_reporting is not None:
        return "on" if declared.free_page_reporting else "off"
    return UNKNOWN if loaded else None


def settings_of(arm: Arm, study: Study) -> dict[str, str]:
    """Every ingredient, setting and version of an arm that is known."""
    return {**ingredients_of(arm, study), **conditions(arm.provenances)}


def what_differs(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Differing, ...]:
    """What differs between the settings of two sides, or is known of neither: ingredients first, then by name."""
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        Differing(name=name, before=first, after=second)
        for name in names
        if before.get(name) != after.get(name) or before.get(name) == UNKNOWN
        for first, second in [_shown(before.get(name), after.get(name))]
    )


def _shown(before: str | None, after: str | None) -> Sequence[str]:
    """Both values; of long ones, only the words that differ."""
    sides = [before or "-", after or "-"]
    if max(map(len, sides)) <= LONG:
        return sides
    words = [side.split() for side in sides]
    return [" ".join(w for w in one if w not in other) or "-" for one, other in (words, words[::-1])]
