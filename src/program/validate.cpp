// SPDX-License-Identifier: Apache-2.0
#include "program/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "program/buffer_table.h"
#include "program/hazards.h"
#include "program/layout.h"
#include "program/limits.h"
#include "program/malformed.h"
#include "program/target_rules.h"

namespace kernelwright::program {
namespace {

constexpr size_t kNamesShown = 24;  // of what a name could have been

enum class Phase { kPrepare, kRun };

// Whether a fill's or an immediate's value can be stored in `dtype`.
bool fits(double value, graph::DType dtype) {
  using graph::DType;
  switch (dtype) {
    case DType::kF64:
      return true;
    case DType::kF32:
    case DType::kBF16:
      return !std::isfinite(value) || std::fabs(value) <= std::numeric_limits<float>::max();
    case DType::kF16:
      return !std::isfinite(value) || std::fabs(value) <= 65504;
    default:
      break;
  }
  auto [low, high] = integer_range(dtype);
  return value >= low && value <= high && value == std::floor(value);
}

// Checks every step by itself; what depends on the order of steps is check_hazards' part.
class StepChecker {
 public:
  StepChecker(const BufferTable& table, const TargetRules& rules) : table_(table), rules_(rules) {}

  void steps(const std::vector<Step>& list, const std::string& place, Phase phase, int depth,
             int64_t times) {
    for (size_t i = 0; i < list.size(); ++i) {
      std::string at = fmt::format("{}[{}]", place, i);
      const auto& action = list[i].action;
      executed_ += times;
      if (executed_ > kMaxExecuted) throw Malformed(at, "more than 2^32 steps are executed");
      if (const auto* step = std::get_if<Launch>(&action)) launch(*step, at, phase, depth);
      if (const auto* step = std::get_if<Fill>(&action)) fill(*step, at + ".fill", phase);
      if (const auto* step = std::get_if<Copy>(&action)) copy(*step, at + ".copy", phase);
      if (const auto* step = std::get_if<Repeat>(&action)) repeat(*step, at, phase, depth, times);
      if (const auto* step = std::get_if<LibraryCall>(&action))
        library(*step, fmt::format("{}.{}", at, kLibraryStep), phase, depth);
    }
  }

 private:
  static constexpr int64_t kMaxExecuted = int64_t{1} << 32;

  void access(const std::string& name, Access access, const std::string& place, Phase phase) const {
    const Buffer& buffer = *table_.at(name, place).buffer;
    const char* role = role_name(buffer.role);
    bool reads = access != Access::kWrite, writes = access != Access::kRead;
    bool constant = buffer.role == BufferRole::kInput || buffer.role == BufferRole::kWeight ||
                    buffer.role == BufferRole::kTable;
    if (writes && constant)
      throw Malformed(place, fmt::format("{} {} cannot be written", role, excerpt(name)));
    if (phase == Phase::kPrepare) {
      if (writes && buffer.role != BufferRole::kPacked)
        throw Malformed(place, fmt::format("prepare writes packed buffers only, {} is {}",
                                           excerpt(name), role));
      if (reads && buffer.role != BufferRole::kWeight && buffer.role != BufferRole::kTable &&
          buffer.role != BufferRole::kPacked)
        throw Malformed(
            place, fmt::format("prepare reads weights, tables and packed buffers only, {} is {}: "
                               "rearrange that in a step of run, into scratch",
                               excerpt(name), role));
    } else if (writes && buffer.role == BufferRole::kPacked) {
      throw Malformed(place, fmt::format("packed {} is written by prepare only", excerpt(name)));
    }
  }

