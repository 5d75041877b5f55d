// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/screen.h"

#include <cxxabi.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "target/cpu/elf.h"

namespace kernelwright::target {
namespace {

using Reason = std::optional<std::string>;

constexpr uint64_t kPage = 4096;

struct TagRow {
  int64_t tag;
  const char* refusal;  // null: allowed
};
// What the linker writes for a plain kernel object; any other entry is refused.
constexpr TagRow kTags[] = {
    {DT_NEEDED, nullptr},
    {DT_HASH, nullptr},
    {DT_STRTAB, nullptr},
    {DT_SYMTAB, nullptr},
    {DT_STRSZ, nullptr},
    {DT_SYMENT, nullptr},
    {DT_PLTGOT, nullptr},
    {DT_PLTRELSZ, nullptr},
    {DT_PLTREL, nullptr},
    {DT_JMPREL, nullptr},
    {DT_RELA, nullptr},
    {DT_RELASZ, nullptr},
    {DT_RELAENT, nullptr},
    {DT_RELACOUNT, nullptr},
    {DT_FLAGS, nullptr},
    {DT_FLAGS_1, nullptr},
    {DT_BIND_NOW, nullptr},
    {DT_SYMBOLIC, nullptr},
    {DT_VERNEED, nullptr},
    {DT_VERNEEDNUM, nullptr},
    {DT_VERSYM, nullptr},
    {DT_INIT, "a function that runs when the object is loaded (.init)"},
    {DT_FINI, "a function that runs when the object is unloaded (.fini)"},
    {DT_INIT_ARRAY, "a constructor or dynamic initialization of a global (.init_array)"},
    {DT_PREINIT_ARRAY, "a constructor (.preinit_array)"},
    {DT_FINI_ARRAY, "a destructor (.fini_array)"},
    {DT_INIT_ARRAYSZ, "a constructor (.init_array)"},
    {DT_FINI_ARRAYSZ, "a destructor (.fini_array)"},
    {DT_TEXTREL, "relocations in code"},
    {DT_RPATH, "a library search path"},
    {DT_RUNPATH, "a library search path"},
};

struct RelocationRow {
  uint32_t type;
  const char* refusal;
};
constexpr RelocationRow kRelocations[] = {
    {R_X86_64_NONE, nullptr},
    {R_X86_64_RELATIVE, nullptr},
    {R_X86_64_GLOB_DAT, nullptr},
    {R_X86_64_JUMP_SLOT, nullptr},
    {R_X86_64_64, nullptr},
    {R_X86_64_IRELATIVE, "an indirect function (ifunc)"},
    {R_X86_64_DTPMOD64, "a thread-local variable"},
    {R_X86_64_DTPOFF64, "a thread-local variable"},
    {R_X86_64_TPOFF64, "a thread-local variable"},
    {R_X86_64_TLSDESC, "a thread-local variable"},
    {R_X86_64_COPY, "a copy relocation"},
};

struct Region {
  uint64_t begin = 0, end = 0;
  bool holds(uint64_t from, uint64_t to) const { return from >= begin && to <= end; }
};

uint64_t page_up(uint64_t value) {
  return (value + kPage - 1) / kPage * kPage;
}

// What the loader makes read-only again after relocation.
Region read_only_after_relocation(const ElfObject& object) {
  for (const auto& segment : object.segments)
    if (segment.p_type == PT_GNU_RELRO)
      return {segment.p_vaddr / kPage * kPage, (segment.p_vaddr + segment.p_memsz) / kPage * kPage};
  return {};
}

// As it was written in the source, where the name is a C++ one.
std::string readable(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string out = status == 0 && text != nullptr ? text : name;
  std::free(text);
  return out.substr(0, 120);
}

// "'counter' in .bss (4 bytes)": the variable at or in [begin, end), as well as names tell.
std::string variable_in(const ElfObject& object, uint64_t begin, uint64_t end, int type) {
  const auto section_of = [&](uint64_t address) -> std::string {
    for (const auto& section : object.sections)
      if ((section.flags & SHF_ALLOC) != 0 && address >= section.address &&
          address < section.address + section.size)
        return section.name;
    return "?";
  };
  for (const auto& symbol : object.symbols)
    if (symbol.defined && symbol.type == type && symbol.address >= begin && symbol.address < end &&
        symbol.size > 0)
      return fmt::format("'{}' in {} ({} bytes)", readable(symbol.name), section_of(symbol.address),
                         symbol.size);
  for (const auto& section : object.sections)
    if ((section.flags & SHF_WRITE) != 0 && section.size > 0 && section.address >= begin &&
        section.address < end)
      return fmt::format("section {} ({} bytes)", section.name.substr(0, 120), section.size);
  return fmt::format("{} bytes", end - begin);
}

Reason check_segments(const ElfObject& object) {
  const Region read_only = read_only_after_relocation(object);
  bool stack_said = false;
  for (const auto& segment : object.segments) {
    const bool writable = (segment.p_flags & PF_W) != 0;
    const bool executable = (segment.p_flags & PF_X) != 0;
    switch (segment.p_type) {
      case PT_LOAD: {
        if (writable && executable) return "a segment is both writable and executable";
        if (!writable || segment.p_memsz == 0) break;
        const uint64_t end = segment.p_vaddr + segment.p_memsz;
        if (read_only.holds(segment.p_vaddr, page_up(end))) break;
        const uint64_t first = segment.p_vaddr >= read_only.begin && segment.p_vaddr < read_only.end
                                   ? read_only.end
                                   : segment.p_vaddr;
        return fmt::format("writable data: {}; a kernel keeps nothing between calls",
                           variable_in(object, first, end, STT_OBJECT));
      }
      case PT_TLS: {
        std::string name = "";
        for (const auto& symbol : object.symbols)
          if (symbol.type == STT_TLS && symbol.defined)
            name = fmt::format(" '{}'", readable(symbol.name));
        return fmt::format("thread-local variable{}; a kernel keeps nothing between calls", name);
      }
      case PT_GNU_STACK:
        stack_said = true;
        if (executable) return "an executable stack";
        break;
      case PT_NULL:
      case PT_DYNAMIC:
      case PT_NOTE:
      case PT_PHDR:
      case PT_GNU_RELRO:
      case PT_GNU_EH_FRAME:
      case PT_GNU_PROPERTY:
        break;
      default:
        return fmt::format("a segment of unknown type {:#x}", segment.p_type);
    }
  }
  if (!stack_said) return "an executable stack (no PT_GNU_STACK)";
  return std::nullopt;
}

Reason check_dynamic(const ElfObject& object) {
  for (const auto& entry : object.dynamic) {
    const auto* row =
        std::find_if(std::begin(kTags), std::end(kTags),
                     [&](const TagRow& candidate) { return candidate.tag == entry.tag; });
    if (row == std::end(kTags)) return fmt::format("dynamic entry {:#x}", entry.tag);
    if (row->refusal != nullptr) return std::string(row->refusal);
    if (entry.tag == DT_NEEDED && entry.text != "libc.so.6" && entry.text != "libm.so.6")
      return fmt::format("needs the library {}", entry.text.substr(0, 120));
    if (entry.tag == DT_FLAGS && (entry.value & DF_TEXTREL) != 0) return "relocations in code";
    if (entry.tag == DT_FLAGS && (entry.value & ~uint64_t{DF_SYMBOLIC | DF_BIND_NOW}) != 0)
      return fmt::format("dynamic flags {:#x}", entry.value);
    if (entry.tag == DT_FLAGS_1 && (entry.value & ~uint64_t{DF_1_NOW}) != 0)
      return fmt::format("dynamic flags {:#x}", entry.value);
  }
  return std::nullopt;
}

Reason check_relocations(const ElfObject& object) {
  const Region read_only = read_only_after_relocation(object);
  for (const auto& relocation : object.relocations) {
    const auto* row = std::find_if(
        std::begin(kRelocations), std::end(kRelocations),
        [&](const RelocationRow& candidate) { return candidate.type == relocation.type; });
    if (row == std::end(kRelocations)) return fmt::format("relocation of type {}", relocation.type);
    if (row->refusal != nullptr) return std::string(row->refusal);
    if (relocation.type != R_X86_64_NONE &&
        (relocation.address > (1ull << 41) ||
         !read_only.holds(relocation.address, relocation.address + 8)))
      return fmt::format("a relocation outside the relocation tables, at {:#x}",
                         relocation.address);
  }
  return std::nullopt;
}

Reason check_symbols(const ElfObject& object, const std::vector<std::string>& kernels) {
  const auto& undefined = allowed_undefined();
  for (const auto& symbol : object.dynamic_symbols) {
    if (symbol.name.empty()) continue;
    const std::string name = symbol.name.substr(0, 200);
    if (symbol.type == STT_GNU_IFUNC) return fmt::format("indirect function (ifunc) '{}'", name);
    if (symbol.type == STT_TLS) return fmt::format("thread-local variable '{}'", name);
    if (!symbol.defined) {
      if (!std::binary_search(undefined.begin(), undefined.end(), symbol.name))
        return fmt::format(
            "undefined symbol '{}': a kernel may call only memory and math functions", name);
    } else if (std::find(kernels.begin(), kernels.end(), symbol.name) == kernels.end()) {
      return fmt::format("exports '{}', which is no kernel of the program", name);
    } else if (symbol.type != STT_FUNC) {
      return fmt::format("kernel '{}' is not a function", name);
    }
  }
  for (const auto& symbol : object.symbols)
    if (symbol.defined && symbol.type == STT_GNU_IFUNC)
      return fmt::format("indirect function (ifunc) '{}'", symbol.name.substr(0, 200));
  for (const auto& kernel : kernels)
    if (std::none_of(object.dynamic_symbols.begin(), object.dynamic_symbols.end(),
                     [&](const auto& symbol) { return symbol.defined && symbol.name == kernel; }))
      return fmt::format("kernel '{}' is missing", kernel.substr(0, 200));
  return std::nullopt;
}

struct Pattern {
  unsigned char bytes[2];
  const char* name;
};
constexpr Pattern kSystemCalls[] = {
    {{0x0f, 0x05}, "syscall"}, {{0x0f, 0x34}, "sysenter"}, {{0xcd, 0x80}, "int 0x80"}};

// At every offset, because a jump may land inside an instruction.
Reason check_bytes(const ElfObject& object, std::string_view file) {
  for (const auto& segment : object.segments) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    // Whole pages are mapped.
    const uint64_t begin = segment.p_offset / kPage * kPage;
    const uint64_t end =
        std::min<uint64_t>(page_up(segment.p_offset + segment.p_filesz), file.size());
    for (uint64_t at = begin; at + 1 < end; ++at)
      for (const auto& pattern : kSystemCalls)
        if (static_cast<unsigned char>(file[at]) == pattern.bytes[0] &&
            static_cast<unsigned char>(file[at + 1]) == pattern.bytes[1]) {
          const uint64_t address = at - segment.p_offset + segment.p_vaddr;
          std::string where;
          for (const auto& symbol : object.symbols)
            if (symbol.type == STT_FUNC && address >= symbol.address &&
                address - symbol.address < symbol.size)
              where = fmt::format(" in '{}'", readable(symbol.name));
          return fmt::format("the bytes of {} at {:#x}{}", pattern.name, address, where);
        }
  }
  return std::nullopt;
}

}  // namespace

