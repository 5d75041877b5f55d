// SPDX-License-Identifier: Apache-2.0
// The stub driver's memory mapping: an allocation is a memfd, a handle its descriptor.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "target/cuda/runtime/driver_types.h"

using namespace kernelwright::cuda;

#define STUB extern "C" __attribute__((visibility("default")))

namespace {

constexpr size_t kGranularity = 64 << 10;

int descriptor(Handle handle) {
  return static_cast<int>(handle) - 1;
}
void* at(Ptr address) {
  return reinterpret_cast<void*>(address);
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
