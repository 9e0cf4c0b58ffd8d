/* SPDX-License-Identifier: MIT */
/* Bad arguments for maps and ranges. */
#include "tests/misuse/rows.h"

static void *made;
static hk_map_item item;
static int sum;
static hk_array_source source;

static hk_map_iterator **map_out(void)
{
    made = NULL;
    return (hk_map_iterator **)&made;
}

static hk_status end_map(hk_status status)
{
    HKT_TRUE((status == HK_OK) == (made != NULL));
    hk_map_destroy(made);
    made = NULL;
    return status;
}

static hk_status reduces(void *accumulator, const hk_map_item *reduced)
{
    (void)accumulator;
    return reduced->status;
}

static hk_status map_with(const hk_map_options *options)
{
    return end_map(
        hk_map(m.executor, hkt_nothing, hk_array_source_next, &source, options, map_out()));
}

static hk_status reduce_with(const hk_map_options *options)
{
    return hk_map_reduce(m.executor, hkt_nothing, hk_array_source_next, &source, reduces, &sum,
                         options);
}

static bool refuses_map_options(hk_status (*call)(const hk_map_options *options))
{
    const hk_map_options absurd[] = {
        {.size = 1},
        {.window = ((size_t)1 << 20) + 1},
        {.window = SIZE_MAX},
        {.chunk = ((size_t)1 << 20) + 1},
        {.chunk = SIZE_MAX},
        {.timeout = -2},
        {.timeout = INT64_MIN},
        {.limit = -2},
        {.limit = INT64_MIN},
        {.priority = (hk_priority)2},
        {.priority = (hk_priority)-2},
        {.priority = (hk_priority)INT_MAX},
    };

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        if (call(&absurd[i]) != HK_EINVAL) {
            printf("    absurd options %zu are taken\n", i);
            return false;
        }
    }
    return call(NULL) == HK_OK && call(&(hk_map_options){.count = SIZE_MAX}) == HK_OK;
}

static hk_map_iterator *empty_map(void)
{
    source = (hk_array_source){NULL, 0, 0, 0};
    HKT_OK_FATAL(hk_map(m.executor, hkt_nothing, hk_array_source_next, &source, NULL, map_out()));
    return made;
}

/* What a source of the caller's may give. */
static hk_map_input given;
static unsigned pulls;

static hk_status gives(void *state, hk_map_input *input)
{
    (void)state;
    *input = given;
    return pulls++ == 0 ? HK_OK : HK_EDONE;
}

static hk_status map_given(hk_map_input input)
{
    hk_map_iterator *map = NULL;
    hk_status status;

    given = input;
    pulls = 0;
    HKT_OK_FATAL(hk_map(m.executor, hkt_nothing, gives, NULL, NULL, &map));
    status = hk_map_next(map, HK_FOREVER, &item);
    hk_map_destroy(map);
    return status;
}

ROW(hk_map_at, executor,
    end_map(hk_map(NULL, hkt_nothing, hk_array_source_next, &source, NULL, map_out())) ==
        HK_EINVAL);
ROW(hk_map_at, task,
    end_map(hk_map(m.executor, NULL, hk_array_source_next, &source, NULL, map_out())) ==
            HK_EINVAL &&
        end_map(hk_map(m.executor, (&(hk_task){NULL, NULL, 0, NULL, 0}), hk_array_source_next,
                       &source, NULL, map_out())) == HK_EINVAL &&
        end_map(hk_map(m.executor, (&(hk_task){NULL, hkt_nothing->run, 0, NULL, 0}),
                       hk_array_source_next, &source, NULL, map_out())) == HK_EINVAL);
ROW(hk_map_at, source,
    end_map(hk_map(m.executor, hkt_nothing, NULL, &source, NULL, map_out())) == HK_EINVAL &&
        map_given((hk_map_input){NULL, 8, NULL}) == HK_EINVAL &&
        REFUSES_SIZES(map_given((hk_map_input){"x", bad == HK_BY_REF ? bad - 1 : bad, NULL}),
                      HK_ETOOBIG));
ROW(hk_map_at, options, refuses_map_options(map_with));
ROW(hk_map_at, out,
    hk_map(m.executor, hkt_nothing, hk_array_source_next, &source, NULL, NULL) == HK_EINVAL);
ROW(hk_map_cancel, iterator, hk_map_cancel(NULL) == HK_EINVAL);
ROW(hk_map_destroy, iterator, DOES_NOTHING(hk_map_destroy(NULL)));
ROW(hk_map_item_drop, item,
    DOES_NOTHING((hk_map_item_drop(NULL), memset(&item, 0, sizeof(item)),
                  hk_map_item_drop(&item))));
ROW(hk_map_next, iterator, hk_map_next(NULL, 0, &item) == HK_EINVAL);
ROW(hk_map_next, timeout,
    REFUSES_DURATIONS(hk_map_next(made == NULL ? empty_map() : made, bad, &item)) &&
        hk_map_next(made, INT64_MAX, &item) == HK_EDONE && end_map(HK_OK) == HK_OK);
