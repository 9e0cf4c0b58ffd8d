/* SPDX-License-Identifier: MIT */
/*
 * boost::thread_specific_ptr.
 */
#include <boost/thread/tss.hpp>
#include <memory>
#include <vector>

#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"

namespace
{

typedef boost::thread_specific_ptr<local_object> local_type;

std::vector<std::unique_ptr<local_type>> locals;

void drop(local_object *object)
{
    local_drop(object);
}

void begin(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        locals.push_back(std::make_unique<local_type>(drop));
    }
}

void end()
{
    locals.clear();
}

inline local_object *local_get(size_t place)
{
    local_object *object = locals[place]->get();

    if (object == nullptr) {
        object = local_make();
        locals[place]->reset(object);
    }
    return object;
}

#include "bench/sync/local_loops.h"

} // namespace

extern "C" const struct local_peer local_boost = {begin,       end,     local_count_up,
                                                  local_touch, nullptr, nullptr};
