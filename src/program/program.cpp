// SPDX-License-Identifier: Apache-2.0
#include "program/program.h"

namespace kernelwright::program {

const char* role_name(BufferRole role) {
  switch (role) {
    case BufferRole::kInput:
      return "input";
    case BufferRole::kWeight:
      return "weight";
    case BufferRole::kOutput:
      return "output";
    case BufferRole::kPacked:
      return "packed";
    case BufferRole::kScratch:
      return "scratch";
    case BufferRole::kSync:
      return "sync";
    case BufferRole::kState:
      return "state";
    case BufferRole::kTable:
      return "table";
  }
  return "?";
}

const Buffer* Program::find(const std::string& name) const {
  for (const Buffer& buffer : buffers)
    if (buffer.name == name) return &buffer;
  return nullptr;
}

}  // namespace kernelwright::program
