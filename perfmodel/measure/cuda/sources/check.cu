// What is looked into on the device, because the host would take too long: every element of an output.
extern "C" __global__ void pm_unlike(const unsigned char *base, u64 set_bytes, u64 bytes, u64 sets, int value, u64 *count) {
  u64 found = 0;
  GRID_STRIDE(i, bytes * sets) found += base[i / bytes * set_bytes + i % bytes] != (unsigned char)value;
  if (found) atomicAdd(count, found);
}

// Elements that are not finite, or (whole numbers) still hold the poison. INT8 has no number to spare: `other` holds the
// output of a second launch over another poison, and what is not written holds both.
extern "C" __global__ void pm_unwritten(const void *c, const void *other, u64 elements, int code, u64 *count) {
  u64 found = 0;
  GRID_STRIDE(i, elements) {
    if (code == INT32) found += ((const int *)c)[i] == 0x7F7F7F7F;
    else if (code >= INT8) found += ((const unsigned char *)c)[i] == 0x7F && ((const unsigned char *)other)[i] == 0x80;
    else found += !(fabs(element(c, code, i)) <= 1.7976931348623157e308);
  }
  if (found) atomicAdd(count, found);
}

// Chosen rows and columns as FP64, [rows, columns]; without a list, all from the first.
extern "C" __global__ void pm_gather(const void *base, int code, u64 row_step, u64 column_step, const u64 *row_list,
                                     const u64 *column_list, u64 rows, u64 columns, double *out) {
  GRID_STRIDE(i, rows * columns) {
    u64 row = i / columns, column = i % columns;
    if (row_list) row = row_list[row];
    if (column_list) column = column_list[column];
    out[i] = element(base, code, row * row_step + column * column_step);
  }
}

__device__ inline void add_over_warp(double *to, double value) {
#ifdef PM_HOST
  atomicAdd(to, value);
#else
  for (int step = 16; step; step >>= 1) value += __shfl_down_sync(~0u, value, step);
  if ((threadIdx.x & 31) == 0) atomicAdd(to, value);
#endif
}

#define CHUNK 2048

// y += M x in FP64, or |M| x. A warp takes a chunk of one row where rows are contiguous (column_step 1), else a chunk of 32
// rows at a time, so that its lanes always read side by side. Blocks are whole warps.
extern "C" __global__ void pm_matvec(const void *base, int code, u64 row_step, u64 column_step, u64 rows, u64 columns,
                                     int absolute, const double *x, double *y) {
  u64 chunks = (columns + CHUNK - 1) / CHUNK, lane = threadIdx.x & 31;
  u64 warps = gridDim.x * (u64)blockDim.x / 32, first = (blockIdx.x * (u64)blockDim.x + threadIdx.x) / 32;
  bool along = column_step == 1;
  u64 lines = along ? rows : (rows + 31) / 32;
  for (u64 item = first; item < lines * chunks; item += warps) {
    u64 line = item / chunks, start = item % chunks * CHUNK;
    u64 end = start + CHUNK < columns ? start + CHUNK : columns;
    u64 row = along ? line : line * 32 + lane;
    double sum = 0;
    if (row < rows)
      for (u64 column = start + (along ? lane : 0); column < end; column += along ? 32 : 1) {
        double value = element(base, code, row * row_step + column * column_step);
        sum += (absolute ? fabs(value) : value) * x[column];
      }
    if (along) add_over_warp(y + row, sum);
    else if (row < rows) atomicAdd(y + row, sum);
  }
}
