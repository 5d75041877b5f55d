// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/kernel_arguments.h"

#include "expert/program_builder.h"

namespace kernelwright::expert {

using program::Access;

KernelArguments::KernelArguments(ProgramBuilder& builder, const std::string& hint)
    : builder_(builder), name_(builder.fresh_name(hint)) {}

std::string KernelArguments::pointer(const std::string& buffer, Access access) {
  if (made_.count(buffer) != 0) access = Access::kWrite;
  for (program::BufferArg& arg : args_) {
    if (arg.buffer != buffer) continue;
    if (arg.access != access) arg.access = Access::kReadWrite;
    return buffer;
  }
  program::BufferArg arg;
  arg.buffer = buffer;
  arg.access = access;
  args_.push_back(std::move(arg));
  return buffer;
}

void KernelArguments::makes(int tensor) {
  made_.insert(builder_.buffer(tensor));
}
std::string KernelArguments::read(int tensor) {
  return pointer(builder_.buffer(tensor), Access::kRead);
}
std::string KernelArguments::write(int tensor) {
  return pointer(builder_.buffer(tensor), Access::kWrite);
}
std::string KernelArguments::read_buffer(const std::string& buffer) {
  return pointer(buffer, Access::kRead);
}
std::string KernelArguments::write_buffer(const std::string& buffer) {
  return pointer(buffer, Access::kWrite);
}

}  // namespace kernelwright::expert
