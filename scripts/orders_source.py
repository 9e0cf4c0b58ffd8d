# SPDX-License-Identifier: MIT
"""The memory orders in the source of the library, for weaken_orders.py."""
import dataclasses
import functools
import re

FOLDERS = ("base", "sync", "futures", "executors")
CALL = re.compile(r"\batomic_(load|store|exchange|fetch_\w+?|compare_exchange_(?:weak|strong))"
                  r"_explicit\s*\(")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
WEAKER = {"acquire": ("relaxed",), "release": ("relaxed",), "acq_rel": ("acquire", "release")}
RELACY = re.compile(r'\{"(\w+)",\s*"(\w+)",\s*"(\w+)",\s*"([^"]*)",\s*rl::mo_(\w+),\s*rl::mo_(\w+)\}')
RELACY_NAMES = {"fetch_add": "add", "fetch_or": "or", "compare_exchange_weak": "exchange",
                "compare_exchange_strong": "exchange"}
RELACY_HEADERS = {"ring": ("sync/ring_cells.h",), "deque": ("sync/deque.h",),
                  "lane": ("sync/lane.h", "sync/brief_lock.h")}


@dataclasses.dataclass(frozen=True)
class Place:
    """One order. The number tells apart those of a function that look the same."""

    file: str
    line: int
    function: str
    operation: str
    word: str
    order: str
    number: int

    @property
    def key(self):
        return ";".join([self.file, self.function, self.operation, self.word, str(self.number)])

    @property
    def title(self):
        number = "" if self.number == 1 else f" #{self.number}"
        return f"{self.file} {self.function}() {self.operation}({self.word}){number}"


@dataclasses.dataclass(frozen=True)
class Mutant:
    place: Place
    weaker: str

    @property
    def choice(self):
        return 1 + WEAKER[self.place.order].index(self.weaker)

    @property
    def step(self):
        return f"{self.place.order} -> {self.weaker}"

    @property
    def key(self):
        """As in argued.txt."""
        return f"{self.place.title} {self.step}"

    @property
    def title(self):
        return self.key.split(" ", 1)[1]


def library_files(root):
    return [str(path.relative_to(root)) for folder in FOLDERS
            for path in sorted((root / folder).rglob("*.[ch]"))]


def without_comments(text):
    """Blanks of the same shape instead."""
    return COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def arguments_at(text, at):
    """Those of the call whose bracket is open before `at`."""
    depth, start, found = 0, at, []
    while True:
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}" and depth > 0:
            depth -= 1
        elif depth == 0 and text[at] in ",)":
            found.append(" ".join(text[start:at].split()))
            start = at + 1
            if text[at] == ")":
                return found
        at += 1


def functions_of(text):
    """[(start of the body, name)]; a body's bracket is the only one in column 0."""
    found = []
    for match in re.finditer(r"^\{", text, re.M):
        before = text[max(text.rfind("\n}", 0, match.start()), text.rfind(";\n", 0, match.start()),
                          text.rfind("\n\n", 0, match.start())) + 2:match.start()]
        names = re.findall(r"\b(\w+)\s*\(", before)
        names = [name for name in names if name not in ("__attribute__", "_Atomic")]
        found.append((match.start(), names[0] if names else "?"))
    return found


@functools.lru_cache(maxsize=None)
def places_of(root, file):
    text = without_comments((root / file).read_text(encoding="utf-8"))
    functions = functions_of(text)
    found, seen = [], {}
    for match in CALL.finditer(text):
        arguments = arguments_at(text, match.end())
        orders = re.findall(r"memory_order_(\w+)", " ".join(arguments[-2:]))
        is_swap = match[1].startswith("compare")
        function = next((name for at, name in reversed(functions) if at < match.start()), "?")
        line = text.count("\n", 0, match.start()) + 1
        for i, order in enumerate(orders if is_swap else orders[-1:]):
            operation = match[1] + (".failure" if i == 1 else "")
            if order not in WEAKER:
                continue
            what = (function, operation, arguments[0])
            seen[what] = seen.get(what, 0) + 1
            found.append(Place(file, line, *what, order, seen[what]))
    return found


def mutants_of(root, file):
    return [Mutant(place, weaker) for place in places_of(root, file)
            for weaker in WEAKER[place.order]]


def read_argued(path):
    """{key of a mutant: why no test can notice it}. A line is the key, then its reason."""
    found = {}
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8") if path.exists() else ""):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        keys = [line for line in lines if not line.startswith(" ")]
        reason = " ".join(line.strip() for line in lines if line.startswith(" "))
        found.update({key: reason for key in keys})
    return found


def stale_arguments(root, path):
    every = {mutant.key for file in library_files(root) for mutant in mutants_of(root, file)}
    argued = read_argued(path)
    return [key for key in argued if key not in every or not argued[key]]


@functools.lru_cache(maxsize=None)
def relacy_mutants(root):
    """[(program, headers, name, function, operation, word, order, weaker)]"""
    return [(path.stem, RELACY_HEADERS.get(path.stem, ()), *match.groups())
            for path in sorted((root / "tests/relacy").glob("*.cc"))
            for match in RELACY.finditer(path.read_text(encoding="utf-8"))]


def relacy_proof(root, mutant):
    """The mutant of tests/relacy that is this one, or an empty text. It tells places by what
    they look like, so one of several that look the same is not proved."""
    place = mutant.place
    if any(other.key[:-1] == place.key[:-1] and other.number != place.number
           for other in places_of(root, place.file)):
        return ""
    operation = RELACY_NAMES.get(place.operation, place.operation)
    for program, headers, name, function, does, word, order, weaker in relacy_mutants(root):
        if (place.file in headers and function == place.function and does == operation and
                place.word.startswith(word) and (order, weaker) == (place.order, mutant.weaker)):
            return f"relacy.{program}: {name}"
    return ""


def claims(root, files):
    """Where a comment says seq_cst, and who proves that it is needed."""
    page = (root / "models/README.md").read_text(encoding="utf-8")
    for file in files:
        text = (root / file).read_text(encoding="utf-8")
        functions = functions_of(without_comments(text))
        for match in COMMENT.finditer(text):
            if "seq_cst" not in match[0]:
                continue
            line = text.count("\n", 0, match.end()) + 1
            following = [name for at, name in functions if at >= match.end()]
            within = [name for at, name in functions if at < match.start()]
            is_inside = text[text.rfind("\n", 0, match.start()) + 1:match.start()] != ""
            names = within[-1:] if is_inside else following[:1]
            if match.start() < 200 or not names:
                names = []  # Of the whole file, or of what is defined elsewhere.
            title = f"{names[0]}(): " if names else ""
            yield f"{file}:{line}: {title}{claim_proof(root, page, file, *names)}"


def claim_proof(root, page, file, function=""):
    programs = {program for program, headers, _, named, _, _, order, _ in relacy_mutants(root)
                if file in headers and order == "seq_cst"}
    if programs:
        return "relacy." + ", ".join(sorted(programs))
    sections = re.split(r"^### ", page, flags=re.M)[1:]
    models = [section.split(":")[0] for section in sections
              if f"`{function}()`" in section or f"in {file} |" in section]
    return f"models/{', '.join(models)}" if models else "argued only"
