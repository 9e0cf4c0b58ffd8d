/* SPDX-License-Identifier: MIT */
/*
 * Cancel tokens: a tree that fires downwards.
 *
 * One lock for all trees: tokens are few, and firing is rare. Under it a whole
 * subtree is marked and its watches gathered, so that a task submitted while the
 * tree fires sees either the mark or the fire. What a watch sets off (it may run
 * callbacks of the application) happens after the lock is released.
 *
 * Invariant: a token's `why` is written before `fired` is set and never after.
 */
#include "futures/cancel_impl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"

enum { WHY_MAX_BYTES = 128 };

struct hk_cancel_token {
    atomic_uint references;
    atomic_bool fired;
    hk_cancel_token *parent;  /* One reference. */
    struct hki_list siblings; /* Link in the parent's children, or in a fire's list. */
    struct hki_list children;
    struct hki_list watches;
    char why[WHY_MAX_BYTES];
    /* Under the tree's lock: */
    int fd;                 /* -1 until asked for. */
    unsigned fd_generation; /* Of the process that made it. */
    struct hki_cancel_watch fd_watch;
};

/* Rank: a leaf but for the locks that a watch's signal takes. */
static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;

hk_status hk_cancel_token_create(hk_cancel_token *parent, hk_cancel_token **out)
{
    hk_cancel_token *token;

    if (out == NULL) {
        return HK_EINVAL;
    }
    if ((token = hki_zalloc(sizeof(*token))) == NULL) {
        return HK_ENOMEM;
    }
    atomic_init(&token->references, 1);
    atomic_init(&token->fired, false);
    token->fd = -1;
    hki_list_init(&token->fd_watch.link);
    hki_list_init(&token->siblings);
    hki_list_init(&token->children);
    hki_list_init(&token->watches);
    hki_live_add(HKI_LIVE_TOKENS, 1);
    if (parent != NULL) {
        token->parent = hk_cancel_token_ref(parent);
        pthread_mutex_lock(&tree_lock);
        if (atomic_load(&parent->fired)) {
            snprintf(token->why, sizeof(token->why), "%s", parent->why);
            atomic_store(&token->fired, true);
        } else {
            hki_list_append(&parent->children, &token->siblings);
        }
        pthread_mutex_unlock(&tree_lock);
    }
    *out = token;
    return HK_OK;
}

hk_cancel_token *hk_cancel_token_ref(hk_cancel_token *token)
{
    if (token != NULL) {
        /* relaxed: the caller has a reference, so the object is stable. */
        atomic_fetch_add_explicit(&token->references, 1, memory_order_relaxed);
    }
    return token;
}

void hk_cancel_token_unref(hk_cancel_token *token)
{
    /* A loop, not recursion: chains of parents may be long. */
    while (token != NULL) {
        hk_cancel_token *parent = token->parent;

        /* acq_rel: pairs with itself; the last owner sees all earlier uses. */
        if (atomic_fetch_sub_explicit(&token->references, 1, memory_order_acq_rel) != 1) {
            return;
        }
        pthread_mutex_lock(&tree_lock);
        hki_list_remove(&token->siblings);
        hki_list_remove(&token->fd_watch.link);
        pthread_mutex_unlock(&tree_lock);
        if (token->fd >= 0) {
            hki_os_close(token->fd);
        }
        hki_free(token, sizeof(*token));
        hki_live_add(HKI_LIVE_TOKENS, -1);
        token = parent;
    }
}

/* Under the lock: marks the subtree, calls signals, gathers the rest. */
static void mark_all(hk_cancel_token *root, const char *why, struct hki_list *due)
{
    struct hki_list marked;
    struct hki_list *at;

    hki_list_init(&marked);
    hki_list_remove(&root->siblings);
    hki_list_append(&marked, &root->siblings);
    while ((at = hki_list_take_first(&marked)) != NULL) {
        hk_cancel_token *token = HKI_CONTAINER(at, hk_cancel_token, siblings);
        struct hki_list *link = token->watches.next;

        snprintf(token->why, sizeof(token->why), "%s", why == NULL ? "" : why);
        atomic_store(&token->fired, true);
        hki_list_append_all(&marked, &token->children);
        while (link != &token->watches) {
            struct hki_cancel_watch *watch = HKI_CONTAINER(link, struct hki_cancel_watch, link);

            link = link->next;
            if (watch->signal != NULL) {
                hki_list_remove(&watch->link);
                watch->signal(watch);
            }
        }
        hki_list_append_all(due, &token->watches);
    }
}

