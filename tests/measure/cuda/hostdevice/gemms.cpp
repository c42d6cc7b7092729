// Kernels behind the C ABI of the real libraries, as plain loops on host memory. Some are wrong on purpose.
#include "host.h"
#include "numbers.cuh"
#include "perfmodel_gemm.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

struct HostStream { void (*enqueue)(HostStream *, void (*)(void *), void *); };

enum Fault { RIGHT, SHORT, OUTSIDE, LOST_ROW, STALE, FLIPPED, LOST_PIXEL };
struct Spec {
  const char *name;
  int in, out;
  bool a_along_k, b_along_k, tf32;
  int align;
  Fault fault;
  int conv = PM_MATRICES;
};
static const Spec specs[] = {
    {"host_fp32_tn", FP32, FP32, true, true, false, 1, RIGHT},   {"host_fp32_tt", FP32, FP32, true, false, false, 1, RIGHT},
    {"host_fp32_nt", FP32, FP32, false, false, false, 1, RIGHT}, {"host_fp32_nn", FP32, FP32, false, true, false, 1, RIGHT},
    {"host_tf32_tn", FP32, FP32, true, true, true, 4, RIGHT},    {"host_fp16_tn", FP16, FP16, true, true, false, 8, RIGHT},
    {"host_fp16_nt", FP16, FP16, false, false, false, 8, RIGHT}, {"host_bf16_tn", BF16, BF16, true, true, false, 8, RIGHT},
    {"host_fp8_tn", E4M3, FP16, true, true, false, 16, RIGHT},   {"host_int8_tn", INT8, INT32, true, true, false, 16, RIGHT},
    {"host_int8_int8_tn", INT8, INT8, true, true, false, 16, RIGHT},
    {"host_short", FP32, FP32, true, true, false, 1, SHORT},     {"host_outside", FP32, FP32, true, true, false, 1, OUTSIDE},
    {"host_lost_row", FP32, FP32, true, true, false, 1, LOST_ROW},
    {"host_stale", INT8, INT8, true, true, false, 16, STALE},
    {"host_fp32_fprop", FP32, FP32, true, true, false, 1, RIGHT, PM_FPROP},
    {"host_fp32_dgrad", FP32, FP32, true, false, false, 1, RIGHT, PM_DGRAD},
    {"host_fp32_wgrad", FP32, FP32, false, false, false, 1, RIGHT, PM_WGRAD},
    {"host_fp16_fprop", FP16, FP16, true, true, false, 8, RIGHT, PM_FPROP},
    {"host_fp16_few", FP16, FP16, true, true, false, 4, RIGHT, PM_FPROP},
    {"host_fp16_dgrad", FP16, FP16, true, false, false, 8, RIGHT, PM_DGRAD},
    {"host_fp16_wgrad", FP16, FP16, false, false, false, 8, RIGHT, PM_WGRAD},
    {"host_int8_fprop", INT8, INT32, true, true, false, 16, RIGHT, PM_FPROP},
    {"host_flipped_fprop", FP32, FP32, true, true, false, 1, FLIPPED, PM_FPROP},
    {"host_flipped_dgrad", FP32, FP32, true, false, false, 1, FLIPPED, PM_DGRAD},
    {"host_flipped_wgrad", FP32, FP32, false, false, false, 1, FLIPPED, PM_WGRAD},
    {"host_lost_fprop", FP32, FP32, true, true, false, 1, LOST_PIXEL, PM_FPROP},
    {"host_lost_dgrad", FP32, FP32, true, false, false, 1, LOST_PIXEL, PM_DGRAD},
    {"host_lost_wgrad", FP32, FP32, false, false, false, 1, LOST_PIXEL, PM_WGRAD},
};
static const int COUNT = sizeof specs / sizeof specs[0];

struct Handle { PmProblem p; const Spec *spec; int *workspace; };

static float cut(float x) {  // to nearest with 10 fraction bits
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0xFFF + (bits >> 13 & 1)) & ~0x1FFFu;
  std::memcpy(&x, &bits, 4);
  return x;
}

static double part(const Handle *h, int64_t batch, int i, int j, int from, int to) {
  const PmProblem &p = h->p;
  float sum = 0;
  int64_t whole = 0;
  for (int q = from; q < to; ++q) {
    int64_t at = batch * p.stride_a + (h->spec->a_along_k ? i * p.lda + q : q * p.lda + i);
    int64_t bt = batch * p.stride_b + (h->spec->b_along_k ? j * p.ldb + q : q * p.ldb + j);
    double x = element(p.a, h->spec->in, at), y = element(p.b, h->spec->in, bt);
    if (h->spec->in == INT8) whole += (int64_t)x * (int64_t)y;
    else if (h->spec->tf32) sum += cut((float)x) * cut((float)y);
    else sum += (float)x * (float)y;
  }
  return h->spec->in == INT8 ? (double)whole : sum;
}

