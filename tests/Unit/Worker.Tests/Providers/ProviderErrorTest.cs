using Sluice.Worker.Providers;

namespace Sluice.Worker.Tests.Providers;

/// <summary>The words of ONNX Runtime, CUDA, TensorRT and Dawn, and what they come to.</summary>
public sealed class ProviderErrorTest
{
    [Theory]
    [InlineData("[ErrorCode:Fail] Failed to load library /app/libonnxruntime_providers_shared.so with error: libonnxruntime_providers_shared.so: cannot open shared object file",
        "libonnxruntime_providers_shared.so is not beside libonnxruntime.so: publish the worker with -p:OnnxRuntime=nvidia")]
    [InlineData("Failed to load library /app/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file",
        "libcublasLt.so.13 is missing: install CUDA 13's libraries")]
    [InlineData("with error: libcuda.so.1: cannot open shared object file: No such file or directory",
        "libcuda.so.1 is missing: no NVIDIA driver here; in a container start it with --gpus all")]
    [InlineData("with error: libnvinfer.so.10: cannot open shared object file: No such file or directory",
        "libnvinfer.so.10 is missing: install TensorRT 10, not 11")]
    [InlineData("with error: libcudnn.so.9: cannot open shared object file: No such file or directory",
        "libcudnn.so.9 is missing: install cuDNN 9 for CUDA 13")]
    [InlineData("undefined symbol: cudaLibraryGetKernel, version libcudart.so.12",
        "libraries of different versions are mixed (undefined symbol: cudaLibraryGetKernel")]
    [InlineData("Target GPU SM 70 is not supported by this TensorRT release", "the GPU is too old for this build")]
    [InlineData("CUDA failure 209: no kernel image is available for execution on the device ; GPU=0", "the GPU is too old for this build")]
    [InlineData("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1",
        "NVIDIA's driver is too old for CUDA 13: update it to 580")]
    [InlineData("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1", "CUDA sees no GPU")]
    [InlineData("CUDA failure 101: invalid device ordinal ; GPU=3", "the option device_id is beyond the GPUs that CUDA sees")]
    [InlineData("CUDA failure 802: system not yet initialized ; GPU=0", "the GPU is not ready: on HGX machines start nvidia-fabricmanager")]
    [InlineData("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 4294967296", "the GPU does not have enough free memory")]
    [InlineData("CUDA failure 2: out of memory", "the GPU does not have enough free memory")]
    [InlineData("[ErrorCode:Fail] Failed to get a WebGPU adapter: No supported adapters", "no Vulkan device that WebGPU can use")]
    [InlineData("CUDA execution provider is not enabled in this build.",
        "this libonnxruntime.so is a CPU-only build: publish the worker with -p:OnnxRuntime=nvidia")]
    [InlineData("[ErrorCode:InvalidArgument] WebGPU execution provider is not supported in this build. ",
        "this libonnxruntime.so has no WebGPU: publish the worker with -p:OnnxRuntime=webgpu")]
    [InlineData("something\nunknown", "cuda reported: something unknown")]
    public void An_error_names_the_piece_to_change(string error, string says) =>
        Assert.StartsWith(says, ProviderError.Explain("cuda", error), StringComparison.Ordinal);

    [Theory]
    [InlineData("CUDA failure 700: an illegal memory access was encountered", true)]
    [InlineData("[ErrorCode:InvalidArgument] indices element out of data bounds, idx=0 must be within the inclusive range [-1,0]", false)]
    [InlineData("[ErrorCode:InvalidProtobuf] Load model from /m/model.onnx failed:Protobuf parsing failed.", false)]
    public void A_models_own_refusal_is_not_the_devices(string error, bool ofDevice) => Assert.Equal(ofDevice, ProviderError.IsOfDevice(error));
}
