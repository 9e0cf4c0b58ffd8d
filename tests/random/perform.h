/* SPDX-License-Identifier: MIT */
/* The operations, each with the statuses that it may give here. */
#ifndef HKT_RANDOM_PERFORM_H
#define HKT_RANDOM_PERFORM_H

#include "tests/random/stage.h"

typedef void hkt_perform_fn(int op, const struct hkt_op *at);

/* perform_submit.c */
hkt_perform_fn hkt_perform_executor;
hkt_perform_fn hkt_perform_submit;
hkt_perform_fn hkt_perform_many;

/* perform_read.c */
hkt_perform_fn hkt_perform_read;
hkt_perform_fn hkt_perform_wait;
hkt_perform_fn hkt_perform_as_completed;
hkt_perform_fn hkt_perform_completion;
hkt_perform_fn hkt_perform_add;
hkt_perform_fn hkt_perform_next;

/* perform_future.c */
hkt_perform_fn hkt_perform_cancel;
hkt_perform_fn hkt_perform_token;
hkt_perform_fn hkt_perform_fire;
hkt_perform_fn hkt_perform_callback;
hkt_perform_fn hkt_perform_remove;
hkt_perform_fn hkt_perform_forget;
hkt_perform_fn hkt_perform_unref;

/* perform_chain.c */
hkt_perform_fn hkt_perform_chain;
hkt_perform_fn hkt_perform_group;
hkt_perform_fn hkt_perform_within;
hkt_perform_fn hkt_perform_promise;
hkt_perform_fn hkt_perform_promise_end;

/* perform_map.c */
hkt_perform_fn hkt_perform_map;
hkt_perform_fn hkt_perform_range;

/* perform_executor.c */
hkt_perform_fn hkt_perform_shutdown;
hkt_perform_fn hkt_perform_kill_worker;
hkt_perform_fn hkt_perform_change;

/* Takes one from a completion queue; false: there is none, or it took too long. */
bool hkt_deliver(int completion_op, hk_completion *completion, hk_duration timeout, bool may_ring);

/* Writes down, before it is done, what a shutdown can do, and waits; for the end, too. */
hk_status hkt_shut_down(int executor_op, hk_executor *executor, hk_shutdown_how how,
                        hk_duration wait);

/* Everything of this future, and of what it was made of, can be cancelled from now on. */
void hkt_may_cancel(int op, unsigned index, hk_cancel_level level);

/* Gives up a promise that nobody ended; what that can lead to is written down before. */
void hkt_promise_give_up(int op);

/* Whether what this operation waits for can, in the end, be waiting for the task that this
 * thread runs: only then may the library say so (rings.c). */
bool hkt_may_ring(int op);

/* Whether what is followed may wait, in the end, for the operation whose future is to follow. */
bool hkt_may_follow_itself(int followed_op, int op);

/* Whether an executor, or one that it works on, is or can be shut down. */
bool hkt_may_be_closed(int executor_op);

/* The executor that an operation's tasks go to: in the body of a task that may be its own, which
 * in a worker process is none of the program's. */
int hkt_home_of(int op);

/* Whether a submit to it may wait until there is room. */
bool hkt_waits_for_room(int to);

/* Whether it stands in the body of a task, so that it may go to that task's executor. */
bool hkt_has_own_executor(int op);

enum hkt_executor_kind hkt_kind_of(int executor_op);

/* The one whose workers run its tasks: not a serial one. */
int hkt_base_of(int executor_op);

/* Whether tasks of it run in worker processes. */
bool hkt_is_far(int executor_op);

#endif
