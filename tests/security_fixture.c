/* SPDX-License-Identifier: MIT */
#include "tests/security_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t hkt_pool_mappings(struct hkt_pool_mapping *mappings)
{
    FILE *file = fopen("/proc/self/maps", "re");
    size_t count = 0;
    char line[512];

    while (file != NULL && count < HKT_MAPPINGS_MAX && fgets(line, sizeof(line), file) != NULL) {
        char *rest = NULL;

        if (strstr(line, "hocket-pool") == NULL) {
            continue;
        }
        mappings[count].begin = strtoull(line, &rest, 16);
        mappings[count].end = strtoull(rest + 1, &rest, 16);
        memcpy(mappings[count].access, rest + 1, 4);
        mappings[count].access[4] = '\0';
        count++;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

const struct hkt_pool_mapping *hkt_pool_mapping(const struct hkt_pool_mapping *mappings,
                                                size_t count, const char *access)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(mappings[i].access, access) == 0) {
            return &mappings[i];
        }
    }
    return NULL;
}

struct hki_pool_page *hkt_pool_page(struct hki_channel **channel)
{
    struct hkt_pool_mapping mappings[HKT_MAPPINGS_MAX];
    size_t count = hkt_pool_mappings(mappings);
    const struct hkt_pool_mapping *own = hkt_pool_mapping(mappings, count, "rw-s");

    if (own == NULL) {
        return NULL;
    }
    if (channel != NULL) {
        *channel = (struct hki_channel *)own->begin;
    }
    return (struct hki_pool_page *)mappings[0].begin;
}

struct hki_cell *hkt_running_cell(struct hki_channel **channel, uint32_t *request)
{
    if (hkt_pool_page(channel) == NULL) {
        return NULL;
    }
    *request = atomic_load(&(*channel)->done);
    return &(*channel)->cells[*request % HKI_CELLS];
}

bool hkt_deny_beginning(void)
{
    struct hki_channel *channel = NULL;
    uint32_t request = 0;
    struct hki_cell *cell = hkt_running_cell(&channel, &request);

    if (cell == NULL) {
        return false;
    }
    while (atomic_load(&cell->stop) == 0) { /* The parent says so, when it has seen to it. */
        hki_os_yield();
    }
    atomic_store(&cell->state, hki_cell_word(request, HKI_CELL_QUEUED));
    return true;
}

HK_TASK(does)
{
    struct hkt_deed deed;
    long result;

    if (in_size != sizeof(deed)) {
        return hk_fail(call, 1, "no deed");
    }
    memcpy(&deed, in, sizeof(deed));
    result = syscall(deed.call, deed.arguments[0], deed.arguments[1], deed.arguments[2],
                     deed.arguments[3]);
    return hk_fail(call, (int)errno, "it could: %ld", result);
}

hk_future *hkt_deed_submit(hk_executor *pool, const struct hkt_deed *deed)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, does, deed, sizeof(*deed), NULL, &future));
    return future;
}

void hkt_expect_forbidden(hk_executor *pool, const struct hkt_deed *deed)
{
    hk_future *future = hkt_deed_submit(pool, deed);
    const hk_error *error = NULL;

    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EWORKER);
    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE(error != NULL);
    if (error != NULL) {
        bool is_told = strstr(error->message, deed->told) != NULL;

        HKT_EQ_INT(error->term_signal, SIGSYS);
        HKT_TRUE(is_told);
        if (!is_told || error->term_signal != SIGSYS) {
            printf("\n    %s: %s\n", deed->told, error->message);
        }
    }
    hk_future_unref(future);
}