  void args(const std::vector<Arg>& list, const std::string& place, Phase phase, int depth) const {
    struct Use {
      bool whole, writes;
    };
    std::map<std::string, std::vector<Use>> uses;
    for (size_t i = 0; i < list.size(); ++i) {
      std::string at = fmt::format("{}.args[{}]", place, i);
      if (const auto* arg = std::get_if<BufferArg>(&list[i])) {
        access(arg->buffer, arg->access, at, phase);
        if (arg->view)
          table_.check_view(arg->buffer, *arg->view,
                            at + (arg->tensor_map ? ".tensor_map.view" : ".view"));
        if (arg->tensor_map) tensor_map(*arg, at);
        // A buffer that one launch both reads and writes must say so in one argument, or in views.
        Use use{!arg->view, arg->access != Access::kRead};
        for (const Use& other : uses[arg->buffer])
          if ((use.writes || other.writes) && (use.whole || other.whole))
            throw Malformed(
                at, fmt::format(
                        "buffer {} stands twice in one launch and is written (use inout, or views)",
                        excerpt(arg->buffer)));
        uses[arg->buffer].push_back(use);
      } else if (const auto* immediate = std::get_if<ImmediateArg>(&list[i])) {
        this->immediate(*immediate, at);
      } else if (const auto* scalar = std::get_if<ScalarInputArg>(&list[i])) {
        if (phase == Phase::kPrepare) throw Malformed(at, "prepare has no scalar inputs");
        if (scalar->index < 0 || scalar->index > kMaxScalarIndex)
          throw Malformed(at, "scalar input out of range");
      } else if (std::holds_alternative<StepCounterArg>(list[i])) {
        if (depth == 0) throw Malformed(at, "a step counter stands inside a repeat only");
      } else if (const auto* local = std::get_if<LocalArg>(&list[i])) {
        if (!rules_.local_args)
          throw Malformed(at, fmt::format("target {} has no local arguments", rules_.name));
        table_.value(local->bytes, at + ".local", 1, 1 << 20);
      }
    }
  }

  void immediate(const ImmediateArg& arg, const std::string& place) const {
    const char* name = graph::dtype_name(arg.dtype);
    std::string at = fmt::format("{}.{}", place, name);
    if (const auto* expr = std::get_if<SizeExpr>(&arg.value)) {
      bool narrow = arg.dtype == graph::DType::kI32;
      table_.value(*expr, at, narrow ? std::numeric_limits<int32_t>::min() : -kMaxSize,
                   narrow ? std::numeric_limits<int32_t>::max() : kMaxSize);
    } else if (double value = std::get<double>(arg.value); !fits(value, arg.dtype)) {
      throw Malformed(at, fmt::format("{} does not fit {}", value, name));
    }
  }

  // A tensor map's tensor lies inside its buffer.
  void tensor_map_reach(const BufferArg& arg, const std::vector<int64_t>& shape,
                        const std::vector<int64_t>& strides, const std::string& place) const {
    const auto& entry = table_.at(arg.buffer, place);
    auto element = static_cast<int64_t>(
        graph::dtype_bytes(arg.tensor_map->dtype.value_or(entry.buffer->dtype)));
    auto stored = static_cast<int64_t>(graph::dtype_bytes(entry.buffer->dtype));
    int64_t bytes = shape[0] * element, contiguous = bytes;
    for (size_t d = 1; d < shape.size(); ++d) {
      int64_t stride = strides.empty() ? contiguous : strides[d - 1], reach = 0;
      if (stride % 16 != 0)
        throw Malformed(fmt::format("{}.strides_bytes[{}]", place, d - 1),
                        fmt::format("{} is no multiple of 16", stride));
      if (__builtin_mul_overflow(shape[d] - 1, stride, &reach) ||
          __builtin_add_overflow(bytes, reach, &bytes) ||
          __builtin_mul_overflow(contiguous, shape[d], &contiguous))
        throw Malformed(place, "tensor map reaches out of range");
    }
    int64_t first =
        arg.view ? table_.value(arg.view->offset, place + ".view.offset", 0, kMaxSize) * stored : 0;
    if (first + bytes > *entry.elements * stored)
      throw Malformed(
          place, fmt::format("tensor map reaches bytes {}..{} of buffer {}, which has {}", first,
                             first + bytes - 1, excerpt(arg.buffer), *entry.elements * stored));
  }

