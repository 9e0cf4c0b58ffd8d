/* SPDX-License-Identifier: MIT */
/*
 * The queue of a back end: bounded, three lanes, first in first out in each.
 * Guarded by the back end's lock. A queued job's reference is the queue's.
 */
#ifndef HOCKET_EXECUTORS_TASK_QUEUE_H
#define HOCKET_EXECUTORS_TASK_QUEUE_H

#include "executors/job.h"
#include "sync/condition.h"
#include "sync/lane.h"

enum {
    HKI_LANES = 4, /* Errands of the library, high, normal, low. */
    HKI_LANES_BESIDE = 3,
};

struct hki_task_queue {
    struct hki_list lanes[HKI_LANES];
    atomic_size_t length; /* All jobs. Written under the lock. */
    size_t counted;       /* Those that count for the capacity: all but errands. */
    size_t most;          /* Highest value of counted so far. */
    size_t capacity;
    hk_when_full when_full;
    uint64_t sequence;
    unsigned turn;
    uint64_t openings;                         /* How often room was made, see executors/room.c. */
    atomic_uint awaited;                       /* Those who wait for room. */
    unsigned looked_at;                        /* Those who wait for room and are in the graph. */
    struct hki_condition room;                 /* Signalled when counted falls below capacity. */
    struct hki_lane *beside[HKI_LANES_BESIDE]; /* What waits there counts, too; NULL ends them. */
};

void hki_task_queue_init(struct hki_task_queue *queue, const hk_executor_options *options);
void hki_task_queue_destroy(struct hki_task_queue *queue);

/* Room for one more counted job? */
bool hki_task_queue_full(const struct hki_task_queue *queue);

void hki_task_queue_push(struct hki_task_queue *queue, hk_job *job);

/* Whose turn it is; the turns of a cycle of 21 count up from 0, and go on. */
hk_priority hki_priority_of_turn(unsigned turn);

/* The next by lane and turn; NULL when empty. */
hk_job *hki_task_queue_pop(struct hki_task_queue *queue);

/* The same, where tasks of the normal lane also wait elsewhere, if so: NULL when it is one of
 * theirs whose turn it is. */
hk_job *hki_task_queue_pop_beside(struct hki_task_queue *queue, bool elsewhere);

/* A place may have become free in another way than by this queue. */
void hki_task_queue_made_room(struct hki_task_queue *queue);

/* As hki_task_queue_pop() would, without taking it out. */
hk_job *hki_task_queue_peek(const struct hki_task_queue *queue);

/* Puts one that was taken out back before all others of its lane, whatever the capacity. */
void hki_task_queue_push_front(struct hki_task_queue *queue, hk_job *job);

/* The one that came first, of those that count; NULL when there is none. */
hk_job *hki_task_queue_pop_oldest(struct hki_task_queue *queue);

/* Takes a job out if it is in; false otherwise. */
bool hki_task_queue_remove(struct hki_task_queue *queue, hk_job *job);

/* Moves all to a list of the caller's, who ends them with the next function. */
void hki_task_queue_take_all(struct hki_task_queue *queue, struct hki_list *jobs);

/* Without any lock. */
void hki_discard_all(struct hki_list *jobs, hk_status status, const char *message);

#endif
