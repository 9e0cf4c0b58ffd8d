#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when a file breaks a rule that a compiler cannot see.

Each rule is a function below, found by its decorator; its docstring says what it
wants and why. tests/test_check_style.py plants a fault for every one of them.

Usage: check_style.py [--contract] [--list-rules] [ROOT]
"""
import argparse
import collections
import os
import pathlib
import re
import sys

# Folders from low to high. A folder includes its own and lower ones, and so do
# the public headers that have their home in it.
HOMES = {
    "base": {"error", "log", "memory", "status", "time", "version"},
    "sync": {"barrier", "cond", "counter", "event", "latch", "local", "lock", "lock_order", "once",
             "queue", "ring", "rwlock", "semaphore", "waits"},
    "futures": {"cancel", "chain", "completion", "future", "promise", "wait", "within"},
    "executors": {"buffer", "executor", "executor_ops", "inline_executor", "map", "process_pool",
                  "range", "replay", "scope", "serial", "task", "thread_pool"},
}
UMBRELLA = "hocket"  # Includes every public header; nothing in the library includes it.
LEVEL = {folder: level for level, folder in enumerate(HOMES)}
HOME_OF = {header: folder for folder, headers in HOMES.items() for header in headers}

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
ORDER_COMMENT_LINES = 8

PLATFORM_FILE = "base/os_linux.c"
PLATFORM_FILES = {PLATFORM_FILE, "base/os_linux_cpus.c", "base/os_linux_filter.c",
                  "base/os_linux_memory_file.c", "base/os_linux_process.c",
                  "base/os_linux_sandbox.c"}
PLATFORM_MACRO = re.compile(
    r"__(linux|unix|APPLE|FreeBSD|ANDROID|GLIBC|x86_64|i386|aarch64|arm|riscv|BYTE_ORDER)\w*"
    r"|_WIN32|_MSC_VER|SYS_\w+")
LINUX_HEADER = re.compile(
    r"#\s*include\s*<(linux/|asm/|sched\.h|sys/(syscall|eventfd|epoll|timerfd|signalfd|pidfd|"
    r"prctl|inotify|sysinfo)\.h)")

# Each numbered case of these groups needs a test that names it.
CONTRACT_GROUPS = ("FS", "CB", "WT", "AC", "EX", "MP", "TP", "IN", "SD", "IS", "PP", "DL", "XP",
                   "XL", "XM", "OE", "OW", "RF", "BD", "OP", "CK", "CX", "RT", "NW", "MO", "SE", "EC",
                   "PR", "SR", "RP")
CONTRACT_CASE = re.compile(r"^\s*[-|*]\s*\**([A-Z]{2}\d\d)\b(.*)", re.M)

SPDX = "SPDX-License-Identifier: MIT"
SPDX_NAMES = {"CMakeLists.txt", "Doxyfile", ".clang-format", ".clang-tidy", ".gitignore"}
SPDX_SUFFIXES = {".c", ".h", ".cc", ".py", ".sh", ".cmake", ".in", ".map", ".css", ".supp", ".pml"}
TEXT_SUFFIXES = SPDX_SUFFIXES | {".md", ".json", ".txt", ".html", ""}

# Spelt so that they do not find themselves.
UNFINISHED = re.compile(r"\b(TO[D]O|FIXM[E]|XX[X]|HAC[K])\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(wor[k]|roo[t]|hom[e])/\w")
SLEEP = re.compile(r"(?<![\w.])(usleep|nanosleep|clock_nanosleep|thrd_sleep|sleep)\s*\("
                   r"|\bpoll\s*\(\s*NULL|\btime\.sleep\s*\(")

Finding = collections.namedtuple("Finding", "path line rule text")


class File:
    """One file, and the views of it that several rules want."""

    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.name = path.name
        self.folder = self.path.split("/")[0] if "/" in self.path else ""
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.splitlines()
        self.is_c = path.suffix in (".c", ".h")
        self._code = None

    @property
    def code(self):
        """The text with comments and literals blanked out; lines stay where they are."""
        if self._code is None:
            self._code = blank_comments_and_literals(self.text)
        return self._code

    @property
    def code_lines(self):
        return self.code.splitlines()

    @property
    def layer(self):
        """The folder whose rules hold: its own, or a public header's home."""
        if self.path.startswith("include/hocket/"):
            return HOME_OF.get(pathlib.PurePath(self.name).stem)
        return self.folder if self.folder in LEVEL else None


def blank_comments_and_literals(text):
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


RULES = {}


def rule(function):
    """Registers a rule: a generator of (line, text) for one File."""
    RULES[function.__name__] = function
    return function


