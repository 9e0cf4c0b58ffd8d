/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"
int main(int argc, char **argv)
{
    static CU_SuiteInfo suites[] = {CU_SUITE_INFO_NULL};
    return hkt_main(argc, argv, suites);
}
