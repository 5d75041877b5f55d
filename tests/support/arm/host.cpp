// SPDX-License-Identifier: Apache-2.0
// host IMAGE SCRIPT: carries out launches of CPU kernels on a memory image, for a machine of
// another kind (support/arm.h). The kernels are linked in; kw_entries names them. Lines of the
// script:
//   launch KERNEL TEAM GRAIN GRID SCRATCH COUNT ARGUMENT...    an argument is an offset, or #VALUE
//   zero OFFSET BYTES
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "kernelwright/kernel_abi.h"
#include "support/cpu_launch.h"

struct kw_entry {
  const char* name;
  kw_kernel kernel;
};
extern "C" const kw_entry kw_entries[];

namespace testing = kernelwright::testing;

namespace {

struct Scratch {
  explicit Scratch(int64_t size) : bytes(static_cast<size_t>(size) + 64) {}
  void* data() { return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64; }
  std::vector<char> bytes;
};

int fail(const std::string& what) {
  std::cerr << what << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail("host IMAGE SCRIPT");
  const int file = open(argv[1], O_RDWR);
  struct stat info = {};
  if (file < 0 || fstat(file, &info) != 0) return fail("no image");
  char* image = static_cast<char*>(mmap(nullptr, static_cast<size_t>(info.st_size),
                                        PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  if (image == MAP_FAILED) return fail("cannot map the image");
  std::ifstream script(argv[2]);
  std::string word;
  while (script >> word) {
    int64_t offset = 0, bytes = 0;
    if (word == "zero" && script >> offset >> bytes) {
      std::memset(image + offset, 0, static_cast<size_t>(bytes));
      continue;
    }
    std::string name;
    testing::CpuLaunch how;
    size_t count = 0;
    if (word != "launch" ||
        !(script >> name >> how.team >> how.grain >> how.grid >> how.scratch_bytes >> count))
      return fail("a line that is not understood: " + word);
    std::vector<void*> buffers;
    for (size_t a = 0; a < count && script >> word; ++a)
      buffers.push_back(word[0] == '#' ? reinterpret_cast<void*>(std::stoll(word.substr(1)))
                                       : image + std::stoll(word));
    const kw_entry* entry = kw_entries;
    while (entry->name != nullptr && name != entry->name) ++entry;
    if (entry->name == nullptr) return fail("no kernel " + name);
    Scratch first(how.scratch_bytes), second(how.scratch_bytes);
    testing::carry_out(entry->kernel, how, buffers.data(), {first.data(), second.data()});
  }
  return 0;
}
