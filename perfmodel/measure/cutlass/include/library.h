// What a library of kernels exports: PM_LIBRARY(entry, entry, …), once, at the end of a translation unit.
#pragma once
#include "perfmodel_gemm.h"

#define PM_EXPORT extern "C" __attribute__((visibility("default")))

#define PM_LIBRARY(...)                                                                                  \
  static PmKernel const pm_table[] = {__VA_ARGS__};                                                      \
  PM_EXPORT int pm_abi(void) { return PM_ABI; }                                                          \
  PM_EXPORT int pm_count(void) { return int(sizeof pm_table / sizeof pm_table[0]); }                     \
  PM_EXPORT PmKernel const *pm_kernel(int index) {                                                       \
    return index >= 0 && index < pm_count() ? &pm_table[index] : nullptr;                                \
  }                                                                                                      \
  PM_EXPORT int pm_run_many(PmKernel const *kernel, void *const *handles, int count, int first, int launches, \
                            void *stream) {                                                              \
    for (int i = 0; i < launches; ++i)                                                                   \
      if (int status = kernel->run(handles[(int64_t(first) + i) % count], stream)) return status;        \
    return 0;                                                                                            \
  }
