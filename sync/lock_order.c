/* SPDX-License-Identifier: MIT */
/*
 * The slow path of locks that nest: judge, learn, sort, report.
 *
 * What needs no lock is done without it: memory, the walk of the stack, the report. So an
 * attempt that turns out to need one of these lets go of the lock, fetches it, and begins
 * again; nothing was changed by then.
 */
#include "sync/lock_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sync/learned_order.h"
#include "sync/lock_chains.h"
#include "sync/lock_outer.h"
#include "sync/lock_report.h"
#include "sync/lock_sight.h"

enum {
    FEW_EDGES = 4,      /* Longer cycles need memory to be reported. */
    ALL_PAIRS_MAX = 32, /* Of more locks at once only neighbours are learned. */
};

/* Begins chains of several locks at once, which stand for more than single ones do. */
#define SORTED_SALT UINT64_C(0x452821E638D01377)

_Atomic(uint64_t) hki_order_seed_word = UINT64_C(0x243F6A8885A308D3);

/* One call of hki_order_check() or hki_order_sort(). */
struct attempt {
    struct hki_lock_graph *graph; /* Only while the lock is held. */
    const struct hki_held *held;
    size_t count;
    const struct hki_held *wanted;
    size_t n;
    struct hki_held *sorted; /* wanted, if it is to be sorted. */
    hk_lock_policy policy;
    const void *caller; /* Backtraces begin there. */
    /* What was fetched without the lock: */
    bool has_sight;
    bool no_memory;       /* Not for tables. */
    bool no_draft_memory; /* Not for a longer report. */
    size_t draft_room;
    hk_lock_edge *draft;
    /* What was found: */
    bool is_wrong;
    bool is_new; /* And not reported before. */
    bool is_dropped;
    hk_lock_report report;
    const struct hki_held *wrong_held;
    const struct hki_held *wrong_wanted;
    uint32_t wrong_from; /* Its node, as the search found it. */
    struct hki_lock_sight sight;
    hk_lock_edge few[FEW_EDGES];
};

/* --- Identities ---------------------------------------------------------------------- */

/* One-to-one on words, and 0 to 0. */
static uint64_t mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

uint64_t hki_order_new_identity(void)
{
    static atomic_uint_fast64_t last;

    /* relaxed: the number is all there is. */
    return mix(atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1);
}

void hki_order_renew(void)
{
    static atomic_uint_fast64_t last;

    atomic_store(&hki_order_seed_word, mix(atomic_fetch_add(&last, 1) + 1) ^ SORTED_SALT);
}

bool hki_order_known(uint64_t key)
{
    return hki_chains_have(key);
}

static void make_room_for(struct attempt *attempt)
{
    size_t n = attempt->n;
    size_t edges = attempt->count * n + 1;
    size_t outers = attempt->count > 1 ? attempt->count * n : 0;

    if (attempt->sorted != NULL) {
        edges += n <= ALL_PAIRS_MAX ? n * (n - 1) / 2 : n;
    }
    if (!attempt->no_memory && !hki_learned_make_room(attempt->count + n, edges, outers)) {
        attempt->no_memory = true;
    }
}

/* --- Judging --------------------------------------------------------------------------- */

static uint32_t find(const struct hki_lock_graph *graph, const struct hki_held *lock)
{
    return lock->identity != 0 ? hki_lock_node_find(&graph->table, lock->identity) : HKI_LOCK_NONE;
}

static void found_wrong(struct attempt *attempt, hk_lock_report_kind kind,
                        const struct hki_held *held, const struct hki_held *wanted)
{
    attempt->is_wrong = true;
    attempt->report.kind = kind;
    attempt->wrong_held = held;
    attempt->wrong_wanted = wanted;
}

/* Looks for a way from the wanted lock to one of the held ones. Only those with a later
 * place can be reached. */
static void judge_order(struct attempt *attempt, const struct hki_held *wanted, uint32_t to)
{
    struct hki_lock_graph *graph = attempt->graph;
    uint32_t found;
    size_t i = 0;

    hki_lock_search_begin(graph);
    for (size_t k = 0; k < attempt->count; k++) {
        uint32_t from = find(graph, &attempt->held[k]);

        if (from != HKI_LOCK_NONE &&
            hki_lock_node_at(graph, from)->place > hki_lock_node_at(graph, to)->place &&
            !hki_lock_graph_allows(graph, from, to)) {
            hki_lock_search_target(graph, from);
        }
    }
    if (graph->highest_target == 0 || (found = hki_lock_search_run(graph, to)) == HKI_LOCK_NONE) {
        return;
    }
    while (find(graph, &attempt->held[i]) != found) {
        i++;
    }
    attempt->wrong_from = found;
    found_wrong(attempt, HK_LOCK_INVERSION, &attempt->held[i], wanted);
}

