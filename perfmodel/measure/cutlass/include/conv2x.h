// One CUTLASS 2.x convolution kernel (implicit GEMM, NHWC) behind the C ABI of perfmodel_gemm.h.
//
// Tensors are dense, so the last fields of PmProblem say all. Split-K adds the parts of wgrad's deep k as a GEMM's
// are added: in turn by semaphore, or in the workspace, then summed by gemm2x.h's second kernel.
#pragma once
#include "cutlass/conv/device/implicit_gemm_convolution.h"

#include "gemm2x.h"

namespace pm {

template <class Kernel>
struct Conv2x {
  using Launcher = cutlass::conv::device::ImplicitGemmConvolution<Kernel>;
  using Arguments = typename Kernel::Arguments;
  using OutputOp = typename Kernel::EpilogueOutputOp;
  using Scale = typename OutputOp::ElementCompute;
  using Size = cutlass::conv::Conv2dProblemSize;
  using Nhwc = cutlass::layout::TensorNHWC;
  using A = typename Kernel::ElementA;
  using B = typename Kernel::ElementB;
  using C = typename Kernel::ElementC;
  using Sum = typename Kernel::ElementAccumulator;
  using Operator = cutlass::conv::Operator;

  static_assert(std::is_same<typename Kernel::LayoutA, Nhwc>::value, "only NHWC tensors");

  static constexpr Operator kOperator = Kernel::kConvolutionalOperator;
  static constexpr int kPass = kOperator == Operator::kFprop   ? PM_FPROP
                               : kOperator == Operator::kDgrad ? PM_DGRAD
                                                               : PM_WGRAD;
  static constexpr bool kReduces = std::is_same<C, Sum>::value;
  static constexpr bool kNarrow = cutlass::sizeof_bits<C>::value < cutlass::sizeof_bits<Sum>::value;
  static constexpr bool kAddsInC = !(kNarrow && cutlass::platform::numeric_limits<C>::is_integer);
  static constexpr int64_t kMostPixels = INT32_MAX;

  struct Handle {
    Launcher launcher;
    Reduction2x<Kernel, kReduces> reduction;
    bool reduces = false;
  };

  static bool split(PmProblem const *p) { return p->split_k > 1; }
  static bool parallel(PmProblem const *p) { return split(p) && p->split_mode == PM_PARALLEL; }