  void tensor_map(const BufferArg& arg, const std::string& place) const {
    std::string at = place + ".tensor_map";
    if (!rules_.cuda) throw Malformed(at, fmt::format("target {} has no tensor maps", rules_.name));
    if (!table_.at(arg.buffer, at).buffer->typed)
      throw Malformed(
          at, fmt::format("a tensor map needs dtype and shape of buffer {}", excerpt(arg.buffer)));
    const TensorMap& map = *arg.tensor_map;
    auto all = [&](const std::vector<SizeExpr>& list, const char* key, int64_t low, int64_t high) {
      std::vector<int64_t> out;
      for (size_t i = 0; i < list.size(); ++i)
        out.push_back(table_.value(list[i], fmt::format("{}.{}[{}]", at, key, i), low, high));
      return out;
    };
    auto length = [&](const std::vector<SizeExpr>& list, const char* key, size_t wanted) {
      if (list.size() != wanted)
        throw Malformed(fmt::format("{}.{}", at, key),
                        fmt::format("{} entries, {} are needed", list.size(), wanted));
    };
    size_t rank = map.shape.size();
    if (rank < 1 || rank > 5) throw Malformed(at + ".shape", "a tensor map has 1 to 5 dimensions");
    std::vector<int64_t> shape = all(map.shape, "shape", 1, int64_t{1} << 32);
    std::vector<int64_t> strides =
        all(map.strides_bytes, "strides_bytes", 16, (int64_t{1} << 40) - 1);
    if (!map.strides_bytes.empty()) length(map.strides_bytes, "strides_bytes", rank - 1);
    if (!map.element_strides.empty()) length(map.element_strides, "element_strides", rank);
    all(map.element_strides, "element_strides", 1, 8);
    bool im2col = map.channels_per_pixel || map.pixels_per_column || !map.im2col_lower.empty() ||
                  !map.im2col_upper.empty();
    if (im2col) {
      if (rank < 3) throw Malformed(at + ".shape", "an im2col map has 3 to 5 dimensions");
      if (!map.box.empty()) throw Malformed(at + ".box", "an im2col map has no box");
      length(map.im2col_lower, "im2col_lower", rank - 2);
      length(map.im2col_upper, "im2col_upper", rank - 2);
      if (!map.channels_per_pixel || !map.pixels_per_column)
        throw Malformed(at, "an im2col map needs channels_per_pixel and pixels_per_column");
      table_.value(*map.channels_per_pixel, at + ".channels_per_pixel", 1, 256);
      table_.value(*map.pixels_per_column, at + ".pixels_per_column", 1, 1024);
    } else {
      length(map.box, "box", rank);
    }
    all(map.box, "box", 1, 256);
    // The driver's own bounds: 2^15 corners of one spatial dimension, 2^7 of two, 2^4 of three.
    int64_t corner = rank == 3 ? 1 << 15 : rank == 4 ? 1 << 7 : 1 << 4;
    all(map.im2col_lower, "im2col_lower", -corner, corner - 1);
    all(map.im2col_upper, "im2col_upper", -corner, corner - 1);
    tensor_map_reach(arg, shape, strides, at);
    auto one_of = [&](const std::string& word, const char* key,
                      std::initializer_list<const char*> words) {
      if (word.empty()) return;
      for (const char* known : words)
        if (word == known) return;
      throw Malformed(fmt::format("{}.{}", at, key), fmt::format("unknown {}", excerpt(word)));
    };
    one_of(map.interleave, "interleave", {"none", "16B", "32B"});
    one_of(map.swizzle, "swizzle", {"none", "32B", "64B", "128B"});
    one_of(map.l2_promotion, "l2_promotion", {"none", "64B", "128B", "256B"});
    one_of(map.fill, "fill", {"zero", "nan"});
  }

