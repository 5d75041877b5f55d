// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <vector>

#include "program/program.h"

namespace kernelwright::expert {

class ProgramBuilder;

// The buffers that one kernel under construction takes, in the order of its arguments.
class KernelArguments {
 public:
  KernelArguments(ProgramBuilder& builder, const std::string& hint);
  const std::string& name() const { return name_; }
  // Variable that points to a tensor or buffer; a repeated call gives the same variable.
  std::string read(int tensor);
  std::string write(int tensor);
  std::string read_buffer(const std::string& buffer);
  std::string write_buffer(const std::string& buffer);
  // A tensor that this launch alone makes: what it reads of it, it has written before.
  void makes(int tensor);

 protected:
  ProgramBuilder& builder_;
  std::string name_;
  std::vector<program::BufferArg> args_;

 private:
  std::string pointer(const std::string& buffer, program::Access access);
  std::set<std::string> made_;
};

}  // namespace kernelwright::expert
