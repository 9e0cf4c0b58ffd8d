#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that every rule of scripts/check_style.py fires, and on its fault alone.

Each test copies a small tree without findings, plants one fault, and wants
exactly that rule in the report.
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "check_style.py"
LICENCE = "/* SPDX-License-Identifier: MIT */\n"

# Names of the tree on the left, contents on the right: everything is as it should be.
CLEAN = {
    "CMakeLists.txt": "# SPDX-License-Identifier: MIT\n"
                      "set(base_sources base/os_linux.c base/time.c)\nset(sync_sources)\n"
                      "set(futures_sources\n    futures/future.c)\nset(executors_sources)\n",
    "include/hocket/time.h": LICENCE + "#ifdef __cplusplus\nextern \"C\" {\n#endif\n",
    "include/hocket/future.h": LICENCE + "#include <hocket/time.h>\n",
    "include/hocket/executor.h": LICENCE + "#include <hocket/future.h>\n",
    "base/os_linux.c": LICENCE + "#include <sys/syscall.h>\n#ifdef __x86_64__\n#endif\n"
                                 "int number = SYS_futex;\n",
    "base/time.c": LICENCE + "#include <hocket/time.h>\n",
    "futures/future.c": LICENCE + '#include <hocket/future.h>\n#include "base/time.h"\n'
                                  "/* relaxed: only a counter. */\n"
                                  "int a = memory_order_relaxed;\n"
                                  "/* release: publishes it; pairs with is_done(). */\n"
                                  "int b = memory_order_release;\n",
    "examples/small.c": LICENCE + "#include <hocket/hocket.h>\n",
    "tests/test_future.c": LICENCE + "static void fs01_a_new_future_is_pending(void)\n{\n}\n",
    "tests/CMakeLists.txt": "# SPDX-License-Identifier: MIT\n"
                            "hkt_suite(future)\nhkt_suite(wait TIMEOUT 9)\n",
    "docs/contract.md": "- **FS01** [=] a new future is pending\n- **TP04** [later] forks\n",
}