static void judge_one(struct attempt *attempt, const struct hki_held *wanted)
{
    uint32_t to = find(attempt->graph, wanted);

    if (wanted->identity == 0) {
        return;
    }
    for (size_t i = 0; i < attempt->count; i++) {
        if (attempt->held[i].identity == wanted->identity &&
            !hki_lock_graph_allows(attempt->graph, to, to)) {
            found_wrong(attempt, HK_LOCK_SAME_CLASS, &attempt->held[i], wanted);
            return;
        }
    }
    if (to != HKI_LOCK_NONE) {
        judge_order(attempt, wanted, to);
    }
}

/* Judging all against what is known before anything is learned is exact: a cycle through
 * several new edges holds a way from some wanted lock to a held one that is known. */
static void judge(struct attempt *attempt)
{
    attempt->is_wrong = false;
    if (attempt->policy != HK_LOCK_OFF) {
        for (size_t i = 0; i < attempt->n && !attempt->is_wrong; i++) {
            judge_one(attempt, &attempt->wanted[i]);
        }
    }
}

/* --- Learning -------------------------------------------------------------------------- */

/* Whether the two are nodes of their own, and no edge leads from one to the other. */
static bool is_unknown(const struct hki_lock_graph *graph, const struct hki_held *from,
                       const struct hki_held *to)
{
    return from->identity != 0 && to->identity != 0 && from->identity != to->identity &&
           !hki_lock_graph_has(graph, find(graph, from), find(graph, to));
}

static bool is_news_to_held(const struct attempt *attempt, const struct hki_held *wanted)
{
    return wanted->identity != 0 &&
           !hki_lock_outer_knows(attempt->graph, attempt->held, attempt->count, wanted);
}

static bool is_news_to_others(const struct attempt *attempt, size_t i)
{
    const struct hki_held *wanted = attempt->wanted;

    for (size_t k = i + 1; k < attempt->n; k++) {
        if (is_unknown(attempt->graph, &wanted[i], &wanted[k]) &&
            is_unknown(attempt->graph, &wanted[k], &wanted[i])) {
            return true;
        }
    }
    return false;
}

/* Whether something will have to be learned, which needs a sight. Of many at once it is
 * taken to be so. */
static bool has_news(const struct attempt *attempt)
{
    bool is_many = attempt->sorted != NULL && attempt->n > ALL_PAIRS_MAX;
    bool found = is_many;

    for (size_t i = 0; i < attempt->n && !found; i++) {
        found = (attempt->policy != HK_LOCK_OFF && is_news_to_held(attempt, &attempt->wanted[i])) ||
                (attempt->sorted != NULL && is_news_to_others(attempt, i));
    }
    return found;
}

/* The node of a lock, which is made if need be. */
static uint32_t node_of(struct attempt *attempt, const struct hki_held *lock)
{
    uint32_t node = hki_lock_graph_node(attempt->graph, lock);

    attempt->is_dropped |= node == HKI_LOCK_NONE && lock->identity != 0;
    return node;
}

static void fix_edge(struct attempt *attempt, const struct hki_held *from,
                     const struct hki_held *to)
{
    uint32_t one = node_of(attempt, from);
    uint32_t other = node_of(attempt, to);

    if (one == HKI_LOCK_NONE || other == HKI_LOCK_NONE || one == other) {
        return;
    }
    hki_lock_sight_aim(&attempt->sight, from, to);
    if (hki_lock_graph_learn(attempt->graph, one, other, HKI_EDGE_FIXED, &attempt->sight) ==
        HKI_LEARNED_NO_ROOM) {
        attempt->is_dropped = true;
    }
}

/* Without a sight there is nothing new: see has_news(). */
static void learn(struct attempt *attempt)
{
    if (!attempt->has_sight) {
        return;
    }
    for (size_t i = 0; attempt->policy != HK_LOCK_OFF && i < attempt->n; i++) {
        if (attempt->wanted[i].identity != 0 && attempt->count > 0) {
            attempt->is_dropped |=
                !hki_lock_outer_learn(attempt->graph, attempt->held, attempt->count,
                                      &attempt->wanted[i], &attempt->sight);
        }
    }
}

/* --- Sorting --------------------------------------------------------------------------- */