@rule
def folder_order(file):
    """A folder includes only its own and lower ones; examples see include/ alone."""
    for number, line in enumerate(file.lines, 1):
        match = re.match(r'\s*#\s*include\s*(?:"(\w+)/|<hocket/(\w+)\.h>|"([^"]+)")', line)
        if file.is_c and re.match(r'\s*#\s*include\s*"[^"]*\.c"', line):
            yield number, "a source is compiled, never included"
        if not match or not file.is_c:
            continue
        private, public, bare = match.groups()
        home = private or HOME_OF.get(public)
        if file.layer is not None:
            if bare:
                yield number, f'include private headers from the root: "{file.folder}/{bare}"'
            elif public == UMBRELLA:
                yield number, "the library names the headers it needs, not <hocket/hocket.h>"
            elif home not in LEVEL:
                yield number, f"{private or public} is in no layer of the library"
            elif LEVEL[home] > LEVEL[file.layer]:
                yield number, f"{file.layer}/ must not include {home}/: the arrow points up"
        elif file.folder in ("examples", "bench") and private in LEVEL:
            yield number, f"{file.folder}/ sees include/ only, as an application does"


@rule
def header_home(file):
    """Every public header has a home in the table of this script."""
    stem = pathlib.PurePath(file.name).stem
    if file.path.startswith("include/hocket/") and stem != UMBRELLA and stem not in HOME_OF:
        yield 1, "no home: add it to HOMES in scripts/check_style.py"


@rule
def platform_code(file):
    """What depends on the platform lives in files of its own, behind base/os.h."""
    if not file.is_c or file.layer is None or file.path in PLATFORM_FILES:
        return
    for number, line in enumerate(file.code_lines, 1):
        is_condition = re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line)
        match = PLATFORM_MACRO.search(line)
        if match and (is_condition or match[0].startswith("SYS_")):
            yield number, f"{match[0]} belongs in {PLATFORM_FILE}"
        if LINUX_HEADER.match(file.lines[number - 1]):
            yield number, f"a header of Linux alone belongs in {PLATFORM_FILE}"


@rule
def file_length(file):
    """A file that wants more than 600 lines is two nouns."""
    if (file.is_c or file.name.endswith(".py")) and len(file.lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{len(file.lines)} lines; at most {FILE_LINES_MAX}"


def functions(code):
    """(name, first line, last line) of each function of blanked C code."""
    # Directives, with continuation lines, hold no function of their own.
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m[0].count("\n"), code,
                  flags=re.M)
    code = re.sub(r"\bextern\s+\{", lambda m: "\n" * m[0].count("\n"), code)
    depth, begin, name, line = 0, 1, None, 1
    head = ""
    for char in code:
        if char == "\n":
            line += 1
        if depth == 0:
            if char == "{":
                match = re.search(r"(\w+)\s*\(.*\)\s*\w*\s*$", head, re.S)
                name = match[1] if match and "=" not in head else None
            elif char in ";}":
                head = ""
            elif head.strip() or not char.isspace():
                if not head.strip():
                    begin = line
                head += char
        if char == "{":
            depth += 1
        elif char == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                if name:
                    yield name, begin, line
                head = ""


@rule
def function_length(file):
    """A function fits on a screen: at most 70 lines."""
    if not file.is_c:
        return
    for name, first, last in functions(file.code):
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f"{name} has {last - first + 1} lines; at most {FUNCTION_LINES_MAX}"


@rule
def memory_order(file):
    """An order weaker than seq_cst says what it pairs with, or why relaxed is enough."""
    if not file.is_c:
        return
    for number, line in enumerate(file.code_lines, 1):
        if not re.search(r"\bmemory_order_(relaxed|consume|acquire|release|acq_rel)\b", line):
            continue
        above = " ".join(file.lines[max(0, number - 1 - ORDER_COMMENT_LINES):number])
        if not re.search(r"pairs\s+(\*\s+)?with|\brelaxed\b[^;]*:", above):
            yield number, "say what this order pairs with, or 'relaxed: why that is enough'"


@rule
def fence(file):
    """ThreadSanitizer cannot see a stand-alone fence."""
    if not file.is_c:
        return
    for number, line in enumerate(file.code_lines, 1):
        if re.search(r"\b(atomic_(thread|signal)_fence|__sync_synchronize)\b", line):
            yield number, "put the order on an operation; a fence is invisible to ThreadSanitizer"


@rule
def sleep_in_test(file):
    """A test orders threads with gates and barriers; time proves nothing."""
    if file.folder != "tests" or file.name == "test_check_style.py":
        return
    lines = file.code_lines if file.is_c else file.lines
    for number, line in enumerate(lines, 1):
        if SLEEP.search(line):
            yield number, "no sleeping in tests: use a gate, a barrier or hkt_eventually()"


