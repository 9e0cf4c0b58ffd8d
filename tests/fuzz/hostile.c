/* SPDX-License-Identifier: MIT */
/*
 * Moves of a hostile worker. Each is near to what a decent one does, for bytes that make no
 * sense at all are found out by the first check.
 */
#include "tests/fuzz/hostile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "executors/packed_layout.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/packed_error.h"
#include "futures/error_impl.h"

enum { ROOM_MAX = 1 << 20 };

static struct hki_cell *next_cell(const struct hkf_worker *worker)
{
    return &hkf_channel(worker)->cells[worker->served % HKI_CELLS];
}

/* --- numbers --- */

static uint64_t some_size(struct hkf_input *input)
{
    static const uint64_t sizes[] = {
        0, 1, 8, 16, 17, 64, HKI_CELL_PAGE, HKI_CELL_PAGE + 1, 65536, 65537, HKI_OVERFLOW_EXTENT};
    unsigned choice = hkf_pick(input, sizeof(sizes) / sizeof(sizes[0]) + 2);

    if (choice < sizeof(sizes) / sizeof(sizes[0])) {
        return sizes[choice];
    }
    return choice % 2 == 0 ? hkf_u16(input) : hkf_u64(input);
}

static uint64_t some_place(const struct hkf_worker *worker, struct hkf_input *input)
{
    const struct hki_pool_page *page = hkf_pool()->page;
    const struct hki_cell *cell = next_cell(worker);
    uint64_t extent = page->overflow_at + worker->index * HKI_OVERFLOW_EXTENT;

    switch (hkf_pick(input, 7)) {
    case 0:
        return cell->input_at;
    case 1:
        return cell->input_at + hkf_u16(input);
    case 2:
        return cell->reserved_at;
    case 3:
        return extent + (uint64_t)hkf_u8(input) * HKI_OVERFLOW_UNIT;
    case 4:
        return extent + hkf_u32(input);
    case 5:
        return page->arena_at + hkf_u32(input);
    default:
        return hkf_u64(input);
    }
}

static int32_t some_outcome(struct hkf_input *input)
{
    static const int32_t outcomes[] = {HK_OK, HK_OK, HK_EFAILED, HK_ECANCELED, HK_EDEADLINE};
    unsigned choice = hkf_pick(input, 8);

    return choice < sizeof(outcomes) / sizeof(outcomes[0]) ? outcomes[choice]
                                                           : (int32_t)hkf_u32(input);
}

/* --- ending a request --- */

/* Says that the next request is done, in a state, and counts it, or says something else. */
static void conclude(struct hkf_worker *worker, struct hkf_input *input)
{
    struct hki_channel *channel = hkf_channel(worker);
    struct hki_cell *cell = next_cell(worker);

    switch (hkf_pick(input, 12)) {
    case 0:
        atomic_store(&cell->state, hki_cell_word(worker->served, HKI_CELL_WITHDRAWN));
        break;
    case 1:
        atomic_store(&cell->state, hki_cell_word(worker->served, HKI_CELL_RUNNING));
        break;
    case 2:
        atomic_store(&cell->state, hkf_u32(input));
        break;
    case 3:
        break;
    case 4:
        atomic_store(&cell->state, hki_cell_word(worker->served, HKI_CELL_QUEUED));
        break;
    default:
        atomic_store(&cell->state, hki_cell_word(worker->served, HKI_CELL_DONE));
        break;
    }
    worker->served++;
    switch (hkf_pick(input, 8)) {
    case 0:
        atomic_store(&channel->done, hkf_u32(input));
        break;
    case 1:
        break;
    default:
        atomic_store(&channel->done, worker->served);
        break;
    }
}

static void finish(struct hkf_worker *worker, struct hkf_input *input)
{
    struct hki_cell *cell = next_cell(worker);

    cell->output_place = (uint8_t)hkf_pick(input, 7);
    cell->output_at = some_place(worker, input);
    cell->output_size = some_size(input);
    cell->outcome = some_outcome(input);
    cell->ran_ns = (int64_t)hkf_u64(input);
    atomic_store(&cell->progress_done, hkf_u8(input));
    conclude(worker, input);
}