static bool is_before(const struct hki_held *one, const struct hki_held *other)
{
    return one->key != other->key ? one->key < other->key
                                  : (uintptr_t)one->lock < (uintptr_t)other->lock;
}

/* By key, in place: a sort of the C library may allocate. */
static void sort_by_key(struct hki_held *locks, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (size_t i = gap; i < n; i++) {
            struct hki_held moved = locks[i];
            size_t at = i;

            while (at >= gap && is_before(&moved, &locks[at - gap])) {
                locks[at] = locks[at - gap];
                at -= gap;
            }
            locks[at] = moved;
        }
    }
}

/* The graph's order, and then the edges that make it stay so: fixed ones, also between
 * locks that are allowed in any order, since other threads have to sort them alike. */
static void sort_and_fix(struct attempt *attempt)
{
    const struct hki_lock_graph *graph = attempt->graph;
    struct hki_held *sorted = attempt->sorted;
    size_t n = attempt->n;

    for (size_t i = 0; i < n; i++) {
        (void)node_of(attempt, &sorted[i]);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t node = find(graph, &sorted[i]);

        sorted[i].key = node != HKI_LOCK_NONE ? hki_lock_node_at(graph, node)->place : UINT64_MAX;
    }
    sort_by_key(sorted, n);
    for (size_t i = 0; i < n; i++) {
        size_t end = n <= ALL_PAIRS_MAX || i + 2 > n ? n : i + 2;

        for (size_t k = i + 1; k < end; k++) {
            if (sorted[k].key != UINT64_MAX) {
                fix_edge(attempt, &sorted[i], &sorted[k]);
            }
        }
    }
}

/* The key of several locks that are sorted, and known to be; 0 if they do not stand in
 * an order that could be known: those of one identity by address, those without last. */
static uint64_t sorted_key(const struct attempt *attempt)
{
    const struct hki_held *wanted = attempt->wanted;
    uint64_t key = attempt->count > 0 ? attempt->held[attempt->count - 1].key : hki_order_seed();

    if (attempt->n > ALL_PAIRS_MAX || attempt->policy == HK_LOCK_OFF) {
        return 0;
    }
    key = hki_order_mix(key, SORTED_SALT);
    for (size_t i = 0; i < attempt->n; i++) {
        if (i > 0 &&
            (wanted[i - 1].identity == 0 || wanted[i - 1].identity == wanted[i].identity)) {
            if (wanted[i].identity != wanted[i - 1].identity ||
                (uintptr_t)wanted[i].lock < (uintptr_t)wanted[i - 1].lock) {
                return 0;
            }
        }
        key = hki_order_mix(key, wanted[i].identity);
    }
    return key;
}

/* --- Reporting ------------------------------------------------------------------------- */

/* The wrong step itself, and that it is told. */
static void draft_wrong(struct attempt *attempt)
{
    struct hki_lock_graph *graph = attempt->graph;
    hk_lock_edge *edge = &attempt->draft[0];
    uint32_t from = node_of(attempt, attempt->wrong_held);
    uint32_t to = node_of(attempt, attempt->wrong_wanted);

    memset(edge, 0, sizeof(*edge));
    hki_lock_sight_aim(&attempt->sight, attempt->wrong_held, attempt->wrong_wanted);
    hki_lock_sight_show(&attempt->sight, edge);
    if (from != HKI_LOCK_NONE && to != HKI_LOCK_NONE) {
        memcpy(edge->from_name, hki_lock_node_at(graph, from)->name, sizeof(edge->from_name));
        memcpy(edge->to_name, hki_lock_node_at(graph, to)->name, sizeof(edge->to_name));
        hki_lock_graph_refuse(graph, from, to, &attempt->sight);
    }
    attempt->is_new = true;
}

/* Writes the edges of the report, right after the search. False if it needs more room
 * than there is: draft_room says how much, and nothing is noted yet. */
static bool draft_report(struct attempt *attempt)
{
    struct hki_lock_graph *graph = attempt->graph;
    size_t room = attempt->draft_room;
    size_t count = 1;

    if (!attempt->is_wrong || hki_lock_report_is_under_way() ||
        hki_lock_graph_refuses(graph, find(graph, attempt->wrong_held),
                               find(graph, attempt->wrong_wanted))) {
        return true;
    }
    if (attempt->report.kind == HK_LOCK_INVERSION) {
        count += hki_lock_search_path(graph, find(graph, attempt->wrong_wanted),
                                      attempt->wrong_from, attempt->draft + 1, room - 1);
    }
    if (count > room && !attempt->no_draft_memory) {
        attempt->draft_room = count;
        return false;
    }
    draft_wrong(attempt);
    attempt->report.edge_count = count < room ? count : room;
    return true;
}

