# SPDX-License-Identifier: Apache-2.0
# How this project builds: dependencies, one library per folder, the runtime, the program, tests.

set(KW_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-unused-parameter
  # g++ 12 sees overlapping copies in std::string at -O3 where there are none (GCC bug 105651).
  $<$<CONFIG:Release>:-Wno-restrict>
  # libstdc++ 12 itself uses what it deprecates, in std::stable_sort.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
# Errors with the compiler that we develop with; another one's new warnings must not keep a user from building.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND NOT SKBUILD)
  list(APPEND KW_WARNINGS -Werror)
endif()

# KW_PORTABLE: what is linked is static, but for libc (docs/portable.md).
function(kw_find_dependencies)
  find_package(Threads REQUIRED)
  if(KW_PORTABLE)
    set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
    set(OPENSSL_USE_STATIC_LIBS ON)
  endif()
  find_package(PkgConfig REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(fmt REQUIRED)
  find_package(tl-expected REQUIRED)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)
  find_package(SQLite3 REQUIRED)
  pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
  pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
  # Debian has no static one: a portable build serves MCP on stdio alone.
  if(NOT KW_PORTABLE)
    pkg_check_modules(HTTPLIB IMPORTED_TARGET cpp-httplib)
  endif()
  # Its headers alone: the library is opened at run time (src/agent/providers/curl_library.h).
  find_path(KW_CURL_INCLUDE curl/curl.h REQUIRED)
  # What is installed carries fmt within: the runtime goes to machines that have no libfmt, and not every
  # distribution has libfmt.a. Builds for development link it, which compiles faster.
  add_library(kw_fmt INTERFACE)
  if(KW_PORTABLE OR CMAKE_BUILD_TYPE STREQUAL "Release")
    target_link_libraries(kw_fmt INTERFACE fmt::fmt-header-only)
  else()
    target_link_libraries(kw_fmt INTERFACE fmt::fmt)
  endif()
endfunction()

# What every target is compiled with. More arguments: those of target_precompile_headers, where it takes others than all.
function(kw_options target)
  target_compile_options(${target} PRIVATE ${KW_WARNINGS})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  # What is handed out names no folder of the machine that built it.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>)
  if(KW_SANITIZE)
    # Kernels and libraries that other compilers built are called by pointer: their functions do not say their types.
    target_compile_options(${target} PRIVATE -fsanitize=${KW_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
      $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>)
    target_link_options(${target} PUBLIC -fsanitize=${KW_SANITIZE})
  endif()
  if(KW_PRECOMPILE)
    # One precompiled header serves all that is compiled with the same options: programs as well as libraries.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    # g++ 12 sees std::string written past its end, at -O1, where its own header is precompiled.
    target_compile_options(${target} PRIVATE -fPIC $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds>
      $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
    if(ARGC GREATER 1)
      target_precompile_headers(${target} ${ARGN})
    else()
      target_precompile_headers(${target} REUSE_FROM kw_precompiled)
    endif()
  endif()
endfunction()

# What most sources include of libraries, and most tests besides. A source that lacks an include of its own is found by the
# preset that compiles each alone, with nothing precompiled: portable, in `make test-full`.
function(kw_precompiled_headers)
  if(NOT KW_PRECOMPILE)
    return()
  endif()
  set(headers <algorithm> <array> <chrono> <cmath> <cstdint> <cstdlib> <cstring> <filesystem> <fstream> <functional>
    <limits> <map> <memory> <mutex> <optional> <random> <set> <string> <string_view> <thread> <utility> <variant> <vector>
    <fmt/format.h> <nlohmann/json.hpp> <tl/expected.hpp>)
  set(nothing ${CMAKE_BINARY_DIR}/generated/nothing.cpp)
  file(CONFIGURE OUTPUT ${nothing} CONTENT "")
  foreach(name kw_precompiled kw_precompiled_tests)
    add_library(${name} OBJECT EXCLUDE_FROM_ALL ${nothing})
    target_link_libraries(${name} PRIVATE kw_fmt tl::expected nlohmann_json::nlohmann_json)
    kw_options(${name} PRIVATE ${headers})
    list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
  endforeach()
  find_package(GTest REQUIRED)
  target_link_libraries(kw_precompiled_tests PRIVATE GTest::gmock)
endfunction()

# kw_library(name FOLDER dir DEPENDS other...): static library kw_<name> of every .cpp below the folder.
function(kw_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${ARG_FOLDER}/*.cpp)
  # The runtime is a library of its own with its own entry points.
  list(FILTER sources EXCLUDE REGEX "/runtime/")
  # Device sources are compiled by the toolchain of their target, on the user's machine.
  list(FILTER sources EXCLUDE REGEX "/device/")
  if(NOT sources)
    add_library(kw_${name} INTERFACE)
    target_include_directories(kw_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    set(scope INTERFACE)
  else()
    add_library(kw_${name} STATIC ${sources})
    kw_options(kw_${name})
    set(scope PUBLIC)
  endif()
  foreach(dependency IN LISTS ARG_DEPENDS)
    target_link_libraries(kw_${name} ${scope} kw_${dependency})
  endforeach()
  if(name STREQUAL "base")
    target_link_libraries(kw_base ${scope} kw_fmt tl::expected nlohmann_json::nlohmann_json OpenSSL::Crypto
      PkgConfig::XXHASH PkgConfig::SECCOMP Threads::Threads)
  elseif(name STREQUAL "archive")
    target_link_libraries(kw_archive ${scope} SQLite::SQLite3)
  elseif(name STREQUAL "mcp" AND HTTPLIB_FOUND)
    target_link_libraries(kw_mcp PRIVATE PkgConfig::HTTPLIB)
    target_compile_definitions(kw_mcp PRIVATE KW_HTTP)
  elseif(name STREQUAL "agent")
    target_include_directories(kw_agent SYSTEM PRIVATE ${KW_CURL_INCLUDE})
    target_link_libraries(kw_agent ${scope} ${CMAKE_DL_LIBS})
  endif()
endfunction()

# kw_embed(library function header FILES path... ENTRIES name=path...): a function of `header` in the library that
# gives the texts of files by name, FILES by their own (src/target/device_source.h).
function(kw_embed library function header)
  cmake_parse_arguments(ARG "" "" "FILES;ENTRIES" ${ARGN})
  set(entries ${ARG_ENTRIES})
  foreach(file IN LISTS ARG_FILES)
    get_filename_component(name ${file} NAME)
    list(APPEND entries "${name}=${file}")
  endforeach()
  set(paths ${entries})
  list(TRANSFORM paths REPLACE "^[^=]+=" "")
  set(output ${CMAKE_BINARY_DIR}/generated/${function}.cpp)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${output}" "-DFILES=${entries}" "-DHEADER=${header}"
      "-DFUNCTION=${function}" -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${paths} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
  target_sources(${library} PRIVATE ${output})
endfunction()

# The texts that generated code may include, with the probes' kernels.
function(kw_embed_device_sources)
  file(GLOB cpu CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/target/cpu/device/*)
  file(GLOB cuda CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/target/cuda/device/*)
  kw_embed(kw_target device_sources target/cpu/device_sources.h FILES ${cpu}
    ENTRIES "kernelwright/kernel_abi.h=${PROJECT_SOURCE_DIR}/include/kernelwright/kernel_abi.h")
  kw_embed(kw_target cuda_device_sources target/cuda/device_sources.h FILES ${cuda})
endfunction()

# The CUDA driver's functions, opened at run time; the runtime and the cuda target both use them.
function(kw_cuda_driver)
  add_library(kw_cuda_driver STATIC
    ${PROJECT_SOURCE_DIR}/src/target/cuda/runtime/driver.cpp ${PROJECT_SOURCE_DIR}/src/target/cuda/runtime/device.cpp)
  kw_options(kw_cuda_driver)
  target_compile_options(kw_cuda_driver PRIVATE -fvisibility=hidden)
  target_link_libraries(kw_cuda_driver PUBLIC kw_base ${CMAKE_DL_LIBS})
endfunction()

# No libstdc++ or libgcc of the machine that it comes to.
function(kw_self_contained target)
  if(NOT KW_SANITIZE)
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
endfunction()

# The runtime is a shared library with the C ABI alone in sight. Its parts are a static library as well, so
# that unit tests reach them.
function(kw_runtime)
  set(folder ${PROJECT_SOURCE_DIR}/src/target)
  file(GLOB sources CONFIGURE_DEPENDS
    ${folder}/runtime/*.cpp ${folder}/cpu/runtime/*.cpp ${folder}/cuda/runtime/*.cpp)
  set(api ${folder}/runtime/api.cpp)
  list(REMOVE_ITEM sources ${api} ${folder}/cuda/runtime/driver.cpp ${folder}/cuda/runtime/device.cpp)
  add_library(kw_runtime_parts STATIC ${sources})
  kw_options(kw_runtime_parts)
  target_compile_options(kw_runtime_parts PRIVATE -fvisibility=hidden)
  kw_embed(kw_runtime_parts move_ptx target/cuda/runtime/move_ptx.h FILES ${folder}/cuda/runtime/move.ptx)
  target_link_libraries(kw_runtime_parts PUBLIC kw_cuda_driver kw_program kw_graph kw_base ${CMAKE_DL_LIBS})
  add_library(kernelwright_runtime SHARED ${api})
  kw_options(kernelwright_runtime)
  target_compile_options(kernelwright_runtime PRIVATE -fvisibility=hidden)
  target_link_libraries(kernelwright_runtime PRIVATE kw_runtime_parts)
  # nodelete: worker threads outlive a dlclose.
  target_link_options(kernelwright_runtime PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed -Wl,-z,nodelete)
  kw_self_contained(kernelwright_runtime)
  add_library(kw_runtime_api INTERFACE)
  target_link_libraries(kw_runtime_api INTERFACE kernelwright_runtime)
endfunction()

function(kw_executable)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(kernelwright ${sources})
  kw_options(kernelwright)
  target_compile_definitions(kernelwright PRIVATE KW_VERSION="${PROJECT_VERSION}")
  target_link_libraries(kernelwright PRIVATE kw_mcp kw_search kw_report kw_agent kw_archive kw_expert kw_referee kw_torch kw_target
    kw_rewrite kw_program kw_graph kw_base)
  if(KW_PORTABLE)
    kw_self_contained(kernelwright)
    target_link_options(kernelwright PRIVATE -Wl,--as-needed)
  endif()
endfunction()

# A tool that lies in bin/ beside the program; portable as well.
function(kw_gpu_tool name)
  set(tests ${PROJECT_SOURCE_DIR}/tests)
  list(TRANSFORM ARGN PREPEND ${tests}/)
  add_executable(${name} EXCLUDE_FROM_ALL ${ARGN})
  kw_options(${name})
  target_compile_definitions(${name} PRIVATE KW_SOURCE_DIR="${PROJECT_SOURCE_DIR}" KW_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_include_directories(${name} PRIVATE ${tests})
  if(KW_PORTABLE)
    kw_self_contained(${name})
    target_link_options(${name} PRIVATE -Wl,--as-needed)
  endif()
endfunction()

# What scripts/test-cuda and scripts/check-gpu take to a machine with a GPU; built when asked for.
function(kw_gpu_tools)
  # Judges the programs of tests/.
  kw_gpu_tool(kw_judge tools/kw_judge.cpp support/small_ops.cpp support/judged_programs.cpp)
  target_link_libraries(kw_judge PRIVATE kw_referee kw_torch kw_target kw_program kw_graph kw_base)
  # Writes what the expert proposes for a graph; tests/python compiles it, tests/tools/expert_cuda.py runs it on a GPU.
  kw_gpu_tool(kw_expert_programs tools/kw_expert_programs.cpp)
  target_link_libraries(kw_expert_programs PRIVATE kw_expert kw_rewrite kw_program kw_graph kw_base)
  # The device headers on a device; also among the unit tests, where they are skipped.
  find_package(GTest)
  if(GTest_FOUND)
    kw_gpu_tool(kw_device_tests unit/cuda_device_test.cpp)
    target_link_libraries(kw_device_tests PRIVATE kw_target kw_graph kw_base GTest::gtest GTest::gmock GTest::gtest_main)
  endif()
endfunction()

# Every tests/<label>/*.cpp is part of one binary kw_<label>_tests; the folder is the ctest label.
function(kw_tests)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
  include(GoogleTest)
  # What several test binaries share.
  file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cpp)
  add_library(kw_test_support STATIC ${support})
  kw_options(kw_test_support)
  target_compile_definitions(kw_test_support PRIVATE
    KW_SOURCE_DIR="${PROJECT_SOURCE_DIR}" KW_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_include_directories(kw_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(kw_test_support PUBLIC kw_referee kw_target kw_program kw_graph kw_base GTest::gtest)
  # Stands in for libcuda.so.1, so that the CUDA runtime is tested without a GPU.
  file(GLOB stub CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/stub/*.cpp)
  add_library(kw_stub_cuda SHARED ${stub})
  kw_options(kw_stub_cuda)
  target_compile_options(kw_stub_cuda PRIVATE -fvisibility=hidden)
  target_include_directories(kw_stub_cuda PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(kw_stub_cuda PRIVATE fmt::fmt)
  # Readers of what comes from outside: unit tests mutate what they take, and under libFuzzer (preset fuzz) kw_fuzz
  # searches for new paths in them.
  file(GLOB fuzz CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*targets.cpp)
  add_library(kw_fuzz_targets STATIC ${fuzz})
  kw_options(kw_fuzz_targets)
  target_include_directories(kw_fuzz_targets PUBLIC ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(kw_fuzz_targets PUBLIC kw_test_support kw_mcp kw_report kw_agent kw_referee kw_target kw_program kw_graph kw_base)
  if(KW_SANITIZE MATCHES "fuzzer")
    add_executable(kw_fuzz ${PROJECT_SOURCE_DIR}/tests/fuzz/libfuzzer.cpp)
    kw_options(kw_fuzz)
    target_link_options(kw_fuzz PRIVATE -fsanitize=fuzzer)
    target_link_libraries(kw_fuzz PRIVATE kw_fuzz_targets)
  endif()
  # Runs a graph through the interpreter; tests/python compares it with PyTorch.
  add_executable(kw_interpret ${PROJECT_SOURCE_DIR}/tests/tools/kw_interpret.cpp)
  kw_options(kw_interpret)
  target_link_libraries(kw_interpret PRIVATE kw_rewrite kw_graph kw_base)
  set_target_properties(kw_expert_programs PROPERTIES EXCLUDE_FROM_ALL OFF)  # for tests/python
  # Compiles the expert's programs for graphs of single ops and compares them with the interpreter.
  add_executable(kw_compiled_ops ${PROJECT_SOURCE_DIR}/tests/tools/kw_compiled_ops.cpp
    ${PROJECT_SOURCE_DIR}/tests/unit/compiled.cpp ${PROJECT_SOURCE_DIR}/tests/unit/arm.cpp)
  kw_options(kw_compiled_ops)
  target_compile_definitions(kw_compiled_ops PRIVATE KW_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_include_directories(kw_compiled_ops PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(kw_compiled_ops PRIVATE kw_expert kw_rewrite kw_program kw_target kw_graph kw_base)
  # The program, and the tests that drive it from outside.
  add_custom_target(kw_driven)
  add_dependencies(kw_driven kernelwright kernelwright_runtime kw_stub_cuda kw_interpret kw_expert_programs kw_compiled_ops)
  foreach(label unit cases adversarial honest error e2e)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${label}/*.cpp)
    # Candidate programs under judgement are data.
    list(FILTER sources EXCLUDE REGEX "/tests/(adversarial|honest)/.+/.+\\.cpp$")
    if(sources)
      add_executable(kw_${label}_tests ${sources})
      kw_options(kw_${label}_tests REUSE_FROM kw_precompiled_tests)
      # Our declarations of the CUDA driver are compared with NVIDIA's where those are installed.
      find_path(KW_CUDA_INCLUDE cuda.h PATHS /usr/local/cuda/include /usr/local/cuda-13.0/include /opt/cuda/include)
      if(label STREQUAL "unit" AND KW_CUDA_INCLUDE)
        set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/unit/cuda_driver_test.cpp PROPERTIES
          COMPILE_OPTIONS "-isystem;${KW_CUDA_INCLUDE}")
      endif()
      target_compile_definitions(kw_${label}_tests PRIVATE
        KW_SOURCE_DIR="${PROJECT_SOURCE_DIR}" KW_BINARY_DIR="${CMAKE_BINARY_DIR}")
      target_include_directories(kw_${label}_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests)
      target_link_libraries(kw_${label}_tests PRIVATE $<$<STREQUAL:${label},unit>:kw_fuzz_targets> kw_test_support kw_mcp kw_search kw_report kw_agent kw_archive kw_expert kw_referee kw_torch
        kw_target kw_rewrite kw_runtime_parts kw_program kw_graph kw_base GTest::gtest GTest::gmock GTest::gtest_main
        rapidcheck)
      add_dependencies(kw_${label}_tests kw_stub_cuda)
      if(NOT label MATCHES "unit|cases")
        add_dependencies(kw_driven kw_${label}_tests)
      endif()
      if(TARGET kernelwright)
        add_dependencies(kw_${label}_tests kernelwright)
      endif()
      gtest_discover_tests(kw_${label}_tests PROPERTIES LABELS ${label} TIMEOUT 300 DISCOVERY_TIMEOUT 60)
    endif()
  endforeach()
endfunction()

function(kw_benchmarks)
  find_package(benchmark REQUIRED)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    add_executable(bench_${name} ${source})
    kw_options(bench_${name})
    target_link_libraries(bench_${name} PRIVATE kw_search kw_referee kw_target kw_expert benchmark::benchmark_main)
  endforeach()
endfunction()

# pip (scikit-build-core) installs into the package's folder, where bin/ and lib/ lie beside the modules; plain
# CMake installs the package under share/; the portable release has it beside bin/ and lib/.
function(kw_install)
  if(TARGET kernelwright)
    install(TARGETS kernelwright RUNTIME DESTINATION bin)
  endif()
  get_target_property(kind kernelwright_runtime TYPE)
  if(kind STREQUAL "SHARED_LIBRARY")
    install(TARGETS kernelwright_runtime LIBRARY DESTINATION lib)
  endif()
  if(KW_PORTABLE)
    install(DIRECTORY python/kernelwright DESTINATION python FILES_MATCHING PATTERN "*.py" PATTERN __pycache__ EXCLUDE)
    install(DIRECTORY workloads DESTINATION . FILES_MATCHING PATTERN "*.py" PATTERN __pycache__ EXCLUDE)
    install(FILES docs/portable.md DESTINATION . RENAME README)
    install(FILES LICENSE DESTINATION .)
    return()
  endif()
  install(DIRECTORY include/kernelwright DESTINATION include)
  if(NOT SKBUILD)
    install(DIRECTORY python/kernelwright DESTINATION share/kernelwright/python PATTERN __pycache__ EXCLUDE)
  endif()
endfunction()
