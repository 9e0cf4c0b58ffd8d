/* SPDX-License-Identifier: MIT */
#ifndef HOCKET_EXECUTORS_SERIAL_IMPL_H
#define HOCKET_EXECUTORS_SERIAL_IMPL_H

#include <hocket/serial.h>

/* As hk_serial_create(); owns_base: the base is destroyed with the new one. */
hk_status hki_serial_create(hk_executor *base, bool owns_base, const hk_executor_options *options,
                            hk_executor **out);

#endif
