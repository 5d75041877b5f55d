// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/elf.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "target/elf_reader.h"

namespace kernelwright::target {
namespace {

constexpr uint64_t kMaxRecords = 1 << 20;

tl::unexpected<Error> malformed(std::string what) {
  return fail(ErrorKind::kInput, "malformed object: " + std::move(what));
}

using Reader = ElfReader;

// File offset of `size` bytes at a virtual address, through the loadable segments.
std::optional<uint64_t> file_offset(const std::vector<Elf64_Phdr>& segments, uint64_t address,
                                    uint64_t size) {
  for (const auto& segment : segments) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    const uint64_t inside = address - segment.p_vaddr;
    if (inside <= segment.p_filesz && size <= segment.p_filesz - inside)
      return segment.p_offset + inside;
  }
  return std::nullopt;
}

Status read_segments(const Reader& reader, const Elf64_Ehdr& header, ElfObject& object) {
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > 64)
    return malformed("program headers");
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (header.e_phoff > (1ull << 40) || !reader.read(header.e_phoff + i * sizeof segment, segment))
      return malformed("program headers lie outside the file");
    if (!reader.holds(segment.p_offset, segment.p_filesz))
      return malformed("segment lies outside the file");
    if (segment.p_type == PT_LOAD &&
        (segment.p_memsz < segment.p_filesz || segment.p_memsz > (1ull << 40) ||
         segment.p_vaddr > (1ull << 40)))
      return malformed("segment size");
    object.segments.push_back(segment);
  }
  return {};
}

uint64_t dynamic_value(const ElfObject& object, int64_t tag) {
  for (const auto& entry : object.dynamic)
    if (entry.tag == tag) return entry.value;
  return 0;
}

bool names_text(int64_t tag) {
  return tag == DT_NEEDED || tag == DT_SONAME || tag == DT_RPATH || tag == DT_RUNPATH;
}

ElfObject::Symbol to_symbol(const Elf64_Sym& raw, std::string name) {
  ElfObject::Symbol symbol;
  symbol.name = std::move(name);
  symbol.address = raw.st_value;
  symbol.size = raw.st_size;
  symbol.type = ELF64_ST_TYPE(raw.st_info);
  symbol.bind = ELF64_ST_BIND(raw.st_info);
  symbol.visibility = ELF64_ST_VISIBILITY(raw.st_other);
  symbol.defined = raw.st_shndx != SHN_UNDEF;
  return symbol;
}

Status read_relocations(const Reader& reader, ElfObject& object, uint64_t address, uint64_t bytes) {
  if (bytes == 0) return {};
  if (bytes % sizeof(Elf64_Rela) != 0 || bytes / sizeof(Elf64_Rela) > kMaxRecords)
    return malformed("relocation table size");
  const auto at = file_offset(object.segments, address, bytes);
  if (!at) return malformed("relocation table lies outside the file");
  for (uint64_t i = 0; i < bytes / sizeof(Elf64_Rela); ++i) {
    Elf64_Rela raw;
    if (!reader.read(*at + i * sizeof raw, raw)) return malformed("relocation");
    const uint64_t symbol = ELF64_R_SYM(raw.r_info);
    if (symbol >= std::max<size_t>(object.dynamic_symbols.size(), 1))
      return malformed("relocation's symbol");
    object.relocations.push_back(
        {raw.r_offset, static_cast<uint32_t>(ELF64_R_TYPE(raw.r_info)),
         symbol == 0 ? std::string() : object.dynamic_symbols[symbol].name});
  }
  return {};
}

