/* SPDX-License-Identifier: MIT */
/* Tasks on a thread pool that each use a connection of their thread: it is opened when the
 * thread first needs it and closed when the thread ends. A socket pair stands in for a
 * connection to a database; its far end answers each question with the double of it. */
#include <hocket/hocket.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TASKS = 200, WORKERS = 3 };

/* [connection] */
struct connection {
    int near_end;
    int far_end;
    long used;
};

static hk_counter opened;
static hk_counter closed;

static hk_status open_connection(void *arg, void **object)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int ends[2];

    (void)arg; /* The address of the database, were there one. */
    if (connection == NULL) {
        return HK_ENOMEM;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        free(connection);
        return HK_ESYS;
    }
    connection->near_end = ends[0];
    connection->far_end = ends[1];
    hk_counter_add(&opened, 1);
    *object = connection;
    return HK_OK;
}

static void close_connection(void *object)
{
    struct connection *connection = object;

    close(connection->near_end);
    close(connection->far_end);
    free(connection);
    hk_counter_add(&closed, 1);
}

/* Connections add up how often they were used; those of threads that have ended are in
 * `past`. */
static void add_uses(void *total, const void *object)
{
    ((struct connection *)total)->used += ((const struct connection *)object)->used;
}

static struct connection past;
static hk_local connections =
    HK_LOCAL_FOLD_INIT(open_connection, close_connection, NULL, add_uses, &past);
/* [connection] */

/* What the database does. */
static bool answer(const struct connection *connection)
{
    int number;

    if (read(connection->far_end, &number, sizeof(number)) != (ssize_t)sizeof(number)) {
        return false;
    }
    number *= 2;
    return write(connection->far_end, &number, sizeof(number)) == (ssize_t)sizeof(number);
}

/* [task] */
HK_TASK(ask)
{
    struct connection *connection = hk_local_get(&connections);
    const int *question = in;
    int reply;

    if (connection == NULL) {
        return hk_fail(call, 1, "no connection");
    }
    connection->used++;
    if (write(connection->near_end, question, in_size) != (ssize_t)in_size || !answer(connection) ||
        read(connection->near_end, &reply, sizeof(reply)) != (ssize_t)sizeof(reply)) {
        return hk_fail(call, 2, "the connection is lost");
    }
    return hk_return(call, &reply, sizeof(reply));
}
/* [task] */

/* The sum of all answers; -1 when one is missing. */
static long ask_all(hk_executor *pool)
{
    hk_future *futures[TASKS];
    long sum = 0;

    for (int i = 0; i < TASKS; i++) {
        if (hk_submit(pool, ask, &i, sizeof(i), NULL, &futures[i]) != HK_OK) {
            futures[i] = NULL;
        }
    }
    for (int i = 0; i < TASKS; i++) {
        const void *reply;

        if (futures[i] == NULL || hk_future_result(futures[i], HK_FOREVER, &reply, NULL) != HK_OK) {
            fprintf(stderr, "%s\n",
                    futures[i] == NULL ? "not submitted" : hk_future_why(futures[i]));
            sum = -1;
        } else if (sum >= 0) {
            sum += *(const int *)reply;
        }
        hk_future_unref(futures[i]);
    }
    return sum;
}

int main(void)
{
    hk_executor_options options = {.name = "asking", .workers = WORKERS};
    struct connection total = {0};
    hk_executor *pool;
    long sum;

    if (hk_thread_pool_create(&options, &pool) != HK_OK) {
        return 2;
    }
    sum = ask_all(pool);
    /* The workers end here, and their connections are closed. */
    if (hk_executor_destroy(pool) != HK_OK || hk_local_fold(&connections, &total) != HK_OK) {
        return 2;
    }
    printf("%d tasks asked, %ld was the sum of the answers\n", TASKS, sum);
    printf("connections: %lld opened, %ld times used, %lld closed\n",
           (long long)hk_counter_sum(&opened), total.used, (long long)hk_counter_sum(&closed));
    return sum != (long)TASKS * (TASKS - 1) || total.used != TASKS ||
           hk_counter_sum(&opened) > WORKERS || hk_counter_sum(&opened) != hk_counter_sum(&closed);
}
