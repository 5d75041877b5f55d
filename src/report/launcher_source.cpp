// SPDX-License-Identifier: Apache-2.0
#include "report/launcher_source.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "program/layout.h"
#include "report/launcher_helpers.h"
#include "target/cpu/device_sources.h"
#include "target/cuda/device_sources.h"

namespace kernelwright::report {
namespace {

using graph::DType;
using program::Access;
using program::SizeExpr;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

tl::unexpected<Error> no_form(const std::string& what) {
  return fail(ErrorKind::kInput, fmt::format("{}: this program has no stand-alone form", what));
}

int index_in(const std::string& word, std::initializer_list<const char*> words) {
  int i = 0;
  for (const char* known : words) {
    if (word == known) return i;
    ++i;
  }
  return 0;
}

// CUtensorMapDataType
int tensor_type(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 8;
    case DType::kF32:
      return 7;
    case DType::kF16:
      return 6;
    case DType::kBF16:
      return 9;
    case DType::kI64:
      return 5;
    case DType::kI32:
      return 3;
    case DType::kU32:
      return 2;
    case DType::kI16:
      return 1;
    default:
      return 0;
  }
}

// The text with our own headers put where they are included, each once.
std::string with_headers(const std::string& text, const std::vector<target::DeviceSource>& headers,
                         std::set<std::string>& done) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    size_t hash = line.find_first_not_of(" \t");
    const target::DeviceSource* found = nullptr;
    if (hash != std::string::npos && line[hash] == '#' &&
        line.find("include", hash) != std::string::npos) {
      size_t open = line.find_first_of("<\"", hash);
      size_t close = open == std::string::npos ? open : line.find_first_of(">\"", open + 1);
      if (close != std::string::npos) {
        std::string name = line.substr(open + 1, close - open - 1);
        for (const auto& header : headers)
          if (header.name == name) found = &header;
      }
    }
    if (!found)
      out += line + "\n";
    else if (done.insert(found->name).second)
      out += with_headers(found->text, headers, done);
  }
  return out;
}

class Writer {
 public:
  explicit Writer(const program::Candidate& candidate)
      : program_(candidate.program), source_(candidate.source) {}

  Result<LauncherSource> write() {
    cuda_ = program_.target == "cuda";
    if (!cuda_ && program_.target != "cpu") return no_form("target " + program_.target);
    KW_CHECK_OK(lay_out_slots());
    KW_TRY(std::string prepare, steps(program_.prepare, "prepare", 0));
    KW_TRY(std::string run, steps(program_.run, "run", 0));
    out_.prepares = !program_.prepare.empty();
    out_.code = text(prepare, run);
    write_flags();
    return std::move(out_);
  }

 private:
  Result<int64_t> value(const SizeExpr& expr) const {
    return program::evaluate(expr, program_.params);
  }
  Result<std::vector<int64_t>> values(const std::vector<SizeExpr>& list) const {
    std::vector<int64_t> out;
    for (const auto& expr : list) {
      KW_TRY(int64_t each, value(expr));
      out.push_back(each);
    }
    return out;
  }
  size_t slot(const std::string& buffer) const {
    for (size_t i = 0; i < program_.buffers.size(); ++i)
      if (program_.buffers[i].name == buffer) return i;
    return 0;
  }
  const program::Buffer& buffer(const std::string& name) const {
    return program_.buffers[slot(name)];
  }

  Status lay_out_slots() {
    const int64_t alignment = cuda_ ? 256 : 64;
    KW_TRY(program::Layout layout, program::lay_out(program_, alignment));
    int64_t end = layout.total();
    for (const auto& buffer : program_.buffers) {
      LauncherSource::Slot slot;
      slot.index = buffer.index;
      slot.name = buffer.weight;
      switch (buffer.role) {
        case program::BufferRole::kInput:
        case program::BufferRole::kOutput:
        case program::BufferRole::kWeight:
        case program::BufferRole::kState:
          slot.role = program::role_name(buffer.role);
          break;
        case program::BufferRole::kTable:
          slot.role = "workspace";
          end = (end + alignment - 1) / alignment * alignment;
          slot.offset = end;
          for (double element : buffer.table) slot.table += element_bytes(element, buffer.dtype);
          end += static_cast<int64_t>(slot.table.size());
          break;
        default:
          slot.role = "workspace";
          slot.offset = layout.offset.at(buffer.name);
      }
      out_.slots.push_back(std::move(slot));
    }
    out_.workspace_bytes = end;
    return {};
  }

  // ---- steps

