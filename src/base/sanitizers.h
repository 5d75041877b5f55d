// SPDX-License-Identifier: Apache-2.0
// Which sanitizers this build has, for what cannot be done under one: ask here, with `if`.
#pragma once

#if !defined(__has_feature)  // g++ says it by macros
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define KW_ADDRESS_SANITIZER true
#else
#define KW_ADDRESS_SANITIZER false
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define KW_THREAD_SANITIZER true
#else
#define KW_THREAD_SANITIZER false
#endif

namespace kernelwright::base {

// It does not follow a fork of a threaded process.
inline constexpr bool kThreadSanitizer = KW_THREAD_SANITIZER;
// A sanitizer's shadow takes terabytes of address space: that of a process cannot be bounded.
inline constexpr bool kShadowMemory = KW_ADDRESS_SANITIZER || KW_THREAD_SANITIZER;

}  // namespace kernelwright::base

#undef KW_ADDRESS_SANITIZER
#undef KW_THREAD_SANITIZER
