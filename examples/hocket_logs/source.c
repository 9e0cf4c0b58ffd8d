/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "gunzip.h"

void source_init(struct unit_source *source, const struct job *job, uint64_t slice_size,
                 const hk_cancel_token *token, char *const *paths, size_t path_count,
                 struct complaints *complaints)
{
    *source = (struct unit_source){
        .job = job, .slice_size = slice_size, .token = token, .complaints = complaints};
    walk_init(&source->walk, paths, path_count);
}

void source_fini(struct unit_source *source)
{
    walk_fini(&source->walk);
    free(source->bytes);
}

/* Whether a large file may be cut. One that cannot be looked at is given out whole:
 * the worker will say what is wrong with it. */
static bool may_be_cut(struct span path)
{
    unsigned char magic[2];
    ssize_t got = -1;
    int fd;

    if (unit_is_named_gz(path)) {
        return false;
    }
    fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) {
        got = read(fd, magic, sizeof(magic));
        close(fd);
    }
    return got >= 0 && !gunzip_knows(magic, (size_t)got);
}

/* Finds the next file and makes its first unit. False: nothing is left. */
static bool next_file(struct unit_source *source)
{
    struct unit *unit = &source->unit;
    struct walk_entry entry;

    while (walk_next(&source->walk, &entry)) {
        if (entry.error != NULL) {
            complaints_add(source->complaints, source->next_number++, entry.path,
                           (struct span){entry.error, strlen(entry.error)});
            continue;
        }
        source->files++;
        *unit = (struct unit){.job = *source->job, .path = entry.path, .length = entry.size};
        unit->kind = UNIT_FILE;
        source->file_left = 0;
        if (entry.size > source->slice_size && may_be_cut(entry.path)) {
            unit->kind = UNIT_SLICE;
            unit->length = source->slice_size;
            source->file_left = entry.size - unit->length;
        }
        return true;
    }
    return false;
}

static void next_slice(struct unit_source *source)
{
    struct unit *unit = &source->unit;

    unit->offset += unit->length;
    unit->length = source->file_left < source->slice_size ? source->file_left : source->slice_size;
    source->file_left -= unit->length;
}

hk_status source_next(void *state, hk_map_input *input)
{
    struct unit_source *source = state;
    struct packer packer = {.data = NULL};

    if (hk_cancel_token_is_fired(source->token)) {
        return HK_EDONE;
    }
    if (source->file_left > 0) {
        next_slice(source);
    } else if (!next_file(source)) {
        return HK_EDONE;
    }
    source->unit.number = source->next_number++;
    unit_pack(&packer, &source->unit);
    if (packer.used > source->bytes_size) {
        unsigned char *larger = realloc(source->bytes, packer.used);

        if (larger == NULL) {
            return HK_ENOMEM;
        }
        source->bytes = larger;
        source->bytes_size = packer.used;
    }
    packer = (struct packer){.data = source->bytes, .size = source->bytes_size};
    unit_pack(&packer, &source->unit);
    input->data = source->bytes;
    input->size = packer.used;
    return HK_OK;
}
