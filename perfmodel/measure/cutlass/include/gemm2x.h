// One CUTLASS 2.x GEMM kernel behind the C ABI of perfmodel_gemm.h.
//
// cutlass_library emits each kernel for D^T = B^T A^T with operands already exchanged: the kernel type itself computes
// a row-major C, its A is our A and its tile rows are our m. So it is driven through GemmUniversalBase, without the
// adapter that would exchange them once more. What a problem needs (grid, parts, workspace) comes from Kernel::Params,
// which for the identity swizzle needs no device: can_implement and workspace answer the same on any machine.
#pragma once
#include <cstdint>
#include <cstdio>
#include <new>
#include <type_traits>

#include <cuda_runtime.h>

#include "cutlass/cutlass.h"
#include "cutlass/device_kernel.h"
#include "cutlass/gemm/device/gemm_universal_base.h"
#include "cutlass/reduction/kernel/reduce_split_k.h"
#include "cutlass/reduction/thread/reduction_operators.h"

#include "perfmodel_gemm.h"

namespace pm {

using cutlass::Status;

// A cutlass::Status as the ABI returns it. CUTLASS 2.x says kErrorInternal for a failed CUDA call and nothing else.
inline int code_2x(Status status) {
  if (status != Status::kErrorInternal) return int(status);
  cudaGetLastError();  // else the next, innocent launch would report it
  return -2;
}

// The second kernel of parallel split-K: C = alpha · sum of the parts. Nothing where C cannot hold a part unrounded.
template <class Kernel, bool Possible>
struct Reduction2x {
  Status set(PmProblem const *, void *, int) { return Status::kErrorNotSupported; }
  Status run(cudaStream_t) const { return Status::kErrorNotSupported; }
};

template <class Kernel>
struct Reduction2x<Kernel, true> {
  using OutputOp = typename Kernel::EpilogueOutputOp;
  using Element = typename Kernel::ElementC;
  using Add = cutlass::reduction::thread::ReduceAdd<Element, Element, OutputOp::kCount>;
  using Tile = cutlass::MatrixShape<4, 32 * OutputOp::kCount>;
  using Reduce = cutlass::reduction::kernel::ReduceSplitK<Tile, OutputOp, Add>;
  using Scale = typename OutputOp::ElementCompute;

  typename Reduce::Params params;

  Status set(PmProblem const *p, void *workspace, int parts) {
    typename Reduce::WorkspaceTensorRef from(static_cast<Element *>(workspace), cutlass::layout::RowMajor(p->n));
    typename Reduce::OutputTensorRef to(static_cast<Element *>(p->c), cutlass::layout::RowMajor(p->ldc));
    params = typename Reduce::Params({p->m, p->n}, parts, size_t(p->m) * p->n, from, to, to,
                                     typename OutputOp::Params(Scale(p->alpha), Scale(0.f)));
    cudaFuncAttributes found;  // loads the kernel: a first launch that did so could not be captured into a graph
    auto function = reinterpret_cast<void const *>(cutlass::Kernel<Reduce>);
    return cudaFuncGetAttributes(&found, function) == cudaSuccess ? Status::kSuccess : Status::kErrorInternal;
  }

  Status run(cudaStream_t stream) const {
    dim3 grid = Reduce::grid_shape(params.problem_size);
    cutlass::Kernel<Reduce><<<grid, Reduce::block_shape(), 0, stream>>>(params);
    return cudaGetLastError() == cudaSuccess ? Status::kSuccess : Status::kErrorInternal;
  }
};

template <class Kernel>
struct Gemm2x {
  using Launcher = cutlass::gemm::device::GemmUniversalBase<Kernel>;
  using Mode = cutlass::gemm::GemmUniversalMode;
  using Arguments = typename Kernel::Arguments;
  using Params = typename Kernel::Params;
  using OutputOp = typename Kernel::EpilogueOutputOp;
  using Scale = typename OutputOp::ElementCompute;
  using A = typename Kernel::ElementA;
  using B = typename Kernel::ElementB;
  using C = typename Kernel::ElementC;
  using Sum = typename Kernel::Mma::ElementC;
  using RowMajor = cutlass::layout::RowMajor;

