/* SPDX-License-Identifier: MIT */
/*
 * A pipeline with bounded memory: images are decoded, blurred and encoded, each step by threads of
 * its own, with a bounded queue between two steps. A slow step makes those before it wait.
 *
 * Two bounds act together: the queues bound how many images lie between the steps, a budget
 * bounds the bytes of all images, wherever they are. The peak of what was really allocated is
 * counted apart, printed, and compared with the budget.
 */
#include "image.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, FILTERS_MOST = 32, IMAGES_MOST = 100000, PATH_BYTES = 4096 };

struct arguments {
    unsigned images;
    unsigned filters;
    unsigned queue;
    unsigned kib;
    unsigned break_at; /* The image with which the filter fails; 0: none. */
    const char *folder;
};

struct pipeline {
    const struct arguments *arguments;
    struct budget budget;
    hk_queue *decoded;
    hk_queue *blurred;
    hk_executor *threads;
    hk_future *stages[FILTERS_MOST + 2]; /* The encoder, the filters, the decoder. */
    size_t stage_count;
    unsigned encoded;      /* By the one encoder; read after its end. */
    uint64_t checksum_sum; /* Likewise. A sum, as images come in any order. */
};

static bool failed(const char *what, hk_status status)
{
    if (status != HK_OK) {
        fprintf(stderr, "image_pipeline: %s: %s (%s)\n", what, hk_strerror(status),
                hk_status_name(status));
    }
    return status != HK_OK;
}

/*
 * The stages. Each declares which queues it puts into and gets from, for the length of its task:
 * so a stage that waits for another one that can never come is refused instead of hanging.
 *
 * A stage that ends closes what it gets from, and empties it. That changes nothing when it ends
 * with the last image. After a failure, here or behind it, those before it are refused by the
 * closed queue instead of waiting for room, or for memory that lies there; those behind it end
 * when there is nothing more to get.
 */
static hk_status end_stage(hk_queue *source, hk_status status)
{
    void *image;

    hk_queue_close(source);
    while (hk_queue_get(source, 0, &image) == HK_OK) {
        image_destroy(image);
    }
    /* The end of the images; or closed by another stage, which tells why. */
    return status == HK_EDONE || status == HK_ECLOSED ? HK_OK : status;
}

/* Numbers begin at 1. */
HK_TASK(decode_images)
{
    struct pipeline *pipeline = (struct pipeline *)in;
    hk_status status = hk_queue_bind(pipeline->decoded, HK_QUEUE_PUTTER);

    for (unsigned i = 1; status == HK_OK && i <= pipeline->arguments->images; i++) {
        struct image *image;

        status = image_decode(&pipeline->budget, i, &image);
        if (status == HK_OK) {
            status = hk_queue_put(pipeline->decoded, image, HK_FOREVER);
            if (status != HK_OK) {
                image_destroy(image);
            }
        }
    }
    return status == HK_ECLOSED ? HK_OK : status;
}

static hk_status blur_one(hk_call *call, struct pipeline *pipeline, struct image *image)
{
    struct image *result;
    hk_status status;

    if (image->number == pipeline->arguments->break_at) {
        return hk_fail(call, 1, "image %u was told to fail", image->number);
    }
    status = image_blur(image, &result);
    if (status == HK_OK) {
        status = hk_queue_put(pipeline->blurred, result, HK_FOREVER);
        if (status != HK_OK) {
            image_destroy(result);
        }
    }
    return status;
}

HK_TASK(blur_images)
{
    struct pipeline *pipeline = (struct pipeline *)in;
    hk_status status = hk_queue_bind(pipeline->decoded, HK_QUEUE_GETTER);
    hk_status refused = hk_queue_bind(pipeline->blurred, HK_QUEUE_PUTTER);
    void *image;

    if (status == HK_OK) {
        status = refused;
    }
    while (status == HK_OK &&
           (status = hk_queue_get(pipeline->decoded, HK_FOREVER, &image)) == HK_OK) {
        status = blur_one(call, pipeline, image);
        image_destroy(image);
    }
    return end_stage(pipeline->decoded, status);
}

