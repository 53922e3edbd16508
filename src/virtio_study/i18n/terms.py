"""What readers call the codes of results and recordings: a label for every one, by kind, marked for the catalogues.

`TERMS[kind][code]` is the English label; a template says `{x:metric}` for the label of the metric whose code is `x`.
"""

from collections.abc import Mapping

from virtio_study.i18n.marks import N_

__all__ = ["TERMS"]

METRICS = {
    "cpu": N_("CPU"),
    "mem_displayed": N_("RAM displayed"),
    "mem_host": N_("RAM spent by the host"),
    "mem_guest": N_("RAM demanded by the guest"),
    # what the published study says of its host and its servers
    "logical_cpus": N_("processors of the host"),
    "clock": N_("clock of the processor"),
    "host_memory": N_("RAM of the host"),
    "hypervisor_version": N_("version of the hypervisor"),
    "vcpus": N_("virtual processors of a server"),
    "vm_memory": N_("RAM of a server"),
    "vm_disk": N_("disk of a server"),
    "overcommit": N_("virtual cores for each core"),
}

COLUMNS = {
    "time": N_("time"),
    "step_s": N_("seconds of a row"),
    "cpu_cores": N_("CPU (cores)"),
    "cpu_allocated_cores": N_("CPU, allocated (cores)"),
    "mem_displayed_bytes": N_("RAM displayed (bytes)"),
    "mem_instrument": N_("instrument of the displayed RAM"),
    "mem_host_bytes": N_("RAM spent by the host (bytes)"),
    "mem_host_instrument": N_("instrument of the host's RAM"),
    "mem_guest_bytes": N_("RAM demanded by the guest (bytes)"),
    "mem_guest_instrument": N_("instrument of the guest's RAM"),
    "mem_allocated_bytes": N_("RAM, allocated (bytes)"),
    "disk_read_bytes_per_s": N_("bytes read from disk a second"),
    "disk_write_bytes_per_s": N_("bytes written to disk a second"),
    "net_in_bytes_per_s": N_("bytes received a second"),
    "net_out_bytes_per_s": N_("bytes sent a second"),
    "uptime_s": N_("seconds since start"),
    "consolidation": N_("consolidation of a row"),
    "cpu_schedstat_cores": N_("CPU by the scheduler (cores)"),
    "node_cpu_cores": N_("CPU of the host (cores)"),
    "mem_host_rss_scaled_bytes": N_("host's RAM, RSS scaled (bytes)"),
    "mem_host_pss_bytes": N_("host's RAM, PSS (bytes)"),
    "mem_host_cgroup_bytes": N_("host's RAM, cgroup (bytes)"),
    "disk_reads_per_s": N_("disk reads a second"),
    "disk_writes_per_s": N_("disk writes a second"),
    "requests_offered_per_s": N_("requests offered a second"),
    "requests_answered_per_s": N_("requests answered a second"),
    "pressure_cpu_some_percent": N_("pressure on CPU (%)"),
    "pressure_io_some_percent": N_("pressure on disks (%)"),
    "pressure_memory_some_percent": N_("pressure on RAM (%)"),
}

UNITS = {
    "": "",
    "%": "%",
    "s": "s",
    "ms": "ms",
    "core": N_("core"),
    "cores": N_("cores"),
    "bytes": N_("bytes"),
    "share": N_("share"),
    "B": "B",
    "KB": "KB",
    "MB": "MB",
    "GB": "GB",
    "KiB": "KiB",
    "MiB": "MiB",
    "GiB": "GiB",
    "GHz": "GHz",
    "s/MiB": "s/MiB",
    "CPUs": N_("CPUs"),
    "version": N_("version"),
    "vCPU per core": N_("vCPU per core"),
}

VERDICTS = {
    "believable": N_("believable"),
    "with_reservations": N_("with reservations"),
    "not_believable": N_("not believable"),
    "not_an_effect": N_("not an effect"),
    "counted": N_("exact count"),
}

