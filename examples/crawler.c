/* SPDX-License-Identifier: MIT */
/*
 * A crawler over a web that it makes up: pages have links, take their time, hang, or are broken,
 * all by the page's number, so that what is to be found is known beforehand.
 *
 * Pages are fetched by tasks; this thread takes results as they come and submits what they
 * link to, if nobody has seen it, up to a depth. A page has a time limit, and another try when it
 * overruns; all of it has a limit too, at which what is under way is cancelled.
 *
 * With --executor replay:SEED time is virtual: hangs cost nothing, and each run is the same.
 */
#include <hocket/hocket.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 600, LINKS = 6, EXIT_USAGE = 2, NO_DEPTH = 1 << 20 };

/* What the application says in hk_error.app_code. */
enum { CODE_BROKEN = 404 };

struct fetch {
    unsigned page;
    unsigned attempt; /* From 1. */
};

/* The made-up web: one number decides all about a page. */
static unsigned mix(unsigned page, unsigned salt)
{
    uint64_t bits = (page + 1) * UINT64_C(0x9E3779B97F4A7C15) + salt * UINT64_C(0xBF58476D1CE4E5B9);

    bits ^= bits >> 31;
    bits *= UINT64_C(0x94D049BB133111EB);
    return (unsigned)(bits >> 33);
}

static bool page_is_broken(unsigned page)
{
    return page != 0 && mix(page, 100) % 23 == 0;
}

/* How many tries find it hanging. */
static unsigned page_hangs(unsigned page)
{
    return page != 0 && mix(page, 200) % 61 == 0 ? 1 + mix(page, 201) % 4 : 0;
}

static unsigned page_link(unsigned page, unsigned which)
{
    return mix(page, which) % PAGES;
}

/* Gives the numbers of the pages that it links to. */
HK_TASK(fetch_page)
{
    struct fetch fetch;
    unsigned links[LINKS];
    hk_status status;

    if (in_size != sizeof fetch) {
        return hk_fail(call, 1, "a page to fetch has %zu bytes", sizeof fetch);
    }
    memcpy(&fetch, in, sizeof fetch);
    status = hk_sleep(call, fetch.attempt <= page_hangs(fetch.page)
                                ? HK_FOREVER
                                : HK_US(200 + mix(fetch.page, 300) % 2000));
    if (status != HK_OK) {
        return status;
    }
    if (page_is_broken(fetch.page)) {
        return hk_fail(call, CODE_BROKEN, "page %u is not there", fetch.page);
    }
    for (unsigned i = 0; i < LINKS; i++) {
        links[i] = page_link(fetch.page, i);
    }
    return hk_return(call, links, sizeof links);
}

struct arguments {
    const char *executor;
    unsigned depth;
    unsigned attempts;
    unsigned page_ms;
    unsigned whole_ms;
    bool is_verbose;
};

enum page_state { UNSEEN, IN_FLIGHT, FETCHED, GIVEN_UP };

struct page {
    enum page_state state;
    unsigned depth; /* The least at which it was found, by now. */
    unsigned attempt;
    unsigned links[LINKS];
};

struct crawl {
    const struct arguments *arguments;
    hk_executor *executor;
    hk_completion *ended;
    hk_cancel_token *stop;
    struct page pages[PAGES];
    unsigned fetched;
    unsigned broken;
    unsigned overran; /* Tries, not pages. */
    unsigned given_up;
    unsigned unfinished;
};

static bool failed(const char *what, hk_status status)
{
    if (status != HK_OK) {
        fprintf(stderr, "crawler: %s: %s (%s)\n", what, hk_strerror(status),
                hk_status_name(status));
    }
    return status != HK_OK;
}

static hk_status submit_page(struct crawl *crawl, unsigned number)
{
    struct page *page = &crawl->pages[number];
    struct fetch fetch = {number, ++page->attempt};
    hk_submit_options options = {.timeout = HK_MS(crawl->arguments->page_ms),
                                 .token = crawl->stop,
                                 .priority =
                                     fetch.attempt == 1 ? HK_PRIORITY_NORMAL : HK_PRIORITY_LOW};
    hk_future *future;
    hk_status status =
        hk_submit(crawl->executor, fetch_page, &fetch, sizeof fetch, &options, &future);

    if (status == HK_OK) {
        page->state = IN_FLIGHT;
        status = hk_completion_add(crawl->ended, future, number);
        hk_future_unref(future);
    }
    return status;
}

