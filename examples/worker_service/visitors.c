/* SPDX-License-Identifier: MIT */
/* The clients of the demonstration: they know every answer, also that of a worker that dies. */
#include "protocol.h"
#include "service.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = 24 };

struct visit {
    uint16_t port;
    bool ends_service; /* Sends SIGTERM once the request has begun. */
    bool is_answered;  /* Else the connection is closed without an answer. */
    char request[LINE_BYTES];
    char answer[LINE_BYTES];
};

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool is_as_expected(int fd, const struct visit *visit)
{
    char line[LINE_BYTES];

    if (!line_write(fd, visit->request)) {
        return false;
    }
    if (visit->ends_service && (!line_read(fd, line, sizeof line) || strcmp(line, "begun") != 0 ||
                                kill(getpid(), SIGTERM) != 0)) {
        return false;
    }
    if (!line_read(fd, line, sizeof line)) {
        return !visit->is_answered;
    }
    return visit->is_answered && strcmp(line, visit->answer) == 0;
}

HK_TASK(visit_once)
{
    const struct visit *visit = in;
    bool is_right;
    int fd = connect_to(visit->port);

    if (fd < 0) {
        return hk_fail(call, 1, "no connection for \"%s\"", visit->request);
    }
    is_right = is_as_expected(fd, visit);
    close(fd);
    return is_right ? HK_OK : hk_fail(call, 2, "a wrong answer to \"%s\"", visit->request);
}

/* The source of a map: a crowd of sums, with a crash and a hang in its midst. */
struct crowd {
    uint16_t port;
    unsigned next;
    struct visit visit;
};

static hk_status next_visit(void *state, hk_map_input *input)
{
    struct crowd *crowd = state;
    struct visit *visit = &crowd->visit;

    if (crowd->next == CROWD) {
        return HK_EDONE;
    }
    memset(visit, 0, sizeof *visit);
    visit->port = crowd->port;
    visit->is_answered = true;
    if (crowd->next == CROWD / 3) {
        visit->is_answered = false;
        strcpy(visit->request, "crash");
    } else if (crowd->next == CROWD / 2) {
        visit->is_answered = false;
        strcpy(visit->request, "hang");
    } else {
        snprintf(visit->request, sizeof visit->request, "sum %u %u", crowd->next, 100U);
        snprintf(visit->answer, sizeof visit->answer, "%u", crowd->next + 100U);
    }
    crowd->next++;
    input->data = visit;
    input->size = sizeof *visit;
    return HK_OK;
}

static hk_status count_visit(void *accumulator, const hk_map_item *item)
{
    struct visits *visits = accumulator;

    if (item->status == HK_OK) {
        visits->right++;
        return HK_OK;
    }
    visits->wrong++;
    if (item->error != NULL) {
        fprintf(stderr, "worker_service: a client: %s\n", item->error->message);
    }
    return HK_OK;
}

HK_TASK(visit_service)
{
    struct visits visits = {0, 0};
    struct crowd crowd = {.next = 0};
    struct visit last = {.ends_service = true, .is_answered = true};
    hk_future *future;
    hk_status status;

    if (in_size != sizeof crowd.port) {
        return hk_fail(call, 1, "a port has %zu bytes", sizeof crowd.port);
    }
    memcpy(&crowd.port, in, sizeof crowd.port);
    status = hk_map_reduce(hk_call_executor(call), visit_once, next_visit, &crowd, count_visit,
                           &visits, NULL);
    if (status != HK_OK) {
        return status;
    }
    last.port = crowd.port;
    strcpy(last.request, "slow");
    strcpy(last.answer, "late but here");
    status = hk_submit(hk_call_executor(call), visit_once, &last, sizeof last, NULL, &future);
    if (status != HK_OK) {
        return status;
    }
    status = hk_future_result(future, HK_FOREVER, NULL, NULL);
    if (status != HK_OK) {
        fprintf(stderr, "worker_service: the last client: %s\n", hk_future_why(future));
    }
    visits.right += status == HK_OK;
    visits.wrong += status != HK_OK;
    hk_future_unref(future);
    return hk_return(call, &visits, sizeof visits);
}
