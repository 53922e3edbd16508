"""The protocol of a study: what is asked, of which servers, under which configurations, when; in one YAML file."""

from virtio_study.study.protocol import (
    METRICS,
    SAME_ALLOCATION,
    Comparison,
    DriverConfiguration,
    Endpoint,
    Host,
    LabPlan,
    Load,
    LoadMetric,
    LogEntry,
    Metric,
    Purpose,
    Server,
    Study,
    Text,
    Window,
    load_study,
)
from virtio_study.study.schedule import Block, Law, Schedule, hours_of, within
from virtio_study.study.values import Line

__all__ = [
    "METRICS",
    "SAME_ALLOCATION",
    "Block",
    "Comparison",
    "DriverConfiguration",
    "Endpoint",
    "Host",
    "LabPlan",
    "Law",
    "Line",
    "Load",
    "LoadMetric",
    "LogEntry",
    "Metric",
    "Purpose",
    "Schedule",
    "Server",
    "Study",
    "Text",
    "Window",
    "hours_of",
    "load_study",
    "within",
]
