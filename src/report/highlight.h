// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace kernelwright::report {

// C++, CUDA C++ or JSON as HTML: everything escaped, each token that has a colour in a <span> of
// one class: c comment, s string, n number, k keyword, t type, p preprocessor, b what CUDA or the
// compiler provides, f a name that is called. Any text goes; what is no C++ stays as it is.
std::string highlighted(std::string_view source);

}  // namespace kernelwright::report
