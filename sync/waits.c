/* SPDX-License-Identifier: MIT */
/*
 * hk_waits_dump: a text about every thread that has shown a wait. It is put together
 * under the graph's lock, as a look, so that nothing it names can vanish; and written
 * afterwards, for writing may take its time.
 */
#include <hocket/waits.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/time.h"
#include "sync/block.h"
#include "sync/holder.h"
#include "sync/waits_impl.h"

enum {
    FIRST_ROOM = 4096,
    STEPS_MAX = 16, /* Of one chain: longer ones are cut. */
};

struct text {
    char *bytes;
    size_t used;
    size_t room;
    bool short_of_memory;
};

static bool make_room(struct text *text, size_t more)
{
    size_t room = text->room == 0 ? FIRST_ROOM : text->room;
    char *bytes;

    while (room - text->used <= more) {
        room *= 2;
    }
    if (room == text->room) {
        return true;
    }
    if ((bytes = hki_alloc(room)) == NULL) {
        text->short_of_memory = true;
        return false;
    }
    if (text->bytes != NULL) {
        memcpy(bytes, text->bytes, text->used);
        hki_free(text->bytes, text->room);
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

static __attribute__((format(printf, 2, 3))) void append(struct text *text, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    length = length < (int)sizeof(line) ? length : (int)sizeof(line) - 1;
    if (length > 0 && make_room(text, (size_t)length)) {
        memcpy(text->bytes + text->used, line, (size_t)length);
        text->used += (size_t)length;
    }
}

/* The first successor; a node that names itself has nothing to say there. */
static struct hki_wait_node successor(struct hki_wait_node node, size_t count)
{
    struct hki_wait_node next = node.ops->next(node.object, 0);

    for (size_t i = 1; i < count && next.ops == node.ops && next.object == node.object; i++) {
        next = node.ops->next(node.object, i);
    }
    return next;
}

/* " held by A since y.c:33, which waits for ...": who must act, and what for. */
static void append_chain(struct text *text, struct hki_wait_node node)
{
    char words[256] = "";
    char relation[512] = "";

    node.ops->describe(node.object, words, sizeof(words));
    append(text, "%s", words);
    for (int step = 0; step < STEPS_MAX; step++) {
        bool is_thread = hki_agent_is_node(node);
        size_t count = 0;
        struct hki_wait_node next;

        if (is_thread ? ((struct hki_agent *)node.object)->waits_for.ops == NULL
                      : node.ops->look(node.object, &count) == HKI_WAIT_MOVES && count == 0) {
            return;
        }
        next = successor(node, count);
        if (next.ops == NULL) {
            return;
        }
        next.ops->describe(next.object, words, sizeof(words));
        if (is_thread) {
            append(text, ", which waits for %s", words);
        } else if (node.ops->relate != NULL) {
            node.ops->relate(node.object, next, words, relation, sizeof(relation));
            append(text, " %s", relation);
        } else {
            append(text, "%s%s %s", node.ops->verb == NULL ? "" : " ",
                   node.ops->verb == NULL ? ", which needs" : node.ops->verb, words);
        }
        if (count > 1) {
            append(text, " (and %zu more)", count - 1);
        }
        node = next;
    }
    append(text, ", and so on");
}

/* Only of a thread that has published its wait: then it changes nothing. */
static void append_held(struct text *text, struct hki_agent *agent)
{
    struct hki_holder *holder = agent->holder;

    if (agent->waits_for.ops == NULL || holder == NULL) {
        return;
    }
    for (uint32_t i = 0; i < holder->depth; i++) {
        const struct hki_held *held = &holder->held[i];
        const char *name = hki_held_name(held);

        append(text, "    holds %s %p (%s) since %s:%d\n",
               held->flags == HKI_HELD_LOCK   ? "lock"
               : held->flags == HKI_HELD_READ ? "as a reader, lock"
                                              : "as the writer, lock",
               held->lock, name == NULL ? "unnamed" : name, held->site->file, held->site->line);
    }
}

static void append_wait(struct text *text, struct hki_agent *agent, int64_t now_ns)
{
    struct hki_wait_node node = {atomic_load(&agent->shown_ops), NULL};
    int64_t waited_ns;
    char who[64] = "";

    if (node.ops == NULL) {
        return;
    }
    node.object = atomic_load(&agent->shown_object);
    waited_ns = now_ns - atomic_load(&agent->shown_since_ns);
    hki_agent_node(agent).ops->describe(agent, who, sizeof(who));
    append(text, "  %s waits, since %lld.%03lld s, for ", who, (long long)(waited_ns / 1000000000),
           (long long)(waited_ns / 1000000 % 1000));
    append_chain(text, node);
    append(text, "\n");
    append_held(text, agent);
}

/* Under the graph's lock, inside a look. */
static void append_all(struct text *text)
{
    uint32_t last = hki_slot_last();
    int64_t now_ns = hk_now_ns();
    size_t empty;

    append(text, "waits of this process:\n");
    empty = text->used;
    for (uint32_t slot = 1; slot <= last; slot++) {
        struct hki_agent *agent = hki_slot_agent(slot);

        if (agent != NULL && !hki_slot_foreign(slot)) {
            append_wait(text, agent, now_ns);
        }
    }
    if (text->used == empty) {
        append(text, "  none\n");
    }
}

static hk_status write_all(int fd, const char *bytes, size_t size)
{
    HKI_NO_CANCEL;

    while (size != 0) {
        ssize_t wrote = write(fd, bytes, size);

        if (wrote < 0 && errno != EINTR) {
            return HK_ESYS;
        }
        if (wrote > 0) {
            bytes += wrote;
            size -= (size_t)wrote;
        }
    }
    return HK_OK;
}

hk_status hk_waits_dump(int fd)
{
    struct text text = {NULL, 0, 0, false};
    hk_status status;

    if (fd < 0) {
        return HK_EINVAL;
    }
    hki_wait_graph_lock();
    hki_wait_graph_looks(true);
    append_all(&text);
    hki_wait_graph_looks(false);
    hki_wait_graph_unlock();
    status = text.short_of_memory ? HK_ENOMEM : write_all(fd, text.bytes, text.used);
    if (text.bytes != NULL) {
        hki_free(text.bytes, text.room);
    }
    return status;
}

bool hki_waits_overdue(hk_duration limit)
{
    uint32_t last = hki_slot_last();
    int64_t now_ns = hk_now_ns();
    bool overdue = false;

    hki_wait_graph_lock();
    for (uint32_t slot = 1; slot <= last; slot++) {
        struct hki_agent *agent = hki_slot_agent(slot);
        int64_t since_ns;

        if (agent == NULL || hki_slot_foreign(slot) || atomic_load(&agent->shown_ops) == NULL) {
            continue;
        }
        since_ns = atomic_load(&agent->shown_since_ns);
        if (now_ns - since_ns >= limit && agent->told_since_ns != since_ns) {
            agent->told_since_ns = since_ns;
            overdue = true;
        }
    }
    hki_wait_graph_unlock();
    return overdue;
}

void hk_waits_warn_blocking(bool on)
{
    hki_block_warn(on);
}
