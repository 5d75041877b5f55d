// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/tensor_type.h"
#include "program/program.h"

namespace kernelwright::program {

// A JSON value together with its place in the document. Every reader throws Malformed with that
// place.
class JsonNode {
 public:
  JsonNode(const nlohmann::ordered_json& value, std::string place)
      : value_(&value), place_(std::move(place)) {}

  const std::string& place() const { return place_; }
  [[noreturn]] void malformed(const std::string& what) const;

  bool is_object() const;
  bool is_array() const;
  bool is_string() const;

  // Object: refuses keys other than these; a value that must be there; one that may be.
  void only_keys(std::initializer_list<std::string_view> keys) const;
  bool has(std::string_view key) const;
  JsonNode at(const std::string& key) const;
  std::optional<JsonNode> find(const std::string& key) const;
  std::vector<std::pair<std::string, JsonNode>> members(size_t limit) const;
  // Array.
  std::vector<JsonNode> items(size_t limit) const;

  std::string string(size_t limit) const;
  std::string identifier(const char* what) const;
  bool boolean() const;
  int64_t integer(int64_t low, int64_t high) const;
  double real() const;  // also "inf", "-inf", "nan"
  SizeExpr size_expr() const;
  std::vector<SizeExpr> size_list(size_t limit) const;
  graph::DType dtype() const;

 private:
  const nlohmann::ordered_json* value_;
  std::string place_;
};

// Parses strictly: one document, no duplicate keys, bounded depth and size. Throws Malformed.
nlohmann::ordered_json load_json(std::string_view text);

// A size as a number where its text is one, else as the expression.
nlohmann::ordered_json size_json(const SizeExpr& expr);

// Prints a real so that JsonNode::real() reads the same value back.
nlohmann::ordered_json real_json(double value);

}  // namespace kernelwright::program