MEANINGS = {
    "believable": N_("Every check passed: the same measure, the same load, enough data and nothing in between."),
    "with_reservations": N_("No check failed, but some could not be made or raise a doubt. The reasons are given."),
    "not_believable": N_("At least one check failed, so the number may be wrong. The reason is given."),
    "not_an_effect": N_("Before and after, different things were measured. Their difference says nothing of drivers."),
    "counted": N_("Counted one by one, and the same in every repetition."),
}

STATUSES = {
    "pass": N_("passed"),
    "warn": N_("warning"),
    "fail": N_("failed"),
    "not_assessable": N_("not assessable"),
}

EFFECTS = {
    "estimated": N_("estimated"),
    "instrument_switch": N_("switch of instruments"),
    "emulator_only": N_("the emulator's own"),
    "not_estimable": N_("not estimable"),
}

CHECKS = {
    "same_instrument": N_("same instrument"),
    "possible_values": N_("possible values"),
    "same_statistic": N_("same statistic"),
    "same_allocation": N_("same allocation"),
    "same_load": N_("same load"),
    "same_hours": N_("same hours"),
    "enough_replicates": N_("enough boots"),
    "enough_rows": N_("enough readings"),
    "drift": N_("drift"),
    "order": N_("order of boots"),
    "contention": N_("contention"),
    "interruptions": N_("interruptions"),
    "co_interventions": N_("other changes"),
    "adherence": N_("schedule kept"),
    "carry_over": N_("carry-over"),
    "quantum": N_("smallest step"),
    "vhost": N_("work of vhost-net"),
    "accelerator": N_("accelerator"),
    "guest_memory": N_("memory of the guest"),
    "plausible_floor": N_("plausible floor"),
    "table_differences": N_("differences of the table"),
    "repetitions": N_("repeated values"),
    "caption": N_("captions"),
    "start_up": N_("start-up"),
}

PERIODS = {"transient": N_("start-up"), "steady": N_("steady"), "excluded": N_("left out")}

WEEKDAYS = (
    N_("Monday"),
    N_("Tuesday"),
    N_("Wednesday"),
    N_("Thursday"),
    N_("Friday"),
    N_("Saturday"),
    N_("Sunday"),
)

REASONS = {
    # why rows are not analysed
    "": N_("steady"),
    "start-up": N_("start-up"),
    "before the load": N_("before the load"),
    "wash-out": N_("wash-out"),
    "restart": N_("restart"),
    "no steady state": N_("no steady state"),
    "gap": N_("gap"),
    "outside the window": N_("outside the window"),
    "another instrument": N_("another instrument"),
    "not measured": N_("not measured"),
    "not recorded": N_("not recorded"),
    # what went on meanwhile
    "backup": N_("backup"),
    "migration": N_("migration"),
    "snapshot": N_("snapshot"),
    "clone": N_("clone"),
    "disk moved": N_("disk moved"),
    "disk resized": N_("disk resized"),
    "paused": N_("paused"),
    "suspended": N_("suspended"),
    "resumed": N_("resumed"),
    "not running": N_("not running"),
    "QEMU did not answer": N_("QEMU did not answer"),
    "stood still": N_("stood still"),
    "pvestatd restarted": N_("pvestatd restarted"),
    "configuration changed": N_("configuration changed"),
    "disk counter fell back": N_("disk counter fell back"),
    "host reboot": N_("host reboot"),
    "impossible value": N_("impossible value"),
    "another allocation": N_("another allocation"),
    "Proxmox VE upgraded": N_("Proxmox VE upgraded"),
    "balloon statistics began": N_("balloon statistics began"),
    "balloon statistics ended": N_("balloon statistics ended"),
}

