/* SPDX-License-Identifier: MIT */
/* Which sanitizers look on: gcc and clang say it in different ways. */
#ifndef HOCKET_BASE_SANITIZERS_H
#define HOCKET_BASE_SANITIZERS_H

#if defined(__has_feature)
#define HKI_SANITIZED_BY(sanitizer) __has_feature(sanitizer)
#else
#define HKI_SANITIZED_BY(sanitizer) 0
#endif

/* 1, or 0. */
#if defined(__SANITIZE_ADDRESS__) || HKI_SANITIZED_BY(address_sanitizer)
#define HKI_ADDRESS_SANITIZER 1
#else
#define HKI_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__) || HKI_SANITIZED_BY(thread_sanitizer)
#define HKI_THREAD_SANITIZER 1
#else
#define HKI_THREAD_SANITIZER 0
#endif

#if HKI_SANITIZED_BY(memory_sanitizer)
#define HKI_MEMORY_SANITIZER 1
#else
#define HKI_MEMORY_SANITIZER 0
#endif

#endif
