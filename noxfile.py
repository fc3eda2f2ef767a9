"""Everything you run in this repository. Needs Python >= 3.11 and nothing else:

    python3 noxfile.py                  the whole check: style, types, architecture, contract, tests, stack
    python3 noxfile.py demo             a phone call in your terminal
    python3 noxfile.py tests -k name    one session; what follows goes to its program
    python3 noxfile.py --list           all sessions

Run like that it makes .venv beside this file, puts nox there and runs itself again by `nox`. All sessions
share that one environment (.venv/bin/python is also what your editor wants), filled from requirements/*.txt,
where every package is pinned with its hashes. Nothing is installed when nothing changed: a stamp in .venv
tells.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must still be able to read this file up to here
    sys.exit(
        "Bolti needs Python 3.11 or newer; this is %d.%d (%s). Run this file with a newer one, "  # noqa: UP031
        "for example: python3.12 noxfile.py"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = str(BIN / "python")
REQUIREMENTS = ROOT / "requirements"
BOOTSTRAP = REQUIREMENTS / "bootstrap.txt"
PACKAGES = ("sdk", "server")
TAKES_WORDS = ("bench",)

NO_INSTALLER = """\
This Python ({python}) can make an environment but can't install anything into it: it has neither `ensurepip`
nor `pip`, and there is no `uv` on PATH. Install one of them and run this again. On Debian and Ubuntu:

    apt install python3-venv
"""


# ---- As a plain script: make .venv with nox in it, and go on there ----


def fingerprint(*files: Path) -> str:
    """Of these files and of the Python that .venv was made with."""
    digest = hashlib.sha256()
    for file in (VENV / "pyvenv.cfg", *files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def stamp(name: str) -> Path:
    return VENV / f".bolti-{name}"


def is_stamped(name: str, value: str) -> bool:
    return stamp(name).exists() and stamp(name).read_text(encoding="ascii") == value


def make_venv() -> None:
    """`.venv` with pip in it, or without where Debian keeps ensurepip in a package of its own."""
    print(f"Making {VENV} …", flush=True)
    options = [] if has_module("ensurepip") else ["--without-pip"]
    subprocess.run([sys.executable, "-m", "venv", "--clear", *options, str(VENV)], check=True)


def has_module(name: str, python: str = sys.executable) -> bool:
    found = subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False)
    return found.returncode == 0


def installer() -> list[str]:
    """The command that installs into .venv, whichever this machine has."""
    if has_module("pip", PYTHON):
        return [PYTHON, "-m", "pip", "install"]
    if has_module("uv", PYTHON):
        return [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON]
    if has_module("pip"):
        return [sys.executable, "-m", "pip", "--python", PYTHON, "install"]
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", PYTHON]
    sys.exit(NO_INSTALLER.format(python=sys.executable))


def as_nox_arguments(arguments: list[str]) -> list[str]:
    """`tests -k name` becomes `-s tests -- -k name`: leading words are sessions, the rest is for their
    program, and so are words after the name of a session that takes words (`bench rooms`)."""
    sessions: list[str] = []
    while arguments and not arguments[0].startswith("-") and not set("/.:") & set(arguments[0]):
        sessions.append(arguments.pop(0))
        if sessions[-1] in TAKES_WORDS:
            break
    if not sessions:
        return arguments
    rest = [] if not arguments else arguments if arguments[0] == "--" else ["--", *arguments]
    return ["-s", *sessions, *rest]


def go_on_in_own_environment() -> None:
    """Replaces this process; doesn't return."""
    if not BIN.joinpath("python").exists() or subprocess.call([PYTHON, "-c", ""]) != 0:
        make_venv()
    wanted = fingerprint(BOOTSTRAP)
    if not is_stamped("bootstrap", wanted):
        print("Installing nox and uv into .venv …", flush=True)
        quiet = ["--quiet"]
        done = subprocess.run(
            [*installer(), *quiet, "--require-hashes", "-r", str(BOOTSTRAP)], check=False
        )
        if done.returncode != 0:
            sys.exit(
                "That failed; the lines above say why. Is a package index reachable (PIP_INDEX_URL)?"
            )
        stamp("bootstrap").write_text(wanted, encoding="ascii")
    command = [PYTHON, "-m", "nox", "--noxfile", __file__, *as_nox_arguments(sys.argv[1:])]
    os.execv(PYTHON, command)


