/* SPDX-License-Identifier: MIT */
#include "wire.h"

enum { NUMBER_SIZE = 8 };

static void pack_bytes(struct packer *packer, const void *bytes, size_t size)
{
    if (packer->data != NULL && size > 0 && size <= packer->size - packer->used) {
        memcpy(packer->data + packer->used, bytes, size);
    }
    packer->used += size;
}

void pack_number(struct packer *packer, uint64_t number)
{
    unsigned char bytes[NUMBER_SIZE];

    for (unsigned i = 0; i < NUMBER_SIZE; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
    pack_bytes(packer, bytes, sizeof(bytes));
}

void pack_text(struct packer *packer, struct span text)
{
    pack_number(packer, text.size);
    pack_bytes(packer, text.data, text.size);
}

static const unsigned char *take(struct unpacker *unpacker, size_t size)
{
    const unsigned char *bytes = unpacker->next;

    if (unpacker->failed || size > unpacker->left) {
        unpacker->failed = true;
        return NULL;
    }
    unpacker->next += size;
    unpacker->left -= size;
    return bytes;
}

uint64_t unpack_number(struct unpacker *unpacker)
{
    const unsigned char *bytes = take(unpacker, NUMBER_SIZE);
    uint64_t number = 0;

    if (bytes == NULL) {
        return 0;
    }
    for (unsigned i = 0; i < NUMBER_SIZE; i++) {
        number |= (uint64_t)bytes[i] << (8 * i);
    }
    return number;
}

uint64_t unpack_number_up_to(struct unpacker *unpacker, uint64_t most)
{
    uint64_t number = unpack_number(unpacker);

    if (number > most) {
        unpacker->failed = true;
        return 0;
    }
    return number;
}

struct span unpack_text(struct unpacker *unpacker)
{
    uint64_t size = unpack_number(unpacker);
    const unsigned char *bytes = size > unpacker->left ? NULL : take(unpacker, (size_t)size);

    if (bytes == NULL) {
        unpacker->failed = true;
        return (struct span){"", 0};
    }
    return (struct span){(const char *)bytes, (size_t)size};
}
