// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/cubin.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "target/elf_reader.h"

namespace kernelwright::target {
namespace {

constexpr uint64_t kMaxRecords = 1 << 18;
constexpr uint64_t kAddressBank = 4;
constexpr std::string_view kAddressList = ".nv.constant4";
constexpr size_t kInstructionBytes = 16;
constexpr unsigned kEntry = 0x10;   // st_other of a kernel
constexpr uint32_t kMachine = 190;  // EM_CUDA
// Hopper and later keep this much at the start of a block's shared memory; the section counts it.
constexpr int64_t kReservedShared = 1024;

// Attributes of .nv.info: one byte form, one byte number, two bytes value or size.
enum Form : uint8_t { kNoValue = 1, kByte = 2, kHalf = 3, kSized = 4 };
enum Attribute : uint8_t {
  kMaxThreads = 0x05,        // x, y, z
  kRequiredThreads = 0x10,   // x, y, z
  kFrameSize = 0x11,         // symbol, bytes
  kMinStackSize = 0x12,      // symbol, bytes
  kParamBytes = 0x19,        // in the value
  kMaxStackSize = 0x23,      // symbol, bytes
  kRegisterCount = 0x2f,     // symbol, registers
  kBlocksPerCluster = 0x3d,  // x, y, z
};

tl::unexpected<Error> malformed(const char* what) {
  return fail(ErrorKind::kInput, std::string("malformed cubin: ") + what);
}

struct Record {
  uint8_t attribute = 0;
  uint16_t value = 0;
  std::vector<uint32_t> words;
};

std::vector<Record> read_info(const ElfReader& reader, const Cubin::Section& section) {
  std::vector<Record> records;
  uint64_t at = section.offset;
  const uint64_t end = section.offset + section.size;
  while (at + 4 <= end) {
    uint8_t form = 0;
    Record record;
    if (!reader.read(at, form) || !reader.read(at + 1, record.attribute) ||
        !reader.read(at + 2, record.value))
      break;
    at += 4;
    if (form == kSized) {
      if (record.value > end - at) break;
      for (uint64_t word = at; word + 4 <= at + record.value; word += 4) {
        uint32_t value = 0;
        if (!reader.read(word, value)) break;
        record.words.push_back(value);
      }
      at += record.value;
    } else if (form == 0 || form > kSized) {
      break;
    }
    records.push_back(std::move(record));
  }
  return records;
}

Status read_sections(const ElfReader& reader, const Elf64_Ehdr& header, Cubin& cubin,
                     std::vector<Elf64_Shdr>& raw) {
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 ||
      header.e_shstrndx >= header.e_shnum)
    return malformed("section headers");
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    if (!reader.read(header.e_shoff + i * sizeof section, section) || header.e_shoff > (1ull << 40))
      return malformed("section headers");
    if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
        !reader.holds(section.sh_offset, section.sh_size))
      return malformed("a section outside the file");
    raw.push_back(section);
  }
  const auto& names = raw[header.e_shstrndx];
  if (!reader.holds(names.sh_offset, names.sh_size)) return malformed("section names");
  for (const auto& section : raw) {
    const auto name =
        section.sh_name < names.sh_size
            ? reader.text(names.sh_offset + section.sh_name, names.sh_offset + names.sh_size)
            : std::nullopt;
    if (!name) return malformed("a section's name");
    cubin.sections.push_back(
        {*name, section.sh_type, section.sh_flags, section.sh_offset, section.sh_size});
  }
  return {};
}