if __name__ == "__main__":
    go_on_in_own_environment()


# ---- As nox's file: the sessions ----

import nox  # noqa: E402 - a plain Python doesn't have it; only what runs in .venv gets here

nox.options.sessions = ["check"]
nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False

RUNTIME = [BOOTSTRAP, REQUIREMENTS / "runtime.txt"]
DEV = [REQUIREMENTS / "dev.txt"]
OTHER_PYTHONS = ("3.12", "3.13")


def install(session: nox.Session, level: str = "dev") -> None:
    """Fill .venv for the programs (`runtime`) or also for tests and linters (`dev`); at once if that is done
    already."""
    files = DEV if level == "dev" else RUNTIME
    projects = [ROOT / name / "pyproject.toml" for name in PACKAGES]
    if level == "runtime" and is_stamped("installed", "dev " + fingerprint(*DEV, *projects)):
        return
    wanted = f"{level} {fingerprint(*files, *projects)}"
    if is_stamped("installed", wanted):
        return
    count = sum(1 for file in files for line in file.read_text().splitlines() if "==" in line)
    session.log(f"Installing {count} pinned packages into .venv (a minute or two the first time) …")
    stamp("installed").unlink(missing_ok=True)
    fill(session, PYTHON, files)
    stamp("installed").write_text(wanted, encoding="ascii")


def fill(session: nox.Session, python: str, files: list[Path]) -> None:
    """Exactly these packages, and ours from the work tree."""
    uv = [PYTHON, "-m", "uv", "pip"]
    hush = {"UV_LINK_MODE": "copy"}  # the cache may lie on another disk; uv would warn on every run
    session.run(
        *uv, "sync", "--quiet", "--python", python, "--require-hashes", *map(str, files), env=hush
    )
    editable = [part for name in PACKAGES for part in ("-e", str(ROOT / name))]
    options = ["--no-deps", "--no-build-isolation", "--quiet"]
    session.run(*uv, "install", "--python", python, *options, *editable, env=hush)


def run(session: nox.Session, module: str, *arguments: str, with_posargs: bool = True) -> None:
    session.run(PYTHON, "-m", module, *arguments, *(session.posargs if with_posargs else ()))


@nox.session
def check(session: nox.Session) -> None:
    """The whole check: style, types, architecture, contract, tests, stack. What CI runs."""
    install(session)
    for part in (style, types, architecture, contract, tests, stack):
        session.notify(part.__name__)


@nox.session
def style(session: nox.Session) -> None:
    """Ruff: lint and format. `style --fix` repairs what can be repaired."""
    install(session)
    fixes = "--fix" in session.posargs
    run(session, "ruff", "check", *(["--fix"] if fixes else []), ".", with_posargs=False)
    run(session, "ruff", "format", *([] if fixes else ["--check"]), ".", with_posargs=False)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy (strict) on the server, pyright (strict) on the SDK."""
    install(session)
    run(session, "mypy", with_posargs=False)
    run(session, "pyright", with_posargs=False)


@nox.session
def architecture(session: nox.Session) -> None:
    """Who may import whom (import-linter), sizes of files and functions, who writes which table."""
    install(session)
    session.run(str(BIN / "lint-imports"))
    run(session, "pytest", "-q", "tests/server/architecture", with_posargs=False)


@nox.session
def contract(session: nox.Session) -> None:
    """Whether what is made is up to date: types from the contract, the SDK's sync face, the scenarios' pictures."""
    install(session)
    session.run(PYTHON, "tools/generate.py", "--check")
    session.run(PYTHON, "tools/unasync.py", "--check")
    session.run(PYTHON, "tools/draw_scenarios.py", "--check")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests (the contract's conformance too) on a real PostgreSQL, but those of the stack. `tests -k name` runs some."""
    install(session)
    run(session, "pytest")