Status read_dynamic(const Reader& reader, ElfObject& object) {
  const Elf64_Phdr* table = nullptr;
  for (const auto& segment : object.segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    if (table != nullptr) return malformed("two dynamic tables");
    table = &segment;
  }
  if (table == nullptr) return malformed("no dynamic table");
  const auto start = file_offset(object.segments, table->p_vaddr, table->p_filesz);
  if (!start) return malformed("dynamic table lies outside the file");
  bool ended = false;
  for (uint64_t i = 0; (i + 1) * sizeof(Elf64_Dyn) <= table->p_filesz; ++i) {
    Elf64_Dyn raw;
    if (!reader.read(*start + i * sizeof raw, raw)) return malformed("dynamic table");
    if (raw.d_tag == DT_NULL) {
      ended = true;
      break;
    }
    // Of two entries the loader takes the last: there shall be no two.
    for (const auto& before : object.dynamic)
      if (before.tag == raw.d_tag && raw.d_tag != DT_NEEDED)
        return malformed("dynamic entry given twice");
    if (object.dynamic.size() >= 256) return malformed("dynamic table is too long");
    object.dynamic.push_back({raw.d_tag, raw.d_un.d_val, {}});
  }
  if (!ended) return malformed("dynamic table has no end");

  const uint64_t strings_bytes = dynamic_value(object, DT_STRSZ);
  const auto strings =
      file_offset(object.segments, dynamic_value(object, DT_STRTAB), strings_bytes);
  if (!strings || strings_bytes == 0) return malformed("dynamic strings");
  const uint64_t strings_end = *strings + strings_bytes;
  const auto name_at = [&](uint64_t offset) -> std::optional<std::string> {
    if (offset >= strings_bytes) return std::nullopt;
    return reader.text(*strings + offset, strings_end);
  };
  for (auto& entry : object.dynamic) {
    if (!names_text(entry.tag)) continue;
    const auto text = name_at(entry.value);
    if (!text) return malformed("dynamic string");
    entry.text = *text;
  }

  // The count of dynamic symbols is that of the hash table's chains.
  const auto hash = file_offset(object.segments, dynamic_value(object, DT_HASH), 8);
  uint32_t count = 0;
  if (dynamic_value(object, DT_HASH) == 0 || !hash || !reader.read(*hash + 4, count))
    return malformed("no symbol hash table");
  if (count > kMaxRecords) return malformed("too many symbols");
  const auto symbols = file_offset(object.segments, dynamic_value(object, DT_SYMTAB),
                                   static_cast<uint64_t>(count) * sizeof(Elf64_Sym));
  if (!symbols) return malformed("dynamic symbols lie outside the file");
  for (uint64_t i = 0; i < count; ++i) {
    Elf64_Sym raw;
    if (!reader.read(*symbols + i * sizeof raw, raw)) return malformed("dynamic symbol");
    const auto name = name_at(raw.st_name);
    if (!name) return malformed("dynamic symbol's name");
    object.dynamic_symbols.push_back(to_symbol(raw, *name));
  }

  if (dynamic_value(object, DT_REL) != 0 || dynamic_value(object, DT_RELSZ) != 0 ||
      (dynamic_value(object, DT_PLTRELSZ) != 0 && dynamic_value(object, DT_PLTREL) != DT_RELA))
    return malformed("relocations without addend");
  KW_CHECK_OK(read_relocations(reader, object, dynamic_value(object, DT_RELA),
                               dynamic_value(object, DT_RELASZ)));
  return read_relocations(reader, object, dynamic_value(object, DT_JMPREL),
                          dynamic_value(object, DT_PLTRELSZ));
}

// Names for messages; what does not fit is left out.
void read_sections(const Reader& reader, const Elf64_Ehdr& header, ElfObject& object) {
  if (header.e_shoff == 0 || header.e_shoff > (1ull << 40) ||
      header.e_shentsize != sizeof(Elf64_Shdr))
    return;
  std::vector<Elf64_Shdr> raw(header.e_shnum);
  for (size_t i = 0; i < raw.size(); ++i)
    if (!reader.read(header.e_shoff + i * sizeof(Elf64_Shdr), raw[i])) return;
  if (header.e_shstrndx >= raw.size()) return;
  const auto& names = raw[header.e_shstrndx];
  if (!reader.holds(names.sh_offset, names.sh_size)) return;
  for (const auto& section : raw) {
    const auto name =
        section.sh_name < names.sh_size
            ? reader.text(names.sh_offset + section.sh_name, names.sh_offset + names.sh_size)
            : std::nullopt;
    object.sections.push_back({name.value_or("?"), section.sh_type, section.sh_flags,
                               section.sh_addr, section.sh_offset, section.sh_size});
  }
  for (const auto& section : raw) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= raw.size()) continue;
    const auto& strings = raw[section.sh_link];
    if (!reader.holds(section.sh_offset, section.sh_size) ||
        !reader.holds(strings.sh_offset, strings.sh_size))
      continue;
    const uint64_t count = std::min<uint64_t>(section.sh_size / sizeof(Elf64_Sym), kMaxRecords);
    for (uint64_t i = 0; i < count; ++i) {
      Elf64_Sym symbol;
      if (!reader.read(section.sh_offset + i * sizeof symbol, symbol)) break;
      const auto name =
          symbol.st_name < strings.sh_size
              ? reader.text(strings.sh_offset + symbol.st_name, strings.sh_offset + strings.sh_size)
              : std::nullopt;
      if (name && !name->empty()) object.symbols.push_back(to_symbol(symbol, *name));
    }
  }
}

}  // namespace

std::string_view ElfObject::bytes_of(const Elf64_Phdr& segment, std::string_view file) const {
  return file.substr(segment.p_offset, segment.p_filesz);
}

Result<ElfObject> read_elf(std::string_view file) {
  const Reader reader(file);
  Elf64_Ehdr header;
  if (!reader.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return malformed("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_X86_64 || header.e_type != ET_DYN)
    return malformed("not an x86-64 shared object");
  ElfObject object;
  KW_CHECK_OK(read_segments(reader, header, object));
  KW_CHECK_OK(read_dynamic(reader, object));
  read_sections(reader, header, object);
  return object;
}

}  // namespace kernelwright::target
