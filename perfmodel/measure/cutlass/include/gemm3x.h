// One CUTLASS 3.x GEMM kernel (Hopper's warp-group kernels) behind the C ABI of perfmodel_gemm.h.
//
// Operands are swapped, as for 2.x kernels: a row-major C[m,n] is a column-major C^T[n,m] = B^T A^T, so CUTLASS's M is
// our n, its A our B, and only kernels with a column-major D ("..n" in the procedural name) may be wrapped:
//   our layout tn -> tnn,  tt -> nnn,  nt -> ntn,  nn -> ttn.
//
// run() enqueues one kernel node; a stream-K or split-K launch that shares tiles has a memset node before it, because
// the kernel waits on barriers counting up from zero and leaves them high: unzeroed, its second launch never ends.
// Both may be captured in a graph. Two launches that can overlap need a workspace each.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <new>
#include <type_traits>
#include <utility>

#include "cutlass/cutlass.h"
#include "cutlass/gemm/device/gemm_universal_adapter.h"
#include "perfmodel_gemm.h"

namespace pm {

enum Failure3x : int { kNoHostMemory = -1, kNoCuda = -2 };

// Only the stream-K scheduler takes a number of splits.
template <class Arguments, class = void>
struct Splits : std::false_type {};
template <class Arguments>
struct Splits<Arguments, std::void_t<decltype(std::declval<Arguments &>().splits)>> : std::true_type {};

// One operand as CUTLASS sees it: `lines` runs of `line` contiguous elements, for each product of the batch.
struct Operand3x {
  void const *data;
  int64_t line, ld, batch_stride;
  int alignment, bytes;  // elements an access takes, bytes of one

  bool lies(int batch) const {
    bool const steps = batch == 1 || batch_stride % alignment == 0;
    return steps && ld >= line && line % alignment == 0 && ld % alignment == 0 &&
           reinterpret_cast<uintptr_t>(data) % uintptr_t(alignment * bytes) == 0;
  }
};

// A stride of CuTe (lines, elements, batch): its constant 1 marks the contiguous mode, the other takes `ld`.
template <class Stride>
constexpr bool kFirstIsContiguous = cute::is_static_v<std::decay_t<decltype(cute::get<0>(Stride{}))>>;

template <class Stride>
void fill(Stride &stride, int64_t ld, int64_t batch_stride, int batch) {
  cute::get<kFirstIsContiguous<Stride> ? 1 : 0>(stride) = ld;
  cute::get<2>(stride) = batch == 1 ? 0 : batch_stride;
}

template <class Kernel>
struct Gemm3x {
  using Op = cutlass::gemm::device::GemmUniversalAdapter<Kernel>;
  using Base = typename Op::GemmKernel;
  using Args = typename Op::Arguments;
  using Status = cutlass::Status;
  using Compute = typename Op::EpilogueOutputOp::ElementCompute;
  using Cluster = typename Op::ClusterShape;

  static constexpr bool kSplits = Splits<decltype(Args{}.scheduler)>::value;
  static constexpr int kClusterBlocks = Cluster::kM * Cluster::kN * Cluster::kK;
  static constexpr int kPortableCluster = 8;
  static constexpr int kStaticShared = 48 << 10;  // what a block may have without asking
  static_assert(std::is_same_v<typename Op::LayoutD, cutlass::layout::ColumnMajor>, "only kernels with column-major D");

  struct Handle {
    Args args;
    typename Op::Params params;
    void *workspace;
    bool barriers;
    cudaLaunchAttribute attribute;
    cudaLaunchConfig_t config;
  };

  static void const *function() { return reinterpret_cast<void const *>(cutlass::device_kernel<Base>); }

  static bool ok(cudaError_t error) {
    if (error != cudaSuccess) cudaGetLastError();  // so that the caller's next CUDA call does not find it
    return error == cudaSuccess;
  }

  // The device lets the kernel have its shared memory and its cluster, and loads it, so that nothing of this is left
  // for the first launch, which may be a captured one; false without a device that can run it.
  static bool admitted() {
    if (Base::SharedStorageSize >= kStaticShared &&
        !ok(cudaFuncSetAttribute(function(), cudaFuncAttributeMaxDynamicSharedMemorySize, Base::SharedStorageSize)))
      return false;
    if (kClusterBlocks > kPortableCluster &&
        !ok(cudaFuncSetAttribute(function(), cudaFuncAttributeNonPortableClusterSizeAllowed, 1)))
      return false;
    cudaFuncAttributes found;
    return ok(cudaFuncGetAttributes(&found, function()));
  }

