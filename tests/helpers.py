"""
That the suites' helpers are their own: usage: helpers.py

Their names are plain (web, host, image), and so are those of installed packages. Here each of them
is shadowed by a module that cannot be imported, where Python finds it before what is installed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent
SUITES = ("integration", "tiny", "image", "docker", "docs")


def main():
    with tempfile.TemporaryDirectory() as folder:
        names = {"support"}
        for suite in SUITES:
            names |= {helper.stem for helper in (TESTS / suite).rglob("*.py")
                      if helper.stem != "conftest" and not helper.stem.startswith("test_")}
        for name in names:
            Path(folder, f"{name}.py").write_text(f"raise ImportError('not the helper {name}')\n")
        for suite in SUITES:
            done = subprocess.run(
                ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                 "--collect-only",
                 "-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS / suite),
                 str(TESTS / suite)], capture_output=True, text=True, check=False,
                env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"})
            if done.returncode != 0:
                sys.exit(
                    f"{suite}: a helper is shadowed\n{done.stdout[-3000:]}{done.stderr[-1000:]}")


if __name__ == "__main__":
    main()
