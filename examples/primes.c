/* SPDX-License-Identifier: MIT */
/*
 * Which of these numbers are primes? The same task one after the other, on threads, and
 * in processes, where a crash would cost one number: only the line that opens the
 * executor differs.
 */
#include <hocket/hocket.h>
#include <hocket/process_pool.h>

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Up to sixteen digits: primes, and products of two primes. */
static const uint64_t large_numbers[] = {
    9999999999999937U, 9999999999999999U, 9999997800000121U, 9999996000000319U, 9994999999999991U,
    9990254593948141U, 9989097005300221U, 9983263608381967U, 9976089353579887U, 9899831687000221U,
    9879994049000441U, 9812345678901217U, 9800018589999943U, 9499999999999969U, 9271828182845873U,
    9007199254740881U, 8888888888888753U, 8314462618153171U, 7777777777777753U, 6674299999999937U,
};

static const uint64_t small_numbers[] = {
    1999999973, 1998999983, 1998000601, 1981993063, 1979293039, 1799310011, 1499999957, 49, 2, 1,
};

enum { NUMBERS_MAX = sizeof(large_numbers) / sizeof(large_numbers[0]) };

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* [task] */
struct finding {
    uint64_t factor; /* The smallest one above 1; the number itself if it is a prime. */
    int64_t took_ns;
};

static uint64_t smallest_factor(uint64_t number)
{
    if (number % 2 == 0) {
        return 2;
    }
    for (uint64_t divisor = 3; divisor <= number / divisor; divisor += 2) {
        if (number % divisor == 0) {
            return divisor;
        }
    }
    return number;
}

HK_TASK(factorise)
{
    uint64_t number;
    struct finding finding;
    int64_t began_ns = now_ns();

    if (in_size != sizeof(number)) {
        return hk_fail(call, 1, "a number has %zu bytes, not %zu", sizeof(number), in_size);
    }
    memcpy(&number, in, sizeof(number));
    finding.factor = smallest_factor(number);
    finding.took_ns = now_ns() - began_ns;
    return hk_return(call, &finding, sizeof(finding));
}
/* [task] */

/* One way to run all tasks, and what came of it. */
struct way {
    const char *title;
    char spec[32];
    struct finding findings[NUMBERS_MAX];
    int64_t took_ns;
};

struct settings {
    unsigned workers;
    const uint64_t *numbers;
    size_t count;
};

/* [run] */
static bool run_on(hk_executor *executor, const struct settings *settings, struct way *way)
{
    hk_future *futures[NUMBERS_MAX];
    const void *value;
    size_t accepted = 0;
    bool is_fine = hk_submit_many(executor, factorise, settings->numbers, settings->count,
                                  sizeof(uint64_t), NULL, futures, &accepted) == HK_OK;

    for (size_t i = 0; i < accepted; i++) {
        if (hk_future_result(futures[i], HK_FOREVER, &value, NULL) == HK_OK) {
            memcpy(&way->findings[i], value, sizeof(way->findings[i]));
        } else {
            fprintf(stderr, "%s: %s\n", way->spec, hk_future_why(futures[i]));
            is_fine = false;
        }
        hk_future_unref(futures[i]);
    }
    return is_fine;
}
/* [run] */

/* Workers start before the clock does. */
static bool run_way(const struct settings *settings, struct way *way)
{
    hk_executor *executor;
    hk_status status = hk_executor_open(way->spec, &executor);
    bool is_fine;
    int64_t began_ns;

    if (status != HK_OK) {
        fprintf(stderr, "%s: %s\n", way->spec, hk_strerror(status));
        return false;
    }
    is_fine = hk_executor_prestart(executor, HK_FOREVER) == HK_OK;
    began_ns = now_ns();
    is_fine = is_fine && run_on(executor, settings, way);
    way->took_ns = now_ns() - began_ns;
    return hk_executor_destroy(executor) == HK_OK && is_fine;
}

/* --- The table ---------------------------------------------------------------------- */

enum { SEQUENTIAL, THREADS, PROCESSES, WAYS };

