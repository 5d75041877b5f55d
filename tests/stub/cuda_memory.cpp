// SPDX-License-Identifier: Apache-2.0
// The stub driver's memory: the host's. A mapped allocation is a memfd, a handle its descriptor.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "stub/calls.h"
#include "stub/streams.h"
#include "target/cuda/runtime/driver_types.h"

using namespace kernelwright::cuda;
using namespace kernelwright::stub;

namespace {

constexpr size_t kGranularity = 64 << 10;

int descriptor(Handle handle) {
  return static_cast<int>(handle) - 1;
}

}  // namespace

STUB Code cuDeviceTotalMem_v2(size_t* bytes, Device) {
  *bytes = size_t{80} << 30;
  return kSuccess;
}
STUB Code cuCtxSynchronize() {
  return kSuccess;
}
STUB Code cuCtxResetPersistingL2Cache() {
  return kSuccess;
}
STUB Code cuMemGetAllocationGranularity(size_t* bytes, const MemAllocationProp*, int) {
  *bytes = kGranularity;
  return kSuccess;
}
STUB Code cuMemCreate(Handle* handle, size_t bytes, const MemAllocationProp* prop,
                      unsigned long long) {
  if (bytes % kGranularity != 0 || bytes == 0 || prop->handle_types != kMemHandlePosixFd)
    return kErrorInvalidValue;
  const int fd = memfd_create("kw-stub", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) return kErrorOutOfMemory;
  *handle = static_cast<Handle>(fd) + 1;
  return kSuccess;
}
STUB Code cuMemRelease(Handle handle) {
  return close(descriptor(handle)) == 0 ? kSuccess : kErrorInvalidValue;
}
STUB Code cuMemExportToShareableHandle(void* out, Handle handle, int, unsigned long long) {
  const int fd = dup(descriptor(handle));
  *static_cast<int*>(out) = fd;
  return fd < 0 ? kErrorInvalidValue : kSuccess;
}
STUB Code cuMemImportFromShareableHandle(Handle* handle, void* shared, int) {
  const int fd = dup(static_cast<int>(reinterpret_cast<intptr_t>(shared)));
  *handle = static_cast<Handle>(fd) + 1;
  return fd < 0 ? kErrorInvalidValue : kSuccess;
}
STUB Code cuMemAddressReserve(Ptr* address, size_t bytes, size_t, Ptr, unsigned long long) {
  void* place = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return kErrorOutOfMemory;
  *address = reinterpret_cast<Ptr>(place);
  return kSuccess;
}
STUB Code cuMemAddressFree(Ptr address, size_t bytes) {
  return munmap(at(address), bytes) == 0 ? kSuccess : kErrorInvalidValue;
}
STUB Code cuMemMap(Ptr address, size_t bytes, size_t offset, Handle handle, unsigned long long) {
  if (offset != 0) return kErrorInvalidValue;
  void* place = mmap(at(address), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, descriptor(handle), 0);
  return place == MAP_FAILED ? kErrorInvalidValue : kSuccess;
}
STUB Code cuMemUnmap(Ptr address, size_t bytes) {
  void* place = mmap(at(address), bytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return place == MAP_FAILED ? kErrorInvalidValue : kSuccess;
}
STUB Code cuMemSetAccess(Ptr address, size_t bytes, const MemAccessDesc* access, size_t count) {
  if (count != 1) return kErrorInvalidValue;
  const int protection = access->access == kMemAccessReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  return mprotect(at(address), bytes, protection) == 0 ? kSuccess : kErrorInvalidValue;
}

STUB Code cuMemAlloc_v2(Ptr* address, size_t bytes) {
  if (Code code = call("cuMemAlloc", "{}", bytes); code != kSuccess) return code;
  *address = reinterpret_cast<Ptr>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  std::memset(at(*address), 0xee, bytes);
  return kSuccess;
}
STUB Code cuMemFree_v2(Ptr address) {
  std::free(at(address));
  return call("cuMemFree");
}
STUB Code cuMemcpyHtoD_v2(Ptr to, const void* from, size_t bytes) {
  std::memcpy(at(to), from, bytes);
  return call("cuMemcpyHtoD", "{}", bytes);
}
STUB Code cuMemcpyHtoDAsync_v2(Ptr to, const void* from, size_t bytes, Stream stream) {
  issue(stream, kNodeMemcpy, copied(at(to), from, bytes));
  return call("cuMemcpyHtoDAsync", "{}", bytes);
}
STUB Code cuMemcpyDtoHAsync_v2(void* to, Ptr from, size_t bytes, Stream stream) {
  issue(stream, kNodeMemcpy, copied(to, at(from), bytes));
  return call("cuMemcpyDtoHAsync", "{}", bytes);
}
STUB Code cuMemcpyDtoDAsync_v2(Ptr to, Ptr from, size_t bytes, Stream stream) {
  if (Code code = call("cuMemcpyDtoDAsync", "{}", bytes); code != kSuccess) return code;
  issue(stream, kNodeMemcpy, copied(at(to), at(from), bytes));
  return kSuccess;
}
STUB Code cuMemsetD8Async(Ptr to, unsigned char value, size_t count, Stream stream) {
  RETURN_IF_FAILING("{} {}", value, count);
  issue(stream, kNodeMemset, filled(to, value, count));
  return kSuccess;
}
STUB Code cuMemsetD16Async(Ptr to, unsigned short value, size_t count, Stream stream) {
  RETURN_IF_FAILING("{} {}", value, count);
  issue(stream, kNodeMemset, filled(to, value, count));
  return kSuccess;
}
STUB Code cuMemsetD32Async(Ptr to, unsigned value, size_t count, Stream stream) {
  RETURN_IF_FAILING("{} {}", value, count);
  issue(stream, kNodeMemset, filled(to, value, count));
  return kSuccess;
}
