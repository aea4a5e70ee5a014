// NVIDIA's driver and its libraries, opened at run time: nothing is linked.
#ifndef ONNXPROBE_CUDADRIVER_H
#define ONNXPROBE_CUDADRIVER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // dladdr
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <dlfcn.h>
#endif

typedef struct {
  void *handle;
  int status;  // CUresult of cuInit or of what followed it
  int version; // of cuDriverGetVersion
  int count;
  char path[4096]; // "" when there is no driver
  char message[256];
} op_driver;

typedef struct {
  char name[256];
  size_t memory;
  int major, minor;
} op_gpu;

#ifdef _WIN32
static void op_driver_ask(op_driver *d) { memset(d, 0, sizeof *d); }
static int op_gpu_ask(const op_driver *d, int i, op_gpu *g) { return 1; }
static int op_preload(const char *path, char *err, size_t n) { return 0; }
static int op_cudnn_cuda(void) { return 0; }
#else

static void op_driver_ask(op_driver *d) {
  // The loader's own search, then where WSL and NixOS keep the driver.
  static const char *const names[] = {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/run/opengl-driver/lib/libcuda.so.1"};
  memset(d, 0, sizeof *d);
  for (size_t i = 0; !d->handle && i < sizeof names / sizeof *names; i++) d->handle = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
  if (!d->handle) return;
  int (*init)(unsigned) = (int (*)(unsigned))dlsym(d->handle, "cuInit");
  int (*version)(int *) = (int (*)(int *))dlsym(d->handle, "cuDriverGetVersion");
  int (*count)(int *) = (int (*)(int *))dlsym(d->handle, "cuDeviceGetCount");
  int (*text)(int, const char **) = (int (*)(int, const char **))dlsym(d->handle, "cuGetErrorString");
  Dl_info info;
  const char *path = init && dladdr((void *)init, &info) && info.dli_fname ? info.dli_fname : names[0];
  snprintf(d->path, sizeof d->path, "%s", path);
  const char *message = "it is not a CUDA driver";
  d->status = -1;
  if (init && version && count) {
    d->status = version(&d->version);
    if (!d->status) d->status = init(0);
    if (!d->status) d->status = count(&d->count);
    if (text && text(d->status, &message)) message = "";
  }
  snprintf(d->message, sizeof d->message, "%s", message ? message : "");
}

static int op_gpu_ask(const op_driver *d, int i, op_gpu *g) {
  int dev;
  memset(g, 0, sizeof *g);
  int (*get)(int *, int) = (int (*)(int *, int))dlsym(d->handle, "cuDeviceGet");
  int (*name)(char *, int, int) = (int (*)(char *, int, int))dlsym(d->handle, "cuDeviceGetName");
  int (*memory)(size_t *, int) = (int (*)(size_t *, int))dlsym(d->handle, "cuDeviceTotalMem_v2");
  int (*attribute)(int *, int, int) = (int (*)(int *, int, int))dlsym(d->handle, "cuDeviceGetAttribute");
  if (!get || !name || get(&dev, i) || name(g->name, sizeof g->name - 1, dev)) return 1;
  if (memory) memory(&g->memory, dev);
  if (attribute) { // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
    attribute(&g->major, 75, dev);
    attribute(&g->minor, 76, dev);
  }
  return 0;
}

// op_preload loads a library for good, its symbols for all, and returns 0 or
// leaves in err why it does not load.
static int op_preload(const char *path, char *err, size_t n) {
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL)) return 0;
  const char *why = dlerror();
  snprintf(err, n, "%s", why ? why : "");
  return 1;
}

// op_cudnn_cuda is the CUDA release that the loaded cuDNN was built for, 0 when
// it does not tell.
static int op_cudnn_cuda(void) {
  size_t (*f)(void) = (size_t (*)(void))dlsym(RTLD_DEFAULT, "cudnnGetCudartVersion");
  return f ? (int)f() : 0;
}
#endif
#endif