static double ms_of(int64_t duration_ns)
{
    return (double)duration_ns / 1e6;
}

static void print_row(uint64_t number, const struct way *ways, size_t i)
{
    uint64_t factor = ways[SEQUENTIAL].findings[i].factor;

    printf("%16" PRIu64, number);
    if (number < 2) {
        printf("  %-9s %15s", "neither", "-");
    } else if (factor == number) {
        printf("  %-9s %15s", "prime", "-");
    } else {
        printf("  %-9s %15" PRIu64, "composite", factor);
    }
    for (int way = 0; way < WAYS; way++) {
        printf(" %12.1f", ms_of(ways[way].findings[i].took_ns));
    }
    printf("\n");
}

/* Whether all ways have found the same. */
static bool print_table(const struct settings *settings, const struct way *ways)
{
    bool agree = true;

    printf("%16s  %-9s %15s", "number", "verdict", "smallest factor");
    for (int way = 0; way < WAYS; way++) {
        printf(" %12s", ways[way].title);
    }
    printf("\n");
    for (size_t i = 0; i < settings->count; i++) {
        print_row(settings->numbers[i], ways, i);
        for (int way = THREADS; way < WAYS; way++) {
            agree = agree && ways[way].findings[i].factor == ways[SEQUENTIAL].findings[i].factor;
        }
    }
    printf("%-42s", "all together, in milliseconds");
    for (int way = 0; way < WAYS; way++) {
        printf(" %12.1f", ms_of(ways[way].took_ns));
    }
    printf("\n%-42s", "times as fast as one after the other");
    for (int way = 0; way < WAYS; way++) {
        printf(" %12.2f", (double)ways[SEQUENTIAL].took_ns / (double)ways[way].took_ns);
    }
    printf("\n%s\n", agree ? "All agree." : "They do NOT agree.");
    return agree;
}

/* --- The command line --------------------------------------------------------------- */

enum { KEY_QUICK = 256, WORKERS_MAX = 1024 };

static const struct argp_option option_list[] = {
    {"workers", 'w', "N", 0, "Threads, and processes (2)", 0},
    {"quick", KEY_QUICK, NULL, 0, "Small numbers: shows that it works, not how fast", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct settings *settings = state->input;
    char *end;

    switch (key) {
    case 'w': {
        unsigned long workers = strtoul(argument, &end, 10);

        if (argument[0] < '0' || argument[0] > '9' || *end != '\0' || workers < 1 ||
            workers > WORKERS_MAX) {
            argp_error(state, "workers must be a number from 1 to %d, not '%s'", WORKERS_MAX,
                       argument);
        }
        settings->workers = (unsigned)workers;
        return 0;
    }
    case KEY_QUICK:
        settings->numbers = small_numbers;
        settings->count = sizeof(small_numbers) / sizeof(small_numbers[0]);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        option_list,
        parse_option,
        NULL,
        "Look for the smallest factors of some numbers: one after the other, on threads, and in "
        "processes. Times are milliseconds.",
        NULL,
        NULL,
        NULL};
    struct settings settings = {2, large_numbers, NUMBERS_MAX};
    struct way ways[WAYS] = {[SEQUENTIAL] = {.title = "sequential", .spec = "inline"},
                             [THREADS] = {.title = "threads"},
                             [PROCESSES] = {.title = "processes"}};

    /* [zygote] */
    /* First of all: processes are made from what the program is now. */
    if (hk_zygote_start() != HK_OK) {
        perror("no processes");
        return 1;
    }
    /* [zygote] */
    argp_parse(&parser, argc, argv, 0, NULL, &settings);
    snprintf(ways[THREADS].spec, sizeof(ways[THREADS].spec), "threads:%u", settings.workers);
    snprintf(ways[PROCESSES].spec, sizeof(ways[PROCESSES].spec), "processes:%u", settings.workers);
    for (int way = 0; way < WAYS; way++) {
        if (!run_way(&settings, &ways[way])) {
            return 1;
        }
    }
    return print_table(&settings, ways) ? 0 : 1;
}