  int64_t product(const std::vector<SizeExpr>& list, const std::string& place,
                  int64_t limit) const {
    int64_t total = 1;
    for (size_t i = 0; i < list.size(); ++i) {
      int64_t extent = table_.value(list[i], fmt::format("{}[{}]", place, i), 1, limit);
      if (__builtin_mul_overflow(total, extent, &total) || total > limit)
        throw Malformed(place, fmt::format("product is larger than {}", limit));
    }
    return total;
  }

  void launch(const Launch& launch, const std::string& place, Phase phase, int depth) const {
    if (!is_identifier(launch.kernel)) throw Malformed(place + ".kernel", "not an identifier");
    auto absent = [&](bool given, const char* key) {
      if (given)
        throw Malformed(fmt::format("{}.{}", place, key),
                        fmt::format("target {} has no such field", rules_.name));
    };
    if (!launch.resident_per_sm && launch.grid.empty())
      throw Malformed(place + ".grid", "a grid has 1 to 3 extents");
    product(launch.grid, place + ".grid", rules_.cpu ? kMaxSize : (int64_t{1} << 31) - 1);
    if (rules_.cpu) {
      absent(launch.resident_per_sm.has_value(), "grid.resident_per_sm");
      absent(!launch.block.empty(), "block");
      absent(!launch.cluster.empty(), "cluster");
      absent(!launch.shared_bytes.text.empty(), "shared_bytes");
      absent(launch.cooperative, "cooperative");
      absent(launch.pdl, "pdl");
      if (!launch.scratch_bytes.text.empty())
        table_.value(launch.scratch_bytes, place + ".scratch_bytes", 0, kMaxWorkerScratchBytes);
      if (!launch.grain.text.empty()) {
        if (launch.team) throw Malformed(place + ".grain", "a team launch is not cut into ranges");
        table_.value(launch.grain, place + ".grain", 1, kMaxSize);
      }
    } else {
      absent(launch.team, "team");
      absent(!launch.scratch_bytes.text.empty(), "scratch_bytes");
      absent(!launch.grain.text.empty(), "grain");
      absent(!rules_.cuda && !launch.cluster.empty(), "cluster");
      absent(!rules_.cuda && launch.pdl, "pdl");
      absent(!rules_.cuda && launch.resident_per_sm.has_value(), "grid.resident_per_sm");
      if (launch.block.empty()) throw Malformed(place, "missing key 'block'");
      product(launch.block, place + ".block", 1024);
      product(launch.cluster, place + ".cluster", 16);
      if (!launch.shared_bytes.text.empty())
        table_.value(launch.shared_bytes, place + ".shared_bytes", 0, 256 << 10);
    }
    args(launch.args, place, phase, depth);
  }

  void fill(const Fill& fill, const std::string& place, Phase phase) const {
    access(fill.buffer, Access::kWrite, place, phase);
    const Buffer& buffer = *table_.at(fill.buffer, place).buffer;
    if (!buffer.typed)
      throw Malformed(
          place, fmt::format("a fill needs dtype and shape of buffer {}", excerpt(fill.buffer)));
    if (fill.view) table_.check_view(fill.buffer, *fill.view, place + ".view");
    if (!fits(fill.value, buffer.dtype))
      throw Malformed(place + ".value", fmt::format("{} does not fit {}", fill.value,
                                                    graph::dtype_name(buffer.dtype)));
  }

  graph::Shape extents(const std::string& name, const std::optional<View>& view,
                       const std::string& place) const {
    const auto& entry = table_.at(name, place);
    if (!entry.elements)
      throw Malformed(place,
                      fmt::format("a copy needs dtype and shape of buffer {}", excerpt(name)));
    if (!view) return entry.shape;
    table_.check_view(name, *view, place + ".view");
    graph::Shape shape;
    for (const SizeExpr& extent : view->shape)
      shape.push_back(table_.value(extent, place, 1, kMaxSize));
    return shape;
  }