  static void configure(cudaLaunchConfig_t &config, cudaLaunchAttribute &attribute, dim3 grid) {
    attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = Cluster::kM;
    attribute.val.clusterDim.y = Cluster::kN;
    attribute.val.clusterDim.z = Cluster::kK;
    config = {};
    config.gridDim = grid;
    config.blockDim = Base::get_block_shape();
    config.dynamicSmemBytes = Base::SharedStorageSize;
    config.attrs = &attribute;
    config.numAttrs = kClusterBlocks > 1 ? 1 : 0;
  }

  // Multiprocessors from the caller, else from the device (0 without one); resident clusters always from the device,
  // because chips differ in how many multiprocessors a cluster may span (0 without one: CUTLASS then estimates).
  static cutlass::KernelHardwareInfo hardware(PmProblem const &p) {
    cutlass::KernelHardwareInfo info;
    info.sm_count = p.sms > 0 ? p.sms : cutlass::KernelHardwareInfo::query_device_multiprocessor_count();
    if (kClusterBlocks > 1 && admitted()) {
      cudaLaunchAttribute attribute;
      cudaLaunchConfig_t config;
      configure(config, attribute, dim3(Cluster::kM, Cluster::kN, Cluster::kK));
      if (!ok(cudaOccupancyMaxActiveClusters(&info.max_active_clusters, function(), &config)))
        info.max_active_clusters = 0;
    }
    cudaGetLastError();
    return info;
  }

  template <class Element, class Stride>
  static Operand3x operand(void const *data, int first, int second, int64_t ld, int64_t batch_stride, int alignment) {
    return {data,         kFirstIsContiguous<Stride> ? first : second,        ld,
            batch_stride, alignment, cutlass::sizeof_bits<Element>::value / 8};
  }

  // CUTLASS itself looks at the extents alone, not at leading dimensions, batch strides or pointers.
  static bool aligned(PmProblem const &p) {
    Operand3x const a =
        operand<typename Op::ElementA, typename Base::StrideA>(p.b, p.n, p.k, p.ldb, p.stride_b, Op::kAlignmentA);
    Operand3x const b =
        operand<typename Op::ElementB, typename Base::StrideB>(p.a, p.m, p.k, p.lda, p.stride_a, Op::kAlignmentB);
    int const bytes = cutlass::sizeof_bits<typename Op::ElementD>::value / 8;
    Operand3x const d = {p.c, p.n, p.ldc, p.stride_c, Op::kAlignmentD, bytes};
    return a.lies(p.batch) && b.lies(p.batch) && d.lies(p.batch);
  }

  static bool splits(PmProblem const &p) { return p.split_k == 1 || (kSplits && p.split_mode == PM_SERIAL); }

  // CUTLASS would cut k into fewer parts than asked for and not say so: a timing must not claim parts it did not have.
  static bool has_parts(PmProblem const &p) {
    int const tiles = (p.k + Op::ThreadblockShape::kK - 1) / Op::ThreadblockShape::kK;
    return p.split_k == 1 || (p.split_k <= tiles && (p.sms <= 0 || p.split_k <= p.sms));
  }

  static Args arguments(PmProblem const &p) {
    Args x{};
    x.mode = p.batch > 1 ? cutlass::gemm::GemmUniversalMode::kBatched : cutlass::gemm::GemmUniversalMode::kGemm;
    x.problem_shape = cute::make_shape(int(p.n), int(p.m), int(p.k), int(p.batch));
    x.mainloop.ptr_A = static_cast<decltype(x.mainloop.ptr_A)>(p.b);
    x.mainloop.ptr_B = static_cast<decltype(x.mainloop.ptr_B)>(p.a);
    fill(x.mainloop.dA, p.ldb, p.stride_b, p.batch);
    fill(x.mainloop.dB, p.lda, p.stride_a, p.batch);
    x.epilogue.thread.alpha = Compute(p.alpha);
    x.epilogue.thread.beta = Compute(0);
    x.epilogue.ptr_C = static_cast<decltype(x.epilogue.ptr_C)>(p.c);  // never read; its descriptor wants an address
    x.epilogue.ptr_D = static_cast<decltype(x.epilogue.ptr_D)>(p.c);
    fill(x.epilogue.dC, p.ldc, p.stride_c, p.batch);
    fill(x.epilogue.dD, p.ldc, p.stride_c, p.batch);
    if constexpr (kSplits) {
      using Scheduler = typename Base::TileScheduler;
      x.scheduler.splits = p.split_k;  // 1: stream-K where its heuristic finds a use for it
      x.scheduler.reduction_mode = Scheduler::ReductionMode::Deterministic;
      x.scheduler.decomposition_mode = Scheduler::DecompositionMode::Heuristic;
    }
    return x;
  }

