/* SPDX-License-Identifier: MIT */
/* Descriptors on their way to a worker: one message a request, in the order of requests. */
#include <errno.h>

#include "base/os.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/worker_impl.h"

void hki_mail_drop(struct hki_mail *mail, uint32_t request)
{
    if (!mail->held || (int32_t)(mail->request - request) > 0) {
        return;
    }
    for (size_t i = 0; i < mail->count; i++) {
        if (mail->fds[i] >= 0) {
            hki_os_close(mail->fds[i]);
        }
    }
    mail->held = false;
}

static bool receive(struct hki_worker *worker, bool wait)
{
    struct hki_mail *mail = &worker->mail;
    struct hki_fds_message message;
    ssize_t got = hki_receive_fds(worker->socket, &message, sizeof(message), mail->fds,
                                  HKI_FDS_MAX + 1, &mail->count, wait);

    if (got <= 0) {
        errno = got == 0 ? ECONNRESET : errno;
        return false;
    }
    mail->held = true;
    mail->request = message.request;
    if ((size_t)got < sizeof(message)) {
        mail->request = 0;
        hki_mail_drop(mail, 0);
        errno = EBADMSG;
        return false;
    }
    return true;
}

bool hki_mail_fetch(struct hki_worker *worker, uint32_t request, bool wait)
{
    struct hki_mail *mail = &worker->mail;

    for (;;) {
        if (!mail->held && !receive(worker, wait)) {
            return false;
        }
        if (mail->request == request) {
            return true;
        }
        if ((int32_t)(mail->request - request) > 0) {
            errno = ENOMSG; /* It is for a later one, and waits for that. */
            return false;
        }
        hki_mail_drop(mail, request); /* Of one that was withdrawn before it came. */
    }
}