static hk_status found(struct crawl *crawl, unsigned number, unsigned depth);

static hk_status follow_links(struct crawl *crawl, const struct page *page)
{
    hk_status status = HK_OK;

    for (unsigned i = 0; i < LINKS && status == HK_OK; i++) {
        status = found(crawl, page->links[i], page->depth + 1);
    }
    return status;
}

/* Results come in any order, so a page may be found again by a shorter way: what it links to
 * then is less deep, too, and may come within the limit. Recursion ends at the limit of depth. */
static hk_status found(struct crawl *crawl, unsigned number, unsigned depth)
{
    struct page *page = &crawl->pages[number];

    if (depth > crawl->arguments->depth || depth >= page->depth) {
        return HK_OK;
    }
    page->depth = depth;
    if (page->state == UNSEEN) {
        return submit_page(crawl, number);
    }
    return page->state == FETCHED ? follow_links(crawl, page) : HK_OK;
}

/* A page that is not there is a result; any other failure of a task is one of the crawl. */
static bool is_broken(hk_future *future)
{
    const hk_error *error;

    return hk_future_error(future, 0, &error) == HK_OK && error != NULL &&
           error->app_code == CODE_BROKEN;
}

static hk_status take_failure(struct crawl *crawl, unsigned number, hk_future *future,
                              hk_status status)
{
    struct page *page = &crawl->pages[number];

    if (status == HK_EDEADLINE) {
        crawl->overran++;
        if (page->attempt < crawl->arguments->attempts) {
            return submit_page(crawl, number);
        }
        crawl->given_up++;
    } else if (status == HK_ECANCELED) {
        crawl->unfinished++;
    } else if (is_broken(future)) {
        crawl->broken++;
    } else {
        fprintf(stderr, "crawler: page %u: %s\n", number, hk_future_why(future));
        return status;
    }
    page->state = GIVEN_UP;
    if (crawl->arguments->is_verbose) {
        printf("page %u: %s\n", number, hk_future_why(future));
    }
    return HK_OK;
}

static hk_status take_result(struct crawl *crawl, unsigned number, hk_future *future)
{
    struct page *page = &crawl->pages[number];
    const void *value;
    hk_status status = hk_future_result(future, 0, &value, NULL);

    if (status != HK_OK) {
        return take_failure(crawl, number, future, status);
    }
    memcpy(page->links, value, sizeof page->links);
    page->state = FETCHED;
    crawl->fetched++;
    if (crawl->arguments->is_verbose) {
        printf("page %u: depth %u, try %u\n", number, page->depth, page->attempt);
    }
    return follow_links(crawl, page);
}

/* Results as they come, until nothing is under way. When the whole limit runs out the rest is
 * cancelled, and comes as cancelled. A submit that is refused then is the same. */
static hk_status run(struct crawl *crawl)
{
    const int64_t end_ns = hk_now_ns() + HK_MS(crawl->arguments->whole_ms);
    hk_status status = found(crawl, 0, 0);

    while (status == HK_OK) {
        int64_t left_ns = end_ns - hk_now_ns();
        hk_future *future;
        uintptr_t number;

        if (hk_cancel_token_is_fired(crawl->stop)) {
            left_ns = HK_FOREVER;
        } else if (left_ns < 0) {
            left_ns = 0;
        }
        status = hk_completion_next(crawl->ended, left_ns, &future, &number);
        if (status == HK_ETIMEDOUT) {
            status = hk_cancel_token_fire(crawl->stop, "the whole limit ran out");
        } else if (status == HK_OK) {
            status = take_result(crawl, (unsigned)number, future);
            hk_future_unref(future);
            if (status == HK_ECANCELED && hk_cancel_token_is_fired(crawl->stop)) {
                crawl->unfinished++;
                status = HK_OK;
            }
        }
    }
    return status == HK_EDONE ? HK_OK : status;
}

/* The same by a plain search in breadth: the pages that a crawl without a limit must fetch. */
static unsigned count_expected(const struct arguments *arguments)
{
    static unsigned queue[PAGES], depths[PAGES];
    static bool seen[PAGES];
    unsigned first = 0, last = 1, count = 0;

    seen[0] = true;
    for (; first < last; first++) {
        unsigned page = queue[first];

        if (page_is_broken(page) || page_hangs(page) >= arguments->attempts) {
            continue;
        }
        count++;
        for (unsigned i = 0; i < LINKS && depths[page] < arguments->depth; i++) {
            unsigned next = page_link(page, i);

            if (!seen[next]) {
                seen[next] = true;
                depths[next] = depths[page] + 1;
                queue[last++] = next;
            }
        }
    }
    return count;
}

