/* SPDX-License-Identifier: MIT */
/*
 * std::future in the memory that a workload keeps for a future.
 */
#ifndef BENCH_STD_FUTURE_H
#define BENCH_STD_FUTURE_H

#include <cstdint>
#include <future>
#include <new>
#include <utility>

typedef std::future<uint64_t> std_future;

static inline void std_future_keep(void *place, std_future &&future)
{
    new (place) std_future(std::move(future));
}

static inline uint64_t std_future_result(void *pool, void *place)
{
    std_future *future = static_cast<std_future *>(place);
    uint64_t answer = future->get();

    (void)pool;
    future->~std_future();
    return answer;
}

#endif