  Result<std::string> steps(const std::vector<program::Step>& list, const std::string& place,
                            int depth) {
    std::string out;
    bool after_launch = false;  // the step before is a launch
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string here = fmt::format("{}[{}]", place, i);
      KW_TRY(std::string step,
             std::visit(Overloaded{[&](const program::Launch& launch) {
                                     return this->launch(launch, here, depth, after_launch);
                                   },
                                   [&](const program::Fill& fill) { return move(fill); },
                                   [&](const program::Copy& copy) { return move(copy); },
                                   [&](const program::Repeat& repeat) {
                                     return this->repeat(repeat, here, depth);
                                   },
                                   [&](const program::LibraryCall& call) -> Result<std::string> {
                                     return no_form("library routine " + call.routine);
                                   }},
                        list[i].action));
      const bool launches = std::holds_alternative<program::Launch>(list[i].action);
      after_launch = launches || std::holds_alternative<program::Repeat>(list[i].action);
      out += step;
    }
    return out;
  }

  Result<std::string> repeat(const program::Repeat& repeat, const std::string& place, int depth) {
    KW_TRY(int64_t count, value(repeat.count));
    KW_TRY(std::string body, steps(repeat.body, place + ".body", depth + 1));
    std::string swaps;
    for (const auto& [a, b] : repeat.swap)
      swaps += fmt::format("    std::swap(kw_s[{}], kw_s[{}]);\n", slot(a), slot(b));
    return fmt::format("  for (long long kw_i{0} = 0; kw_i{0} < {1}; ++kw_i{0}) {{\n{2}{3}  }}\n",
                       depth + 1, count, body, swaps);
  }

  // "kw_s[3] + 128"
  Result<std::string> address(const std::string& name, const std::optional<program::View>& view) {
    int64_t offset = 0;
    if (view) {
      KW_TRY(offset, value(view->offset.text.empty() ? program::size(0) : view->offset));
      offset *= static_cast<int64_t>(graph::dtype_bytes(buffer(name).dtype));
    }
    return fmt::format("kw_s[{}] + {}", slot(name), offset);
  }

  Result<std::string> launch(const program::Launch& launch, const std::string& place, int depth,
                             bool after_launch) {
    return cuda_ ? gpu_launch(launch, place, depth, after_launch)
                 : cpu_launch(launch, place, depth);
  }

  static std::string counter(int depth) { return fmt::format("kw_i{}", depth); }

  static Result<std::string> immediate(const program::ImmediateArg& arg, int64_t size) {
    if (std::holds_alternative<SizeExpr>(arg.value))
      return arg.dtype == DType::kI32 ? fmt::format("{}", size) : fmt::format("{}ll", size);
    const double real = std::get<double>(arg.value);
    if (arg.dtype == DType::kF32) {
      const auto narrow = static_cast<float>(real);
      return fmt::format("kw_f32({:#x}u)", std::bit_cast<uint32_t>(narrow));
    }
    return fmt::format("kw_f64({:#x}ull)", std::bit_cast<uint64_t>(real));
  }

  Result<std::string> immediate(const program::ImmediateArg& arg) const {
    int64_t size = 0;
    if (const auto* expr = std::get_if<SizeExpr>(&arg.value)) {
      KW_TRY(size, value(*expr));
    }
    return immediate(arg, size);
  }

  Result<std::string> gpu_launch(const program::Launch& launch, const std::string& place, int depth,
                                 bool after_launch) {
    std::string out = fmt::format("  {{  // {}\n", place), params;
    for (size_t i = 0; i < launch.args.size(); ++i) {
      const std::string name = fmt::format("kw_a{}", i);
      if (const auto* arg = std::get_if<program::BufferArg>(&launch.args[i])) {
        KW_TRY(std::string at, address(arg->buffer, arg->view));
        if (arg->tensor_map) {
          KW_TRY(std::string map, tensor_map(*arg->tensor_map, buffer(arg->buffer).dtype, at, name,
                                             place + " " + launch.kernel));
          out += map;
        } else {
          out += fmt::format("    void* {} = {};\n", name, at);
        }
      } else if (const auto* number = std::get_if<program::ImmediateArg>(&launch.args[i])) {
        KW_TRY(std::string text, immediate(*number));
        out += fmt::format("    {} {} = {};\n", c_type(number->dtype), name, text);
      } else if (const auto* step = std::get_if<program::StepCounterArg>(&launch.args[i])) {
        out += fmt::format("    {0} {1} = ({0}){2};\n", c_type(step->dtype), name, counter(depth));
      } else {
        return no_form(fmt::format("{}.args[{}]", place, i));
      }
      params += fmt::format("{}&{}", i ? ", " : "", name);
    }
    KW_TRY(auto grid, values(launch.grid));
    KW_TRY(auto block, values(launch.block));
    KW_TRY(auto cluster, values(launch.cluster));
    int64_t shared = 0;
    if (!launch.shared_bytes.text.empty()) {
      KW_TRY(shared, value(launch.shared_bytes));
    }
    for (auto* extents : {&grid, &block, &cluster}) extents->resize(3, 1);
    out += fmt::format("    void* kw_p[] = {{{}}};\n", params.empty() ? "nullptr" : params);
    out += fmt::format(
        "    if (const char* kw_e = kw_launch((const void*){0}, \"{1} {0}\", {2}, {3}, {4}, {5}, "
        "{6}, {7}, {8}, (int)kw_n, kw_p, (cudaStream_t)kw_x)) return kw_e;\n  }}\n",
        launch.kernel, place, dim3(grid), dim3(block), dim3(cluster), shared,
        launch.resident_per_sm.value_or(0), launch.cooperative, launch.pdl && after_launch);
    return out;
  }

  static std::string dim3(const std::vector<int64_t>& extents) {
    return fmt::format("dim3({}, {}, {})", extents[0], extents[1], extents[2]);
  }
  static const char* c_type(DType dtype) {
    switch (dtype) {
      case DType::kI32:
        return "int";
      case DType::kF32:
        return "float";
      case DType::kF64:
        return "double";
      default:
        return "long long";
    }
  }

  Result<std::string> tensor_map(const program::TensorMap& map, DType buffer_dtype,
                                 const std::string& at, const std::string& name,
                                 const std::string& place) {
    const DType dtype = map.dtype.value_or(buffer_dtype);
    KW_TRY(auto shape, values(map.shape));
    KW_TRY(auto strides, values(map.strides_bytes));
    KW_TRY(auto box, values(map.box));
    KW_TRY(auto steps, values(map.element_strides));
    KW_TRY(auto lower, values(map.im2col_lower));
    KW_TRY(auto upper, values(map.im2col_upper));
    if (strides.empty()) {
      auto stride = static_cast<int64_t>(graph::dtype_bytes(dtype));
      for (size_t d = 0; d + 1 < shape.size(); ++d) strides.push_back(stride *= shape[d]);
    }
    if (strides.empty()) strides.push_back(0);
    steps.resize(shape.size(), 1);
    int64_t channels = 0, pixels = 0;
    if (map.channels_per_pixel) {
      KW_TRY(channels, value(*map.channels_per_pixel));
    }
    if (map.pixels_per_column) {
      KW_TRY(pixels, value(*map.pixels_per_column));
    }
    if (box.empty()) box.push_back(0);
    if (lower.empty()) lower = upper = {0};
    return fmt::format(
        "    CUtensorMap {0};\n"
        "    {{\n"
        "      const cuuint64_t kw_d[] = {{{1}}}, kw_b[] = {{{2}}};\n"
        "      const cuuint32_t kw_w[] = {{{3}}}, kw_t[] = {{{4}}};\n"
        "      const int kw_l[] = {{{5}}}, kw_u[] = {{{6}}};\n"
        "      if (const char* kw_e = kw_map(&{0}, \"{7}\", {8}, {9}, {10}, kw_d, kw_b, kw_w, "
        "kw_t, {11}, kw_l, kw_u, {12}, {13}, {14}, {15}, {16}, {17})) return kw_e;\n"
        "    }}\n",
        name, fmt::join(shape, ", "), fmt::join(strides, ", "), fmt::join(box, ", "),
        fmt::join(steps, ", "), fmt::join(lower, ", "), fmt::join(upper, ", "), place,
        tensor_type(dtype), shape.size(), at, map.channels_per_pixel.has_value(), channels, pixels,
        index_in(map.interleave, {"none", "16B", "32B"}),
        index_in(map.swizzle, {"none", "32B", "64B", "128B"}),
        index_in(map.l2_promotion, {"none", "64B", "128B", "256B"}),
        index_in(map.fill, {"zero", "nan"}));
  }

  Result<std::string> cpu_launch(const program::Launch& launch, const std::string& place,
                                 int depth) {
    std::string buffers, numbers;
    for (size_t i = 0; i < launch.args.size(); ++i) {
      if (const auto* arg = std::get_if<program::BufferArg>(&launch.args[i])) {
        KW_TRY(std::string at, address(arg->buffer, arg->view));
        buffers += (buffers.empty() ? "" : ", ") + at;
      } else if (const auto* number = std::get_if<program::ImmediateArg>(&launch.args[i])) {
        KW_TRY(std::string text, immediate(*number));
        numbers += fmt::format("{}kw_value_of(({}){})", numbers.empty() ? "" : ", ",
                               c_type(number->dtype), text);
      } else if (const auto* step = std::get_if<program::StepCounterArg>(&launch.args[i])) {
        numbers += fmt::format("{}kw_value_of(({}){})", numbers.empty() ? "" : ", ",
                               c_type(step->dtype), counter(depth));
      } else {
        return no_form(fmt::format("{}.args[{}]", place, i));
      }
    }
    KW_TRY(auto grid, values(launch.grid));
    int64_t total = 1, grain = 0, scratch = 0;
    for (int64_t extent : grid) total *= extent;
    if (!launch.grain.text.empty()) {
      KW_TRY(grain, value(launch.grain));
    }
    if (!launch.scratch_bytes.text.empty()) {
      KW_TRY(scratch, value(launch.scratch_bytes));
    }
    out_.worker_scratch = std::max(out_.worker_scratch, (scratch + 63) / 64 * 64);
    return fmt::format(
        "  {{  // {}\n    void* kw_b[] = {{{}}};\n    kw_value kw_v[] = {{{}}};\n"
        "    kw_launch({}, {}, {}, {}, {}, kw_b, kw_v, (int)kw_n, (char*)kw_x);\n  }}\n",
        place, buffers.empty() ? "nullptr" : buffers, numbers.empty() ? "kw_value_of(0)" : numbers,
        launch.kernel, total, grain, launch.team, scratch);
  }

  // ---- fills and copies

  struct Box {
    int64_t offset = 0;                  // bytes
    std::vector<int64_t> shape, stride;  // strides in bytes
  };
  Result<Box> box(const std::string& name, const std::optional<program::View>& view) const {
    const auto& of = buffer(name);
    const auto bytes = static_cast<int64_t>(graph::dtype_bytes(of.dtype));
    Box out;
    KW_TRY(out.shape, values(view ? view->shape : of.shape));
    if (of.role == program::BufferRole::kTable && out.shape.empty())
      out.shape = {static_cast<int64_t>(of.table.size())};
    if (view && !view->strides.empty()) {
      KW_TRY(out.stride, values(view->strides));
      for (int64_t& stride : out.stride) stride *= bytes;
    } else {
      out.stride.resize(out.shape.size());
      int64_t stride = bytes;
      for (size_t d = out.shape.size(); d-- > 0; stride *= out.shape[d]) out.stride[d] = stride;
    }
    if (view && !view->offset.text.empty()) {
      KW_TRY(int64_t offset, value(view->offset));
      out.offset = offset * bytes;
    }
    return out;
  }

  Result<std::string> move(const program::Fill& fill) {
    KW_TRY(Box to, box(fill.buffer, fill.view));
    const DType dtype = buffer(fill.buffer).dtype;
    const std::string bytes = element_bytes(fill.value, dtype);
    uint64_t pattern = 0;
    std::memcpy(&pattern, bytes.data(), bytes.size());
    return moved(to, slot(fill.buffer), nullptr, 0, static_cast<int64_t>(graph::dtype_bytes(dtype)),
                 pattern);
  }
  Result<std::string> move(const program::Copy& copy) {
    KW_TRY(Box to, box(copy.to, copy.to_view));
    KW_TRY(Box from, box(copy.from, copy.from_view));
    if (!copy.to_view && !copy.from_view) from = {0, to.shape, to.stride};  // same count
    return moved(to, slot(copy.to), &from, slot(copy.from),
                 static_cast<int64_t>(graph::dtype_bytes(buffer(copy.to).dtype)), 0);
  }
  static Result<std::string> moved(Box to, size_t to_slot, const Box* from, size_t from_slot,
                                   int64_t bytes, uint64_t pattern) {
    if (to.shape.empty()) {
      to.shape = {1};
      to.stride = {bytes};
    }
    std::vector<int64_t> from_stride = from ? from->stride : to.stride;
    from_stride.resize(to.shape.size(), bytes);
    return fmt::format(
        "  {{\n    const long long kw_h[] = {{{}}}, kw_t[] = {{{}}}, kw_f[] = {{{}}};\n"
        "    if (const char* kw_e = kw_move({}, {}, {}, {}ull, {}, kw_h, kw_t, kw_f, kw_x)) "
        "return kw_e;\n  }}\n",
        fmt::join(to.shape, ", "), fmt::join(to.stride, ", "), fmt::join(from_stride, ", "),
        fmt::format("kw_s[{}] + {}", to_slot, to.offset),
        from ? fmt::format("kw_s[{}] + {}", from_slot, from->offset) : "nullptr", bytes, pattern,
        to.shape.size());
  }

  // ---- the file

  std::string text(const std::string& prepare, const std::string& run) const {
    std::set<std::string> done;
    const auto& headers = cuda_ ? target::cuda_device_sources() : target::device_sources();
    std::string out = cuda_ ? kCudaBefore : kCpuBefore;
    for (const auto& [name, number] : program_.params)
      out += fmt::format("#define {} {}\n", name,
                         number < 0 ? fmt::format("({})", number) : std::to_string(number));
    out += "\n" + with_headers(source_, headers, done) + "\n";
    // The abi header is there even where the kernels do without its name.
    if (!cuda_)
      for (const auto& header : headers)
        if (header.name == "kernelwright/kernel_abi.h" && !done.contains(header.name))
          out += header.text;
    for (const auto& [name, number] : program_.params) out += fmt::format("#undef {}\n", name);
    out += cuda_ ? kCudaHelpers : kCpuHelpers;
    const auto body = [&](const char* name, const std::string& code) {
      return fmt::format(
          "static const char* {}(char** kw_s, long long kw_n, void* kw_x) {{\n"
          "  (void)kw_s; (void)kw_n; (void)kw_x;\n{}  return nullptr;\n}}\n",
          name, code);
    };
    out += body("kw_prepare", prepare) + body("kw_run", run);
    out += fmt::format(
        "extern \"C\" const char* kw_call(int which, void** slots, long long n, void* x) {{\n"
        "  char* s[{0} + 1];\n  for (int i = 0; i < {0}; ++i) s[i] = (char*)slots[i];\n"
        "  return which ? kw_run(s, n, x) : kw_prepare(s, n, x);\n}}\n",
        program_.buffers.size());
    return out;
  }

  void write_flags() {
    if (cuda_) {
      out_.flags = {"-std=c++20", "-O3", "-diag-suppress=177"};
      if (!program_.arch.empty()) {
        const std::string digits = program_.arch.substr(program_.arch.find('_') + 1);
        out_.flags.push_back(fmt::format("-gencode=arch=compute_{0},code=sm_{0}", digits));
      }
    } else {
      out_.flags = {"-std=c++20",         "-O3",
                    "-march=native",      "-fopenmp",
                    "-fno-math-errno",    "-fno-trapping-math",
                    "-ffp-contract=fast", "-mprefer-vector-width=512"};
    }
    out_.flags.insert(out_.flags.end(), program_.flags.begin(), program_.flags.end());
  }

  const program::Program& program_;
  const std::string& source_;
  bool cuda_ = false;
  LauncherSource out_;
};