  static_assert(std::is_same<typename Kernel::LayoutC, RowMajor>::value, "emitted for a column-major C, exchanged");

  // A part that leaves through a narrow integer is rounded and clamped: their sum would be another number.
  static constexpr bool kNarrow = cutlass::sizeof_bits<C>::value < cutlass::sizeof_bits<Sum>::value;
  static constexpr bool kAddsInC = !(kNarrow && cutlass::platform::numeric_limits<C>::is_integer);
  static constexpr bool kReduces = std::is_same<C, Sum>::value;

  struct Handle {
    Launcher launcher;
    Reduction2x<Kernel, kReduces> reduction;
    bool reduces = false;
  };

  static bool split(PmProblem const *p) { return p->split_k > 1; }
  static bool parallel(PmProblem const *p) { return split(p) && p->split_mode == PM_PARALLEL; }

  // CUTLASS moves from product to product by pointer arithmetic, where a 4-bit element counts as a whole byte.
  template <class Element>
  static int64_t steps(int64_t elements) {
    return cutlass::sizeof_bits<Element>::value < 8 ? elements * cutlass::sizeof_bits<Element>::value / 8 : elements;
  }

  static Arguments arguments(PmProblem const *p, void *workspace = nullptr) {
    Mode mode = p->batch > 1 ? Mode::kBatched : parallel(p) ? Mode::kGemmSplitKParallel : Mode::kGemm;
    Scale alpha = parallel(p) ? Scale(1.f) : Scale(p->alpha);  // the reduction scales, once
    void *to = parallel(p) ? workspace : p->c;
    int64_t line = parallel(p) ? p->n : p->ldc;
    int64_t step = parallel(p) ? int64_t(p->m) * p->n : steps<C>(p->stride_c);
    return Arguments(mode, {p->m, p->n, p->k}, p->batch > 1 ? p->batch : p->split_k,
                     typename OutputOp::Params(alpha, Scale(0.f)), p->a, p->b, nullptr, to,  // no source: beta is 0
                     steps<A>(p->stride_a), steps<B>(p->stride_b), int64_t(0), step, p->lda, p->ldb, line, line);
  }

  template <class Element>
  static bool lies(void const *pointer, int64_t line, int64_t extent, int64_t stride, bool many, int alignment) {
    int64_t bytes = alignment * cutlass::sizeof_bits<Element>::value / 8;
    return line >= extent && line % alignment == 0 && extent % alignment == 0 && (!many || stride % alignment == 0) &&
           (bytes < 1 || reinterpret_cast<uintptr_t>(pointer) % uintptr_t(bytes) == 0);
  }

  static bool aligned(PmProblem const *p) {
    bool a_by_k = std::is_same<typename Kernel::LayoutA, RowMajor>::value;
    bool b_by_n = std::is_same<typename Kernel::LayoutB, RowMajor>::value;
    bool many = p->batch > 1;
    return lies<A>(p->a, p->lda, a_by_k ? p->k : p->m, p->stride_a, many, Kernel::kAlignmentA) &&
           lies<B>(p->b, p->ldb, b_by_n ? p->n : p->k, p->stride_b, many, Kernel::kAlignmentB) &&
           lies<C>(p->c, p->ldc, p->n, p->stride_c, many, Kernel::kAlignmentC);
  }

  // Whether the way of splitting exists for this kernel.
  static bool splits(PmProblem const *p) {
    if (!split(p)) return true;
    return p->batch == 1 && (parallel(p) ? kReduces : kAddsInC);
  }

