// The C ABI between Python and a compiled GEMM: C[m,n] = alpha A[m,k] B[k,n], C row-major, `batch` products a launch.
//
// A convolution kernel computes the same product in implicit form, from and to dense NHWC tensors: C = A * B is
//   fprop: output [n,p,q,k]      = activation [n,h,w,c] * filter [k,r,s,c]
//   dgrad: activation [n,h,w,c]  = output [n,p,q,k]     * filter [k,r,s,c]
//   wgrad: filter [k,r,s,c]      = output [n,p,q,k]     * activation [n,h,w,c]
// (cross-correlation). Its sizes are the last fields; m, n, k, batch, lines and strides are not read.
//
// The caller owns memory, streams and workspace. Layout, precision and tile are the kernel's; sizes and pointers come
// with each problem. Every function returns 0 when all is well, else a cutlass::Status (or -1: no host memory, -2: a
// CUDA error).
#pragma once
#include <stdint.h>

extern "C" {

enum { PM_ABI = 2 };
enum { PM_SERIAL = 0, PM_PARALLEL = 1 };  // how split-K adds its parts: in turn by semaphore, or by a second kernel

enum { PM_MATRICES = 0, PM_FPROP = 1, PM_DGRAD = 2, PM_WGRAD = 3 };

struct PmProblem {
  int32_t m, n, k, batch;
  int32_t split_k;           // parts that k is cut into; 1: not cut
  int32_t split_mode;        // PM_SERIAL or PM_PARALLEL
  int64_t lda, ldb, ldc;     // elements between two lines of an operand (a line is its contiguous direction)
  int64_t stride_a, stride_b, stride_c;  // elements between two products of a batch
  void *a, *b, *c;           // device memory; c is only written
  float alpha;
  int32_t sms;               // multiprocessors of the device, for persistent kernels; 0: not known
  // The convolution of a kernel in implicit form; others do not read it.
  int32_t conv;              // PM_MATRICES: none, or its pass
  int32_t images, height, width, channels, filters, r, s;
  int32_t pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, groups;
};

struct PmInfo {
  char name[256];
  int32_t shared_bytes, threads;
  int32_t registers, local_bytes, binary_version, blocks_per_sm;  // -1 where there is no device to ask
};

struct PmKernel {
  int (*info)(PmInfo *);
  int (*can_implement)(PmProblem const *);            // on the host alone
  int64_t (*workspace)(PmProblem const *);            // bytes; negative: not possible
  int (*create)(PmProblem const *, void *workspace, void *stream, void **handle);  // may enqueue a memset
  int (*run)(void *handle, void *stream);             // enqueues the launch, nothing else (two for parallel split-K;
                                                      // a memset before it where stream-K shares tiles)
  void (*destroy)(void *handle);
};

int pm_abi(void);                        // PM_ABI
int pm_count(void);                      // kernels in this library
struct PmKernel const *pm_kernel(int index);
// Enqueue `launches` launches that rotate through `count` handles from handle `first`; stops at the first error.
int pm_run_many(struct PmKernel const *, void *const *handles, int count, int first, int launches, void *stream);
}
