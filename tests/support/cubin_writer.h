// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <elf.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace kernelwright::testing {

// Writes an ELF file with the sections and symbols that a test wants.
class CubinWriter {
 public:
  CubinWriter() {
    add_section("", SHT_NULL, 0, "");
    symbol("", 0, 0, 0, 0, 0);
  }
  uint32_t section(const std::string& name, const std::string& content, uint64_t flags = SHF_ALLOC,
                   uint32_t type = SHT_PROGBITS) {
    return add_section(name, type, flags, content);
  }
  // Takes up memory, none of the file.
  uint32_t empty_section(const std::string& name, uint64_t size, uint64_t flags) {
    const uint32_t index = add_section(name, SHT_NOBITS, flags, "");
    sections_[index].sh_size = size;
    return index;
  }
  uint32_t symbol(const std::string& name, int type, int bind, uint32_t section, uint64_t size,
                  unsigned char other) {
    Elf64_Sym symbol{};
    symbol.st_name = text(symbol_names_, name);
    symbol.st_info = static_cast<unsigned char>(ELF64_ST_INFO(bind, type));
    symbol.st_other = other;
    symbol.st_shndx = static_cast<uint16_t>(section);
    symbol.st_size = size;
    symbols_.append(reinterpret_cast<const char*>(&symbol), sizeof symbol);
    return static_cast<uint32_t>(symbols_.size() / sizeof symbol) - 1;
  }
  // A kernel with registers, a stack, launch bounds (the others are y and z) and static shared
  // memory.
  void kernel(const std::string& name, uint32_t registers, uint32_t stack, uint32_t max_threads,
              uint64_t shared, std::array<uint32_t, 2> others = {1, 1}) {
    const uint32_t code =
        section(".text." + name, std::string(128, '\0'), SHF_ALLOC | SHF_EXECINSTR);
    const uint32_t index = symbol(name, STT_FUNC, STB_GLOBAL, code, 128, 0x10);
    info_ += record(0x2f, {index, registers}) + record(0x11, {index, stack});
    std::string own;
    if (max_threads > 0) own += record(0x05, {max_threads, others[0], others[1]});
    own += std::string("\x03\x19\x18\x00", 4);  // 24 bytes of parameters
    section(".nv.info." + name, own, 0);
    if (shared > 0) empty_section(".nv.shared." + name, shared, SHF_ALLOC | SHF_WRITE);
  }
  // The symbol's address is listed for code to load, and some code does.
  void relocation(uint32_t symbol) {
    std::string load(16, '\0');
    load[1] = 0x0a;  // an operand in a constant bank
    load[7] = 0x01;  // bank 4
    section(".text.reader", load, SHF_ALLOC | SHF_EXECINSTR);
    listed(symbol);
  }
  void listed(uint32_t symbol) {
    Elf64_Rela entry{};
    entry.r_info = ELF64_R_INFO(static_cast<uint64_t>(symbol), 2);
    section(".rela.nv.constant4", std::string(reinterpret_cast<const char*>(&entry), sizeof entry),
            0, SHT_RELA);
  }
  std::string file(uint16_t machine = 190, uint32_t flags = 0x6005a04) {
    section(".nv.info", info_, 0);
    std::string names_of_symbols = symbol_names_;
    const uint32_t strings = section(".strtab", names_of_symbols, 0, SHT_STRTAB);
    const uint32_t table = section(".symtab", symbols_, 0, SHT_SYMTAB);
    sections_[table].sh_link = strings;
    const uint32_t names = add_section(".shstrtab", SHT_STRTAB, 0, "");
    contents_[names] = section_names_;
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_ABIVERSION] = 8;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_flags = flags;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<uint16_t>(sections_.size());
    header.e_shstrndx = static_cast<uint16_t>(names);
    std::string out(sizeof header, '\0');
    for (size_t i = 0; i < sections_.size(); ++i) {
      sections_[i].sh_offset = out.size();
      if (sections_[i].sh_type != SHT_NOBITS) sections_[i].sh_size = contents_[i].size();
      out += contents_[i];
    }
    header.e_shoff = out.size();
    for (const auto& section : sections_)
      out.append(reinterpret_cast<const char*>(&section), sizeof section);
    std::memcpy(out.data(), &header, sizeof header);
    return out;
  }

 private:
  static std::string record(uint8_t attribute, std::vector<uint32_t> words) {
    std::string out = {4, static_cast<char>(attribute), static_cast<char>(words.size() * 4), 0};
    out.append(reinterpret_cast<const char*>(words.data()), words.size() * 4);
    return out;
  }
  static uint32_t text(std::string& table, const std::string& name) {
    const auto at = static_cast<uint32_t>(table.size());
    table += name + '\0';
    return at;
  }
  uint32_t add_section(const std::string& name, uint32_t type, uint64_t flags,
                       const std::string& content) {
    Elf64_Shdr section{};
    section.sh_name = text(section_names_, name);
    section.sh_type = type;
    section.sh_flags = flags;
    sections_.push_back(section);
    contents_.push_back(content);
    return static_cast<uint32_t>(sections_.size()) - 1;
  }
  std::vector<Elf64_Shdr> sections_;
  std::vector<std::string> contents_;
  std::string section_names_, symbol_names_, symbols_, info_;
};

}  // namespace kernelwright::testing
