// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kernelwright::report {

// The report's style sheet: light and dark as the reader's system says, from 320 px on. Colours of
// text reach 4.5:1 on what they stand on (WCAG AA); tests/python/test_report_page.py measures it.
extern const char* const kPageStyle;

}  // namespace kernelwright::report
