"""Compile a standard library into one archive: usage: image.py DIRECTORY ARCHIVE

The archive holds no source and no documentation strings. The file names in its code are the paths
of the archive's members, so a traceback shows file and line. The same library gives the same bytes:
the members are sorted and have no date, and the code has no time stamp to be checked against.

Call it with -X no_debug_ranges: columns are useless without a source to show.
"""

import ast
import importlib.util
import marshal
import sys
import zipfile
from pathlib import Path

# Tests, IDLE, Tk and terminals, modules that install packages or convert Python 2, the texts of
# help(), Debian's link into /etc, replacements for missing C modules, and modules that need one of
# these.
LEFT_OUT = {"test", "tests", "idlelib", "idle_test", "tkinter", "turtle.py", "turtledemo", "curses",
            "lib2to3", "ensurepip", "venv", "distutils", "pydoc_data", "lib-dynload", "__pycache__",
            "sitecustomize.py", "__phello__", "_pyio.py", "_pydecimal.py", "msilib", "crypt.py",
            "aifc.py", "sunau.py", "sndhdr.py",
            "_distutils_system_mod.py", "_sysconfigdata_d_linux_x86_64-linux-gnu.py"}


def is_wanted(path):
    return not LEFT_OUT.intersection(path.parts) and not path.parts[0].startswith("config-")


def without_documentation(tree):
    """The tree without its documentation strings, as under -OO; asserts stay."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                left = [] if len(node.body) > 1 else [ast.copy_location(ast.Pass(), node.body[0])]
                node.body[:1] = left
    return tree


def compiled(source, name):
    data = source.read_bytes()
    code = compile(without_documentation(ast.parse(data)), name, "exec",
                   dont_inherit=True, optimize=0)
    # An unchecked hash (PEP 552): there is no source to compare with.
    return (importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
            + importlib.util.source_hash(data) + marshal.dumps(code))


def main(directory, archive):
    # The path in the image, wherever the archive is made.
    place = Path("/usr/lib", Path(archive).name)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for source in sorted(Path(directory).rglob("*.py")):
            inside = source.relative_to(directory)
            if is_wanted(inside):
                member = zipfile.ZipInfo(str(inside) + "c")
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                packed.writestr(member, compiled(source, str(place / inside)), compresslevel=9)


if __name__ == "__main__":
    main(*sys.argv[1:])