// A convolution by its definition, from and to NHWC tensors: every product of a pixel and a weight is added where it
// belongs. FLIPPED takes the taps in the other order, LOST_PIXEL leaves out the products of the last input pixel.
static void convolve(const Handle *h) {
  const PmProblem &p = h->p;
  const Spec &spec = *h->spec;
  int64_t height = (p.height + 2 * p.pad_h - p.dilation_h * (p.r - 1) - 1) / p.stride_h + 1;
  int64_t width = (p.width + 2 * p.pad_w - p.dilation_w * (p.s - 1) - 1) / p.stride_w + 1;
  int64_t sizes[] = {0, p.images * height * width * p.filters, int64_t(p.images) * p.height * p.width * p.channels,
                     int64_t(p.filters) * p.r * p.s * p.channels};
  std::vector<double> sums(sizes[spec.conv]);
  for (int64_t n = 0; n < p.images; ++n)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t r = 0; r < p.r; ++r)
          for (int64_t s = 0; s < p.s; ++s) {
            int64_t row = y * p.stride_h - p.pad_h + r * p.dilation_h;
            int64_t column = x * p.stride_w - p.pad_w + s * p.dilation_w;
            if (row < 0 || row >= p.height || column < 0 || column >= p.width) continue;
            if (spec.fault == LOST_PIXEL && n == p.images - 1 && row == p.height - 1 && column == p.width - 1) continue;
            int64_t in = ((n * p.height + row) * p.width + column) * p.channels;
            int64_t out = ((n * height + y) * width + x) * p.filters;
            int64_t tap = spec.fault == FLIPPED ? p.r * p.s - 1 - (r * p.s + s) : r * p.s + s;
            for (int64_t k = 0; k < p.filters; ++k)
              for (int64_t c = 0; c < p.channels; ++c) {
                int64_t w = (k * p.r * p.s + tap) * p.channels + c;
                int64_t of[] = {0, out + k, in + c, w};
                int64_t at = spec.conv == PM_FPROP ? in + c : out + k, bt = spec.conv == PM_WGRAD ? in + c : w;
                sums[of[spec.conv]] += element(p.a, spec.in, at) * element(p.b, spec.in, bt);
              }
          }
  for (size_t i = 0; i < sums.size(); ++i)
    if (spec.out == INT32) ((int32_t *)p.c)[i] = (int32_t)sums[i];
    else put(p.c, spec.out, i, (float)(p.alpha * sums[i]));
}

static void compute(void *argument) {
  const Handle *h = (const Handle *)argument;
  const PmProblem &p = h->p;
  if (h->spec->conv) return convolve(h);
  Fault fault = h->spec->fault;
  if (p.split_k > 1 && p.split_mode == PM_SERIAL && h->workspace[0]) return;  // a semaphore that nobody set to zero
  for (int64_t batch = 0; batch < p.batch; ++batch)
    for (int i = 0; i < p.m; ++i)
      for (int j = 0; j < p.n; ++j) {
        if ((fault == LOST_ROW || fault == STALE) && i == p.m - 1) continue;
        double sum = 0;
        int step = (p.k + p.split_k - 1) / p.split_k, k = fault == SHORT ? p.k - 1 : p.k;
        for (int from = 0; from < k; from += step) sum += part(h, batch, i, j, from, from + step < k ? from + step : k);
        int64_t at = batch * p.stride_c + i * p.ldc + j;
        if (h->spec->out == INT8) sum = sum > 127 ? 127 : sum < -128 ? -128 : sum;
        if (h->spec->out == INT32) ((int32_t *)p.c)[at] = (int32_t)sum;
        else put(p.c, h->spec->out, at, (float)(p.alpha * sum));
      }
  if (fault == OUTSIDE) put(p.c, h->spec->out, p.batch * p.stride_c, 1.0f);
}

template <int I> struct Of {
  static int info(PmInfo *o) {
    std::snprintf(o->name, sizeof o->name, "%s", specs[I].name);
    o->shared_bytes = 0, o->threads = 1;
    o->registers = o->local_bytes = o->binary_version = o->blocks_per_sm = -1;
    return 0;
  }
  static int can_implement(PmProblem const *p) {
    int align = specs[I].align;
    uintptr_t places = (uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->c;
    if (p->conv != specs[I].conv) return 4;
    if (p->conv) return p->channels % align || places % 16 ? 1 : 0;
    return p->lda % align || p->ldb % align || places % 16 ? 1 : 0;
  }
  static int64_t workspace(PmProblem const *p) { return p->split_k > 1 ? 4 : 0; }
  static int create(PmProblem const *p, void *workspace, void *, void **handle) {
    if (p->split_k > 1 && !workspace) return 6;
    *handle = new (std::nothrow) Handle{*p, &specs[I], (int *)workspace};
    return can_implement(p);
  }
  static int run(void *handle, void *stream) {
    HostStream *s = (HostStream *)stream;
    s->enqueue(s, compute, handle);
    return 0;
  }
  static void destroy(void *handle) { delete (Handle *)handle; }
  static constexpr PmKernel kernel = {info, can_implement, workspace, create, run, destroy};
};
template <size_t... I> static PmKernel const *of(int index, std::index_sequence<I...>) {
  static PmKernel const *const all[] = {&Of<I>::kernel...};
  return all[index];
}

extern "C" {
int pm_abi(void) { return PM_ABI; }
int pm_count(void) { return COUNT; }
PmKernel const *pm_kernel(int index) { return of(index, std::make_index_sequence<COUNT>()); }
int pm_run_many(PmKernel const *kernel, void *const *handles, int count, int first, int launches, void *stream) {
  for (int i = 0; i < launches; ++i)
    if (int status = kernel->run(handles[(first + i) % count], stream)) return status;
  return 0;
}
}