@nox.session
def stack(session: nox.Session) -> None:
    """Calls through a real livekit-server, in a network namespace of its own: installs what it needs (tools/stack.py).
    `stack -k name` runs some. With a `livekit-sip` on PATH also through real SIP."""
    install(session)
    session.run(PYTHON, "tools/stack.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """A phone call in your terminal: server, worker, database and callee, no key and no account."""
    install(session, "runtime")
    run(session, "bolti_server.entrypoints.cli", "demo")


@nox.session
def dev(session: nox.Session) -> None:
    """Server and worker until Ctrl-C; prints the URL, a key and what to try."""
    install(session, "runtime")
    run(session, "bolti_server.entrypoints.cli", "dev")


@nox.session
def bench(session: nox.Session) -> None:
    """Measurements, as ratios within one run, into bench/RESULTS.md."""
    install(session)
    session.run(PYTHON, "-m", "bench.run", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """The contract's own fuzz against the real server: 20,000 requests. `fuzz --requests 2000` makes fewer."""
    install(session)
    session.run(PYTHON, "tools/fuzz.py", *session.posargs)


@nox.session
def tests_other_pythons(session: nox.Session) -> None:
    """All tests on 3.12 and 3.13 where they are found (in .nox/python-X.Y)."""
    install(session)
    missing: list[str] = []
    for version in OTHER_PYTHONS:
        base = find_python(version)
        if base is None:
            missing.append(version)
            session.warn(f"PYTHON {version} WAS NOT FOUND: NOT TESTED ON IT")
            continue
        venv = ROOT / ".nox" / f"python-{version}"
        python = str(venv / "bin" / "python")
        if not Path(python).exists():
            session.run(PYTHON, "-m", "uv", "venv", "--quiet", "--python", base, str(venv))
        session.log(f"Python {version} ({base})")
        fill(session, python, DEV)
        session.run(python, "-m", "pytest", *session.posargs)
    if len(missing) == len(OTHER_PYTHONS):
        session.skip("NO OTHER PYTHON ON THIS MACHINE: NOTHING WAS TESTED")


@nox.session
def requirements(session: nox.Session) -> None:
    """Pin again after a pyproject.toml or *.in changed; with `--upgrade` to newer versions."""
    projects = [str(REQUIREMENTS / "dev.in"), "server/pyproject.toml"]
    constraint = ["-c", str(REQUIREMENTS / "dev.txt")]
    extras = ["--extra", "embedded", "--extra", "voices"]
    for name, sources in (
        ("dev", [*extras, *projects]),
        ("runtime", [*extras, projects[1], *constraint]),
        ("bootstrap", [str(REQUIREMENTS / "bootstrap.in"), *constraint]),
    ):
        session.run(
            *[PYTHON, "-m", "uv", "pip", "compile", "--universal", "--generate-hashes", "--quiet"],
            *[
                "--no-emit-index-url",
                "--no-emit-find-links",
                "--no-annotate",
                "--python-version",
                "3.11",
            ],
            *[
                "--no-emit-package",
                "bolti",
                "--custom-compile-command",
                "python3 noxfile.py requirements",
            ],
            *["--output-file", str(REQUIREMENTS / f"{name}.txt"), *sources],
            *(session.posargs if name == "dev" else ()),
            silent=True,  # it would print the whole file
        )


def find_python(version: str) -> str | None:
    """A working Python of that version: on PATH, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in filter(None, candidates):
        ask = [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(ask, capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return str(candidate)
    return None