INSTRUMENTS = {
    "guest_stats": N_("guest, by balloon statistics"),
    "guest_agent": N_("guest, by its own /proc/meminfo"),
    "host_rss_scaled": N_("host, RSS scaled by address space"),
    "host_pss": N_("host, PSS"),
    "host_cgroup": N_("host, cgroup"),
    "process_ticks": N_("CPU ticks of the QEMU process"),
    "mixed": N_("more than one"),
    "unknown": N_("not known"),
}

STATISTICS = {
    "sustained mean": N_("sustained mean"),
    "stated": N_("stated"),
    "sustained": N_("sustained"),
    "sustained (read by eye)": N_("sustained (read by eye)"),
    "minimum sustained (read by eye)": N_("minimum sustained (read by eye)"),
    "maximum (read by eye)": N_("maximum (read by eye)"),
    "start-up": N_("start-up"),
    "as its figure": N_("as its figure"),
    "difference": N_("difference"),
}

PLACES = {
    "Text": N_("Text"),
    "Text, host": N_("Text, host"),
    "Text, allocation of a virtual server": N_("Text, allocation of a virtual server"),
    "Text, overcommit criterion": N_("Text, overcommit criterion"),
    "Figure 1 and text": N_("Figure 1 and text"),
    "Figure 2 and text": N_("Figure 2 and text"),
    "Figure 3 and text": N_("Figure 3 and text"),
    "Figure 4 and text": N_("Figure 4 and text"),
    "Figure 5 and text": N_("Figure 5 and text"),
    "Figure 6 and text": N_("Figure 6 and text"),
    "Figure 7 and text": N_("Figure 7 and text"),
    "Figure 8 and text": N_("Figure 8 and text"),
    "Table 1": N_("Table 1"),
}

PROCESSES = {
    "AR(1) .9 + spikes": N_("AR(1) .9 + spikes"),
    "AR(1) .95 + white noise": N_("AR(1) .95 + white noise"),
    "AR(1) .99 + white noise": N_("AR(1) .99 + white noise"),
    "AR(1) .95 sd 1, then .5 sd .2": N_("AR(1) .95 sd 1, then .5 sd .2"),
    "AR(2), cycle of 10 rows": N_("AR(2), cycle of 10 rows"),
    "a level for every day": N_("a level for every day"),
    "lengths 4 : 1, AR(1) .95": N_("lengths 4 : 1, AR(1) .95"),
    "lognormal AR(1) .9": N_("lognormal AR(1) .9"),
    "long memory, d = .3": N_("long memory, d = .3"),
}

DEVICES = {
    "disk": N_("disk"),
    "network": N_("network"),
    "cdrom": N_("CD drive"),
    "display": N_("display"),
    "pointer": N_("pointer"),
    "balloon": N_("balloon"),
    "agent": N_("agent"),
    "random": N_("random numbers"),
    "files": N_("files"),
    "sound": N_("sound"),
    "serial": N_("serial line"),
}

HEADINGS = {
    "vmid": N_("number"),
    "name": N_("name"),
    "node": N_("node"),
    "status": N_("status"),
    "template": N_("template"),
    "kind": N_("kind"),
    "key": N_("key"),
    "model": N_("model"),
    "device_class": N_("class"),
    "hidden": N_("may hide devices"),
    "displayed": N_("displayed"),
    "host": N_("host"),
    "guest": N_("guest"),
    "share": N_("of its allocation"),
    "instrument": N_("made by"),
    "other": N_("not VirtIO"),
    "note": N_("note"),
    "error": N_("error"),
    **{kind: DEVICES[kind] for kind in ("disk", "network", "balloon")},
}

POWER = {
    "running": N_("running"),
    "stopped": N_("stopped"),
    "paused": N_("paused"),
    "hung": N_("hung (QEMU does not answer)"),
    "io-error": N_("paused by an error of its storage"),
    "prelaunch": N_("not started yet"),
    "internal-error": N_("paused by an error of QEMU"),
    "watchdog": N_("paused by its watchdog"),
    "shutdown": N_("shut down, its process still there"),
    "suspended": N_("asleep"),
    "guest-panicked": N_("stopped by a panic of its system"),
    "unknown": N_("not known"),
}