const std::vector<std::string>& allowed_undefined() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"memcmp", "memcpy", "memmove", "memset"};
    // Of <math.h>, without lgamma, which writes a global, and nan, which reads a text.
    for (const char* name :
         {"acos",      "acosh",  "asin",     "asinh",     "atan",      "atan2",     "atanh",
          "cbrt",      "ceil",   "copysign", "cos",       "cosh",      "erf",       "erfc",
          "exp",       "exp10",  "exp2",     "expm1",     "fabs",      "fdim",      "floor",
          "fma",       "fmax",   "fmin",     "fmod",      "frexp",     "hypot",     "ilogb",
          "ldexp",     "llrint", "llround",  "log",       "log10",     "log1p",     "log2",
          "logb",      "lrint",  "lround",   "modf",      "nearbyint", "nextafter", "pow",
          "remainder", "rint",   "round",    "roundeven", "scalbn",    "sin",       "sincos",
          "sinh",      "sqrt",   "tan",      "tanh",      "tgamma",    "trunc"}) {
      all.emplace_back(name);
      all.push_back(std::string(name) + "f");
    }
    std::sort(all.begin(), all.end());
    return all;
  }();
  return names;
}

bool contains_system_call(std::string_view bytes) {
  const auto object = read_elf(bytes);
  return object && check_bytes(*object, bytes).has_value();
}

std::optional<std::string> screen_object(std::string_view bytes,
                                         const std::vector<std::string>& kernels) {
  const auto object = read_elf(bytes);
  if (!object) return object.error().text();
  // The order decides which reason is told when several hold: causes before their effects.
  if (auto reason = check_segments(*object)) return reason;
  if (auto reason = check_dynamic(*object)) return reason;
  if (auto reason = check_relocations(*object)) return reason;
  if (auto reason = check_symbols(*object, kernels)) return reason;
  return check_bytes(*object, bytes);
}

}  // namespace kernelwright::target
