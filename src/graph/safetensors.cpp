// SPDX-License-Identifier: Apache-2.0
#include "graph/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "graph/scalar_ops.h"

namespace kernelwright::graph {
namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little);

struct Row {
  DType dtype;
  const char* name;
};
constexpr Row kNames[] = {
    {DType::kF64, "F64"}, {DType::kF32, "F32"}, {DType::kF16, "F16"},   {DType::kBF16, "BF16"},
    {DType::kI64, "I64"}, {DType::kI32, "I32"}, {DType::kI16, "I16"},   {DType::kI8, "I8"},
    {DType::kU8, "U8"},   {DType::kU32, "U32"}, {DType::kBool, "BOOL"},
};

constexpr int64_t kMaxTensorElements = int64_t{1} << 40;

tl::unexpected<Error> bad(const std::string& place, const std::string& what) {
  return fail(ErrorKind::kInput, fmt::format("safetensors: {}: {}", place, what));
}

Result<TensorType> entry_type(const std::string& name, const Json& json) {
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    return bad(name, "wants dtype, shape and data_offsets");
  TensorType type;
  bool known = false;
  for (const auto& row : kNames) {
    if (json["dtype"] != row.name) continue;
    type.dtype = row.dtype;
    known = true;
  }
  if (!known) return bad(name, "unknown dtype " + json["dtype"].dump());
  if (!json["shape"].is_array()) return bad(name, "shape must be a list");
  int64_t count = 1;
  for (const auto& extent : json["shape"]) {
    if (!extent.is_number_unsigned()) return bad(name, "extents must be whole numbers");
    const uint64_t e = extent.get<uint64_t>();
    if (e > static_cast<uint64_t>(kMaxTensorElements) ||
        (e > 0 && count > kMaxTensorElements / static_cast<int64_t>(e)))
      return bad(name, "more than 2^40 elements");
    count *= static_cast<int64_t>(e);
    type.shape.push_back(static_cast<int64_t>(e));
  }
  return type;
}

double half_value(uint16_t bits, int mantissa, int exponent_bias) {
  const int exponent_bits = 15 - mantissa;
  const int exponent = (bits >> mantissa) & ((1 << exponent_bits) - 1);
  const double fraction = bits & ((1 << mantissa) - 1);
  double value = 0;
  if (exponent == (1 << exponent_bits) - 1)
    value = fraction != 0 ? std::nan("") : HUGE_VAL;
  else if (exponent == 0)
    value = std::ldexp(fraction, 1 - exponent_bias - mantissa);
  else
    value = std::ldexp(fraction + (1 << mantissa), exponent - exponent_bias - mantissa);
  return bits & 0x8000 ? -value : value;
}

uint16_t half_bits(double value, DType dtype) {
  value = round_to(dtype, value);
  if (dtype == DType::kBF16) {
    const float narrow = static_cast<float>(value);
    return static_cast<uint16_t>(std::bit_cast<uint32_t>(narrow) >> 16);
  }
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  value = std::fabs(value);
  if (std::isnan(value)) return 0x7e00;
  if (std::isinf(value)) return static_cast<uint16_t>(sign | 0x7c00);
  if (value < 0x1p-14) return static_cast<uint16_t>(sign | static_cast<uint16_t>(value * 0x1p24));
  const int exponent = std::ilogb(value);
  const auto fraction = static_cast<uint16_t>(std::ldexp(value, 10 - exponent) - 1024);
  return static_cast<uint16_t>(sign | ((exponent + 15) << 10) | fraction);
}

template <class T>
void read_all(std::string_view bytes, std::vector<double>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<double>(value);
  }
}

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

}  // namespace

