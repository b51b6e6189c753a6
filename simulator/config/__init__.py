"""Profiles and rating plans: YAML in, checked and frozen models out, every error with its file and line."""

from simulator.config.dialect import Dialect, shipped_dialects
from simulator.config.distributions import Distribution
from simulator.config.errors import ConfigError
from simulator.config.faults import Fault, FaultFile, NotifyStorm, Servers
from simulator.config.headers import Headers
from simulator.config.load import Load
from simulator.config.loading import (
    ShippedProfile,
    load_dialect,
    load_faults,
    load_plan,
    load_profile,
    rating_plan,
    shipped_profiles,
)
from simulator.config.plan import RatingPlan, Terms
from simulator.config.profile import (
    ConditionChange,
    Connections,
    Location,
    NetworkFunction,
    Plmn,
    Profile,
    RatingGroup,
    Sandbox,
    Slice,
    Subscribers,
    TimeGroup,
    Timeouts,
    UnitsGroup,
    Usage,
    VolumeGroup,
)
from simulator.config.quirks import QUIRKS, Quirks
from simulator.config.schema import profile_json_schema

__all__ = [
    "QUIRKS",
    "ConditionChange",
    "ConfigError",
    "Connections",
    "Dialect",
    "Distribution",
    "Fault",
    "FaultFile",
    "Headers",
    "Load",
    "Location",
    "NetworkFunction",
    "NotifyStorm",
    "Plmn",
    "Profile",
    "Quirks",
    "RatingGroup",
    "RatingPlan",
    "Sandbox",
    "Servers",
    "ShippedProfile",
    "Slice",
    "Subscribers",
    "Terms",
    "TimeGroup",
    "Timeouts",
    "UnitsGroup",
    "Usage",
    "VolumeGroup",
    "load_dialect",
    "load_faults",
    "load_plan",
    "load_profile",
    "profile_json_schema",
    "rating_plan",
    "shipped_dialects",
    "shipped_profiles",
]