static hk_status write_image(hk_call *call, const char *folder, const struct image *image)
{
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/image-%05u.%s", folder, image->number,
                          image->channels == 1 ? "pgm" : "ppm");
    bool is_good;
    FILE *file;

    if (length < 0 || (size_t)length >= sizeof path) {
        return hk_fail(call, ENAMETOOLONG, "the name of the folder is too long");
    }
    file = fopen(path, "wb");
    if (file == NULL) {
        return hk_fail(call, errno, "%s: %s", path, strerror(errno));
    }
    is_good = image_encode(image, file);
    return fclose(file) == 0 && is_good ? HK_OK : hk_fail(call, EIO, "%s was not written", path);
}

HK_TASK(encode_images)
{
    struct pipeline *pipeline = (struct pipeline *)in;
    hk_status status = hk_queue_bind(pipeline->blurred, HK_QUEUE_GETTER);
    void *image;

    while (status == HK_OK &&
           (status = hk_queue_get(pipeline->blurred, HK_FOREVER, &image)) == HK_OK) {
        pipeline->encoded++;
        pipeline->checksum_sum += image_checksum(image);
        if (pipeline->arguments->folder != NULL) {
            status = write_image(call, pipeline->arguments->folder, image);
        }
        image_destroy(image);
    }
    return end_stage(pipeline->blurred, status);
}

static void close_queue(hk_future *ended, void *queue)
{
    (void)ended;
    hk_queue_close(queue);
}

static hk_status begin_stage(struct pipeline *pipeline, const hk_task *task)
{
    hk_status status = hk_submit_ref(pipeline->threads, task, pipeline, NULL, NULL,
                                     &pipeline->stages[pipeline->stage_count]);

    pipeline->stage_count += status == HK_OK;
    return status;
}

/* Consumers first: whoever puts finds somebody who gets. A queue is closed when all who put
 * into it have ended. */
static hk_status begin_stages(struct pipeline *pipeline)
{
    hk_future *filters = NULL;
    hk_status status = begin_stage(pipeline, encode_images);

    for (unsigned i = 0; i < pipeline->arguments->filters && status == HK_OK; i++) {
        status = begin_stage(pipeline, blur_images);
    }
    if (status == HK_OK) {
        status = hk_settle_all(&pipeline->stages[1], pipeline->arguments->filters, &filters);
    }
    if (status == HK_OK) {
        status = hk_future_on_done(filters, NULL, close_queue, pipeline->blurred, NULL);
    }
    hk_future_unref(filters);
    if (status == HK_OK) {
        status = begin_stage(pipeline, decode_images);
    }
    if (status == HK_OK) {
        status = hk_future_on_done(pipeline->stages[pipeline->stage_count - 1], NULL, close_queue,
                                   pipeline->decoded, NULL);
    }
    return status;
}

/* The same images one after the other, without queues and threads. */
static hk_status check_result(struct pipeline *pipeline, bool *is_right)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i <= pipeline->arguments->images; i++) {
        struct image *image, *result;
        hk_status status = image_decode(&pipeline->budget, i, &image);

        if (status != HK_OK) {
            return status;
        }
        status = image_blur(image, &result);
        image_destroy(image);
        if (status != HK_OK) {
            return status;
        }
        sum += image_checksum(result);
        image_destroy(result);
    }
    *is_right = sum == pipeline->checksum_sum && pipeline->encoded == pipeline->arguments->images;
    return HK_OK;
}

