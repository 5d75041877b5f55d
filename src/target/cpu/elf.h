// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <elf.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kernelwright::target {

// An x86-64 shared object, read as the loader reads it (program headers and dynamic table); section
// and local symbol names serve messages only. Every offset is checked against the file: a malformed
// file is an Error (kInput), never a fault.
struct ElfObject {
  struct Symbol {
    std::string name;
    uint64_t address = 0;
    uint64_t size = 0;
    int type = 0;        // STT_*
    int bind = 0;        // STB_*
    int visibility = 0;  // STV_*
    bool defined = false;
  };
  struct Section {
    std::string name;
    uint32_t type = 0;
    uint64_t flags = 0, address = 0, offset = 0, size = 0;
  };
  struct Relocation {
    uint64_t address = 0;
    uint32_t type = 0;
    std::string symbol;
  };
  struct Dynamic {
    int64_t tag = 0;
    uint64_t value = 0;
    std::string text;  // of DT_NEEDED and the like
  };
  std::vector<Elf64_Phdr> segments;
  std::vector<Dynamic> dynamic;
  std::vector<Symbol> dynamic_symbols;
  std::vector<Relocation> relocations;
  std::vector<Section> sections;  // may be empty
  std::vector<Symbol> symbols;    // of .symtab, may be empty

  // File bytes of a segment.
  std::string_view bytes_of(const Elf64_Phdr& segment, std::string_view file) const;
};

Result<ElfObject> read_elf(std::string_view file);

}  // namespace kernelwright::target
