/* SPDX-License-Identifier: MIT */
/*
 * GPrivate. It is static and for ever: so each run uses the same ones.
 */
#include <glib.h>

#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"

static GPrivate locals[LOCALS_MAX];

static void begin(size_t count)
{
    const GPrivate fresh = G_PRIVATE_INIT(local_drop);

    for (size_t i = 0; i < count; i++) {
        if (locals[i].notify == NULL) {
            locals[i] = fresh;
        }
    }
}

static void end(void)
{
    g_private_replace(&locals[0], NULL);
}

static inline struct local_object *local_get(size_t place)
{
    struct local_object *object = g_private_get(&locals[place]);

    if (object == NULL) {
        object = local_make();
        g_private_set(&locals[place], object);
    }
    return object;
}

#include "bench/sync/local_loops.h"

const struct local_peer local_glib = {begin, end, local_count_up, local_touch, NULL, NULL};