@rule
def licence_line(file):
    """The licence is one SPDX line at the top."""
    is_script = file.text.startswith("#!")
    if file.name in SPDX_NAMES or pathlib.PurePath(file.name).suffix in SPDX_SUFFIXES or is_script:
        if SPDX not in "\n".join(file.lines[:2]):
            yield 1, f"the first line (the second below #!) must say {SPDX}"


@rule
def unfinished(file):
    """Unfinished work is recorded where work is planned, not in a comment."""
    for number, line in enumerate(file.lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield number, f"{match[0]}: finish it or leave it out"


@rule
def machine_path(file):
    """Nothing knows the machine it was written on."""
    for number, line in enumerate(file.lines, 1):
        match = MACHINE_PATH.search(line)
        if match:
            yield number, f"{match[0]}... is a path of one machine"


# --- Rules about the tree as a whole --------------------------------------------


def check_source_lists(root):
    """source_list: the lists of sources and suites hold what is there, no more, no less."""
    cmake = root / "CMakeLists.txt"
    text = cmake.read_text() if cmake.exists() else ""
    for folder in HOMES:
        match = re.search(r"set\(%s_sources\b([^)]*)\)" % folder, text)
        listed = set(match[1].split()) if match else set()
        present = {p.relative_to(root).as_posix() for p in (root / folder).rglob("*.c")}
        for path in sorted(present - listed):
            yield Finding(path, 1, "source_list", f"add it to {folder}_sources in CMakeLists.txt")
        for path in sorted(listed - present):
            yield Finding("CMakeLists.txt", 1, "source_list", f"{path} is listed but missing")
    cmake = root / "tests/CMakeLists.txt"
    suites = re.findall(r"^\s*hkt_suite\((\w+)", cmake.read_text() if cmake.exists() else "", re.M)
    for path in sorted((root / "tests").glob("test_*.c")):
        if path.stem[len("test_"):] not in suites:
            yield Finding(f"tests/{path.name}", 1, "source_list",
                          "no hkt_suite() of tests/CMakeLists.txt runs it")


def check_citations(root, files, want_all):
    """citation, contract: tests cite numbers that exist, and leave out none."""
    contract = root / "docs/contract.md"
    text = contract.read_text() if contract.exists() else ""
    cases = {m[1]: m[2] for m in CONTRACT_CASE.finditer(text)}
    groups = sorted({number[:2] for number in cases} | set(CONTRACT_GROUPS))
    citation = re.compile(r"(?<![A-Za-z0-9])((?:%s)\d\d)(?![A-Za-z0-9])" % "|".join(groups), re.I)
    cited = set()
    for file in files:
        if not re.fullmatch(r"tests/test_\w+\.c", file.path):
            continue
        # Names and strings count, comments do not: a test is what it is called.
        code = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), file.text, flags=re.S)
        for match in citation.finditer(code):
            number = match[1].upper()
            cited.add(number)
            if number not in cases:
                line = code.count("\n", 0, match.start()) + 1
                yield Finding(file.path, line, "citation", f"docs/contract.md has no {number}")
    if not want_all:
        return
    if not cases:
        yield Finding("docs/contract.md", 1, "contract", "missing, or without numbered cases")
    for number in sorted(set(cases) - cited):
        if number[:2] in CONTRACT_GROUPS and "[later]" not in cases[number]:
            yield Finding("docs/contract.md", 1, "contract", f"no test names {number}")


# Rules above that are not in RULES, for --list-rules.
TREE_RULES = ("source_list", "citation", "contract")


def is_text(path):
    return path.suffix in TEXT_SUFFIXES and path.name != "LICENSE"


def files_below(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders
                            if f not in (".git", "__pycache__", ".cache")
                            and not re.match(r"build\b|build-", f))
        for name in sorted(names):
            path = pathlib.Path(folder, name)
            if name == ".git":
                continue  # What a worktree has in place of the folder.
            if is_text(path) and not path.is_symlink():
                yield File(root, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contract", action="store_true",
                        help="also require a test for every case of docs/contract.md")
    parser.add_argument("--list-rules", action="store_true", help="print the rules and exit")
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parent.parent,
                        type=pathlib.Path, help="the project (default: this script's)")
    options = parser.parse_args()
    if options.list_rules:
        print("\n".join([*RULES, *TREE_RULES]))
        return 0

    root = options.root.resolve()
    files = list(files_below(root))
    findings = [Finding(file.path, line, name, text)
                for file in files for name, function in RULES.items()
                for line, text in function(file)]
    findings += check_source_lists(root)
    findings += check_citations(root, files, options.contract)
    for finding in sorted(findings):
        print(f"{finding.path}:{finding.line}: {finding.text} [{finding.rule}]")
    print(f"check_style: {len(files)} files, {len(findings)} finding(s)")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