  static int64_t outputs(int64_t size, int64_t pad, int64_t dilation, int64_t taps, int64_t stride) {
    int64_t room = size + 2 * pad - dilation * (taps - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
  static int64_t rows(PmProblem const &g) { return outputs(g.height, g.pad_h, g.dilation_h, g.r, g.stride_h); }
  static int64_t columns(PmProblem const &g) { return outputs(g.width, g.pad_w, g.dilation_w, g.s, g.stride_w); }

  static bool sized(PmProblem const &g) {
    for (int32_t one : {g.images, g.height, g.width, g.channels, g.filters, g.r, g.s, g.stride_h, g.stride_w,
                        g.dilation_h, g.dilation_w, g.groups})
      if (one < 1) return false;
    if (g.pad_h < 0 || g.pad_w < 0) return false;
    return rows(g) > 0 && columns(g) > 0 && int64_t(g.images) * g.height * g.width <= kMostPixels &&
           int64_t(g.images) * rows(g) * columns(g) <= kMostPixels && int64_t(g.r) * g.s * g.channels <= kMostPixels;
  }

  static Size size(PmProblem const *p) {
    return Size(p->images, p->height, p->width, p->channels, p->filters, p->r, p->s, int(rows(*p)), int(columns(*p)),
                p->pad_h, p->pad_w, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w,
                cutlass::conv::Mode::kCrossCorrelation, p->split_k, p->groups);
  }

  static Arguments arguments(PmProblem const *p, void *workspace = nullptr) {
    Size const z = size(p);
    auto x = Nhwc::packed(z.activation_extent());
    auto w = Nhwc::packed(z.filter_extent());
    auto y = Nhwc::packed(z.output_extent());
    Nhwc const a = kPass == PM_FPROP ? x : y, b = kPass == PM_WGRAD ? x : w;
    Nhwc const c = kPass == PM_FPROP ? y : kPass == PM_DGRAD ? x : w;
    Scale alpha = parallel(p) ? Scale(1.f) : Scale(p->alpha);  // the reduction scales, once
    C *to = static_cast<C *>(parallel(p) ? workspace : p->c);
    return Arguments(z, {static_cast<A *>(p->a), a}, {static_cast<B *>(p->b), b}, {to, c}, {to, c},
                     typename OutputOp::Params(alpha, Scale(0.f)),
                     parallel(p) ? cutlass::conv::SplitKMode::kParallel : cutlass::conv::SplitKMode::kSerial);
  }

  // C as the reduction sees it: a matrix, dense.
  static PmProblem matrix(PmProblem const *p) {
    auto gemm = cutlass::conv::implicit_gemm_problem_size(kOperator, size(p));
    PmProblem found = *p;
    found.m = gemm.m(), found.n = gemm.n(), found.k = gemm.k(), found.ldc = gemm.n();
    return found;
  }

  template <class Element>
  static bool lies(void const *pointer, int elements) {
    return reinterpret_cast<uintptr_t>(pointer) % uintptr_t(elements * cutlass::sizeof_bits<Element>::value / 8) == 0;
  }

  static int can_implement(PmProblem const *p) {
    bool mode = p->split_mode == PM_SERIAL || p->split_mode == PM_PARALLEL;
    if (p->conv != kPass || p->split_k < 1 || !mode || !sized(*p)) return int(Status::kErrorInvalidProblem);
    if (float(Scale(p->alpha)) != p->alpha && cutlass::platform::numeric_limits<Scale>::is_integer)
      return int(Status::kErrorNotSupported);  // whole numbers cannot be scaled by a fraction
    // A part without a tile of k would be no part; a timing would claim it.
    int64_t tile = Kernel::ThreadblockShape::kK, pixels = int64_t(p->images) * rows(*p) * columns(*p);
    if (split(p) && p->split_k > (pixels + tile - 1) / tile) return int(Status::kErrorInvalidProblem);
    // CUTLASS cuts fprop's and dgrad's k by channels, which few of them would not fill; only wgrad's is deep.
    if (split(p) && (kPass != PM_WGRAD || !(parallel(p) ? kReduces : kAddsInC))) return int(Status::kErrorNotSupported);
    if (!lies<A>(p->a, Kernel::Mma::IteratorA::AccessType::kElements) ||
        !lies<B>(p->b, Kernel::Mma::IteratorB::AccessType::kElements) ||
        !lies<C>(p->c, Kernel::Epilogue::OutputTileIterator::kElementsPerAccess))
      return int(Status::kErrorMisalignedOperand);
    if (parallel(p)) {
      PmProblem const c = matrix(p);
      if (c.n % OutputOp::kCount) return int(Status::kErrorMisalignedOperand);
      if (c.n > 65535LL * 32 * OutputOp::kCount) return int(Status::kErrorInvalidProblem);
    }
    return int(Launcher::can_implement(arguments(p)));
  }

  static int64_t workspace(PmProblem const *p) {
    if (can_implement(p)) return -1;
    return split(p) ? int64_t(Launcher::get_workspace_size(arguments(p))) : 0;
  }

  // Serial split-K's semaphores are zeroed here; in each launch the last part of a tile sets its own back to zero.
  static int create(PmProblem const *p, void *memory, void *stream, void **handle) {
    *handle = nullptr;
    if (int status = can_implement(p)) return status;
    if (split(p) && !memory) return int(Status::kErrorWorkspaceNull);
    Handle *made = new (std::nothrow) Handle();
    if (!made) return -1;
    made->reduces = parallel(p);
    Status status = made->launcher.initialize(arguments(p, memory), split(p) ? memory : nullptr, cudaStream_t(stream));
    cudaFuncAttributes found;  // loads the kernel: a first launch that did so could not be captured into a graph
    if (status == Status::kSuccess && cudaFuncGetAttributes(&found, function()) != cudaSuccess)
      status = Status::kErrorInternal;
    if (status == Status::kSuccess && made->reduces) {
      PmProblem const c = matrix(p);
      status = made->reduction.set(&c, memory, p->split_k);
    }
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

  static void const *function() { return reinterpret_cast<void const *>(cutlass::Kernel<Kernel>); }

  static int info(PmInfo *out) {
    out->shared_bytes = int32_t(sizeof(typename Kernel::SharedStorage));
    out->threads = Kernel::kThreadCount;
    out->registers = out->local_bytes = out->binary_version = out->blocks_per_sm = -1;
    cudaFuncAttributes found;
    if (cudaFuncGetAttributes(&found, function()) != cudaSuccess) return code_2x(Status::kErrorInternal);
    out->registers = found.numRegs;
    out->local_bytes = int32_t(found.localSizeBytes);
    out->binary_version = found.binaryVersion;
    return occupancy(out);
  }

  static int occupancy(PmInfo *out) {
    size_t bytes = size_t(out->shared_bytes);
    if (bytes >= (48 << 10) &&
        cudaFuncSetAttribute(function(), cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)) != cudaSuccess)
      return code_2x(Status::kErrorInternal);
    int blocks = -1;
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function(), out->threads, bytes) != cudaSuccess)
      return code_2x(Status::kErrorInternal);
    out->blocks_per_sm = blocks;
    return 0;
  }
};

}  // namespace pm

// The table entry of kernel type K, whose name it carries.
#define PM_ENTRY_CONV(K)                                                                            \
  PmKernel {                                                                                        \
    +[](PmInfo *out) { std::snprintf(out->name, sizeof out->name, "%s", #K); return pm::Conv2x<K>::info(out); }, \
    &pm::Conv2x<K>::can_implement, &pm::Conv2x<K>::workspace, &pm::Conv2x<K>::create,               \
    &pm::Conv2x<K>::run, &pm::Conv2x<K>::destroy                                                    \
  }
