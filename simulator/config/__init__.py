"""Profiles and rating plans: YAML in, checked and frozen models out, every error with its file and line."""

from simulator.config.dialect import Dialect, shipped_dialects
from simulator.config.distributions import Distribution
from simulator.config.errors import ConfigError
from simulator.config.headers import Headers
from simulator.config.loading import (
    ShippedProfile,
    load_dialect,
    load_plan,
    load_profile,
    rating_plan,
    shipped_profiles,
)
from simulator.config.plan import RatingPlan, Terms
from simulator.config.profile import (
    ConditionChange,
    Connections,
    Load,
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
from simulator.config.schema import profile_json_schema

__all__ = [
    "ConditionChange",
    "ConfigError",
    "Connections",
    "Dialect",
    "Distribution",
    "Headers",
    "Load",
    "Location",
    "NetworkFunction",
    "Plmn",
    "Profile",
    "RatingGroup",
    "RatingPlan",
    "Sandbox",
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
    "load_plan",
    "load_profile",
    "profile_json_schema",
    "rating_plan",
    "shipped_dialects",
    "shipped_profiles",
]
