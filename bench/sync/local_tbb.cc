/* SPDX-License-Identifier: MIT */
/*
 * tbb::enumerable_thread_specific with its two ways to find the calling thread's. It
 * keeps an object until it is itself gone.
 */
#include <memory>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <vector>

#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"

namespace
{

/* Owns what local_make() gives. */
class owner
{
  public:
    owner() : object(local_make())
    {
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    ~owner()
    {
        local_drop(object);
    }
    local_object *get() const
    {
        return object;
    }

  private:
    local_object *object;
};

template <oneapi::tbb::ets_key_usage_type KEY> struct locals {
    typedef oneapi::tbb::enumerable_thread_specific<
        owner, oneapi::tbb::cache_aligned_allocator<owner>, KEY>
        one;

    static std::vector<std::unique_ptr<one>> all;

    static void begin(size_t count)
    {
        for (size_t i = 0; i < count; i++) {
            all.push_back(std::make_unique<one>());
        }
    }

    static void end()
    {
        all.clear();
    }

    static inline local_object *local_get(size_t place)
    {
        return all[place]->local().get();
    }

#include "bench/sync/local_loops.h"

    static uint64_t add_up()
    {
        uint64_t sum = 0;

        for (const owner &object : *all[0]) {
            sum += object.get()->counter;
        }
        return sum;
    }
};

template <oneapi::tbb::ets_key_usage_type KEY>
std::vector<std::unique_ptr<typename locals<KEY>::one>> locals<KEY>::all;

typedef locals<oneapi::tbb::ets_no_key> plain;
typedef locals<oneapi::tbb::ets_key_per_instance> keyed;

} // namespace

extern "C" {

const struct local_peer local_tbb = {plain::begin,       plain::end, plain::local_count_up,
                                     plain::local_touch, nullptr,    plain::add_up};
const struct local_peer local_tbb_key = {keyed::begin,       keyed::end, keyed::local_count_up,
                                         keyed::local_touch, nullptr,    keyed::add_up};

} // extern "C"