  static int can_implement(PmProblem const *p) {
    bool const sizes = p->m > 0 && p->n > 0 && p->k > 0 && p->batch > 0 && p->split_k > 0;
    bool const mode = p->split_mode == PM_SERIAL || p->split_mode == PM_PARALLEL;
    if (!sizes || !mode) return int(Status::kErrorInvalidProblem);
    bool const scales = !std::is_integral_v<Compute> || float(Compute(p->alpha)) == p->alpha;
    if (!scales || !splits(*p)) return int(Status::kErrorNotSupported);
    if (!aligned(*p)) return int(Status::kErrorMisalignedOperand);
    if (!has_parts(*p)) return int(Status::kErrorInvalidProblem);
    return int(Op::can_implement(arguments(*p)));
  }

  static int64_t workspace(PmProblem const *p) {
    if (can_implement(p) != 0) return -1;
    if constexpr (!kSplits) return 0;
    Args x = arguments(*p);
    x.hw_info = hardware(*p);
    return x.hw_info.sm_count < 1 ? -1 : int64_t(Base::get_workspace_size(x));
  }

  static int create(PmProblem const *p, void *workspace, void *, void **handle) {
    *handle = nullptr;
    if (int const status = can_implement(p)) return status;
    if (!p->a || !p->b || !p->c) return int(Status::kErrorInvalidProblem);
    // Before the first tensor map is made: CUTLASS asserts where the driver cannot make one.
    if (!admitted()) return kNoCuda;
    Args x = arguments(*p);
    x.hw_info = hardware(*p);
    if (x.hw_info.sm_count < 1) return kNoCuda;
    bool const barriers = kSplits && Base::get_workspace_size(x) > 0;
    if (barriers && !workspace) return int(Status::kErrorWorkspaceNull);
    Handle *h = new (std::nothrow) Handle{x, {}, workspace, barriers, {}, {}};
    if (!h) return kNoHostMemory;
    h->params = Base::to_underlying_arguments(x, workspace);
    configure(h->config, h->attribute, Base::get_grid_shape(h->params));
    *handle = h;
    return 0;
  }

  static int run(void *handle, void *stream) {
    Handle &h = *static_cast<Handle *>(handle);
    h.config.stream = static_cast<cudaStream_t>(stream);
    if (h.barriers) {
      Status const status = Base::initialize_workspace(h.args, h.workspace, h.config.stream);
      if (status != Status::kSuccess) return int(status);
    }
    void *params[] = {&h.params};
    return ok(cudaLaunchKernelExC(&h.config, function(), params)) ? 0 : kNoCuda;
  }

  static void destroy(void *handle) { delete static_cast<Handle *>(handle); }

  static int info(PmInfo *out) {
    out->shared_bytes = Base::SharedStorageSize;
    out->threads = Base::MaxThreadsPerBlock;
    out->registers = out->local_bytes = out->binary_version = out->blocks_per_sm = -1;
    cudaFuncAttributes found;
    if (!admitted() || !ok(cudaFuncGetAttributes(&found, function()))) return kNoCuda;
    out->registers = found.numRegs;
    out->local_bytes = int(found.localSizeBytes);
    out->binary_version = found.binaryVersion;
    int blocks = -1;
    if (!ok(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function(), out->threads, out->shared_bytes)))
      return kNoCuda;
    out->blocks_per_sm = blocks;
    return 0;
  }
};

}  // namespace pm

// The table entry of kernel type K, whose name it carries.
#define PM_ENTRY_3X(K)                                                                                             \
  PmKernel {                                                                                                       \
    +[](PmInfo *out) { std::snprintf(out->name, sizeof out->name, "%s", #K); return pm::Gemm3x<K>::info(out); },    \
        &pm::Gemm3x<K>::can_implement, &pm::Gemm3x<K>::workspace, &pm::Gemm3x<K>::create, &pm::Gemm3x<K>::run,     \
        &pm::Gemm3x<K>::destroy                                                                                    \
  }