hk_status hk_cancel_token_fire(hk_cancel_token *token, const char *why)
{
    struct hki_list due;
    struct hki_list *at;

    if (token == NULL) {
        return HK_EINVAL;
    }
    hki_list_init(&due);
    pthread_mutex_lock(&tree_lock);
    if (!atomic_load(&token->fired)) {
        mark_all(token, why, &due);
    }
    /* One at a time: while one acts, others may still be unwatched. */
    while ((at = hki_list_take_first(&due)) != NULL) {
        struct hki_cancel_watch *watch = HKI_CONTAINER(at, struct hki_cancel_watch, link);

        watch->hold(watch);
        pthread_mutex_unlock(&tree_lock);
        watch->act(watch, why);
        pthread_mutex_lock(&tree_lock);
    }
    pthread_mutex_unlock(&tree_lock);
    return HK_OK;
}

/* Under the lock. A child shares the parent's event, and is not to set it. */
static void signal_fd(struct hki_cancel_watch *watch)
{
    hk_cancel_token *token = HKI_CONTAINER(watch, hk_cancel_token, fd_watch);

    if (token->fd_generation == hki_fork_generation()) {
        hki_os_event_signal(token->fd);
    }
}

/* Under the lock, with one that others may have made meanwhile: then it is false. */
static bool adopt_fd(hk_cancel_token *token, int fd)
{
    if (token->fd >= 0) {
        return false;
    }
    token->fd = fd;
    token->fd_generation = hki_fork_generation();
    token->fd_watch = (struct hki_cancel_watch){.signal = signal_fd};
    if (atomic_load(&token->fired)) {
        hki_list_init(&token->fd_watch.link);
        hki_os_event_signal(fd);
    } else {
        hki_list_append(&token->watches, &token->fd_watch.link);
    }
    return true;
}

/* The token's descriptor, made if need be. HK_ESYS: none to be had. */
static hk_status need_fd(hk_cancel_token *token)
{
    bool adopted;
    int mine;

    pthread_mutex_lock(&tree_lock);
    mine = token->fd;
    pthread_mutex_unlock(&tree_lock);
    if (mine >= 0) {
        return HK_OK;
    }
    if ((mine = hki_os_event_create()) < 0) {
        return HK_ESYS;
    }
    pthread_mutex_lock(&tree_lock);
    adopted = adopt_fd(token, mine);
    pthread_mutex_unlock(&tree_lock);
    if (!adopted) {
        hki_os_close(mine);
    }
    return HK_OK;
}

hk_status hk_cancel_token_fd(hk_cancel_token *token, int *fd)
{
    hk_status status;

    if (token == NULL || fd == NULL) {
        return HK_EINVAL;
    }
    if ((status = need_fd(token)) != HK_OK) {
        return status;
    }
    /* Without the lock: once there, it stays as it is. */
    if (token->fd_generation != hki_fork_generation()) {
        return HK_EFORKED;
    }
    *fd = token->fd;
    return HK_OK;
}

bool hk_cancel_token_is_fired(const hk_cancel_token *token)
{
    return token != NULL && atomic_load(&((hk_cancel_token *)token)->fired);
}

const char *hk_cancel_token_why(const hk_cancel_token *token)
{
    return hk_cancel_token_is_fired(token) ? token->why : "";
}

bool hki_cancel_watch(hk_cancel_token *token, struct hki_cancel_watch *watch)
{
    bool linked;

    hki_list_init(&watch->link);
    pthread_mutex_lock(&tree_lock);
    linked = !atomic_load(&token->fired);
    if (linked) {
        hki_list_append(&token->watches, &watch->link);
    }
    pthread_mutex_unlock(&tree_lock);
    return linked;
}

bool hki_cancel_unwatch(struct hki_cancel_watch *watch)
{
    bool linked;

    pthread_mutex_lock(&tree_lock);
    linked = hki_list_linked(&watch->link);
    if (linked) {
        hki_list_remove(&watch->link);
    }
    pthread_mutex_unlock(&tree_lock);
    return linked;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&tree_lock);
}
