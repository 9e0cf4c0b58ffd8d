/* SPDX-License-Identifier: MIT */
/* Which pieces of work there are, and how often each is drawn. */
#include "tests/soak/soak.h"

static const struct {
    soak_piece_fn *run;
    uint32_t weight;
} pieces[] = {
    {soak_piece_callbacks, 8},     {soak_piece_cancels, 6},      {soak_piece_chains, 8},
    {soak_piece_completions, 8},   {soak_piece_crashes, 1},      {soak_piece_descriptors, 4},
    {soak_piece_events, 6},        {soak_piece_executors, 6},    {soak_piece_forks, 6},
    {soak_piece_inversions, 2},    {soak_piece_kills, 1},        {soak_piece_limits, 3},
    {soak_piece_locals, 4},        {soak_piece_lock_objects, 6}, {soak_piece_locks, 6},
    {soak_piece_maps, 8},          {soak_piece_meetings, 4},     {soak_piece_nested, 6},
    {soak_piece_payloads, 6},      {soak_piece_promises, 8},     {soak_piece_queues, 4},
    {soak_piece_ranges, 6},        {soak_piece_retries, 1},      {soak_piece_rings, 4},
    {soak_piece_selects, 4},       {soak_piece_submits, 10},     {soak_piece_tokens, 6},
    {soak_piece_worker_changes, 1}};

enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };

static void do_piece(struct soak_actor *actor, unsigned number)
{
    pieces[number].run(actor);
    soak_count(SOAK_PIECES, 1);
}

void soak_do_piece(struct soak_actor *actor)
{
    uint32_t sum = 0;
    uint32_t drawn;
    unsigned number = 0;

    for (unsigned i = 0; i < PIECES; i++) {
        sum += pieces[i].weight;
    }
    drawn = soak_draw(actor, sum);
    while (drawn >= pieces[number].weight) {
        drawn -= pieces[number++].weight;
    }
    do_piece(actor, number);
}

void soak_do_all_pieces(struct soak_actor *actor)
{
    for (unsigned i = 0; i < PIECES; i++) {
        do_piece(actor, i);
    }
}