Status parse_safetensors(std::string content, SafetensorsFile& out) {
  out.content = std::move(content);
  out.tensors.clear();
  if (out.content.size() < 8) return bad("header", "the file is too short");
  uint64_t length = 0;
  std::memcpy(&length, out.content.data(), 8);
  if (length > out.content.size() - 8) return bad("header", "longer than the file");
  const std::string_view data = std::string_view(out.content).substr(8 + length);
  Json header =
      Json::parse(out.content.begin() + 8,
                  out.content.begin() + 8 + static_cast<std::ptrdiff_t>(length), nullptr, false);
  if (!header.is_object()) return bad("header", "not a JSON object");
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  for (const auto& [name, json] : header.items()) {
    if (name == "__metadata__") continue;
    KW_TRY(TensorType type, entry_type(name, json));
    const Json& offsets = json["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      return bad(name, "data_offsets must be two whole numbers");
    const uint64_t begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    if (begin > end || end > data.size()) return bad(name, "data lies outside the file");
    if (end - begin != static_cast<uint64_t>(type.bytes()))
      return bad(name, "data does not fit the shape");
    if (begin != end) spans.emplace_back(begin, end);
    out.tensors[name] = {std::move(type), data.substr(begin, end - begin)};
  }
  std::sort(spans.begin(), spans.end());
  for (size_t i = 1; i < spans.size(); ++i)
    if (spans[i].first < spans[i - 1].second) return bad("header", "tensors overlap");
  return {};
}

Status read_safetensors(const std::filesystem::path& path, SafetensorsFile& out) {
  KW_TRY(std::string content, base::read_file(path, uint64_t{1} << 40));
  return parse_safetensors(std::move(content), out);
}

HostTensor to_host(const SafetensorsFile::Entry& entry) {
  HostTensor out{entry.type, std::vector<double>(static_cast<size_t>(entry.type.elements()))};
  switch (entry.type.dtype) {
    case DType::kF64:
      read_all<double>(entry.bytes, out.data);
      break;
    case DType::kF32:
      read_all<float>(entry.bytes, out.data);
      break;
    case DType::kI64:
      read_all<int64_t>(entry.bytes, out.data);
      break;
    case DType::kI32:
      read_all<int32_t>(entry.bytes, out.data);
      break;
    case DType::kI16:
      read_all<int16_t>(entry.bytes, out.data);
      break;
    case DType::kI8:
      read_all<int8_t>(entry.bytes, out.data);
      break;
    case DType::kU32:
      read_all<uint32_t>(entry.bytes, out.data);
      break;
    case DType::kU8:
    case DType::kBool:
      read_all<uint8_t>(entry.bytes, out.data);
      break;
    case DType::kF16:
    case DType::kBF16:
      read_all<uint16_t>(entry.bytes, out.data);
      for (double& v : out.data)
        v = entry.type.dtype == DType::kF16 ? half_value(static_cast<uint16_t>(v), 10, 15)
                                            : half_value(static_cast<uint16_t>(v), 7, 127);
      break;
  }
  return out;
}

std::string to_bytes(const HostTensor& tensor) {
  std::string out;
  out.reserve(tensor.data.size() * dtype_bytes(tensor.type.dtype));
  for (double v : tensor.data) {
    switch (tensor.type.dtype) {
      case DType::kF64:
        append(out, v);
        break;
      case DType::kF32:
        append(out, static_cast<float>(v));
        break;
      case DType::kF16:
      case DType::kBF16:
        append(out, half_bits(v, tensor.type.dtype));
        break;
      case DType::kI64:
        append(out, truncate_to(DType::kI64, v));
        break;
      case DType::kI32:
        append(out, static_cast<int32_t>(truncate_to(DType::kI32, v)));
        break;
      case DType::kI16:
        append(out, static_cast<int16_t>(truncate_to(DType::kI16, v)));
        break;
      case DType::kI8:
        append(out, static_cast<int8_t>(truncate_to(DType::kI8, v)));
        break;
      case DType::kU32:
        append(out, static_cast<uint32_t>(truncate_to(DType::kU32, v)));
        break;
      case DType::kU8:
        append(out, static_cast<uint8_t>(truncate_to(DType::kU8, v)));
        break;
      case DType::kBool:
        append(out, static_cast<uint8_t>(v != 0));
        break;
    }
  }
  return out;
}

Status write_safetensors(const std::filesystem::path& path,
                         const std::map<std::string, HostTensor>& tensors) {
  Json header = Json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::string bytes = to_bytes(tensor);
    const char* dtype = "";
    for (const auto& row : kNames)
      if (row.dtype == tensor.type.dtype) dtype = row.name;
    header[name] = {{"dtype", dtype},
                    {"shape", tensor.type.shape},
                    {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();
  std::string out(reinterpret_cast<const char*>(&length), 8);
  return base::write_file_atomic(path, out + text + data);
}

}  // namespace kernelwright::graph