Status read_symbols(const ElfReader& reader, const std::vector<Elf64_Shdr>& raw, Cubin& cubin) {
  for (const auto& section : raw) {
    if (section.sh_type != SHT_SYMTAB) continue;
    if (section.sh_link >= raw.size()) return malformed("symbol table");
    const auto& strings = raw[section.sh_link];
    const uint64_t count = section.sh_size / sizeof(Elf64_Sym);
    if (count > kMaxRecords || !reader.holds(strings.sh_offset, strings.sh_size))
      return malformed("symbol table");
    for (uint64_t i = 0; i < count; ++i) {
      Elf64_Sym symbol;
      if (!reader.read(section.sh_offset + i * sizeof symbol, symbol))
        return malformed("symbol table");
      const auto name =
          symbol.st_name < strings.sh_size
              ? reader.text(strings.sh_offset + symbol.st_name, strings.sh_offset + strings.sh_size)
              : std::nullopt;
      if (!name) return malformed("a symbol's name");
      cubin.symbols.push_back({*name, symbol.st_value, symbol.st_size,
                               ELF64_ST_TYPE(symbol.st_info), ELF64_ST_BIND(symbol.st_info),
                               symbol.st_other, symbol.st_shndx});
    }
    return {};
  }
  return malformed("no symbol table");
}

// Whether an instruction of Volta or later (16 bytes) has an operand in constant bank 4. Seen in
// what NVRTC 13 makes for sm_75, 80, 90, 100 and 120: bits 9-11 tell the form (3, 5: an operand in
// a constant bank), bits 54-58 the bank. BAR with a barrier's number in it looks like form 5, and
// has that number in the place of the bank.
bool reads_addresses(uint64_t low_half) {
  constexpr uint64_t kBarrier = 0xb1d;  // bits 0-11
  const uint64_t form = (low_half >> 9) & 7;
  return (form == 3 || form == 5) && (low_half & 0xfff) != kBarrier &&
         ((low_half >> 54) & 31) == kAddressBank;
}

bool reads_addresses(std::string_view code) {
  for (size_t at = 0; at + kInstructionBytes <= code.size(); at += kInstructionBytes) {
    uint64_t low_half = 0;
    std::memcpy(&low_half, code.data() + at, sizeof low_half);
    if (reads_addresses(low_half)) return true;
  }
  return false;
}

// Whether some code loads addresses that the driver lists for it.
bool reads_addresses(std::string_view file, const std::vector<Cubin::Section>& sections) {
  return std::any_of(sections.begin(), sections.end(), [&](const Cubin::Section& section) {
    return section.name.starts_with(".text.") && section.type == SHT_PROGBITS &&
           reads_addresses(file.substr(section.offset, section.size));
  });
}

// REL and RELA entries begin alike: place, then the symbol's index above 32 bits of type.
Status read_relocations(const ElfReader& reader, const std::vector<Elf64_Shdr>& raw,
                        std::string_view file, Cubin& cubin) {
  const bool listed = reads_addresses(file, cubin.sections);
  for (size_t i = 0; i < raw.size(); ++i) {
    const auto& section = raw[i];
    if (section.sh_type != SHT_REL && section.sh_type != SHT_RELA) continue;
    if (!listed && cubin.sections[i].name.ends_with(kAddressList)) continue;
    const uint64_t bytes = section.sh_type == SHT_REL ? sizeof(Elf64_Rel) : sizeof(Elf64_Rela);
    if (section.sh_size / bytes > kMaxRecords) return malformed("relocations");
    for (uint64_t at = 0; at + bytes <= section.sh_size; at += bytes) {
      Elf64_Rel relocation;
      if (!reader.read(section.sh_offset + at, relocation) ||
          ELF64_R_SYM(relocation.r_info) >= cubin.symbols.size())
        return malformed("relocations");
      cubin.relocated.push_back(static_cast<uint32_t>(ELF64_R_SYM(relocation.r_info)));
    }
  }
  return {};
}

std::array<int64_t, 3> triple(const Record& record) {
  if (record.words.size() < 3) return {};
  return {record.words[0], record.words[1], record.words[2]};
}

// No device has as many threads or blocks; more are as many.
constexpr int64_t kBeyondAll = int64_t{1} << 30;

int64_t product(const std::array<int64_t, 3>& extents) {
  int64_t all = 1;
  for (int64_t extent : extents) all = std::min(kBeyondAll, all * std::min(kBeyondAll, extent));
  return all;
}