/* An error that makes sense, but for some of its bytes. */
static void finish_with_error(struct hkf_worker *worker, struct hkf_input *input)
{
    static const hk_site site = {"file.c", 7, "function"};
    struct hki_cell *cell = next_cell(worker);
    unsigned char *bytes = hkf_channel(worker)->pages[worker->served % HKI_CELLS];
    struct hki_error *cause =
        hki_error_make(&(struct hki_error_facts){.status = HK_EFAILED, .message = "why"});
    struct hki_error *error = hki_error_make(&(struct hki_error_facts){
        .status = HK_EFAILED, .message = "what", .site = &site, .task = "task", .cause = cause});
    size_t size = hki_error_pack(error, bytes, HKI_CELL_PAGE);

    hki_error_unref(error);
    for (unsigned changes = hkf_pick(input, 4); changes > 0; changes--) {
        size_t at = hkf_u16(input) % size;

        bytes[at] = hkf_u8(input);
    }
    cell->output_place = HKI_OUTPUT_PAGE;
    cell->output_size = hkf_pick(input, 4) == 0 ? hkf_u16(input) : size;
    cell->outcome = HK_EFAILED;
    conclude(worker, input);
}

/* Whether it can write there itself, for it may have changed what its cell says. */
static bool is_inside(uint64_t at, uint64_t size)
{
    uint64_t bytes = hkf_pool()->page->bytes;
    uint64_t arena = hkf_pool()->page->arena_at;

    return at >= arena && at <= bytes && size <= bytes - at;
}

/* The result of a chunk of a map, right in its number at least. */
static void write_packed(struct hkf_worker *worker, struct hkf_input *input)
{
    struct hki_cell *cell = next_cell(worker);
    const struct hki_pool_page *page = hkf_pool()->page;
    struct hki_packed_head head;
    struct hki_packed_result result = {0};
    unsigned char *to = hkf_channel(worker)->pages[worker->served % HKI_CELLS];
    size_t room = HKI_CELL_PAGE;
    size_t more;

    if (cell->input_place != HKI_INPUT_ARENA || cell->input_size < sizeof(head) ||
        !is_inside(cell->input_at, sizeof(head))) {
        return;
    }
    memcpy(&head, hki_pool_at(page, cell->input_at), sizeof(head));
    if (cell->reserved_size >= sizeof(result) && cell->reserved_size <= ROOM_MAX &&
        is_inside(cell->reserved_at, cell->reserved_size)) {
        to = hki_pool_at(page, cell->reserved_at);
        room = cell->reserved_size;
    }
    atomic_init(&result.number, head.number);
    atomic_init(&result.finished, hkf_pick(input, 6));
    result.rest = some_outcome(input);
    atomic_init(&result.run_ns, (int64_t)hkf_u64(input));
    atomic_init(&result.dense, hkf_pick(input, 3) == 0 ? HKI_PACKED_ALL : hkf_pick(input, 6));
    result.value_size = hkf_pick(input, 3) == 0 ? hkf_u32(input) : 8;
    memcpy(to, &result, sizeof(result));
    more = hkf_u8(input);
    more = more > room - sizeof(result) ? room - sizeof(result) : more;
    hkf_bytes(input, to + sizeof(result), more);
    cell->output_place =
        cell->reserved_size >= sizeof(result) ? HKI_OUTPUT_RESERVED : HKI_OUTPUT_PAGE;
    cell->output_size = sizeof(result) + more;
    cell->outcome = HK_OK;
}

/* --- all the rest of its memory --- */

static void scribble(struct hkf_worker *worker, struct hkf_input *input)
{
    struct hki_channel *channel = hkf_channel(worker);
    const struct hki_pool_page *page = hkf_pool()->page;
    unsigned char *place = NULL;
    size_t room = 0;
    size_t at;
    size_t size;

    switch (hkf_pick(input, 6)) {
    case 0:
        place = (unsigned char *)next_cell(worker);
        room = sizeof(struct hki_cell);
        break;
    case 1:
        place = (unsigned char *)channel->cells;
        room = sizeof(channel->cells);
        break;
    case 2: /* Counters, stage, crash, failure. */
        place = (unsigned char *)channel;
        room = offsetof(struct hki_channel, cells);
        break;
    case 3:
        place = channel->pages[worker->served % HKI_CELLS];
        room = HKI_CELL_PAGE;
        break;
    case 4:
        place = hki_pool_at(page, page->overflow_at + worker->index * HKI_OVERFLOW_EXTENT);
        room = 4 * HKI_OVERFLOW_UNIT;
        break;
    default:
        place = hki_pool_at(page, page->arena_at);
        room = 65536;
        break;
    }
    at = hkf_u16(input) % room;
    size = hkf_pick(input, 33);
    hkf_bytes(input, place + at, size < room - at ? size : room - at);
}

