// SPDX-License-Identifier: Apache-2.0
#include "agent/providers/curl_library.h"

#include <dlfcn.h>
#include <fmt/core.h>

namespace kernelwright::agent {
namespace {

// The usual name, then Debian's build with GnuTLS.
constexpr const char* kNames[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

Result<CurlLibrary> open_library() {
  void* handle = nullptr;
  for (const char* name : kNames)
    if (handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL); handle != nullptr) break;
  if (handle == nullptr)
    return fail(ErrorKind::kEnvironment,
                "models are reached through libcurl, which is not installed (libcurl.so.4)");
  CurlLibrary library;
  std::string missing;
  const auto find = [&](const char* name, auto& into) {
    into = reinterpret_cast<std::decay_t<decltype(into)>>(::dlsym(handle, name));
    if (into == nullptr) missing = name;
  };
  find("curl_global_init", library.global_init);
  find("curl_easy_init", library.easy_init);
  find("curl_easy_setopt", library.easy_setopt);
  find("curl_easy_getinfo", library.easy_getinfo);
  find("curl_easy_cleanup", library.easy_cleanup);
  find("curl_easy_strerror", library.easy_strerror);
  find("curl_slist_append", library.slist_append);
  find("curl_slist_free_all", library.slist_free_all);
  find("curl_multi_init", library.multi_init);
  find("curl_multi_add_handle", library.multi_add_handle);
  find("curl_multi_remove_handle", library.multi_remove_handle);
  find("curl_multi_perform", library.multi_perform);
  find("curl_multi_poll", library.multi_poll);
  find("curl_multi_info_read", library.multi_info_read);
  find("curl_multi_cleanup", library.multi_cleanup);
  if (!missing.empty())
    return fail(ErrorKind::kEnvironment,
                fmt::format("libcurl is too old: it has no {} (7.66 has)", missing));
  if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return fail(ErrorKind::kEnvironment, "libcurl does not start");
  return library;
}

}  // namespace

Result<const CurlLibrary*> CurlLibrary::get() {
  static const Result<CurlLibrary> library = open_library();
  if (!library) return fail(library.error());
  return &*library;
}

}  // namespace kernelwright::agent