static int report(struct pipeline *pipeline)
{
    struct budget *budget = &pipeline->budget;
    size_t peak = atomic_load(&budget->peak_bytes), live = atomic_load(&budget->live_bytes);
    size_t bound = (size_t)budget->unit_count * UNIT_BYTES;
    bool is_right = false, is_bounded = peak <= bound && live == 0;

    printf("%u images through %u filters, %zu KiB of images in all\n", pipeline->encoded,
           pipeline->arguments->filters, atomic_load(&budget->total_bytes) / UNIT_BYTES);
    printf("memory: at most %zu of %u KiB at a time: %s\n", (peak + UNIT_BYTES - 1) / UNIT_BYTES,
           budget->unit_count, is_bounded ? "bounded" : "NOT BOUNDED");
    printf("back pressure: the decoder waited %u times for memory\n", atomic_load(&budget->waits));
    if (failed("check", check_result(pipeline, &is_right))) {
        return EXIT_FAILURE;
    }
    printf("result: %s\n", is_right ? "right" : "WRONG");
    return is_right && is_bounded ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(struct pipeline *pipeline)
{
    hk_status status = begin_stages(pipeline);
    bool is_good = !failed("begin", status);

    if (!is_good) {
        hk_queue_close(pipeline->decoded);
        hk_queue_close(pipeline->blurred);
    }
    for (size_t i = 0; i < pipeline->stage_count; i++) {
        if (hk_future_result(pipeline->stages[i], HK_FOREVER, NULL, NULL) != HK_OK) {
            fprintf(stderr, "image_pipeline: %s\n", hk_future_why(pipeline->stages[i]));
            is_good = false;
        }
    }
    return is_good ? report(pipeline) : EXIT_FAILURE;
}

static int open_and_run(const struct arguments *arguments)
{
    static struct pipeline pipeline;
    hk_queue_options decoded = {.capacity = arguments->queue, .name = "decoded"};
    hk_queue_options blurred = {.capacity = arguments->queue, .name = "blurred"};
    hk_executor_options options = {.name = "stage", .workers = arguments->filters + 2};
    int code = EXIT_FAILURE;

    pipeline.arguments = arguments;
    if (budget_init(&pipeline.budget, arguments->kib) != HK_OK) {
        fprintf(stderr, "image_pipeline: --memory %u is too little for one image\n",
                arguments->kib);
        return EXIT_USAGE;
    }
    if (!failed("a queue", hk_queue_create(&decoded, &pipeline.decoded)) &&
        !failed("a queue", hk_queue_create(&blurred, &pipeline.blurred)) &&
        !failed("threads", hk_thread_pool_create(&options, &pipeline.threads))) {
        code = run(&pipeline);
    }
    /* First the threads: after that nobody is on his way out of a queue. */
    if (failed("the end of the threads", hk_executor_destroy(pipeline.threads)) ||
        failed("the end of a queue", hk_queue_destroy(pipeline.decoded)) ||
        failed("the end of a queue", hk_queue_destroy(pipeline.blurred))) {
        code = EXIT_FAILURE;
    }
    for (size_t i = 0; i < pipeline.stage_count; i++) {
        hk_future_unref(pipeline.stages[i]);
    }
    return code;
}

static void usage(FILE *stream)
{
    fputs("usage: image_pipeline [--images N] [--filters N] [--queue N] [--memory KIB]\n"
          "                      [--out FOLDER] [--break N]\n"
          "Decodes, blurs and encodes made-up images in bounded memory, and checks the result.\n"
          "  --images N    how many; 120 by default\n"
          "  --filters N   threads that blur; 2 by default\n"
          "  --queue N     most images between two steps; 4 by default\n"
          "  --memory KIB  most memory of all images at a time; 1024 by default\n"
          "  --out FOLDER  write PGM and PPM files there; by default they are only summed\n"
          "  --break N     let the filter fail with the Nth image\n",
          stream);
}

static bool parse_number(const char *name, const char *text, unsigned most, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > most) {
        fprintf(stderr, "image_pipeline: --%s takes a number from 1 to %u, not \"%s\"\n", name,
                most, text);
        return false;
    }
    *number = (unsigned)value;
    return true;
}

/* Returns the exit code, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"images", required_argument, NULL, 'i'}, {"filters", required_argument, NULL, 'f'},
        {"queue", required_argument, NULL, 'q'},  {"memory", required_argument, NULL, 'm'},
        {"out", required_argument, NULL, 'o'},    {"break", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    bool is_good = true;
    int letter;

    while (is_good && (letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (letter) {
        case 'i':
            is_good = parse_number("images", optarg, IMAGES_MOST, &arguments->images);
            break;
        case 'f':
            is_good = parse_number("filters", optarg, FILTERS_MOST, &arguments->filters);
            break;
        case 'q':
            is_good = parse_number("queue", optarg, IMAGES_MOST, &arguments->queue);
            break;
        case 'm':
            is_good = parse_number("memory", optarg, 1U << 22, &arguments->kib);
            break;
        case 'b':
            is_good = parse_number("break", optarg, IMAGES_MOST, &arguments->break_at);
            break;
        case 'o':
            arguments->folder = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            is_good = false;
        }
    }
    if (!is_good || optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.images = 120, .filters = 2, .queue = 4, .kib = 1024};
    int code = parse_arguments(argc, argv, &arguments);

    return code >= 0 ? code : open_and_run(&arguments);
}
