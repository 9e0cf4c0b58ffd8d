/* SPDX-License-Identifier: MIT */
/*
 * The peers of hocket-bench.
 */
#include "bench/hocket_bench/peer_hocket.h"

const char *const peer_program_name = "hocket-bench";

const struct peer *const peers[] = {&peer_hocket_threads, &peer_hocket_inline,
                                    &peer_hocket_processes, NULL};