def report(root, *options):
    result = subprocess.run([sys.executable, str(SCRIPT), *options, str(root)], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


class CheckStyle(unittest.TestCase):
    """One method a rule: test_RULE."""

    def tree(self, changes):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in {**CLEAN, **changes}.items():
            path = pathlib.Path(folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder.name

    def fires(self, rule, changes, *options):
        status, output = report(self.tree(changes), *options)
        self.assertEqual(status, 1, output)
        found = {line.rsplit("[", 1)[1].rstrip("]") for line in output.splitlines()[:-1]}
        self.assertEqual(found, {rule}, output)

    def silent(self, changes, *options):
        status, output = report(self.tree(changes), *options)
        self.assertEqual(status, 0, output)

    def test_the_clean_tree_is_clean(self):
        self.silent({}, "--contract")

    def test_every_rule_has_a_planted_fault(self):
        for name in report(".", "--list-rules")[1].split():
            self.assertTrue(hasattr(self, "test_" + name), f"no fault is planted for {name}")

    def test_folder_order(self):
        up = "#include <hocket/executor.h>\n"
        self.fires("folder_order", {"futures/future.c": LICENCE + up})
        self.fires("folder_order", {"base/time.c": LICENCE + '#include "futures/state.h"\n'})
        self.fires("folder_order", {"base/time.c": LICENCE + '#include "time_impl.h"\n'})
        self.fires("folder_order", {"base/time.c": LICENCE + "#include <hocket/hocket.h>\n"})
        self.fires("folder_order", {"base/time.c": LICENCE + '#include "tests/harness.h"\n'})
        self.fires("folder_order", {"base/time.c": LICENCE + '#include "base/os_linux.c"\n'})
        self.fires("folder_order", {"include/hocket/future.h": LICENCE + up})
        self.fires("folder_order", {"examples/small.c": LICENCE + '#include "base/os.h"\n'})

    def test_header_home(self):
        self.fires("header_home", {"include/hocket/stranger.h": LICENCE})

    def test_platform_code(self):
        for fault in ("#if defined(__linux__)\n#endif\n", "#include <sys/eventfd.h>\n",
                      "long n = syscall(SYS_gettid);\n"):
            self.fires("platform_code", {"futures/future.c": LICENCE + fault})
        self.silent({"base/time.c": LICENCE + "#ifdef __cplusplus\n#endif\n/* SYS_futex */\n"})

    def test_file_length(self):
        self.fires("file_length", {"base/time.c": LICENCE + "int a;\n" * 600})
        self.silent({"base/time.c": LICENCE + "int a;\n" * 599})

    def test_function_length(self):
        def function(lines):
            return LICENCE + "static int f(int (*g)(void))\n{\n" + "    g();\n" * (lines - 3) + "}\n"

        self.fires("function_length", {"base/time.c": function(71)})
        self.silent({"base/time.c": function(70)})
        # A table is no function; braces in text and comments do not count.
        self.silent({"base/time.c": LICENCE + "int a[] = {\n" + "    1,\n" * 100 + "};\n"})
        self.fires("function_length", {"base/time.c": function(71).replace("g();", 'g("}");', 1)})
        inside = 'extern "C" {\n' + function(71) + "}\n"
        self.fires("function_length", {"include/hocket/time.h": LICENCE + inside})
        task = LICENCE + "HK_TASK(count)\n{\n" + "    g();\n" * 80 + "}\n"
        self.fires("function_length", {"examples/small.c": task})

    def test_memory_order(self):
        self.fires("memory_order", {"base/time.c": LICENCE + "int a = memory_order_relaxed;\n"})
        far = "/* relaxed: a counter. */\n" + "\n" * 8 + "int a = memory_order_relaxed;\n"
        self.fires("memory_order", {"base/time.c": LICENCE + far})
        self.silent({"base/time.c": LICENCE + "/* memory_order_acquire */\n"
                                              "int a = memory_order_seq_cst;\n"})

    def test_fence(self):
        fence = "atomic_" + "thread_fence(memory_order_seq_cst);\n"
        self.fires("fence", {"base/time.c": LICENCE + fence})

    def test_sleep_in_test(self):
        for fault in ("usleep(1);\n", "sleep (1);\n", "poll(NULL, 0, 5);\n", "nanosleep(&t, 0);\n"):
            self.fires("sleep_in_test", {"tests/test_future.c": LICENCE + fault})
        self.silent({"tests/test_future.c": LICENCE + "/* sleep(1) */ hk_sleep(call, 0); int fs01;\n"},
                    "--contract")

    def test_licence_line(self):
        self.fires("licence_line", {"base/time.c": "int a;\n"})
        self.fires("licence_line", {"models/lock.pml": "byte word;\n"})
        self.fires("licence_line", {"scripts/tool": "#!/bin/sh\necho\n"})
        self.silent({"scripts/tool": "#!/bin/sh\n# SPDX-License-Identifier: MIT\n"})

    def test_unfinished(self):
        self.fires("unfinished", {"base/time.c": LICENCE + "/* TO" + "DO */\n"})

    def test_machine_path(self):
        self.fires("machine_path", {"docs/page.md": "see /wo" + "rk/notes\n"})
        self.silent({"docs/page.md": "https://example.org/wo" + "rk/notes and base/wo" + "rk/x\n"})

    def test_source_list(self):
        self.fires("source_list", {"base/forgotten.c": LICENCE})
        listed = CLEAN["CMakeLists.txt"].replace("base/time.c", "base/time.c base/gone.c")
        self.fires("source_list", {"CMakeLists.txt": listed})
        self.fires("source_list", {"tests/test_forgotten.c": LICENCE})

    def test_citation(self):
        self.fires("citation", {"tests/test_wait.c": LICENCE + "void wt99_no_such_case(void);\n"})
        self.silent({"tests/test_wait.c": LICENCE + "/* WT99 is cited by no name. */\n"})

    def test_contract(self):
        uncited = CLEAN["docs/contract.md"] + "- **FS02** [=] running\n"
        self.fires("contract", {"docs/contract.md": uncited}, "--contract")
        self.silent({"docs/contract.md": uncited})
        status, output = report(self.tree({"docs/contract.md": ""}), "--contract")
        self.assertEqual(status, 1, output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
