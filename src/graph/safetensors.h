// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "graph/interpreter.h"

namespace kernelwright::graph {

// Tensors on disk: 8 bytes header length, a JSON header, the data
// (github.com/huggingface/safetensors).
struct SafetensorsFile {
  struct Entry {
    TensorType type;
    std::string_view bytes;  // into `content`: row-major, little-endian
  };
  std::string content;
  std::map<std::string, Entry> tensors;

  SafetensorsFile() = default;
  SafetensorsFile(const SafetensorsFile&) = delete;  // entries point into content
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
};

// kInput naming the place when the file is malformed: unknown dtype, bytes that do not fit the
// shape, offsets outside the file or overlapping.
Status read_safetensors(const std::filesystem::path& path, SafetensorsFile& out);
Status parse_safetensors(std::string content, SafetensorsFile& out);

// Elements as doubles, and back in the tensor's own dtype.
HostTensor to_host(const SafetensorsFile::Entry& entry);
std::string to_bytes(const HostTensor& tensor);

Status write_safetensors(const std::filesystem::path& path,
                         const std::map<std::string, HostTensor>& tensors);

}  // namespace kernelwright::graph