/* Without memory the report ends with the edges that fit. */
static void more_draft(struct attempt *attempt, size_t old_room)
{
    hk_lock_edge *more = hki_alloc(attempt->draft_room * sizeof(*more));

    if (more == NULL) {
        attempt->no_draft_memory = true;
        attempt->draft_room = old_room;
        return;
    }
    if (attempt->draft != attempt->few) {
        hki_free(attempt->draft, old_room * sizeof(*more));
    }
    attempt->draft = more;
}

static void deliver(struct attempt *attempt)
{
    hk_lock_report *report = &attempt->report;

    report->policy = attempt->policy;
    report->edges = attempt->draft;
    report->thread_name = attempt->draft[0].thread_name;
    report->thread_id = attempt->draft[0].thread_id;
    hki_lock_report_deliver(report, attempt->held, attempt->count);
}

/* --- The attempt ----------------------------------------------------------------------- */

/* Judges, and fetches what is needed to go on. The lock is held at the end. */
static struct hki_learned_order *look(struct attempt *attempt)
{
    for (;;) {
        struct hki_learned_order *learned = hki_learned_lock();
        size_t room = attempt->draft_room;

        attempt->graph = &learned->graph;
        make_room_for(attempt);
        judge(attempt);
        if (!attempt->has_sight && (attempt->is_wrong || has_news(attempt))) {
            hki_learned_unlock();
            hki_lock_sight_take(&attempt->sight, attempt->caller);
            attempt->has_sight = true;
        } else if (!draft_report(attempt)) {
            hki_learned_unlock();
            more_draft(attempt, room);
        } else {
            return learned;
        }
    }
}

static hk_status run(struct attempt *attempt)
{
    struct hki_learned_order *learned;
    bool is_refused;

    attempt->draft = attempt->few;
    attempt->draft_room = FEW_EDGES;
    learned = look(attempt);
    is_refused = attempt->is_wrong && attempt->policy != HK_LOCK_REPORT;
    if (!is_refused) {
        learn(attempt);
        if (attempt->sorted != NULL) {
            sort_and_fix(attempt);
        }
    }
    learned->checks++;
    learned->inversions += attempt->is_wrong;
    learned->dropped += attempt->is_dropped;
    hki_learned_unlock();

    if (attempt->is_dropped) {
        hki_learned_tell_loss(attempt->no_memory);
    }
    if (attempt->is_new) {
        deliver(attempt);
    }
    if (attempt->draft != attempt->few) {
        hki_free(attempt->draft, attempt->draft_room * sizeof(*attempt->draft));
    }
    if (is_refused && attempt->policy == HK_LOCK_ABORT) {
        abort();
    }
    return is_refused ? HK_EORDER : HK_OK;
}

/* At the limit of the tables a chain counts as known, else it would be looked at for
 * ever; without memory the next attempt may succeed. */
static bool may_be_known(const struct attempt *attempt)
{
    return !attempt->is_dropped || !attempt->no_memory;
}

hk_status hki_order_check(const struct hki_held *held, size_t count, const struct hki_held *wanted,
                          hk_lock_policy policy)
{
    struct attempt attempt;
    hk_status status;

    policy = hki_order_policy(policy);
    if (policy == HK_LOCK_OFF || wanted->identity == 0) {
        hki_chains_add(wanted->key);
        return HK_OK;
    }
    attempt = (struct attempt){
        .held = held,
        .count = count,
        .wanted = wanted,
        .n = 1,
        .policy = policy,
        .caller = __builtin_return_address(0),
    };
    status = run(&attempt);
    if (status == HK_OK && may_be_known(&attempt)) {
        hki_chains_add(wanted->key);
    }
    return status;
}

hk_status hki_order_sort(const struct hki_held *held, size_t count, struct hki_held *wanted,
                         size_t n, hk_lock_policy policy)
{
    struct attempt attempt = {
        .held = held,
        .count = count,
        .wanted = wanted,
        .n = n,
        .sorted = wanted,
        .policy = hki_order_policy(policy),
        .caller = __builtin_return_address(0),
    };
    uint64_t key = sorted_key(&attempt);
    hk_status status;

    if (n == 0 || hki_chains_have(key)) {
        return HK_OK;
    }
    status = run(&attempt);
    if (status == HK_OK && !attempt.is_dropped) {
        hki_chains_add(sorted_key(&attempt));
    }
    return status;
}