void read_kernel_info(const ElfReader& reader, const Cubin::Section& section,
                      Cubin::Kernel& kernel) {
  for (const auto& record : read_info(reader, section)) switch (record.attribute) {
      case kMaxThreads:
        if (const auto t = triple(record); t[0] > 0)
          kernel.max_threads = static_cast<int>(
              product({t[0], std::max<int64_t>(t[1], 1), std::max<int64_t>(t[2], 1)}));
        break;
      case kRequiredThreads:
        kernel.block = triple(record);
        break;
      case kParamBytes:
        kernel.param_bytes = record.value;
        break;
      case kBlocksPerCluster: {
        const auto cluster = triple(record);
        // 1, 1, 1 is also written where the source says nothing.
        if (product(cluster) > 1) kernel.cluster = cluster;
        break;
      }
      default:
        break;
    }
}

void read_kernels(const ElfReader& reader, Cubin& cubin) {
  std::map<std::string, Cubin::Kernel> kernels;
  for (const auto& symbol : cubin.symbols)
    if (symbol.type == STT_FUNC && (symbol.other & kEntry) != 0 && symbol.section != 0)
      kernels[symbol.name].name = symbol.name;
  const auto of = [&](const std::string& section, const char* prefix) -> Cubin::Kernel* {
    if (!section.starts_with(prefix)) return nullptr;
    const auto it = kernels.find(section.substr(std::char_traits<char>::length(prefix)));
    return it != kernels.end() ? &it->second : nullptr;
  };
  for (const auto& section : cubin.sections) {
    if (auto* kernel = of(section.name, ".nv.info.")) read_kernel_info(reader, section, *kernel);
    if (auto* kernel = of(section.name, ".nv.shared.")) {
      kernel->shared_bytes = static_cast<int64_t>(section.size);
      if (cubin.sm >= 90 && kernel->shared_bytes >= kReservedShared)
        kernel->shared_bytes -= kReservedShared;
    }
    if (auto* kernel = of(section.name, ".nv.constant0."))
      kernel->const_bytes = static_cast<int64_t>(section.size);
    if (section.name != ".nv.info") continue;
    for (const auto& record : read_info(reader, section)) {
      if (record.words.size() < 2 || record.words[0] >= cubin.symbols.size()) continue;
      const auto it = kernels.find(cubin.symbols[record.words[0]].name);
      if (it == kernels.end()) continue;
      if (record.attribute == kRegisterCount)
        it->second.registers = static_cast<int>(record.words[1]);
      if (record.attribute == kFrameSize || record.attribute == kMinStackSize ||
          record.attribute == kMaxStackSize)
        it->second.stack_bytes = std::max<int64_t>(it->second.stack_bytes, record.words[1]);
    }
  }
  for (auto& [name, kernel] : kernels) cubin.kernels.push_back(std::move(kernel));
}

}  // namespace

const Cubin::Kernel* Cubin::find(const std::string& name) const {
  for (const auto& kernel : kernels)
    if (kernel.name == name) return &kernel;
  return nullptr;
}

Result<Cubin> read_cubin(std::string_view file) {
  const ElfReader reader(file);
  Elf64_Ehdr header;
  if (!reader.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return malformed("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != kMachine)
    return malformed("not for a CUDA device");
  Cubin cubin;
  // The architecture stands in the second byte of the flags since ABI 8, before in the first.
  cubin.sm = static_cast<int>(header.e_ident[EI_ABIVERSION] >= 8 ? (header.e_flags >> 8) & 0xff
                                                                 : header.e_flags & 0xff);
  std::vector<Elf64_Shdr> raw;
  KW_CHECK_OK(read_sections(reader, header, cubin, raw));
  KW_CHECK_OK(read_symbols(reader, raw, cubin));
  KW_CHECK_OK(read_relocations(reader, raw, file, cubin));
  read_kernels(reader, cubin);
  return cubin;
}

}  // namespace kernelwright::target