  void copy(const Copy& copy, const std::string& place, Phase phase) const {
    access(copy.from, Access::kRead, place + ".from", phase);
    access(copy.to, Access::kWrite, place + ".to", phase);
    if (copy.from == copy.to) throw Malformed(place, "a copy is between two different buffers");
    graph::Shape from = extents(copy.from, copy.from_view, place + ".from");
    graph::Shape to = extents(copy.to, copy.to_view, place + ".to");
    graph::DType a = table_.at(copy.from, place).buffer->dtype,
                 b = table_.at(copy.to, place).buffer->dtype;
    if (a != b)
      throw Malformed(place,
                      fmt::format("copies {} into {}", graph::dtype_name(a), graph::dtype_name(b)));
    bool whole = !copy.from_view && !copy.to_view;
    if (whole ? graph::element_count(from) != graph::element_count(to) : from != to)
      throw Malformed(
          place, fmt::format("copies {} into {}", graph::shape_text(from), graph::shape_text(to)));
  }

  void repeat(const Repeat& repeat, const std::string& place, Phase phase, int depth,
              int64_t times) {
    int64_t count = table_.value(repeat.count, place + ".repeat", 1, kMaxRepeatCount);
    if (depth >= kMaxRepeatDepth)
      throw Malformed(place, fmt::format("repeats nest at most {} deep", kMaxRepeatDepth));
    if (repeat.body.empty()) throw Malformed(place + ".body", "a repeat needs a body");
    if (__builtin_mul_overflow(times, count, &times) || times > kMaxExecuted)
      throw Malformed(place + ".repeat", "more than 2^32 steps are executed");
    for (size_t i = 0; i < repeat.swap.size(); ++i) {
      std::string at = fmt::format("{}.swap[{}]", place, i);
      const auto& [a, b] = repeat.swap[i];
      const auto& first = table_.at(a, at);
      const auto& second = table_.at(b, at);
      if (a == b) throw Malformed(at, "a buffer swapped with itself");
      if (first.buffer->role != BufferRole::kScratch || second.buffer->role != BufferRole::kScratch)
        throw Malformed(at, "only scratch buffers can be swapped");
      if (first.buffer->dtype != second.buffer->dtype || first.shape != second.shape)
        throw Malformed(at,
                        fmt::format("{} and {} differ in dtype or shape", excerpt(a), excerpt(b)));
    }
    steps(repeat.body, place + ".body", phase, depth + 1, times);
  }

  void library(const LibraryCall& call, const std::string& place, Phase phase, int depth) const {
    const auto& known = rules_.routines;
    if (std::find(known.begin(), known.end(), call.routine) == known.end())
      throw Malformed(place + ".routine", fmt::format("target {} offers no library routine {}",
                                                      rules_.name, excerpt(call.routine)));
    args(call.args, place, phase, depth);
  }