uint16_t half_bits(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below the smallest normal number the spacing stays 2^-24.
  const int exponent = magnitude > 0 ? std::max(std::ilogb(magnitude), -14) : -14;
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // A mantissa that rounds up carries into the exponent by itself.
  return static_cast<uint16_t>(sign | (steps + (static_cast<uint32_t>(exponent + 14) << 10)));
}

}  // namespace

std::string element_bytes(double value, DType dtype) {
  std::string out(static_cast<size_t>(graph::dtype_bytes(dtype)), '\0');
  const auto put = [&](auto number) { std::memcpy(out.data(), &number, sizeof number); };
  switch (dtype) {
    case DType::kF64:
      put(value);
      break;
    case DType::kF32:
      put(static_cast<float>(value));
      break;
    case DType::kF16:
      put(half_bits(value));
      break;
    case DType::kBF16: {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
      put(static_cast<uint16_t>(std::isnan(value) ? 0x7fc0
                                                  : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16));
      break;
    }
    case DType::kI64:
      put(static_cast<int64_t>(value));
      break;
    case DType::kI32:
      put(static_cast<int32_t>(value));
      break;
    case DType::kU32:
      put(static_cast<uint32_t>(static_cast<int64_t>(value)));
      break;
    case DType::kI16:
      put(static_cast<int16_t>(value));
      break;
    default:
      put(static_cast<uint8_t>(static_cast<int64_t>(value)));
  }
  return out;
}

Result<LauncherSource> launcher_source(const program::Candidate& candidate) {
  return Writer(candidate).write();
}

}  // namespace kernelwright::report
