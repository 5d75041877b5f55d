// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace kernelwright::cli {

// One thing a user can set. The table is the single place from which --help, docs/settings.md and
// the checks of the settings file come. An option --max-cost, the variable KERNELWRIGHT_MAX_COST
// and the key max_cost of the file are one setting; the option wins, then the variable.
struct Setting {
  const char* name;           // "max_cost"
  const char* default_value;  // in words
  const char* help;
  bool has_option;  // false: variable and file only
};

std::span<const Setting> settings_table();
// Help text of an option, with the default. Throws InternalError on a name outside the table.
std::string setting_help(const std::string& name);
std::string setting_variable(const std::string& name);  // "KERNELWRIGHT_MAX_COST"

// What the environment and the settings file say.
class Settings {
 public:
  struct Value {
    std::string text;
    std::string source;  // "KERNELWRIGHT_BUDGET" or "/home/me/.config/kernelwright.toml, line 3"
  };

  // kUsage on a file that is not TOML, an unknown key or a value that is a table. A missing file is
  // fine unless KERNELWRIGHT_CONFIG names it.
  static Result<Settings> load();

  std::optional<Value> get(const std::string& name) const;
  const std::string& path() const { return path_; }
  // Puts settings without an option into the environment, where all parts and children read them.
  void export_to_environment() const;

 private:
  std::string path_;
  std::map<std::string, Value> from_file_;
};

// docs/settings.md.
std::string settings_markdown();

}  // namespace kernelwright::cli