  const BufferTable& table_;
  const TargetRules& rules_;
  int64_t executed_ = 0;
};

std::string flags_text(const std::string& target) {
  const TargetRules* rules = target_rules(target);
  if (!rules || rules->flags.empty()) return "none";
  std::string text;
  for (const FlagRule& rule : rules->flags) text += (text.empty() ? "" : " ") + flag_text(rule);
  return text;
}

void check_head(const Program& program) {
  if (program.format != 1)
    throw Malformed("format", fmt::format("format {} is not known", program.format));
  for (size_t i = 0; i < program.flags.size(); ++i)
    if (!flag_allowed(program.target, program.flags[i]))
      throw Malformed(
          fmt::format("flags[{}]", i),
          fmt::format("flag {} is not allowed for target {}; allowed: {}",
                      excerpt(program.flags[i]), program.target, flags_text(program.target)));
  for (const auto& [name, value] : program.params) {
    // Params become macros: keep them away from the names that compilers and our headers use.
    if (!is_identifier(name) || name[0] == '_' || name.starts_with("kw_") ||
        name.starts_with("KW_"))
      throw Malformed("params", fmt::format("param {} is a reserved name", excerpt(name)));
    if (value > kMaxSize || value < -kMaxSize)
      throw Malformed("params." + name, "larger than 2^48");
  }
  if (program.run.empty()) throw Malformed("run", "no steps");
}

// The slot that a buffer stands for, or Malformed.
const Interface::Slot& slot_of(const Buffer& buffer, const Interface& interface,
                               const std::string& place) {
  auto indexed = [&](const std::vector<Interface::Slot>& slots) -> const Interface::Slot& {
    if (buffer.index < 0 || static_cast<size_t>(buffer.index) >= slots.size()) {
      const char* role = role_name(buffer.role);
      throw Malformed(place + ".index",
                      slots.empty() ? fmt::format("the region has no {}s", role)
                                    : fmt::format("the region has {} {}s, the first is 0: no {} {}",
                                                  slots.size(), role, role, buffer.index));
    }
    return slots[static_cast<size_t>(buffer.index)];
  };
  auto named = [&](const std::vector<Interface::Slot>& slots) -> const Interface::Slot& {
    for (const auto& slot : slots)
      if (slot.name == buffer.weight) return slot;
    std::vector<std::string> known;
    for (size_t i = 0; i < slots.size() && i < kNamesShown; ++i)
      known.push_back(excerpt(slots[i].name));
    if (slots.size() > known.size()) known.emplace_back("...");
    throw Malformed(
        place + ".name",
        fmt::format("the region has no {} {}; it has {}", role_name(buffer.role),
                    excerpt(buffer.weight),
                    known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
  };
  switch (buffer.role) {
    case BufferRole::kInput:
      return indexed(interface.inputs);
    case BufferRole::kOutput:
      return indexed(interface.outputs);
    case BufferRole::kState:
      return named(interface.states);
    default:
      return named(interface.weights);
  }
}

void check_interface(const BufferTable& table, const Interface& interface) {
  std::set<int> outputs;
  std::set<std::string> states;
  for (const Buffer& buffer : table.program().buffers) {
    if (buffer.role != BufferRole::kInput && buffer.role != BufferRole::kOutput &&
        buffer.role != BufferRole::kWeight && buffer.role != BufferRole::kState)
      continue;
    std::string place = "buffers." + buffer.name;
    const Interface::Slot& slot = slot_of(buffer, interface, place);
    if (buffer.typed) {
      graph::TensorType written{buffer.dtype, table.at(buffer.name, place).shape, {}};
      if (written.dtype != slot.type.dtype || written.shape != slot.type.shape)
        throw Malformed(
            place, fmt::format("{}, but the region's is {}", written.text(), slot.type.text()));
    }
    if (buffer.role == BufferRole::kOutput) outputs.insert(buffer.index);
    if (buffer.role == BufferRole::kState) states.insert(buffer.weight);
  }
  for (size_t i = 0; i < interface.outputs.size(); ++i)
    if (!outputs.contains(static_cast<int>(i)))
      throw Malformed("buffers", fmt::format("output {} has no buffer", i));
  for (const auto& slot : interface.states)
    if (!states.contains(slot.name))
      throw Malformed("buffers", fmt::format("state {} has no buffer", excerpt(slot.name)));
}

}  // namespace

Status validate(const Program& program) {
  try {
    const TargetRules* rules = target_rules(program.target);
    if (!rules)
      throw Malformed("target", fmt::format("unknown target {}", excerpt(program.target)));
    check_head(program);
    BufferTable table(program);
    StepChecker checker(table, *rules);
    checker.steps(program.prepare, "prepare", Phase::kPrepare, 0, 1);
    checker.steps(program.run, "run", Phase::kRun, 0, 1);
    KW_TRY(Layout layout, lay_out(program, rules->alignment));
    check_hazards(table);
    return {};
  } catch (const Malformed& malformed) {
    return fail(ErrorKind::kInput, malformed.what());
  }
}

Status validate_against(const Program& program, const Interface& interface) {
  KW_CHECK_OK(validate(program));
  try {
    check_interface(BufferTable(program), interface);
    return {};
  } catch (const Malformed& malformed) {
    return fail(ErrorKind::kInput, malformed.what());
  }
}

}  // namespace kernelwright::program