static void say_stage(const struct hkf_worker *worker, struct hkf_input *input)
{
    struct hki_channel *channel = hkf_channel(worker);
    unsigned choice = hkf_pick(input, 8);

    if (choice == 0) {
        atomic_store(&channel->stage, hkf_u32(input));
    } else if (choice == 1) {
        channel->failure_size = hkf_u32(input);
        atomic_store(&channel->stage, HKI_WORKER_FAILED);
    } else if (choice == 2) {
        atomic_store(&channel->stage, HKI_WORKER_INITIALISING);
    } else {
        atomic_store(&channel->stage, HKI_WORKER_READY);
    }
}

static void say_crash(const struct hkf_worker *worker, struct hkf_input *input)
{
    struct hki_crash *crash = &hkf_channel(worker)->crash;

    crash->signal = (int32_t)hkf_u8(input);
    crash->address = hkf_u64(input);
    for (unsigned i = 0; i < 3; i++) {
        uintptr_t frame = (uintptr_t)hkf_u64(input);

        memcpy(&crash->frame[i], &frame, sizeof(frame));
    }
    atomic_store(&crash->frames, hkf_u8(input) < 200 ? 3 : hkf_u32(input));
    atomic_store(&crash->said, 1);
}

/* --- descriptors --- */

static int some_fd(struct hkf_input *input)
{
    size_t size = hkf_u16(input);
    unsigned kind = hkf_pick(input, 5);
    int fd;

    if (kind == 0) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && ftruncate(fd, kind == 1 ? (off_t)1 << 40 : (off_t)size) == 0 && kind != 2) {
        (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    }
    return fd;
}

static void send_message(const struct hkf_worker *worker, struct hkf_input *input)
{
    unsigned char bytes[16] = {0};
    unsigned count = hkf_pick(input, 4);
    size_t size = sizeof(uint32_t);
    uint32_t number = worker->served;
    int fds[3];

    for (unsigned i = 0; i < count; i++) {
        if ((fds[i] = some_fd(input)) < 0) {
            count = i;
            break;
        }
    }
    if (hkf_pick(input, 4) == 0) {
        number = hkf_u32(input);
        size = hkf_pick(input, sizeof(bytes) + 1);
    }
    memcpy(bytes, &number, sizeof(number));
    (void)hki_send_fds(worker->socket, bytes, size, fds, count, false);
    for (unsigned i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

/* Takes what the parent sent, as the descriptors of requests are limited. */
static void receive_message(const struct hkf_worker *worker)
{
    uint32_t number;
    int fds[HKI_FDS_MAX + 1];
    size_t count = 0;

    (void)hki_receive_fds(worker->socket, &number, sizeof(number), fds, HKI_FDS_MAX + 1, &count,
                          false);
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

void hkf_hostile_move(struct hkf_worker *worker, struct hkf_input *input)
{
    switch (hkf_pick(input, 10)) {
    case 0:
    case 1:
        finish(worker, input);
        break;
    case 2:
        finish_with_error(worker, input);
        break;
    case 3:
        write_packed(worker, input);
        conclude(worker, input);
        break;
    case 4: /* And dies in the midst of it, perhaps. */
        write_packed(worker, input);
        atomic_store(&next_cell(worker)->state, hki_cell_word(worker->served, HKI_CELL_RUNNING));
        break;
    case 5:
        say_stage(worker, input);
        break;
    case 6:
        say_crash(worker, input);
        break;
    case 7:
        send_message(worker, input);
        break;
    case 8:
        receive_message(worker);
        break;
    default:
        scribble(worker, input);
        break;
    }
}
