/* SPDX-License-Identifier: MIT */
/* A thread of one's own that is asked through a queue and answers through futures: each
 * request carries the promise of its answer. Requests that nobody got are not lost: their
 * futures tell. */
#include <hocket/hocket.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUESTIONS = 6 };

/* [request] */
struct request {
    int number;
    hk_promise *promise; /* Of its square. */
};

/* An hk_item_drop_fn: a promise that is given up ends its future with HK_EBROKEN. */
static void abandon(void *item, void *arg)
{
    struct request *request = item;

    (void)arg;
    hk_promise_destroy(request->promise);
    free(request);
}
/* [request] */

/* [ask] */
static hk_status ask(hk_queue *queue, int number, hk_future **answer)
{
    struct request *request = malloc(sizeof(*request));
    hk_status status;

    if (request == NULL) {
        return HK_ENOMEM;
    }
    request->number = number;
    if ((status = hk_promise_create(&request->promise, answer)) != HK_OK) {
        free(request);
        return status;
    }
    if ((status = hk_queue_put(queue, request, HK_FOREVER)) != HK_OK) {
        abandon(request, NULL); /* Refused: it is still ours. */
        hk_future_unref(*answer);
    }
    return status;
}
/* [ask] */

/* [serve] */
static void *serve(void *arg)
{
    hk_queue *queue = arg;
    void *item;

    while (hk_queue_get(queue, HK_FOREVER, &item) == HK_OK) {
        struct request *request = item;

        /* Refused if the future was cancelled meanwhile: nobody wants it any more. */
        if (hk_promise_start(request->promise) == HK_OK) {
            int square = request->number * request->number;
            hk_status status = hk_promise_set(request->promise, &square, sizeof(square));

            if (status != HK_OK) {
                hk_promise_fail(request->promise, 0, "%s", hk_strerror(status));
            }
        }
        abandon(request, NULL); /* What has been set is not touched by that. */
    }
    return NULL; /* HK_EDONE: closed, and all is answered. */
}
/* [serve] */

/* The sum of the squares of 1 to QUESTIONS, or -1. */
static int ask_and_add(hk_queue *queue)
{
    hk_future *answers[QUESTIONS] = {NULL};
    int sum = 0;

    for (int i = 0; i < QUESTIONS; i++) {
        if (ask(queue, i + 1, &answers[i]) != HK_OK) {
            answers[i] = NULL;
        }
    }
    for (int i = 0; i < QUESTIONS; i++) {
        const void *value;

        if (answers[i] == NULL || hk_future_result(answers[i], HK_FOREVER, &value, NULL) != HK_OK) {
            sum = -1;
            break;
        }
        sum += *(const int *)value;
    }
    for (int i = 0; i < QUESTIONS; i++) {
        hk_future_unref(answers[i]);
    }
    return sum;
}

/* Whether a request that is left in a queue at its end is told of. */
static int leave_one(void)
{
    hk_queue_options options = {.name = "nobody's", .drop = abandon};
    hk_queue *queue;
    hk_future *answer;
    int told = 0;

    if (hk_queue_create(&options, &queue) != HK_OK) {
        return 0;
    }
    if (ask(queue, 7, &answer) != HK_OK) {
        answer = NULL;
    }
    if (hk_queue_destroy(queue) == HK_OK && answer != NULL) {
        told = hk_future_result(answer, HK_FOREVER, NULL, NULL) == HK_EBROKEN;
    }
    hk_future_unref(answer);
    return told;
}

int main(void)
{
    hk_queue_options options = {.name = "questions", .capacity = 2, .drop = abandon};
    hk_queue *queue;
    pthread_t server;
    int sum;

    if (hk_queue_create(&options, &queue) != HK_OK) {
        return 2;
    }
    if (pthread_create(&server, NULL, serve, queue) != 0) {
        return 2;
    }
    sum = ask_and_add(queue);
    printf("the squares of 1 to %d add up to %d\n", QUESTIONS, sum);
    hk_queue_close(queue);
    pthread_join(server, NULL);
    return hk_queue_destroy(queue) != HK_OK || sum != 91 || !leave_one();
}
