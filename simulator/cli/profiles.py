"""`smfleet profiles`: what there is, what is in it, whether it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from simulator.config import load_profile, profile_json_schema, shipped_profiles
from simulator.config.loading import locate_profile, read_text
from simulator.config.profile import Profile
from simulator.report.layout import indented
from simulator.run.options import RunError

app = typer.Typer(help="List, show and check profiles.", invoke_without_command=True, no_args_is_help=False)

Name = Annotated[str, typer.Argument(help="A shipped profile's name, or a file.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field.")]


@app.callback()
def list_by_default(context: typer.Context) -> None:
    """Without a subcommand, list the shipped profiles."""
    if context.invoked_subcommand is None:
        list_profiles()


@app.command("list")
def list_profiles() -> None:
    """List the shipped profiles."""
    console = Console(highlight=False)
    profiles = [load_profile(shipped.name) for shipped in shipped_profiles()]
    width = max(len(profile.name) for profile in profiles)
    for profile in profiles:
        first = " ".join(profile.description.split()).partition(". ")[0].removesuffix(".")
        facts = f"{load_in_words(profile)}, {pace_in_words(profile)}"
        console.print(Text.assemble((profile.name.ljust(width + 2), "bold"), (facts, "dim")))
        console.print(indented(Text(first)))
    console.print(Text("\nsmfleet profiles show NAME tells the rest, and what to look at.", "dim"))


def load_in_words(profile: Profile) -> str:
    """The load of a profile, in a few words."""
    load = profile.load
    if load.mode == "open" and load.most_per_s:
        size = f"{load.rate:g}/s" if load.rate else f"up to {load.most_per_s:g}/s"
    else:
        size = f"{load.most_devices or load.start_open:,} devices"
    much = f"{load.sessions:,} sessions" if load.sessions else f"{load.planned_s:g} s"
    return f"{size}, {much}"


def pace_in_words(profile: Profile) -> str:
    """The pace of a profile as it is written."""
    return "flat-out" if profile.pace is None else f"{profile.pace:g}x"


@app.command("show")
def show(name: Name) -> None:
    """Show a profile's file."""
    console = Console()
    text = read_text(locate_profile(name))
    if console.is_terminal:
        console.print(Syntax(text, "yaml", background_color="default"))
    else:
        typer.echo(text, nl=False)


@app.command("validate")
def validate(name: Name, overrides: Overrides = None) -> None:
    """Check a profile; every problem is named with its line."""
    profile = load_profile(name, overrides or ())
    typer.echo(
        f"{profile.name}: valid ({load_in_words(profile)}, {pace_in_words(profile)}, {len(profile.usages)} usages)"
    )


@app.command("schema")
def schema(out: Annotated[Path | None, typer.Option(help="File to write; default: stdout.")] = None) -> None:
    """Export the JSON Schema of profiles, for editors."""
    text = orjson.dumps(profile_json_schema(), option=orjson.OPT_INDENT_2).decode()
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(f"--out {out}: {error.strerror}") from None
