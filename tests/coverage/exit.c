/* SPDX-License-Identifier: MIT */
/*
 * Builds with gcov alone: a process that leaves by _exit() writes its counters first, as one that
 * leaves by exit() does. Workers, zygotes, and children of tests leave so; without this their
 * code would look as if nobody had ever run it. The linker turns _exit() to here.
 */
#include <stdlib.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
