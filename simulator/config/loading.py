"""From a name or a path to a checked model. Everything that can be wrong on the way is a ConfigError."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from simulator.config.dialect import Dialect, shipped_dialect
from simulator.config.document import Document, read
from simulator.config.errors import ConfigError, Wrong, did_you_mean
from simulator.config.faults import FaultFile, wrong_counters
from simulator.config.model import Model, problems
from simulator.config.overrides import override
from simulator.config.plan import RatingPlan
from simulator.config.profile import Profile
from simulator.config.replay import find_replays, read_replays

PACKAGE = Path(__file__).resolve().parent.parent
DEFAULT_PLAN = Path(__file__).resolve().parent / "default_plan.yaml"
MOST_OCTETS = 2_000_000
FILES = (
    ("authentication", "token", "file"),
    ("authentication", "client_secret", "file"),
    ("notify", "tls", "certificate"),
    ("notify", "tls", "key"),
)
"""Places of a profile that name a file."""

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedProfile:
    """A profile that comes with the package."""

    name: str
    path: Path


def shipped_profiles() -> list[ShippedProfile]:
    """By name. A wheel has them in the package, a checkout beside it."""
    folder = next((each for each in (PACKAGE / "profiles", PACKAGE.parent / "profiles") if each.is_dir()), None)
    names = sorted(path.stem for path in folder.glob("*.yaml")) if folder else []
    return [ShippedProfile(name=name, path=folder / f"{name}.yaml") for name in names if folder]


def load_profile(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Profile:
    """The profile of that name or in that file, with `path=value` overrides applied. Raises ConfigError."""
    path = locate_profile(name_or_path)
    document = read_file(path)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{document.source}: expected a profile, a mapping of names to values")
    document.value.setdefault("name", _name_of(path))
    _resolve(document, path.parent)
    _resolve_files(document, path.parent)
    find_replays(document, path.parent)
    override(document, overrides)
    read_replays(document)
    _read_dialect(document)
    profile = checked(Profile, document)
    _check_sandbox(profile, document)
    return profile


def load_plan(path: str | Path | None = None) -> RatingPlan:
    """The rating plan in that file; the default one without a file. Raises ConfigError."""
    document = read_file(Path(path) if path is not None else DEFAULT_PLAN)
    if isinstance(document.value, dict):
        document.value.setdefault("name", _name_of(Path(document.source)))
    return checked(RatingPlan, document)


def load_dialect(name_or_path: str | Path) -> Dialect:
    """The shipped dialect of that name, or the one in that file. Raises ConfigError."""
    if not isinstance(name_or_path, Path) and not _is_file(name_or_path):
        try:
            return shipped_dialect(name_or_path)
        except PydanticCustomError as error:
            raise ConfigError(error.message()) from None
    document = read_file(Path(name_or_path))
    if not isinstance(document.value, dict):
        raise ConfigError(f"{document.source}: expected a dialect, a mapping of names to values")
    document.value.setdefault("name", _name_of(Path(name_or_path)))
    return checked(Dialect, document)


def load_faults(path: str | Path) -> FaultFile:
    """The faults (and servers) in that file. Raises ConfigError."""
    return checked(FaultFile, read_file(Path(path)))


def rating_plan(profile: Profile) -> RatingPlan:
    """The plan that the profile's sandbox charges by, with the profile's own settings. Raises ConfigError."""
    wanted = profile.sandbox
    plan = load_plan(None if wanted.plan == "default" else wanted.plan)
    changes: dict[str, Any] = {"balances": plan.balances | wanted.balances}
    if wanted.unknown_subscriber is not None:
        changes["unknown_subscriber"] = wanted.unknown_subscriber
    return plan.model_copy(update=changes)


def read_file(path: Path) -> Document:
    """The document in a file. Raises ConfigError."""
    return read(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text in a file, of a bounded size. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(octets) > MOST_OCTETS:
        raise ConfigError(f"{path}: larger than {MOST_OCTETS:,} octets")
    return text


def checked(model: type[M], document: Document) -> M:
    """The document as a model; ConfigError lists all that is wrong with it."""
    try:
        return model.model_validate(document.value)
    except ValidationError as invalid:
        raise ConfigError(problems(invalid, document)) from None


def _check_sandbox(profile: Profile, document: Document) -> None:
    """The plan's own problems carry the plan's own file name."""
    plan, balances = profile.sandbox.plan, profile.sandbox.balances
    if plan != "default" and not Path(plan).exists():
        raise ConfigError(document.problem(("sandbox", "plan"), f"no file {plan}"))
    counters = load_plan(None if plan == "default" else plan).balances
    wrong: list[Wrong] = [
        (("balances", name), f'no balance "{name}"{did_you_mean(name, counters)}')
        for name in balances
        if name not in counters
    ]
    wrong += [(("faults", *place), text) for place, text in wrong_counters(profile.sandbox.faults, counters)]
    if wrong:
        raise ConfigError(document.problem(("sandbox", *place), text) for place, text in wrong)


def locate_profile(name_or_path: str | Path) -> Path:
    """Return the file of a shipped profile's name, or the path as it is. Raises ConfigError."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or "\\" in text or text.endswith((".yaml", ".yml")):
        return Path(text)
    shipped = {each.name: each.path for each in shipped_profiles()}
    if text in shipped:
        return _relative(shipped[text])
    raise ConfigError(
        f'no profile "{text}"{did_you_mean(text, shipped)} (a file of your own needs its path, ./{text}.yaml)'
    )


def _name_of(path: Path) -> str:
    """A name made of the file's: `my demo.yaml` is `my-demo`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64] or "unnamed"


def _relative(path: Path) -> Path:
    """As short as a user would write it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _resolve(document: Document, folder: Path) -> None:
    """Files named in a file are beside the file; those named on the command line are where the command runs."""
    sandbox = document.value.get("sandbox")
    if isinstance(sandbox, dict) and isinstance(sandbox.get("plan"), str) and sandbox["plan"] != "default":
        sandbox["plan"] = str(folder / sandbox["plan"])
    dialect = document.value.get("dialect")
    if _is_file(dialect):
        document.value["dialect"] = str(folder / dialect)


def _is_file(dialect: Any) -> bool:
    return isinstance(dialect, str) and ("/" in dialect or "\\" in dialect or dialect.endswith((".yaml", ".yml")))


def _read_dialect(document: Document) -> None:
    """A dialect's own problems carry its own file name; the profile then holds all of it, for other processes."""
    dialect = document.value.get("dialect")
    if _is_file(dialect):
        document.value["dialect"] = load_dialect(dialect)


def _resolve_files(document: Document, folder: Path) -> None:
    """Like a plan, every other file that a profile names is beside it."""
    for *sections, name in FILES:
        section = document.value
        for each in sections:
            section = section.get(each) if isinstance(section, dict) else None
        if isinstance(section, dict) and isinstance(section.get(name), str):
            section[name] = str(folder / section[name])
