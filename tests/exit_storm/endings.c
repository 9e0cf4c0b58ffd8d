/* SPDX-License-Identifier: MIT */
/* How the process ends while the scene is under way. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/exit_storm/storm.h"

/* Returns to main(), which returns. */
static void returns(void)
{
}

static void exits(void)
{
    exit(STORM_STATUS);
}

static void exits_at_once(void)
{
    _exit(STORM_STATUS);
}

static void exits_quickly(void)
{
    quick_exit(STORM_STATUS);
}

static void *exits_from_thread(void *arg)
{
    storm_spin((uint32_t)(uintptr_t)arg);
    exit(STORM_STATUS);
}

static void a_thread_exits(void)
{
    storm_thread(exits_from_thread, (void *)(uintptr_t)storm_draw(20000));
    for (;;) {
        pause();
    }
}

static void main_leaves_and_a_thread_exits(void)
{
    storm_thread(exits_from_thread, (void *)(uintptr_t)storm_draw(20000));
    pthread_exit(NULL);
}

/* --- by a task or a callback --- */

HK_TASK(storm_ends_process)
{
    exit(STORM_STATUS);
}

/* The pool of the scene, or one of its own, with at least one worker that is free or soon will
 * be. */
static hk_executor *some_pool(void)
{
    return storm_pool != NULL && storm_draw(2) == 0 ? storm_pool : storm_open("threads:1?name=end");
}

static void a_task_exits(void)
{
    hk_executor *pool = some_pool();

    if (hk_submit(pool, storm_ends_process, NULL, 0, NULL, NULL) != HK_OK) {
        storm_broken("the last submit was refused");
    }
    for (;;) {
        pause();
    }
}

/* While main() waits for it. */
static void an_awaited_task_exits(void)
{
    hk_executor *pool = some_pool();
    hk_future *future = NULL;

    if (hk_submit(pool, storm_ends_process, NULL, 0, NULL, &future) != HK_OK ||
        hk_future_wait(future, HK_FOREVER) == HK_OK) {
        storm_broken("the last task returned");
    }
    for (;;) {
        pause();
    }
}

static void an_inline_task_exits(void)
{
    (void)!hk_submit(storm_open("inline?name=here"), storm_ends_process, NULL, 0, NULL, NULL);
    storm_broken("the last task returned");
}

static void exits_from_callback(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    exit(STORM_STATUS);
}

HK_TASK(storm_is_short)
{
    return HK_OK;
}

static void a_callback_exits(void)
{
    hk_executor *pool = some_pool();
    hk_future *future = NULL;

    if (hk_submit(pool, storm_is_short, NULL, 0, NULL, &future) != HK_OK ||
        hk_future_on_done(future, storm_draw(2) == 0 ? pool : NULL, exits_from_callback, NULL,
                          NULL) != HK_OK) {
        storm_broken("the last callback was refused");
    }
    for (;;) {
        pause();
    }
}

/* --- with the library in use by handlers and destructors --- */

static hk_executor *late_pool;

static void submits_and_waits(void)
{
    hk_future *future = NULL;
    hk_status status = hk_submit(late_pool, storm_is_short, NULL, 0, NULL, &future);

    if (status != HK_OK || hk_future_wait(future, HK_FOREVER) != HK_OK) {
        storm_broken("an exit handler was refused");
    }
    hk_future_unref(future);
}

static void a_handler_submits(void)
{
    late_pool = storm_open("threads:1?name=late");
    if (atexit(submits_and_waits) != 0) {
        storm_broken("no handler");
    }
}

static void a_handler_shuts_down_hard(void)
{
    for (size_t i = 0; i < storm_executor_count; i++) {
        if (hk_executor_shutdown(storm_executors[i], HK_SHUTDOWN_KILL, 0) != HK_OK) {
            storm_broken("a shutdown was refused");
        }
    }
}

static void a_handler_ends_all(void)
{
    if (atexit(a_handler_shuts_down_hard) != 0) {
        storm_broken("no handler");
    }
}

static int uses_late;

/* Of the lowest priority that programs may have. So it runs behind the library's own destructor,
 * where that is in the program; that of a shared library comes after those of the program. */
__attribute__((destructor(101))) static void last_destructor(void)
{
    hk_executor *fresh = NULL;
    hk_status status;

    if (uses_late == 0) {
        return;
    }
    for (size_t i = 0; i < storm_executor_count; i++) {
        status = hk_submit(storm_executors[i], storm_is_short, NULL, 0, NULL, NULL);
        if (status != HK_ECLOSED && (!STORM_SHARED || status != HK_OK)) {
            storm_broken("a submit in the last destructor");
        }
        (void)hk_executor_shutdown(storm_executors[i], HK_SHUTDOWN_KILL, 0);
    }
    if (hk_inline_create(NULL, &fresh) != (STORM_SHARED ? HK_OK : HK_ECLOSED)) {
        storm_broken("an executor in the last destructor");
    }
}

static void a_destructor_uses_it(void)
{
    uses_late = 1;
}

static void shuts_down_hard_and_returns(void)
{
    a_handler_shuts_down_hard();
}

/* --- with another process --- */

static void becomes_another_program(void)
{
    char status[16];

    snprintf(status, sizeof(status), "exit %d", STORM_STATUS);
    execl("/bin/sh", "sh", "-c", status, (char *)NULL);
    storm_broken("exec");
}

/* The child goes by exit(), so the library's destructor runs there too. */
static void forks_and_both_exit(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        exit(STORM_STATUS);
    }
    if (pid < 0 || (storm_draw(2) == 0 &&
                    (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != STORM_STATUS))) {
        storm_broken("the child");
    }
}

static void is_terminated(void)
{
    (void)raise(SIGTERM);
}

static void is_killed(void)
{
    (void)raise(SIGKILL);
}

const struct storm_ending storm_endings[] = {
    {"returns", returns, 0},
    {"exits", exits, 0},
    {"exits_at_once", exits_at_once, 0},
    {"exits_quickly", exits_quickly, 0},
    {"a_thread_exits", a_thread_exits, 0},
    {"main_leaves", main_leaves_and_a_thread_exits, 0},
    {"a_task_exits", a_task_exits, 0},
    {"an_awaited_task_exits", an_awaited_task_exits, 0},
    {"an_inline_task_exits", an_inline_task_exits, 0},
    {"a_callback_exits", a_callback_exits, 0},
    {"a_handler_submits", a_handler_submits, 0},
    {"a_handler_ends_all", a_handler_ends_all, 0},
    {"a_destructor_uses_it", a_destructor_uses_it, 0},
    {"shuts_down_hard", shuts_down_hard_and_returns, 0},
    {"becomes_another_program", becomes_another_program, 0},
    {"forks_and_both_exit", forks_and_both_exit, 0},
    {"is_terminated", is_terminated, SIGTERM},
    {"is_killed", is_killed, SIGKILL},
};
const size_t storm_ending_count = sizeof(storm_endings) / sizeof(storm_endings[0]);