ROW(hk_map_next, item, hk_map_next(empty_map(), 0, NULL) == HK_EINVAL && end_map(HK_OK) == HK_OK);
ROW(hk_map_reduce_at, executor,
    hk_map_reduce(NULL, hkt_nothing, hk_array_source_next, &source, reduces, &sum, NULL) ==
        HK_EINVAL);
ROW(hk_map_reduce_at, task,
    hk_map_reduce(m.executor, NULL, hk_array_source_next, &source, reduces, &sum, NULL) ==
        HK_EINVAL);
ROW(hk_map_reduce_at, source,
    hk_map_reduce(m.executor, hkt_nothing, NULL, &source, reduces, &sum, NULL) == HK_EINVAL);
ROW(hk_map_reduce_at, reduce,
    hk_map_reduce(m.executor, hkt_nothing, hk_array_source_next, &source, NULL, &sum, NULL) ==
        HK_EINVAL);
ROW(hk_map_reduce_at, options, refuses_map_options(reduce_with));
ROW(hk_array_source_next, input,
    hk_array_source_next(&source, NULL) == HK_EINVAL &&
        hk_array_source_next(NULL, &(hk_map_input){NULL, 0, NULL}) == HK_EINVAL);

/* --- ranges --- */

static hk_range range;

static hk_status turns(hk_range *in, size_t begin, size_t end, void *context)
{
    (void)in;
    (void)begin;
    (void)end;
    (void)context;
    return HK_OK;
}

static hk_status stops_at_once(hk_range *in, size_t begin, size_t end, void *context)
{
    (void)in;
    (void)context;
    return begin == 0 && end > begin ? HK_EFAILED : HK_OK;
}

static hk_status run_range(const hk_range_options *options)
{
    return hk_parallel_for(&range, m.executor, 0, 4, turns, NULL, options);
}

static hk_status begin_range(const hk_range_options *options)
{
    hk_status status = hk_range_begin(&range, m.executor, 0, 4, turns, NULL, options);

    return status == HK_OK ? hk_range_end(&range) : status;
}

static bool refuses_range_options(hk_status (*call)(const hk_range_options *options))
{
    const hk_range_options absurd[] = {
        {.size = 1},
        {.limit = -2},
        {.limit = INT64_MIN},
        {.priority = (hk_priority)2},
        {.priority = (hk_priority)-2},
    };

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        if (call(&absurd[i]) != HK_EINVAL) {
            printf("    absurd options %zu are taken\n", i);
            return false;
        }
    }
    return call(NULL) == HK_OK && call(&(hk_range_options){.grain = SIZE_MAX}) == HK_OK &&
           call(&(hk_range_options){.limit = INT64_MAX}) == HK_OK;
}

static bool has_refused_end(void)
{
    memset(&range, 0, sizeof(range));
    return hk_range_end(NULL) == HK_EINVAL && hk_range_end(&range) == HK_EINVAL &&
           hk_range_begin(&range, m.executor, 0, 4, turns, NULL, NULL) == HK_OK &&
           hk_range_end(&range) == HK_OK && hk_range_end(&range) == HK_EINVAL;
}

ROW(hk_parallel_for_at, range,
    hk_parallel_for(NULL, m.executor, 0, 1, turns, NULL, NULL) == HK_EINVAL);
ROW(hk_parallel_for_at, executor,
    hk_parallel_for(&range, NULL, 0, 1, turns, NULL, NULL) == HK_EINVAL);
ROW(hk_parallel_for_at, begin,
    REFUSES_SIZES(hk_parallel_for(&range, m.executor, bad, 1, turns, NULL, NULL), HK_EINVAL));
ROW(hk_parallel_for_at, end,
    hk_parallel_for(&range, m.executor, 2, 1, turns, NULL, NULL) == HK_EINVAL &&
        hk_parallel_for(&range, m.executor, 2, 2, turns, NULL, NULL) == HK_OK &&
        REFUSES_SIZES(hk_parallel_for(&range, m.executor, 0, bad, stops_at_once, NULL, NULL),
                      HK_EFAILED));
ROW(hk_parallel_for_at, body,
    hk_parallel_for(&range, m.executor, 0, 1, NULL, NULL, NULL) == HK_EINVAL);
ROW(hk_parallel_for_at, options, refuses_range_options(run_range));
ROW(hk_range_begin_at, range,
    hk_range_begin(NULL, m.executor, 0, 1, turns, NULL, NULL) == HK_EINVAL);
ROW(hk_range_begin_at, executor,
    hk_range_begin(&range, NULL, 0, 1, turns, NULL, NULL) == HK_EINVAL);
ROW(hk_range_begin_at, begin,
    REFUSES_SIZES(hk_range_begin(&range, m.executor, bad, 1, turns, NULL, NULL), HK_EINVAL));
ROW(hk_range_begin_at, end,
    hk_range_begin(&range, m.executor, 2, 1, turns, NULL, NULL) == HK_EINVAL);
ROW(hk_range_begin_at, body,
    hk_range_begin(&range, m.executor, 0, 1, NULL, NULL, NULL) == HK_EINVAL);
ROW(hk_range_begin_at, options, refuses_range_options(begin_range));
ROW(hk_range_end, range, has_refused_end());
ROW(hk_range_has_ended, range, hk_range_has_ended(NULL));
ROW(hk_range_should_stop, range, !hk_range_should_stop(NULL));
