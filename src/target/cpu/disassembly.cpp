// SPDX-License-Identifier: Apache-2.0
// The screen of single instructions.
#include <fmt/core.h>

#include <algorithm>

#include "base/file.h"
#include "base/subprocess.h"
#include "target/compiler_process.h"
#include "target/cpu/screen.h"

namespace kernelwright::target {
namespace {

struct InstructionRow {
  std::string_view mnemonic;
  const char* why;
};
constexpr const char* kSystem = "it enters the system";
constexpr const char* kClock = "it reads a clock or a counter";
constexpr const char* kRandom = "its result is not determined";
constexpr const char* kControl = "it changes or reads a control word that outlives the call";
constexpr const char* kSegment = "it touches a segment register";
constexpr const char* kCache = "it changes what others find in the cache";
constexpr const char* kTransaction = "transactions hide what they did";
constexpr const char* kFar = "far jumps leave 64-bit mode";
constexpr const char* kWait = "it waits for a clock or an address";

constexpr InstructionRow kForbidden[] = {
    {"syscall", kSystem},   {"sysenter", kSystem},    {"sysret", kSystem},
    {"sysexit", kSystem},   {"int", kSystem},         {"int1", kSystem},
    {"icebp", kSystem},     {"into", kSystem},        {"hlt", kSystem},
    {"in", kSystem},        {"out", kSystem},         {"ins", kSystem},
    {"outs", kSystem},      {"insb", kSystem},        {"insw", kSystem},
    {"insl", kSystem},      {"outsb", kSystem},       {"outsw", kSystem},
    {"outsl", kSystem},     {"cli", kSystem},         {"sti", kSystem},
    {"vmcall", kSystem},    {"vmmcall", kSystem},     {"vmfunc", kSystem},
    {"enqcmd", kSystem},    {"rdtsc", kClock},        {"rdtscp", kClock},
    {"rdpmc", kClock},      {"rdpru", kClock},        {"rdpid", kClock},
    {"cpuid", kClock},      {"rdrand", kRandom},      {"rdseed", kRandom},
    {"ldmxcsr", kControl},  {"vldmxcsr", kControl},   {"stmxcsr", kControl},
    {"vstmxcsr", kControl}, {"fldcw", kControl},      {"fldenv", kControl},
    {"fnstenv", kControl},  {"fstenv", kControl},     {"fnsave", kControl},
    {"frstor", kControl},   {"fxsave", kControl},     {"fxsave64", kControl},
    {"fxrstor", kControl},  {"fxrstor64", kControl},  {"xsave", kControl},
    {"xsave64", kControl},  {"xsavec", kControl},     {"xsavec64", kControl},
    {"xsaveopt", kControl}, {"xsaveopt64", kControl}, {"xrstor", kControl},
    {"xrstor64", kControl}, {"xsetbv", kControl},     {"wrpkru", kControl},
    {"rdpkru", kControl},   {"ldtilecfg", kControl},  {"popf", kControl},
    {"popfq", kControl},    {"popfw", kControl},      {"std", kControl},
    {"rdfsbase", kSegment}, {"rdgsbase", kSegment},   {"wrfsbase", kSegment},
    {"wrgsbase", kSegment}, {"swapgs", kSegment},     {"lfs", kSegment},
    {"lgs", kSegment},      {"lss", kSegment},        {"fs", kSegment},
    {"gs", kSegment},       {"clflush", kCache},      {"clflushopt", kCache},
    {"clwb", kCache},       {"cldemote", kCache},     {"clzero", kCache},
    {"wbinvd", kCache},     {"invd", kCache},         {"xbegin", kTransaction},
    {"xend", kTransaction}, {"xabort", kTransaction}, {"xtest", kTransaction},
    {"lret", kFar},         {"lretq", kFar},          {"lretl", kFar},
    {"ljmp", kFar},         {"ljmpl", kFar},          {"ljmpq", kFar},
    {"ljmpw", kFar},        {"lcall", kFar},          {"lcalll", kFar},
    {"lcallq", kFar},       {"lcallw", kFar},         {"iret", kFar},
    {"iretq", kFar},        {"iretw", kFar},          {"iretl", kFar},
    {"monitor", kWait},     {"mwait", kWait},         {"monitorx", kWait},
    {"mwaitx", kWait},      {"umonitor", kWait},      {"umwait", kWait},
    {"tpause", kWait}};

constexpr std::string_view kPrefixes[] = {
    "lock", "rep", "repz",    "repnz",  "repe", "repne", "data16", "bnd",   "cs",       "ds",
    "es",   "ss",  "notrack", "addr32", "rex",  "{vex}", "{evex}", "{rex}", "xacquire", "xrelease"};

// Segment, control and debug registers, with nothing or a digit behind the name.
constexpr std::string_view kForbiddenRegisters[] = {"%cs", "%ds", "%es", "%fs", "%gs",
                                                    "%ss", "%cr", "%db", "%dr", "%tr"};

bool names_forbidden_register(std::string_view operands) {
  for (const auto& name : kForbiddenRegisters)
    for (size_t at = operands.find(name); at != std::string_view::npos;
         at = operands.find(name, at + 1)) {
      const char next = at + name.size() < operands.size() ? operands[at + name.size()] : ' ';
      if (!(next >= 'a' && next <= 'z')) return true;
    }
  return false;
}

// Compilers fill and copy arrays by string instructions. Their operands are said to lie in %es and
// %ds, which have no base in 64-bit code; any other segment is an override.
constexpr std::string_view kStringInstructions[] = {"stos", "movs", "scas", "cmps", "lods"};
constexpr std::string_view kStringOperands[] = {"%es:(%rdi)", "%ds:(%rsi)"};

std::string named_operands(std::string_view word, std::string_view operands) {
  std::string text(operands);
  if (std::none_of(std::begin(kStringInstructions), std::end(kStringInstructions),
                   [&](std::string_view name) {
                     return word.starts_with(name) && word.size() <= name.size() + 1;
                   }))
    return text;
  for (const auto& implied : kStringOperands)
    if (const size_t at = text.find(implied); at != std::string::npos)
      text.erase(at, implied.size());
  return text;
}

std::string_view next_word(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  const size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

const char* forbidden(std::string_view instruction) {
  // objdump writes what a rip-relative operand means behind '#', and a target's symbol in <>.
  instruction = instruction.substr(0, std::min(instruction.find('#'), instruction.size()));
  std::string_view rest = instruction;
  std::string_view word = next_word(rest);
  while (std::find(std::begin(kPrefixes), std::end(kPrefixes), word) != std::end(kPrefixes) ||
         word.starts_with("rex."))
    word = next_word(rest);
  if (word == "(bad)" || word == ".byte" || word == "<unknown>") return "it cannot be decoded";
  for (const auto& row : kForbidden)
    if (word == row.mnemonic) return row.why;
  const std::string_view operands = rest.substr(0, std::min(rest.find('<'), rest.size()));
  return names_forbidden_register(named_operands(word, operands)) ? kSegment : nullptr;
}

}  // namespace

std::optional<std::string> screen_disassembly(std::string_view listing) {
  std::string_view function = "?";
  bool any = false;
  while (!listing.empty()) {
    const size_t end = std::min(listing.find('\n'), listing.size());
    std::string_view line = listing.substr(0, end);
    listing.remove_prefix(std::min(end + 1, listing.size()));
    if (line.empty()) continue;
    if (line.ends_with(">:")) {
      const size_t open = line.find('<');
      if (open != std::string_view::npos) function = line.substr(open + 1, line.size() - open - 3);
      continue;
    }
    // "  1130:\tvmovups (%rdi),%zmm0"
    const size_t colon = line.find(":\t");
    const size_t colon_space = line.find(": ");
    const size_t at = std::min(colon, colon_space);
    if (at == std::string_view::npos || at > 20 || line.front() != ' ') continue;
    std::string_view address = line.substr(0, at);
    address.remove_prefix(std::min(address.find_first_not_of(' '), address.size()));
    if (address.empty() || address.find_first_not_of("0123456789abcdef") != std::string_view::npos)
      continue;
    any = true;
    std::string_view instruction = line.substr(at + 1);
    instruction.remove_prefix(std::min(instruction.find_first_not_of(" \t"), instruction.size()));
    if (const char* why = forbidden(instruction)) {
      std::string text(instruction.substr(0, 80));
      std::replace(text.begin(), text.end(), '\t', ' ');
      return fmt::format("instruction '{}' in '{}' at {}: {}", text, function.substr(0, 120),
                         address, why);
    }
  }
  if (!any) return "the disassembler found no instructions";
  return std::nullopt;
}

Result<std::optional<std::string>> disassemble(const std::filesystem::path& object) {
  std::optional<std::string> tool;
  for (const char* name : {"objdump", "llvm-objdump"})
    if (!tool) tool = base::find_program(name);
  if (!tool) return std::optional<std::string>();
  // The confined process sees a private folder and no more of the cache.
  KW_TRY(const base::TempDir folder, base::TempDir::create("kw-screen"));
  std::error_code ec;
  std::filesystem::copy_file(object, folder.path() / "object.so", ec);
  if (ec)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot copy {}: {}", object.string(), ec.message()));
  ToolLimits limits;
  limits.output_bytes = 256ull << 20;
  KW_TRY(auto outcome, run_compiler(*tool, {"-d", "-w", "--no-show-raw-insn", "object.so"},
                                    folder.path(), limits));
  if (!outcome.ok() || outcome.out.size() >= limits.output_bytes)
    return std::optional<std::string>("");  // no instructions: refused
  return std::optional<std::string>(std::move(outcome.out));
}

}  // namespace kernelwright::target