BALLOON = {
    "loaded": N_("driver loaded"),
    "not loaded": N_("driver not loaded"),
    "off": N_("no balloon device"),
    "device": N_("device, server off"),
    "stale statistics": N_("stale statistics"),
    "statistics": N_("statistics"),
    "silent driver": N_("silent driver"),
    "no driver": N_("no driver"),
    "no balloon": N_("no balloon"),
    "row, host": N_("row, host"),
    "row, guest": N_("row, guest"),
    "not told": N_("not told"),
}

CAUSES = {
    "refused": N_("refused"),
    "user or password refused": N_("user or password refused"),
    "connection refused": N_("connection refused"),
    "connection lost": N_("connection lost"),
    "no connection in time": N_("no connection in time"),
    "no answer in time": N_("no answer in time"),
    "the host's name is not known": N_("the host's name is not known"),
    "the answer is empty": N_("the answer is empty"),
    "the answer is longer than 16 MiB": N_("the answer is longer than 16 MiB"),
    "the answer is damaged": N_("the answer is damaged"),
    "the answer is compressed in a way that was not asked for": N_(
        "the answer is compressed in a way that was not asked for"
    ),
    "the answer is not JSON with data": N_("the answer is not JSON with data"),
    "no server of the study is shown": N_("no server of the study is shown"),
}
"""Why a host gave no answer, in our words; in its own words it says more."""

SETTINGS = {
    "balloon driver": N_("balloon driver"),
    "free page reporting": N_("free page reporting"),
    "disk": N_("disk"),
    "card": N_("network card"),
    "instrument": N_("instrument alone"),
    "loaded": N_("loaded"),
    "not loaded": N_("not loaded"),
    "on": N_("on"),
    "off": N_("off"),
    "not known": N_("not known"),
    "-": N_("not set"),
    "args": N_("QEMU arguments"),
    "running machine": N_("machine version in use"),
}
"""Ingredients of a change to VirtIO and what a server has of them; other settings keep Proxmox VE's names."""

INGREDIENTS = {
    "balloon driver": N_("the balloon driver"),
    "free page reporting": N_("free page reporting"),
    "disk": N_("the disk"),
    "card": N_("the network card"),
}
"""Ingredients of a change as they stand inside a sentence."""

TERMS: Mapping[str, Mapping[str, str]] = {
    "metric": METRICS,
    "column": COLUMNS,
    "unit": UNITS,
    "verdict": VERDICTS,
    "meaning": MEANINGS,
    "status": STATUSES,
    "effect": EFFECTS,
    "check": CHECKS,
    "period": PERIODS,
    "reason": REASONS,
    "instrument": INSTRUMENTS,
    "statistic": STATISTICS,
    "place": PLACES,
    "process": PROCESSES,
    "cause": CAUSES,
    "balloon": BALLOON,
    "kind": DEVICES,
    "heading": HEADINGS,
    "setting": SETTINGS,
    "ingredient": INGREDIENTS,
    "class": {"emulated": N_("emulated"), "virtio": "VirtIO", "other": N_("other"), "unknown": N_("not known")},
    "truth": {"True": N_("yes"), "False": N_("no")},
    "power": POWER,
    "direction": {"to VirtIO": N_("to VirtIO"), "from VirtIO": N_("away from VirtIO"), "other": N_("other")},
    "weekday": dict(zip("0123456", WEEKDAYS, strict=True)),
    "os": {"linux": "Linux", "windows": "Windows", "other": N_("another operating system")},
    "view": {"guest": N_("guest"), "host": N_("host"), "unknown": N_("not known")},
    "recording": {"measured": N_("measured"), "emulated": N_("emulated"), "simulated": N_("simulated")},
}
"""Kind -> code -> label. Codes that are not here are names and words of the study itself."""