  static int can_implement(PmProblem const *p) {
    bool sizes = p->m > 0 && p->n > 0 && p->k > 0 && p->batch > 0 && p->split_k > 0;
    bool mode = p->split_mode == PM_SERIAL || p->split_mode == PM_PARALLEL;
    if (!sizes || !mode) return int(Status::kErrorInvalidProblem);
    if (float(Scale(p->alpha)) != p->alpha && cutlass::platform::numeric_limits<Scale>::is_integer)
      return int(Status::kErrorNotSupported);  // whole numbers cannot be scaled by a fraction
    if (!splits(p)) return int(Status::kErrorNotSupported);
    if (!aligned(p)) return int(Status::kErrorMisalignedOperand);
    Params params(arguments(p), 1, 1);
    dim3 grid = params.get_grid_dims();
    bool parts = !split(p) || params.grid_tiled_shape.k() == p->split_k;  // else a timing would claim other parts
    bool second = !parallel(p) || p->n <= 65535LL * 32 * OutputOp::kCount;
    if (!parts || !second || grid.y > 65535 || grid.z > 65535) return int(Status::kErrorInvalidProblem);
    return int(Kernel::can_implement(arguments(p)));
  }

  static int64_t workspace(PmProblem const *p) {
    return can_implement(p) ? -1 : int64_t(Params(arguments(p), 1, 1).get_workspace_size());
  }

  // Serial split-K's semaphores are zeroed here; in each launch the last part of a tile sets its own back to zero.
  static int create(PmProblem const *p, void *memory, void *stream, void **handle) {
    *handle = nullptr;
    if (int status = can_implement(p)) return status;
    bool needs = workspace(p) > 0;
    if (needs && !memory) return int(Status::kErrorWorkspaceNull);
    Handle *made = new (std::nothrow) Handle();
    if (!made) return -1;
    Status status = made->launcher.initialize(arguments(p, memory), needs ? memory : nullptr, cudaStream_t(stream));
    made->reduces = parallel(p);
    if (status == Status::kSuccess && made->reduces) status = made->reduction.set(p, memory, p->split_k);
    if (status != Status::kSuccess) {
      delete made;
      return code_2x(status);
    }
    *handle = made;
    return 0;
  }

  static int run(void *handle, void *stream) {
    Handle *made = static_cast<Handle *>(handle);
    Status status = made->launcher.run(cudaStream_t(stream));
    if (status == Status::kSuccess && made->reduces) status = made->reduction.run(cudaStream_t(stream));
    return code_2x(status);
  }

  static void destroy(void *handle) { delete static_cast<Handle *>(handle); }

  static int info(PmInfo *out) {
    out->shared_bytes = int32_t(sizeof(typename Kernel::SharedStorage));
    out->threads = Kernel::kThreadCount;
    out->registers = out->local_bytes = out->binary_version = out->blocks_per_sm = -1;
    auto function = reinterpret_cast<void const *>(cutlass::Kernel2<Kernel>);
    cudaFuncAttributes found;
    if (cudaFuncGetAttributes(&found, function) != cudaSuccess) return code_2x(Status::kErrorInternal);
    out->registers = found.numRegs;
    out->local_bytes = int32_t(found.localSizeBytes);
    out->binary_version = found.binaryVersion;
    return occupancy(out, function);
  }

  // CUTLASS 4.2's maximum_active_blocks() does not compile for 2.x kernels.
  static int occupancy(PmInfo *out, void const *function) {
    size_t bytes = size_t(out->shared_bytes);
    if (bytes >= (48 << 10) &&
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)) != cudaSuccess)
      return code_2x(Status::kErrorInternal);
    int blocks = -1;
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, out->threads, bytes) != cudaSuccess)
      return code_2x(Status::kErrorInternal);
    out->blocks_per_sm = blocks;
    return 0;
  }
};

}  // namespace pm

// The table entry of kernel type K, whose name it carries.
#define PM_ENTRY_2X(K)                                                                              \
  PmKernel {                                                                                        \
    +[](PmInfo *out) { std::snprintf(out->name, sizeof out->name, "%s", #K); return pm::Gemm2x<K>::info(out); }, \
    &pm::Gemm2x<K>::can_implement, &pm::Gemm2x<K>::workspace, &pm::Gemm2x<K>::create,               \
    &pm::Gemm2x<K>::run, &pm::Gemm2x<K>::destroy                                                    \
  }