static int report(const struct crawl *crawl)
{
    unsigned expected = count_expected(crawl->arguments);

    printf("fetched %u pages, %u broken, %u given up, %u tries ran too long, %u unfinished\n",
           crawl->fetched, crawl->broken, crawl->given_up, crawl->overran, crawl->unfinished);
    if (hk_cancel_token_is_fired(crawl->stop)) {
        printf("stopped: %s\n", hk_cancel_token_why(crawl->stop));
        return crawl->fetched <= expected ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    printf("expected %u pages: %s\n", expected, crawl->fetched == expected ? "right" : "WRONG");
    return crawl->fetched == expected ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int crawl_all(const struct arguments *arguments)
{
    static struct crawl crawl;
    char why[128];
    int code = EXIT_FAILURE;

    crawl.arguments = arguments;
    for (unsigned i = 0; i < PAGES; i++) {
        crawl.pages[i].depth = NO_DEPTH;
    }
    if (hk_executor_check_spec(arguments->executor, why, sizeof why) != HK_OK) {
        fprintf(stderr, "crawler: --executor %s: %s\n", arguments->executor, why);
        return EXIT_USAGE;
    }
    if (failed("the executor", hk_executor_open(arguments->executor, &crawl.executor))) {
        return EXIT_FAILURE;
    }
    if (!failed("a completion queue", hk_completion_create(&crawl.ended)) &&
        !failed("a token", hk_cancel_token_create(NULL, &crawl.stop)) &&
        !failed("the crawl", run(&crawl))) {
        code = report(&crawl);
    }
    hk_cancel_token_fire(crawl.stop,
                         "the crawl is over"); /* after a failure; else nothing is left */
    hk_completion_destroy(crawl.ended);
    hk_cancel_token_unref(crawl.stop);
    return failed("the end of the executor", hk_executor_destroy(crawl.executor)) ? EXIT_FAILURE
                                                                                  : code;
}

static void usage(FILE *stream)
{
    fputs("usage: crawler [--executor SPEC] [--depth N] [--attempts N] [--page-limit MS]\n"
          "               [--limit MS] [--verbose]\n"
          "Crawls a made-up web from its page 0, and compares with what is to be found.\n"
          "  --executor SPEC  where pages are fetched; threads:8 by default. With replay:SEED\n"
          "                   time is virtual, and each run of one seed is the same\n"
          "  --depth N        follow links so often; 4 by default\n"
          "  --attempts N     tries for a page that overruns its limit; 3 by default\n"
          "  --page-limit MS  for each try; 100 by default\n"
          "  --limit MS       for all; 20000 by default\n"
          "  --verbose        a line for each page, as it comes\n",
          stream);
}

static bool parse_number(const char *name, const char *text, unsigned most, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > most) {
        fprintf(stderr, "crawler: --%s takes a number from 1 to %u, not \"%s\"\n", name, most,
                text);
        return false;
    }
    *number = (unsigned)value;
    return true;
}

/* Returns the exit code, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"executor", required_argument, NULL, 'e'}, {"depth", required_argument, NULL, 'd'},
        {"attempts", required_argument, NULL, 'a'}, {"page-limit", required_argument, NULL, 'p'},
        {"limit", required_argument, NULL, 'l'},    {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int letter, which;

    while ((letter = getopt_long(argc, argv, "h", options, &which)) != -1) {
        bool is_good = true;

        switch (letter) {
        case 'e':
            arguments->executor = optarg;
            break;
        case 'd':
            is_good = parse_number("depth", optarg, 100, &arguments->depth);
            break;
        case 'a':
            is_good = parse_number("attempts", optarg, 100, &arguments->attempts);
            break;
        case 'p':
            is_good = parse_number("page-limit", optarg, 1000000, &arguments->page_ms);
            break;
        case 'l':
            is_good = parse_number("limit", optarg, 1000000, &arguments->whole_ms);
            break;
        case 'v':
            arguments->is_verbose = true;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            is_good = false;
        }
        if (!is_good) {
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {"threads:8", 4, 3, 100, 20000, false};
    int code = parse_arguments(argc, argv, &arguments);

    return code >= 0 ? code : crawl_all(&arguments);
}
