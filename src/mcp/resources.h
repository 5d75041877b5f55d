// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace kernelwright::mcp {

// What clients may read: files of artifacts below root/runs/, programs of the archive, playbooks.
//   kernelwright://artifacts/FOLDER/FILE              result.json, optimized.py, report.html, ...
//   kernelwright://artifacts/FOLDER/programs/REGION/FILE
//   kernelwright://programs/ID
//   kernelwright://playbook/NAME

nlohmann::json list_resources(const std::filesystem::path& root);
nlohmann::json list_resource_templates();
// {"uri", "mimeType", "text"}. kInput: there is no such resource.
Result<nlohmann::json> read_resource(const std::filesystem::path& root, const std::string& uri);

}  // namespace kernelwright::mcp
