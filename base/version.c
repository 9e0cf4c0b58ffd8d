/* SPDX-License-Identifier: MIT */
#include <hocket/version.h>

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

const char *hk_version(void)
{
    return TEXT(HK_VERSION_MAJOR) "." TEXT(HK_VERSION_MINOR) "." TEXT(HK_VERSION_PATCH);
}
