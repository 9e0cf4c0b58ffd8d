#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What scripts/weaken_orders.py takes for a memory order, in a small tree and in ours."""
import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import orders_source  # pylint: disable=wrong-import-position

SOURCE = """
/* seq_cst: a comment of memory_order_acquire is no order. */
static unsigned first(const struct thing *thing)
{
    return atomic_load_explicit(&((struct thing *)thing)->at[index_of(thing, 1)],
                                memory_order_acquire);
}

hk_status second(struct thing *thing)
{
    /* relaxed: a hint. */
    unsigned seen = atomic_load_explicit(&thing->word, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&thing->word, &seen, seen + 1,
                                                  memory_order_acq_rel, memory_order_acquire)) {
    }
    atomic_store_explicit(&thing->word, 1, memory_order_release);
    atomic_store_explicit(&thing->word, 2, memory_order_release);
    return HK_OK;
}
"""

MUTANTS = [
    "sync/thing.c first() load(&((struct thing *)thing)->at[index_of(thing, 1)]) "
    "acquire -> relaxed",
    "sync/thing.c second() compare_exchange_weak(&thing->word) acq_rel -> acquire",
    "sync/thing.c second() compare_exchange_weak(&thing->word) acq_rel -> release",
    "sync/thing.c second() compare_exchange_weak.failure(&thing->word) acquire -> relaxed",
    "sync/thing.c second() store(&thing->word) release -> relaxed",
    "sync/thing.c second() store(&thing->word) #2 release -> relaxed",
]


class SmallTree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        (self.root / "sync").mkdir()
        (self.root / "sync/thing.c").write_text(SOURCE, encoding="utf-8")
        self.argued = self.root / "argued.txt"

    def test_every_step_down_is_a_mutant(self):
        found = orders_source.mutants_of(self.root, "sync/thing.c")
        self.assertEqual([mutant.key for mutant in found], MUTANTS)
        self.assertEqual([mutant.choice for mutant in found], [1, 1, 2, 1, 1, 1])
        self.assertEqual(found[-1].place.key, "sync/thing.c;second;store;&thing->word;2")

    def test_a_reason_is_for_all_above_it(self):
        self.argued.write_text(f"# Why\n\n{MUTANTS[0]}\n{MUTANTS[4]}\n    It is\n    so.\n",
                               encoding="utf-8")
        self.assertEqual(orders_source.read_argued(self.argued),
                         {MUTANTS[0]: "It is so.", MUTANTS[4]: "It is so."})
        self.assertEqual(orders_source.stale_arguments(self.root, self.argued), [])

    def test_what_is_gone_or_has_no_reason_is_stale(self):
        gone = MUTANTS[0].replace("first", "third")
        self.argued.write_text(f"{gone}\n    So.\n\n{MUTANTS[1]}\n", encoding="utf-8")
        self.assertEqual(orders_source.stale_arguments(self.root, self.argued), [gone, MUTANTS[1]])


class OurTree(unittest.TestCase):
    def test_no_order_is_overlooked(self):
        for file in orders_source.library_files(ROOT):
            text = orders_source.without_comments((ROOT / file).read_text(encoding="utf-8"))
            written = re.findall(r"\bmemory_order_(?:acquire|release|acq_rel)\b", text)
            places = orders_source.places_of(ROOT, file)
            self.assertEqual(len(places), len(written), file)
            self.assertNotIn("?", [place.function for place in places], file)

    def test_what_is_argued_is_there(self):
        argued = ROOT / "tests/weaken/argued.txt"
        self.assertEqual(orders_source.stale_arguments(ROOT, argued), [])

    def test_relacys_mutants_are_read(self):
        found = orders_source.relacy_mutants(ROOT)
        self.assertIn("quiet_release", [name for _, _, name, *_ in found])


if __name__ == "__main__":
    unittest.main()
